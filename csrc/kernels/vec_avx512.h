// Vectors of AVX-512 with VNNI and BF16. The names here are the whole vocabulary of the kernels;
// vec_avx2.h and vec_portable.h define the same names.
// No include guard against reuse is needed beyond once: every target is its own unit and namespace.
#pragma once
#include <immintrin.h>
#include <cstdint>

namespace foveate::FOVEATE_TARGET {

constexpr int W = 16;  // floats per vector
constexpr int R = 8;   // query rows per micro-kernel
constexpr int NV = 2;  // vectors per micro-kernel: 8 × 2 sums, 2 loads and 8 broadcasts for 16 products
constexpr int kKeyOffset = 128;  // vpdpbusd wants one unsigned side: K codes are stored plus 128

using F = __m512;
using I = __m512i;

static inline F load(const float* p) { return _mm512_loadu_ps(p); }
static inline void store(float* p, F x) { _mm512_storeu_ps(p, x); }
static inline F set1(float x) { return _mm512_set1_ps(x); }
static inline F zero() { return _mm512_setzero_ps(); }
static inline F add(F a, F b) { return _mm512_add_ps(a, b); }
static inline F sub(F a, F b) { return _mm512_sub_ps(a, b); }
static inline F mul(F a, F b) { return _mm512_mul_ps(a, b); }
static inline F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
static inline F min(F a, F b) { return _mm512_min_ps(a, b); }
static inline F max(F a, F b) { return _mm512_max_ps(a, b); }
static inline I loadi(const int32_t* p) { return _mm512_loadu_si512(p); }
static inline void storei(int32_t* p, I x) { _mm512_storeu_si512(p, x); }
static inline I set1i(int32_t x) { return _mm512_set1_epi32(x); }
static inline I zeroi() { return _mm512_setzero_si512(); }
static inline I addi(I a, I b) { return _mm512_add_epi32(a, b); }
static inline I subi(I a, I b) { return _mm512_sub_epi32(a, b); }
static inline I maxi(I a, I b) { return _mm512_max_epi32(a, b); }
static inline I andi(I a, I b) { return _mm512_and_si512(a, b); }
static inline I ori(I a, I b) { return _mm512_or_si512(a, b); }
template <int n>
static inline I shl(I a) {
  return _mm512_slli_epi32(a, n);
}
template <int n>
static inline I shr(I a) {
  return _mm512_srli_epi32(a, n);
}  // zeros come in
static inline I bits(F a) { return _mm512_castps_si512(a); }
static inline F from_bits(I a) { return _mm512_castsi512_ps(a); }
static inline F to_float(I a) { return _mm512_cvtepi32_ps(a); }
static inline I round_int(F a) { return _mm512_cvtps_epi32(a); }  // to nearest even
static inline int32_t sum_all(I a) { return _mm512_reduce_add_epi32(a); }
static inline int32_t max_all(I a) { return _mm512_reduce_max_epi32(a); }
static inline float sum_all(F a) { return _mm512_reduce_add_ps(a); }
static inline F abs(F a) { return _mm512_abs_ps(a); }

// 16-bit floats and bytes
static inline F load_bf16(const uint16_t* p) {
  return from_bits(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)p)), 16));
}
static inline F load_f16(const uint16_t* p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)p)); }
static inline I load_i8(const int8_t* p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i*)p)); }
static inline void store_bf16(uint16_t* p, F x) {
  _mm256_storeu_si256((__m256i*)p, (__m256i)_mm512_cvtneps_pbh(x));
}
static inline void store_f16(uint16_t* p, F x) {
  _mm256_storeu_si256((__m256i*)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline F round_f16(F x) {
  return _mm512_cvtph_ps(_mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline void store_u8(uint8_t* p, I x) { _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8(x)); }

// x − floor(x) and poly(x − floor(x)) · 2^floor(x): two instructions that make exp2 cheap here.
// A NaN stays a NaN; −inf gives 0.
static inline F fraction(F x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
static inline F scale_floor(F p, F x) { return _mm512_scalef_ps(p, x); }

constexpr bool kFuse = true;  // 32 registers hold the sums of one group and the exponentials of another

#define FOVEATE_BYTES 1  // bytes_avx512.h serves int8
#define FOVEATE_LANE_REDUCTIONS 1

// A mask of the lanes below n.
static inline uint32_t first_lanes(int64_t n) { return n >= W ? 0xffffu : n <= 0 ? 0u : (1u << n) - 1; }

// Largest lane of each of R rows of vectors.
static inline void row_maxima(const float* lanes, bool is_int, float* top) {
  if (is_int) {
    __m256i y[8];
    for (int r = 0; r < 8; ++r) {
      const I x = _mm512_load_si512(lanes + r * 16);
      y[r] = _mm256_max_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    }
    for (int r = 0; r < 8; r += 2)  // pairs of rows, then fours, then all: each step halves the lanes per row
      y[r] = _mm256_max_epi32(_mm256_unpacklo_epi32(y[r], y[r + 1]), _mm256_unpackhi_epi32(y[r], y[r + 1]));
    for (int r = 0; r < 8; r += 4)
      y[r] = _mm256_max_epi32(_mm256_unpacklo_epi64(y[r], y[r + 2]), _mm256_unpackhi_epi64(y[r], y[r + 2]));
    const __m256i all = _mm256_max_epi32(_mm256_permute2x128_si256(y[0], y[4], 0x20),
                                         _mm256_permute2x128_si256(y[0], y[4], 0x31));
    _mm256_store_ps(top, _mm256_cvtepi32_ps(all));
    return;
  }
  __m256 y[8];
  for (int r = 0; r < 8; ++r) {
    const F x = _mm512_load_ps(lanes + r * 16);
    y[r] = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  }
  for (int r = 0; r < 8; r += 2)
    y[r] = _mm256_max_ps(_mm256_unpacklo_ps(y[r], y[r + 1]), _mm256_unpackhi_ps(y[r], y[r + 1]));
  for (int r = 0; r < 8; r += 4)
    y[r] = _mm256_max_ps(
        _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(y[r]), _mm256_castps_pd(y[r + 2]))),
        _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(y[r]), _mm256_castps_pd(y[r + 2]))));
  _mm256_store_ps(
      top, _mm256_max_ps(_mm256_permute2f128_ps(y[0], y[4], 0x20), _mm256_permute2f128_ps(y[0], y[4], 0x31)));
}
static inline void store_rows(float* p, F x) { _mm256_storeu_ps(p, _mm512_castps512_ps256(x)); }

