// Attention within the segments of a pack, forward and backward, for bf16 on a CPU with AVX-512 BF16.
//
// A segment's rows [start, stop) attend causally to themselves, after the keys [prefix, prefix + shared); with a window
// only to the last `window` of them. Per block of ROWS query rows of one head:
//
//     S = Q K'          P = exp(c S - lse)      O = P V                                   forward
//     dP = dO V'        dS = c P (dP - delta)   dQ += dS K   dV += P' dO    dK += dS' Q   backward
//
// Forward, all visible scores of a block are formed at once, so that the softmax is exact and needs no rescaling.
// Backward, the keys come in panels of PANEL, whose sums dK and dV stay in the second cache while the blocks pass.
//
// All products are one routine: C [M, N] (+)= A B with A in rows of bf16 and B "paired": two rows of the inner dimension
// interleaved, as the instruction wants them. What is transposed is packed so once per segment and head.
//
// No torch header is included: it compiles in seconds and is called through plain pointers.

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

namespace {

using bf16 = uint16_t;

constexpr int ROWS = 32;        // query rows in a block
constexpr int PANEL = 256;      // keys at a time, backward
constexpr int LANES = 16;       // fp32 numbers in a register
constexpr float LOG2E = 1.4426950408889634f;
constexpr float LN2 = 0.6931471805599453f;

struct Segment {
    int64_t start, stop, prefix, shared;
    int64_t rows() const { return stop - start; }
    int64_t keys() const { return shared + rows(); }
    int64_t padded() const { return (keys() + LANES - 1) / LANES * LANES; }
    int64_t token(int64_t key) const { return key < shared ? prefix + key : start + key - shared; }
};

// Heads of a tensor: element (head, token, d) lies at data[head * head_stride + token * row_stride + d].
struct Heads {
    const bf16* data;
    int64_t head_stride, row_stride;
    const bf16* row(int64_t head, int64_t token) const { return data + head * head_stride + token * row_stride; }
};

struct Shape {
    int64_t tokens, query_heads, key_heads, dim;
    int64_t group() const { return query_heads / key_heads; }
};

// The keys that query row `i` of a segment sees: [first, last).
struct Visible {
    int64_t first, last;
};

Visible visible(const Segment& s, int64_t i, int64_t window) {
    int64_t last = s.shared + i + 1;
    return {window > 0 ? std::max<int64_t>(0, last - window) : 0, last};
}

// ---- memory that outlives a call: fresh pages cost more than the work they hold

class Arena {
   public:
    template <typename T>
    T* take(int64_t count) {
        int64_t bytes = (count * (int64_t)sizeof(T) + 63) / 64 * 64;
        if (used_ + bytes > size_) return nullptr;
        T* place = reinterpret_cast<T*>(base_ + used_);
        used_ += bytes;
        return place;
    }
    bool reserve(int64_t bytes) {
        used_ = 0;
        if (bytes <= size_) return true;
        std::free(base_);
        size_ = 0;
        base_ = static_cast<char*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64));
        if (!base_) return false;
        size_ = bytes;
        return true;
    }

   private:
    char* base_ = nullptr;
    int64_t size_ = 0, used_ = 0;
};

std::mutex lock;
Arena arena;

int64_t rounded(int64_t bytes) { return (bytes + 63) / 64 * 64; }

// ---- the product

inline __m512bh pairs_of(const bf16* a) {
    int32_t two;
    std::memcpy(&two, a, sizeof two);
    return (__m512bh)_mm512_set1_epi32(two);
}

// C [M, 16 * V] (+)= A [M, 2 * pairs] B, B [pairs, ldb] of interleaved pairs.
template <int M, int V>
inline void tile(const bf16* a, int64_t lda, const bf16* b, int64_t ldb, float* c, int64_t ldc, int64_t pairs, bool add) {
    __m512 sum[M][V];
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) sum[m][v] = add ? _mm512_loadu_ps(c + m * ldc + v * LANES) : _mm512_setzero_ps();
    for (int64_t p = 0; p < pairs; ++p) {
        __m512bh right[V];
        for (int v = 0; v < V; ++v) right[v] = (__m512bh)_mm512_loadu_si512(b + (p * ldb + v * LANES) * 2);
        for (int m = 0; m < M; ++m) {
            __m512bh left = pairs_of(a + m * lda + 2 * p);
            for (int v = 0; v < V; ++v) sum[m][v] = _mm512_dpbf16_ps(sum[m][v], left, right[v]);
        }
    }
    for (int m = 0; m < M; ++m)
        for (int v = 0; v < V; ++v) _mm512_storeu_ps(c + m * ldc + v * LANES, sum[m][v]);
}

