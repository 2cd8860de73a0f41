// Exponentials, roundings and masks, sixteen numbers at a time.

#pragma once

#include <immintrin.h>

#include "segments.h"

namespace {

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

}  // namespace
