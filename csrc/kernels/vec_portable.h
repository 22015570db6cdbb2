// Vectors of any processor, in the compiler's own vector types; the same names as vec_avx512.h.
#pragma once
#include <cmath>
#include <cstdint>

namespace foveate::FOVEATE_TARGET {

constexpr int W = 4;  // floats per vector: 128 bits exist everywhere
constexpr int R = 4;
constexpr int NV = 2;
constexpr int kKeyOffset = 0;
constexpr bool kFuse = false;

typedef float F __attribute__((vector_size(16)));
typedef int32_t I __attribute__((vector_size(16)));
typedef uint32_t U __attribute__((vector_size(16)));

static inline F load(const float* p) {
  F x;
  __builtin_memcpy(&x, p, 16);
  return x;
}
static inline void store(float* p, F x) { __builtin_memcpy(p, &x, 16); }
static inline F set1(float x) { return F{x, x, x, x}; }
static inline F zero() { return set1(0.f); }
static inline F add(F a, F b) { return a + b; }
static inline F sub(F a, F b) { return a - b; }
static inline F mul(F a, F b) { return a * b; }
static inline F fma(F a, F b, F c) { return a * b + c; }
static inline F min(F a, F b) { return a < b ? a : b; }  // b where either is NaN
static inline F max(F a, F b) { return a > b ? a : b; }
static inline I loadi(const int32_t* p) {
  I x;
  __builtin_memcpy(&x, p, 16);
  return x;
}
static inline void storei(int32_t* p, I x) { __builtin_memcpy(p, &x, 16); }
static inline I set1i(int32_t x) { return I{x, x, x, x}; }
static inline I zeroi() { return set1i(0); }
static inline I addi(I a, I b) { return (I)((U)a + (U)b); }
static inline I subi(I a, I b) { return (I)((U)a - (U)b); }
static inline I maxi(I a, I b) { return a > b ? a : b; }
static inline I andi(I a, I b) { return a & b; }
static inline I ori(I a, I b) { return a | b; }
template <int n>
static inline I shl(I a) {
  return (I)((U)a << n);
}
template <int n>
static inline I shr(I a) {
  return (I)((U)a >> n);
}
static inline I bits(F a) { return (I)a; }
static inline F from_bits(I a) { return (F)a; }
static inline F to_float(I a) { return __builtin_convertvector(a, F); }
// To nearest even for |a| < 2^22, which holds for every code; the sum's low bits are the integer.
static inline I round_int(F a) { return subi(bits(a + set1(12582912.f)), set1i(0x4b400000)); }
static inline F abs(F a) { return from_bits(andi(bits(a), set1i(0x7fffffff))); }
static inline float sum_all(F a) { return (a[0] + a[2]) + (a[1] + a[3]); }

static inline float f16_to_float(uint16_t h) {
  const uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 1023;
  uint32_t u;
  float x;
  if (e == 31)
    u = 0x7f800000 | m << 13;
  else if (e)
    u = (e + 112) << 23 | m << 13;
  else {
    x = (float)m * 5.9604644775390625e-8f;  // 2^-24
    __builtin_memcpy(&u, &x, 4);
  }
  u |= sign;
  __builtin_memcpy(&x, &u, 4);
  return x;
}
static inline uint16_t float_to_f16(float x) {
  uint32_t u;
  __builtin_memcpy(&u, &x, 4);
  const uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
  u &= 0x7fffffff;
  if (u > 0x7f800000) return sign | 0x7e00;
  if (u >= 0x477ff000) return sign | 0x7c00;  // 65520 and more round to infinity
  if (u < 0x38800000) {                       // subnormal: 2^-24 is one
    float a;
    __builtin_memcpy(&a, &u, 4);
    a += 0.5f;  // at 0.5 a float's last bit is 2^-24
    __builtin_memcpy(&u, &a, 4);
    return sign | (uint16_t)(u - 0x3f000000);
  }
  u += 0xfff + (u >> 13 & 1);
  return sign | (uint16_t)((u - 0x38000000) >> 13);
}

static inline F load_bf16(const uint16_t* p) {
  return from_bits(I{p[0] << 16, p[1] << 16, p[2] << 16, p[3] << 16});
}
static inline I load_i8(const int8_t* p) { return I{p[0], p[1], p[2], p[3]}; }
static inline F load_f16(const uint16_t* p) {
  return F{f16_to_float(p[0]), f16_to_float(p[1]), f16_to_float(p[2]), f16_to_float(p[3])};
}
static inline void store_bf16(uint16_t* p, F x) {
  const I raw = bits(x), even = addi(addi(raw, set1i(0x7fff)), andi(shr<16>(raw), set1i(1)));
  const I quiet = ori(raw, set1i(0x400000));  // rounding must not turn a NaN into something else
  const I out = shr<16>(x == x ? even : quiet);
  for (int i = 0; i < W; ++i) p[i] = (uint16_t)out[i];
}
static inline void store_f16(uint16_t* p, F x) {
  for (int i = 0; i < W; ++i) p[i] = float_to_f16(x[i]);
}
static inline F round_f16(F x) {
  uint16_t h[W];
  store_f16(h, x);
  return load_f16(h);
}
static inline void store_u8(uint8_t* p, I x) {
  for (int i = 0; i < W; ++i) p[i] = (uint8_t)x[i];
}

// Exponents below −200 are 0 anyway; the clamp keeps −inf from meeting itself.
static inline F clamp_exponent(F x) { return min(set1(127.f), max(set1(-200.f), x)); }
static inline F floor_of(F x) {
  const F r = to_float(round_int(x));
  return r > x ? r - set1(1.f) : r;
}
static inline F fraction(F x) {
  x = clamp_exponent(x);
  return x - floor_of(x);
}
static inline F scale_floor(F p, F x) {
  x = clamp_exponent(x);
  const I n = round_int(floor_of(x));
  return (x == x ? p : x) * from_bits(shl<23>(maxi(addi(n, set1i(127)), zeroi())));
}

static inline void store_rows(float* p, F x) { store(p, x); }

struct Bytes16 {
  uint8_t b[16];
};
struct DotI8 {
  using Acc = I;
  using Element = uint8_t;
  static constexpr int g = 4;
  static inline Acc step_kq(Acc acc, Bytes16 k, const uint8_t* q) {
    const int32_t q0 = (int8_t)q[0], q1 = (int8_t)q[1], q2 = (int8_t)q[2], q3 = (int8_t)q[3];
    for (int i = 0; i < W; ++i) {
      const int8_t* x = (const int8_t*)k.b + 4 * i;
      acc[i] += x[0] * q0 + x[1] * q1 + x[2] * q2 + x[3] * q3;
    }
    return acc;
  }
  static inline Bytes16 load_b(const uint8_t* p) {
    Bytes16 x;
    __builtin_memcpy(&x, p, 16);
    return x;
  }
  static inline uint32_t splat_p(const uint8_t* p) {
    uint32_t x;
    __builtin_memcpy(&x, p, 4);
    return x;
  }
  static inline Acc step_pv(Acc acc, uint32_t p, Bytes16 v) {
    uint8_t w[4];
    __builtin_memcpy(w, &p, 4);
    for (int i = 0; i < W; ++i) {
      const int8_t* x = (const int8_t*)v.b + 4 * i;
      acc[i] += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
    }
    return acc;
  }
  static inline Acc zero_acc() { return zeroi(); }
  static inline F as_float(Acc a) { return to_float(a); }
};
struct DotBf16 {
  using Acc = F;
  using Element = uint16_t;
  static constexpr int g = 2;
  static inline Acc pairs(Acc acc, I a, I b) {  // the first of a pair is the low half
    const I high = set1i(int32_t(0xffff0000));
    acc = fma(from_bits(shl<16>(a)), from_bits(shl<16>(b)), acc);
    return fma(from_bits(andi(a, high)), from_bits(andi(b, high)), acc);
  }
  static inline I load_b(const uint16_t* p) {
    I x;
    __builtin_memcpy(&x, p, 16);
    return x;
  }
  static inline I splat_p(const uint16_t* p) {
    int32_t x;
    __builtin_memcpy(&x, p, 4);
    return set1i(x);
  }
  static inline Acc step_kq(Acc acc, I k, const uint16_t* q) { return pairs(acc, k, splat_p(q)); }
  static inline Acc step_pv(Acc acc, I p, I v) { return pairs(acc, p, v); }
  static inline Acc zero_acc() { return zero(); }
  static inline F as_float(Acc a) { return a; }
};

}  // namespace foveate::FOVEATE_TARGET

#include "vec_common.h"