template <int V>
void rows_of_tiles(const bf16* a, int64_t lda, const bf16* b, int64_t ldb, float* c, int64_t ldc, int64_t m, int64_t pairs,
                   bool add) {
    int64_t i = 0;
    for (; i + 6 <= m; i += 6) tile<6, V>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, pairs, add);
    for (; i + 4 <= m; i += 4) tile<4, V>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, pairs, add);
    for (; i + 2 <= m; i += 2) tile<2, V>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, pairs, add);
    for (; i < m; ++i) tile<1, V>(a + i * lda, lda, b, ldb, c + i * ldc, ldc, pairs, add);
}

void product(const bf16* a, int64_t lda, const bf16* b, int64_t ldb, float* c, int64_t ldc, int64_t m, int64_t n,
             int64_t pairs, bool add) {
    int64_t j = 0;
    for (; j + 4 * LANES <= n; j += 4 * LANES) rows_of_tiles<4>(a, lda, b + j * 2, ldb, c + j, ldc, m, pairs, add);
    for (; j < n; j += LANES) rows_of_tiles<1>(a, lda, b + j * 2, ldb, c + j, ldc, m, pairs, add);
}

// ---- packing

// Sixteen rows of sixteen 32-bit numbers, turned.
inline void transpose(__m512i r[LANES]) {
    __m512i t[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; ++i) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; ++i) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

// [keys, dim] of a segment as pairs along dim: out [dim / 2, padded] of pairs.
void pack_along_dim(const Heads& x, int64_t head, const Segment& s, int64_t dim, bf16* out) {
    int64_t padded = s.padded();
    __m512i block[LANES];
    for (int64_t key = 0; key < padded; key += LANES) {
        for (int64_t d = 0; d < dim; d += 2 * LANES) {
            for (int r = 0; r < LANES; ++r)
                block[r] = key + r < s.keys() ? _mm512_loadu_si512(x.row(head, s.token(key + r)) + d) : _mm512_setzero_si512();
            transpose(block);
            for (int c = 0; c < LANES; ++c) _mm512_storeu_si512(out + ((d / 2 + c) * padded + key) * 2, block[c]);
        }
    }
}

inline __m512i wide(const bf16* x) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)x)); }

// Sixteen pairs of two rows; a null row counts as zeros.
inline __m512i pairs_of_rows(const bf16* first, const bf16* second) {
    __m512i low = first ? wide(first) : _mm512_setzero_si512();
    return second ? _mm512_or_si512(low, _mm512_slli_epi32(wide(second), 16)) : low;
}

// [keys, dim] of a segment as pairs along the keys: out [padded / 2, dim] of pairs.
void pack_along_keys(const Heads& x, int64_t head, const Segment& s, int64_t dim, bf16* out) {
    for (int64_t key = 0; key < s.padded(); key += 2) {
        const bf16* first = key < s.keys() ? x.row(head, s.token(key)) : nullptr;
        const bf16* second = key + 1 < s.keys() ? x.row(head, s.token(key + 1)) : nullptr;
        for (int64_t d = 0; d < dim; d += LANES)
            _mm512_storeu_si512(out + (key / 2 * dim + d) * 2, pairs_of_rows(first ? first + d : nullptr, second ? second + d : nullptr));
    }
}

// Rows of a block as they are [ROWS, dim], those beyond `count` zero.
void copy_rows(const Heads& x, int64_t head, int64_t first, int64_t count, int64_t dim, bf16* out) {
    for (int64_t r = 0; r < ROWS; ++r) {
        if (r < count)
            std::memcpy(out + r * dim, x.row(head, first + r), dim * sizeof(bf16));
        else
            std::memset(out + r * dim, 0, dim * sizeof(bf16));
    }
}

// [ROWS, dim] to [dim, ROWS].
void transpose_rows(const bf16* in, int64_t dim, bf16* out) {
    static_assert(ROWS == 2 * LANES, "a block's pairs of rows fill a register");
    __m512i block[LANES];
    for (int64_t d = 0; d < dim; d += LANES) {
        for (int r = 0; r < LANES; ++r) block[r] = pairs_of_rows(in + 2 * r * dim + d, in + (2 * r + 1) * dim + d);
        transpose(block);
        for (int c = 0; c < LANES; ++c) _mm512_storeu_si512(out + (d + c) * ROWS, block[c]);
    }
}

