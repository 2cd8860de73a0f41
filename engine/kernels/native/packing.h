// Copies of rows as the product wants them: paired, turned, padded with zeros.

#pragma once

#include <immintrin.h>

#include <cstring>

#include "segments.h"

namespace {

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

}  // namespace
