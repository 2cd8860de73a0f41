// A head's rows against one panel of keys after the other, and the sums brought back to their tokens.

#pragma once

#include <vector>

#include "forward.h"

namespace {

// The keys of a panel that a block sees, in whole registers; none where last <= first.
Visible within(const Visible& block, int64_t panel) {
    return {std::max(block.first, panel), std::min<int64_t>(block.last, panel + PANEL)};
}

// P and dS of two neighbouring rows of a block for the keys of `part`: dS as rows, both as pairs along the rows.
void slopes_of_two(const Segment& s, int64_t first, int64_t r, int64_t count, const Visible& part, int64_t panel, float scale,
                   int64_t window, Scratch& t) {
    const __m512 factor = _mm512_set1_ps(scale * LOG2E), by = _mm512_set1_ps(scale);
    Visible rows[2];
    for (int i = 0; i < 2; ++i) rows[i] = r + i < count ? visible(s, first + r + i, window) : Visible{0, 0};
    for (int64_t k = part.first; k < part.last; k += LANES) {
        __m512i weights = _mm512_setzero_si512(), slopes = _mm512_setzero_si512();
        for (int i = 0; i < 2; ++i) {
            int64_t at = (r + i) * PANEL + k - panel;
            __mmask16 mask = seen(rows[i], k);
            __m256i slope = _mm256_setzero_si256();
            if (mask) {
                __m512 lse = _mm512_set1_ps(t.lse[first + r + i]), delta = _mm512_set1_ps(t.delta[first + r + i]);
                __m512 p = _mm512_maskz_mov_ps(mask, exp2_of(_mm512_fmsub_ps(_mm512_loadu_ps(t.scores + at), factor, lse)));
                __m512 d = _mm512_sub_ps(_mm512_loadu_ps(t.slopes + at), delta);
                slope = narrow(_mm512_maskz_mul_ps(mask, _mm512_mul_ps(p, by), d));
                __m512i wide_p = _mm512_cvtepu16_epi32(narrow(p)), wide_s = _mm512_cvtepu16_epi32(slope);
                weights = _mm512_or_si512(weights, i ? _mm512_slli_epi32(wide_p, 16) : wide_p);
                slopes = _mm512_or_si512(slopes, i ? _mm512_slli_epi32(wide_s, 16) : wide_s);
            }
            _mm256_storeu_si256((__m256i*)(t.weights + at), slope);
        }
        _mm512_storeu_si512(t.weight_pairs + r * PANEL + (k - panel) * 2, weights);
        _mm512_storeu_si512(t.slope_pairs + r * PANEL + (k - panel) * 2, slopes);
    }
}

struct Packed {
    const bf16 *keys, *values;  // pairs along dim
    const bf16* keys_down;      // pairs along the keys
};

// What every panel asks of a segment's rows, once: their copies, turned too, log-sum-exps in base 2, and sums of dO O.
void prepare_rows(const Segment& s, int64_t head, const Heads& q, const Heads& grad, const Heads& out, const float* lse,
                  const Shape& shape, Scratch& t) {
    int64_t dim = shape.dim, blocks = blocks_of(s.rows());
    for (int64_t b = 0; b < blocks; ++b) {
        int64_t first = b * ROWS, count = std::min<int64_t>(ROWS, s.rows() - first), place = first * dim;
        copy_rows(q, head, s.start + first, count, dim, t.queries + place);
        copy_rows(grad, head, s.start + first, count, dim, t.grads + place);
        transpose_rows(t.queries + place, dim, t.queries_t + place);
        transpose_rows(t.grads + place, dim, t.grads_t + place);
        for (int64_t r = 0; r < count; ++r) {
            const bf16* o = out.row(head, s.start + first + r);
            __m512 sum = _mm512_setzero_ps();
            for (int64_t d = 0; d < dim; d += LANES)
                sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(wide(o + d), 16)),
                                      _mm512_castsi512_ps(_mm512_slli_epi32(wide(t.grads + place + r * dim + d), 16)), sum);
            t.delta[first + r] = _mm512_reduce_add_ps(sum);
            t.lse[first + r] = lse[head * shape.tokens + s.start + first + r] * LOG2E;
        }
    }
    std::memset(t.dquery, 0, blocks * ROWS * dim * sizeof(float));
}