// ---- arithmetic

inline __m256i narrow(__m512 x) { return (__m256i)_mm512_cvtneps_pbh(x); }

// 2^x to 2e-7. Below -150 it is 0 in bf16; the order of operands lets a NaN through.
inline __m512 exp2_of(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(-150.0f), x);
    __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 f = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(1.5403530e-4f);
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.3333558e-3f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(9.6181291e-3f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(5.5504109e-2f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(2.4022651e-1f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(6.9314718e-1f));
    y = _mm512_fmadd_ps(y, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(y, whole);
}

// Which of the keys [at, at + 16) a row sees.
inline __mmask16 seen(const Visible& v, int64_t at) {
    int64_t below = std::clamp<int64_t>(v.first - at, 0, LANES), upto = std::clamp<int64_t>(v.last - at, 0, LANES);
    return (__mmask16)(((1u << upto) - 1) & ~((1u << below) - 1));
}

// Keys that any of a block's rows sees, in whole registers.
Visible visible_block(const Segment& s, int64_t first, int64_t count, int64_t window) {
    Visible low = visible(s, first, window), high = visible(s, first + count - 1, window);
    return {low.first / LANES * LANES, (high.last + LANES - 1) / LANES * LANES};
}

// ---- forward

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

// ---- backward

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

// ---- work, largest first

struct Task {
    int64_t segment, head, first, last;
    int64_t cost;
};

std::vector<Task> tasks_of(const std::vector<Segment>& segments, int64_t heads, int64_t chunk) {
    std::vector<Task> tasks;
    for (size_t n = 0; n < segments.size(); ++n)
        for (int64_t h = 0; h < heads; ++h)
            for (int64_t first = 0; first < segments[n].rows(); first += chunk) {
                int64_t last = std::min(first + chunk, segments[n].rows());
                tasks.push_back({(int64_t)n, h, first, last, (last - first) * (segments[n].shared + last)});
            }
    std::stable_sort(tasks.begin(), tasks.end(), [](const Task& a, const Task& b) { return a.cost > b.cost; });
    return tasks;
}

int64_t longest(const std::vector<Segment>& segments) {
    int64_t out = LANES;
    for (const Segment& s : segments) out = std::max(out, s.padded());
    return out;
}

std::vector<Segment> read_segments(const int64_t* bounds, int64_t count) {
    std::vector<Segment> out;
    for (int64_t i = 0; i < count; ++i)
        out.push_back({bounds[4 * i], bounds[4 * i + 1], bounds[4 * i + 2], bounds[4 * i + 3]});
    return out;
}

}  // namespace

extern "C" {

// 0 when done, 1 when memory is out. `out` [tokens, query_heads, dim] bf16, `lse` [query_heads, tokens] fp32.
int attention_forward(const bf16* q, int64_t q_head, int64_t q_row, const bf16* k, int64_t k_head, int64_t k_row,
                      const bf16* v, int64_t v_head, int64_t v_row, bf16* out, float* lse, const int64_t* bounds,
                      int64_t segment_count, int64_t tokens, int64_t query_heads, int64_t key_heads, int64_t dim,
                      float scale, int64_t window, int threads) {
    std::lock_guard<std::mutex> only(lock);
    const Shape shape{tokens, query_heads, key_heads, dim};
    const Heads queries{q, q_head, q_row}, key_rows{k, k_head, k_row}, value_rows{v, v_head, v_row};
    const auto segments = read_segments(bounds, segment_count);
    const int64_t packs = segment_count * key_heads, widest = longest(segments);
    int64_t bytes = threads * forward_bytes(widest, dim);
    for (const Segment& s : segments) bytes += 2 * key_heads * rounded(s.padded() * dim * 2);
    if (!arena.reserve(bytes)) return 1;
    std::vector<Scratch> scratch;
    for (int i = 0; i < threads; ++i) scratch.push_back(forward_scratch(widest, dim));
    std::vector<bf16*> keys, values;
    for (int64_t n = 0; n < packs; ++n) {
        int64_t size = segments[n / key_heads].padded() * dim;
        keys.push_back(arena.take<bf16>(size));
        values.push_back(arena.take<bf16>(size));
    }
    const auto tasks = tasks_of(segments, query_heads, 4 * ROWS);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < packs; ++n) {
            pack_along_dim(key_rows, n % key_heads, segments[n / key_heads], dim, keys[n]);
            pack_along_keys(value_rows, n % key_heads, segments[n / key_heads], dim, values[n]);
        }
        extern int omp_get_thread_num(void);
        Scratch& mine = scratch[omp_get_thread_num()];
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < tasks.size(); ++i) {
            const Task& task = tasks[i];
            int64_t pack = task.segment * key_heads + task.head / shape.group();
            for (int64_t first = task.first; first < task.last; first += ROWS)
                forward_block(segments[task.segment], task.head, first, std::min<int64_t>(ROWS, task.last - first), queries,
                              keys[pack], values[pack], shape, scale, window, mine, out, lse);
        }
    }
    return 0;
}

