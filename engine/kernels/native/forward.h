// A block of rows against all keys it sees.

#pragma once

#include <cmath>

#include "arena.h"
#include "packing.h"
#include "product.h"
#include "softmax.h"

namespace {

struct Scratch {
    float* scores;      // [ROWS, padded] forward, [ROWS, PANEL] backward
    float* out;         // [ROWS, dim]
    bf16* weights;      // [ROWS, padded] forward, [ROWS, PANEL] backward
    bf16* query;        // [ROWS, dim]
    // backward only
    float* slopes;                       // [ROWS, PANEL]
    bf16 *weight_pairs, *slope_pairs;    // [ROWS / 2, PANEL] of pairs
    bf16 *queries, *grads;               // [blocks, ROWS, dim]
    bf16 *queries_t, *grads_t;           // [blocks, dim, ROWS]
    float* dquery;                       // [blocks, ROWS, dim]
    float *lse, *delta;                  // [blocks, ROWS]
};

int64_t blocks_of(int64_t rows) { return (rows + ROWS - 1) / ROWS; }

Scratch forward_scratch(int64_t padded, int64_t dim) {
    Scratch s = {};
    s.scores = arena.take<float>(ROWS * padded);
    s.out = arena.take<float>(ROWS * dim);
    s.weights = arena.take<bf16>(ROWS * padded);
    s.query = arena.take<bf16>(ROWS * dim);
    return s;
}

int64_t forward_bytes(int64_t padded, int64_t dim) {
    return rounded(ROWS * padded * 4) + rounded(ROWS * dim * 4) + rounded(ROWS * padded * 2) + rounded(ROWS * dim * 2);
}

Scratch backward_scratch(int64_t blocks, int64_t dim) {
    Scratch s = {};
    s.scores = arena.take<float>(ROWS * PANEL);
    s.slopes = arena.take<float>(ROWS * PANEL);
    s.weights = arena.take<bf16>(ROWS * PANEL);
    s.weight_pairs = arena.take<bf16>(ROWS * PANEL);
    s.slope_pairs = arena.take<bf16>(ROWS * PANEL);
    s.queries = arena.take<bf16>(blocks * ROWS * dim);
    s.grads = arena.take<bf16>(blocks * ROWS * dim);
    s.queries_t = arena.take<bf16>(blocks * ROWS * dim);
    s.grads_t = arena.take<bf16>(blocks * ROWS * dim);
    s.dquery = arena.take<float>(blocks * ROWS * dim);
    s.lse = arena.take<float>(blocks * ROWS);
    s.delta = arena.take<float>(blocks * ROWS);
    return s;
}

int64_t backward_bytes(int64_t blocks, int64_t dim) {
    return 2 * rounded(ROWS * PANEL * 4) + 3 * rounded(ROWS * PANEL * 2) + 4 * rounded(blocks * ROWS * dim * 2) +
           rounded(blocks * ROWS * dim * 4) + 2 * rounded(blocks * ROWS * 4);
}

// Softmax numerators of a row as bf16, 0 where it does not look; returns their sum and the row's maximum.
struct Softmax {
    float sum, highest;
};

Softmax softmax_row(const float* scores, const Visible& row, const Visible& block, float factor, bf16* weights) {
    __m512 highest = _mm512_set1_ps(-INFINITY);
    for (int64_t k = block.first; k < block.last; k += LANES)
        highest = _mm512_mask_max_ps(highest, seen(row, k), highest, _mm512_loadu_ps(scores + k));
    float most = _mm512_reduce_max_ps(highest);
    __m512 shift = _mm512_set1_ps(-most * factor), scale = _mm512_set1_ps(factor), sum = _mm512_setzero_ps();
    for (int64_t k = block.first; k < block.last; k += LANES) {
        __m512 x = _mm512_fmadd_ps(_mm512_loadu_ps(scores + k), scale, shift);
        __m512 w = _mm512_maskz_mov_ps(seen(row, k), exp2_of(x));
        sum = _mm512_add_ps(sum, w);
        _mm256_storeu_si256((__m256i*)(weights + k), narrow(w));
    }
    return {_mm512_reduce_add_ps(sum), most};
}

// One block of rows of one head.
void forward_block(const Segment& s, int64_t head, int64_t first, int64_t count, const Heads& q, const bf16* keys,
                   const bf16* values, const Shape& shape, float scale, int64_t window, Scratch& t, bf16* out, float* lse) {
    int64_t padded = s.padded(), dim = shape.dim;
    Visible block = visible_block(s, first, count, window);
    copy_rows(q, head, s.start + first, count, dim, t.query);
    product(t.query, dim, keys + block.first * 2, padded, t.scores + block.first, padded, count, block.last - block.first,
            dim / 2, false);
    float inverse[ROWS];
    for (int64_t r = 0; r < count; ++r) {
        Visible row = visible(s, first + r, window);
        Softmax done = softmax_row(t.scores + r * padded, row, block, scale * LOG2E, t.weights + r * padded);
        inverse[r] = 1.0f / done.sum;
        lse[head * shape.tokens + s.start + first + r] = done.highest * scale + std::log(done.sum);
    }
    product(t.weights + block.first, padded, values + block.first * dim, dim, t.out, dim, count, dim,
            (block.last - block.first) / 2, false);
    for (int64_t r = 0; r < count; ++r) {
        bf16* to = out + ((s.start + first + r) * shape.query_heads + head) * dim;
        __m512 factor = _mm512_set1_ps(inverse[r]);
        for (int64_t d = 0; d < dim; d += LANES)
            _mm256_storeu_si256((__m256i*)(to + d), narrow(_mm512_mul_ps(factor, _mm512_loadu_ps(t.out + r * dim + d))));
    }
}

}  // namespace
