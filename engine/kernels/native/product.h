// The one product all others are, for A in rows and B paired.

#pragma once

#include <immintrin.h>

#include <cstring>

#include "segments.h"

namespace {

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

}  // namespace