// 0 when done, 1 when memory is out. dq [tokens, query_heads, dim], dk and dv [tokens, key_heads, dim], all bf16.
int attention_backward(const bf16* grad, int64_t grad_head, int64_t grad_row, const bf16* q, int64_t q_head, int64_t q_row,
                       const bf16* k, int64_t k_head, int64_t k_row, const bf16* v, int64_t v_head, int64_t v_row,
                       const bf16* out, const float* lse, bf16* dq, bf16* dk, bf16* dv, const int64_t* bounds,
                       int64_t segment_count, int64_t tokens, int64_t query_heads, int64_t key_heads, int64_t dim,
                       float scale, int64_t window, int threads) {
    std::lock_guard<std::mutex> only(lock);
    const Shape shape{tokens, query_heads, key_heads, dim};
    const Heads grads{grad, grad_head, grad_row}, queries{q, q_head, q_row}, outs{out, dim, query_heads * dim};
    const Heads key_rows{k, k_head, k_row}, value_rows{v, v_head, v_row};
    const auto segments = read_segments(bounds, segment_count);
    const int64_t packs = segment_count * key_heads;
    int64_t blocks = 1;
    for (const Segment& s : segments) blocks = std::max(blocks, blocks_of(s.rows()));
    int64_t bytes = threads * backward_bytes(blocks, dim);
    for (const Segment& s : segments)
        bytes += 3 * key_heads * rounded(s.padded() * dim * 2) + 2 * query_heads * rounded(s.padded() * dim * 4);
    if (!arena.reserve(bytes)) return 1;
    std::vector<Scratch> scratch;
    for (int i = 0; i < threads; ++i) scratch.push_back(backward_scratch(blocks, dim));
    std::vector<bf16*> keys, values, keys_down;
    for (int64_t n = 0; n < packs; ++n) {
        int64_t size = segments[n / key_heads].padded() * dim;
        keys.push_back(arena.take<bf16>(size));
        values.push_back(arena.take<bf16>(size));
        keys_down.push_back(arena.take<bf16>(size));
    }
    std::vector<float*> dkeys, dvalues;
    for (int64_t n = 0; n < segment_count * query_heads; ++n) {
        int64_t size = segments[n / query_heads].padded() * dim;
        dkeys.push_back(arena.take<float>(size));
        dvalues.push_back(arena.take<float>(size));
    }
    const auto tasks = tasks_of(segments, query_heads, tokens);
    const int64_t sixteens = (tokens + LANES - 1) / LANES;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < packs; ++n) {
            const Segment& s = segments[n / key_heads];
            pack_along_dim(key_rows, n % key_heads, s, dim, keys[n]);
            pack_along_dim(value_rows, n % key_heads, s, dim, values[n]);
            pack_along_keys(key_rows, n % key_heads, s, dim, keys_down[n]);
        }
        extern int omp_get_thread_num(void);
        Scratch& mine = scratch[omp_get_thread_num()];
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < tasks.size(); ++i) {
            const Task& task = tasks[i];
            const Segment& s = segments[task.segment];
            int64_t pack = task.segment * key_heads + task.head / shape.group();
            int64_t own = task.segment * query_heads + task.head;
            backward_head(s, task.head, queries, grads, outs, lse, {keys[pack], values[pack], keys_down[pack]}, shape, scale,
                          window, mine, dq, dkeys[own], dvalues[own]);
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t n = 0; n < sixteens * key_heads; ++n) {
            gather_gradient(segments, dkeys, shape, n % key_heads, n / key_heads * LANES, dk);
            gather_gradient(segments, dvalues, shape, n % key_heads, n / key_heads * LANES, dv);
        }
    }
    return 0;
}

}  // extern "C"