// One block of rows against one panel of keys; adds to dquery, and to dkeys and dvalues [dim, padded].
void backward_block(const Segment& s, int64_t first, int64_t panel, const Packed& packed, int64_t dim, float scale,
                    int64_t window, Scratch& t, float* dkeys, float* dvalues) {
    int64_t count = std::min<int64_t>(ROWS, s.rows() - first), padded = s.padded(), place = first * dim;
    Visible part = within(visible_block(s, first, count, window), panel);
    int64_t width = part.last - part.first, offset = part.first - panel, even = (count + 1) / 2 * 2;
    if (width <= 0) return;
    product(t.queries + place, dim, packed.keys + part.first * 2, padded, t.scores + offset, PANEL, count, width, dim / 2, false);
    product(t.grads + place, dim, packed.values + part.first * 2, padded, t.slopes + offset, PANEL, count, width, dim / 2, false);
    for (int64_t r = 0; r < even; r += 2) slopes_of_two(s, first, r, count, part, panel, scale, window, t);
    product(t.weights + offset, PANEL, packed.keys_down + part.first * dim, dim, t.dquery + place, dim, count, dim, width / 2, true);
    product(t.grads_t + place, ROWS, t.weight_pairs + offset * 2, PANEL, dvalues + part.first, padded, dim, width, even / 2, true);
    product(t.queries_t + place, ROWS, t.slope_pairs + offset * 2, PANEL, dkeys + part.first, padded, dim, width, even / 2, true);
}

// One head of one segment.
void backward_head(const Segment& s, int64_t head, const Heads& q, const Heads& grad, const Heads& out, const float* lse,
                   const Packed& packed, const Shape& shape, float scale, int64_t window, Scratch& t, bf16* dq, float* dkeys,
                   float* dvalues) {
    int64_t dim = shape.dim;
    prepare_rows(s, head, q, grad, out, lse, shape, t);
    std::memset(dkeys, 0, s.padded() * dim * sizeof(float));
    std::memset(dvalues, 0, s.padded() * dim * sizeof(float));
    for (int64_t panel = 0; panel < s.padded(); panel += PANEL)
        for (int64_t first = 0; first < s.rows(); first += ROWS)
            backward_block(s, first, panel, packed, dim, scale, window, t, dkeys, dvalues);
    for (int64_t r = 0; r < s.rows(); ++r) {
        bf16* to = dq + ((s.start + r) * shape.query_heads + head) * dim;
        for (int64_t d = 0; d < dim; d += LANES)
            _mm256_storeu_si256((__m256i*)(to + d), narrow(_mm512_loadu_ps(t.dquery + r * dim + d)));
    }
}

// Tokens [token, token + 16) as keys of a segment: from which lane on, how many, and the first one's key.
struct Overlap {
    int64_t lane, count, key;
};

Overlap overlap(int64_t token, int64_t first, int64_t last, int64_t key) {
    int64_t from = std::max(token, first), upto = std::min<int64_t>(token + LANES, last);
    return {from - token, std::max<int64_t>(0, upto - from), key + from - first};
}

// Gradient of the 16 tokens from `token` of one key head, from all segments that look at them, rounded once.
void gather_gradient(const std::vector<Segment>& segments, const std::vector<float*>& sums, const Shape& shape, int64_t head,
                     int64_t token, bf16* to) {
    constexpr int64_t MOST = 512;
    __m512 total[MOST];
    for (int64_t d = 0; d < shape.dim; ++d) total[d] = _mm512_setzero_ps();
    for (size_t n = 0; n < segments.size(); ++n) {
        const Segment& s = segments[n];
        const Overlap both[2] = {overlap(token, s.start, s.stop, s.shared), overlap(token, s.prefix, s.prefix + s.shared, 0)};
        for (const Overlap& o : both) {
            if (o.count <= 0) continue;
            __mmask16 mask = (__mmask16)(((1u << o.count) - 1) << o.lane);
            for (int64_t g = 0; g < shape.group(); ++g) {
                const float* from = sums[n * shape.query_heads + head * shape.group() + g] + o.key - o.lane;
                for (int64_t d = 0; d < shape.dim; ++d)
                    total[d] = _mm512_add_ps(total[d], _mm512_maskz_loadu_ps(mask, from + d * s.padded()));
            }
        }
    }
    int64_t count = std::min<int64_t>(LANES, shape.tokens - token);
    __m512i block[LANES];
    for (int64_t d = 0; d < shape.dim; d += LANES) {
        for (int i = 0; i < LANES; ++i) block[i] = _mm512_castps_si512(total[d + i]);
        transpose(block);
        for (int64_t i = 0; i < count; ++i)
            _mm256_storeu_si256((__m256i*)(to + ((token + i) * shape.key_heads + head) * shape.dim + d),
                                narrow(_mm512_castsi512_ps(block[i])));
    }
}

}  // namespace
