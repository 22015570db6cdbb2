// Vectors of AVX2 with FMA and F16C; the same names as vec_avx512.h.
#pragma once
#include <immintrin.h>
#include <cmath>
#include <cstdint>

namespace foveate::FOVEATE_TARGET {

constexpr int W = 8;  // floats per vector
constexpr int R = 4;  // query rows per micro-kernel: 16 registers hold 4 × 2 sums and little else
constexpr int NV = 2;
constexpr int kKeyOffset = 0;  // K codes stay signed, see DotI8
constexpr bool kFuse = false;  // too few registers to overlap products and exponentials

using F = __m256;
using I = __m256i;

static inline F load(const float* p) { return _mm256_loadu_ps(p); }
static inline void store(float* p, F x) { _mm256_storeu_ps(p, x); }
static inline F set1(float x) { return _mm256_set1_ps(x); }
static inline F zero() { return _mm256_setzero_ps(); }
static inline F add(F a, F b) { return _mm256_add_ps(a, b); }
static inline F sub(F a, F b) { return _mm256_sub_ps(a, b); }
static inline F mul(F a, F b) { return _mm256_mul_ps(a, b); }
static inline F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
static inline F min(F a, F b) { return _mm256_min_ps(a, b); }  // b where either is NaN
static inline F max(F a, F b) { return _mm256_max_ps(a, b); }
static inline I loadi(const int32_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
static inline void storei(int32_t* p, I x) { _mm256_storeu_si256((__m256i*)p, x); }
static inline I set1i(int32_t x) { return _mm256_set1_epi32(x); }
static inline I zeroi() { return _mm256_setzero_si256(); }
static inline I addi(I a, I b) { return _mm256_add_epi32(a, b); }
static inline I subi(I a, I b) { return _mm256_sub_epi32(a, b); }
static inline I maxi(I a, I b) { return _mm256_max_epi32(a, b); }
static inline I andi(I a, I b) { return _mm256_and_si256(a, b); }
static inline I ori(I a, I b) { return _mm256_or_si256(a, b); }
template <int n>
static inline I shl(I a) {
  return _mm256_slli_epi32(a, n);
}
template <int n>
static inline I shr(I a) {
  return _mm256_srli_epi32(a, n);
}
static inline I bits(F a) { return _mm256_castps_si256(a); }
static inline F from_bits(I a) { return _mm256_castsi256_ps(a); }
static inline F to_float(I a) { return _mm256_cvtepi32_ps(a); }
static inline I round_int(F a) { return _mm256_cvtps_epi32(a); }
static inline F abs(F a) { return from_bits(andi(bits(a), set1i(0x7fffffff))); }
static inline float sum_all(F a) {
  __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  x = _mm_add_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}

static inline F load_bf16(const uint16_t* p) {
  return from_bits(shl<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i*)p))));
}
static inline I load_i8(const int8_t* p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)p)); }
static inline F load_f16(const uint16_t* p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)p)); }
static inline void store_words(uint16_t* p, I x) {  // the low 16 bits of each lane
  const __m256i packed = _mm256_packus_epi32(x, x);
  _mm_storeu_si128((__m128i*)p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
}
static inline void store_bf16(uint16_t* p, F x) {
  const I raw = bits(x);
  const I even = addi(addi(raw, set1i(0x7fff)), andi(shr<16>(raw), set1i(1)));
  const I quiet = ori(raw, set1i(0x400000));  // rounding must not turn a NaN into something else
  const I is_nan = bits(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  store_words(p, shr<16>(_mm256_blendv_epi8(even, quiet, is_nan)));
}
static inline void store_f16(uint16_t* p, F x) {
  _mm_storeu_si128((__m128i*)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline F round_f16(F x) {
  return _mm256_cvtph_ps(_mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline void store_u8(uint8_t* p, I x) {
  const I low =
      _mm256_shuffle_epi8(x, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0,
                                              4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
  const __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storel_epi64((__m128i*)p, both);
}

// Exponents below −200 are 0 anyway; the clamp keeps −inf from meeting itself.
static inline F clamp_exponent(F x) { return min(set1(127.f), max(set1(-200.f), x)); }
static inline F fraction(F x) {
  x = clamp_exponent(x);
  return sub(x, _mm256_floor_ps(x));
}
static inline F scale_floor(F p, F x) {
  const I n = round_int(_mm256_floor_ps(clamp_exponent(x)));
  return mul(p, from_bits(shl<23>(maxi(addi(n, set1i(127)), zeroi()))));
}

static inline void store_rows(float* p, F x) { _mm_storeu_ps(p, _mm256_castps256_ps128(x)); }

// Without VNNI: vpmaddubsw adds two products in 16 bits and saturates. |k| ≤ 127 with the sign moved to q
// stays below 2^15; P, which uses all 8 bits, is split into p = 2·(p >> 1) + (p & 1).
struct DotI8 {
  using Acc = I;
  using Element = uint8_t;
  static constexpr int g = 4;
  static inline Acc step_kq(Acc acc, I k, const uint8_t* q) {
    const I qs = _mm256_sign_epi8(splat_p(q), k);
    return addi(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_abs_epi8(k), qs), _mm256_set1_epi16(1)));
  }
  static inline I load_b(const uint8_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
  static inline I splat_p(const uint8_t* p) {
    int32_t word;
    __builtin_memcpy(&word, p, 4);
    return set1i(word);
  }
  static inline Acc step_pv(Acc acc, I p, I v) {
    const I half = andi(_mm256_srli_epi16(p, 1), _mm256_set1_epi8(0x7f)), rest = andi(p, _mm256_set1_epi8(1));
    acc = addi(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(half, v), _mm256_set1_epi16(2)));
    return addi(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(rest, v), _mm256_set1_epi16(1)));
  }
  static inline Acc zero_acc() { return zeroi(); }
  static inline F as_float(Acc a) { return to_float(a); }
};
struct DotBf16 {
  using Acc = F;
  using Element = uint16_t;
  static constexpr int g = 2;
  static inline Acc pairs(Acc acc, I a, I b) {
    const I high = set1i(int32_t(0xffff0000));
    acc = fma(from_bits(shl<16>(a)), from_bits(shl<16>(b)), acc);
    return fma(from_bits(andi(a, high)), from_bits(andi(b, high)), acc);
  }
  static inline I load_b(const uint16_t* p) { return _mm256_loadu_si256((const __m256i*)p); }
  static inline I splat_p(const uint16_t* p) { return DotI8::splat_p((const uint8_t*)p); }
  static inline Acc step_kq(Acc acc, I k, const uint16_t* q) { return pairs(acc, k, splat_p(q)); }
  static inline Acc step_pv(Acc acc, I p, I v) { return pairs(acc, p, v); }
  static inline Acc zero_acc() { return zero(); }
  static inline F as_float(Acc a) { return a; }
};

}  // namespace foveate::FOVEATE_TARGET

#include "vec_common.h"