// Dot products. i8: sums of four u8 × s8; bf16: sums of two products; f32: one product.
struct DotI8 {
  using Acc = I;
  using Element = uint8_t;
  static constexpr int g = 4;
  static inline Acc step_kq(Acc acc, I k, const uint8_t* q) {
    return _mm512_dpbusd_epi32(acc, k, _mm512_set1_epi32(*(const int32_t*)q));
  }
  static inline I load_b(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static inline I splat_p(const uint8_t* p) { return _mm512_set1_epi32(*(const int32_t*)p); }
  static inline Acc step_pv(Acc acc, I p, I v) { return _mm512_dpbusd_epi32(acc, p, v); }
  static inline Acc zero_acc() { return zeroi(); }
  static inline F as_float(Acc a) { return to_float(a); }
};
struct DotBf16 {
  using Acc = F;
  using Element = uint16_t;
  static constexpr int g = 2;
  static inline Acc step_kq(Acc acc, I k, const uint16_t* q) {
    return _mm512_dpbf16_ps(acc, (__m512bh)k, (__m512bh)_mm512_set1_epi32(*(const int32_t*)q));
  }
  static inline I load_b(const uint16_t* p) { return _mm512_loadu_si512(p); }
  static inline I splat_p(const uint16_t* p) { return _mm512_set1_epi32(*(const int32_t*)p); }
  static inline Acc step_pv(Acc acc, I p, I v) { return _mm512_dpbf16_ps(acc, (__m512bh)p, (__m512bh)v); }
  static inline Acc zero_acc() { return zero(); }
  static inline F as_float(Acc a) { return a; }
};

}  // namespace foveate::FOVEATE_TARGET

#include "vec_common.h"
