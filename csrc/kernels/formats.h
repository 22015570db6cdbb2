// Reading strided rows and writing single rows in the formats: what Q, K and V share.
// Non-finite input makes the scale of its group NaN, so the rows that depend on it come out as NaN.
#pragma once

#include "basics.h"
#include "fp4_scale.h"

namespace foveate::FOVEATE_TARGET {

constexpr int kMaxD = 256;
constexpr int kChunk = NV * W;   // keys, or columns of V, that a micro-kernel works on
constexpr float kTiny = 1e-30f;  // groups whose largest value is below this are written as zeros

constexpr int bytes_of(Dtype dtype) { return dtype == Dtype::f32 ? 4 : dtype == Dtype::i8 ? 1 : 2; }

// Reads of one dtype. `some` reads the first n < W values, zeros behind them.
template <Dtype dtype>
struct Reader {
  static inline F whole(const void* data, int64_t at) {
    if constexpr (dtype == Dtype::f32)
      return load((const float*)data + at);
    else if constexpr (dtype == Dtype::bf16)
      return load_bf16((const uint16_t*)data + at);
    else if constexpr (dtype == Dtype::f16)
      return load_f16((const uint16_t*)data + at);
    else
      return to_float(load_i8((const int8_t*)data + at));
  }
  static inline F some(const void* data, int64_t at, int n) {
    constexpr int size = bytes_of(dtype);
    alignas(64) char rest[4 * W] = {};
    std::memcpy(rest, (const char*)data + at * size, (size_t)(n * size));
    return whole(rest, 0);
  }
};

// Calls fn with a Reader of the view's dtype.
template <class Fn>
static inline void with_reader(const View& x, Fn fn) {
  if (x.dtype == Dtype::f32)
    fn(Reader<Dtype::f32>());
  else if (x.dtype == Dtype::bf16)
    fn(Reader<Dtype::bf16>());
  else
    fn(Reader<Dtype::f16>());
}

// The same for keys and values that may be codes of 8 bits.
template <class Fn>
static inline void with_stored(const View& x, Fn fn) {
  if (x.dtype == Dtype::i8)
    fn(Reader<Dtype::i8>());
  else
    with_reader(x, fn);
}

// |x| as integers grows with |x|, and NaN is above everything: a maximum that cannot miss one.
struct Largest {
  I top = zeroi();
  inline void add(F x) { top = maxi(top, bits(abs(x))); }
  inline float value() const {
    const int32_t best = max_all(top);
    float x;
    std::memcpy(&x, &best, 4);
    return x;
  }
};

// Asks for a row that will be read soon. The processor's own guesses stop at each page of 4 KB, 16 rows of 64
// floats.
static inline void prefetch_row(const View& x, int64_t at) {
  const int size = bytes_of(x.dtype);
  const char* p = (const char*)x.data + at * size;
  for (int64_t i = 0; i < x.D * size; i += 64) __builtin_prefetch(p + i);
}
constexpr int64_t kAhead = 24;  // rows

// One row as floats, zeros up to a whole vector; minus `mean` (as long as the padded row) if there is one.
template <class Read>
static inline void read_row(Read, const View& x, int64_t b, int64_t h, int64_t l, const float* mean,
                            float* out) {
  const int64_t at = b * x.sb + h * x.sh + l * x.sl;
  const int D = (int)x.D;
  for (int d = 0; d < D; d += W) {
    F v = d + W <= D ? Read::whole(x.data, at + d) : Read::some(x.data, at + d, D - d);
    if (mean) v = sub(v, load(mean + d));
    store(out + d, v);
  }
}

template <class Read>
static inline void add_row(Read, const View& x, int64_t b, int64_t h, int64_t l, const float* mean,
                           Largest& top) {
  const int64_t at = b * x.sb + h * x.sh + l * x.sl;
  const int D = (int)x.D;
  prefetch_row(x, at + kAhead * x.sl);
  for (int d = 0; d < D; d += W) {
    F v = d + W <= D ? Read::whole(x.data, at + d) : Read::some(x.data, at + d, D - d);
    if (mean) v = sub(v, load(mean + d));
    top.add(v);
  }
}

static inline void write_row(const float* x, void* data, Dtype dtype, int64_t at, int64_t D) {
  if (dtype == Dtype::f32) {
    std::memcpy((float*)data + at, x, sizeof(float) * D);
    return;
  }
  uint16_t line[kMaxD + W];
  for (int64_t d = 0; d < D; d += W) {
    if (dtype == Dtype::bf16)
      store_bf16(line + d, load(x + d));
    else
      store_f16(line + d, load(x + d));
  }
  std::memcpy((uint16_t*)data + at, line, 2 * D);
}

// Largest value of a group → (scale, factor to codes).
struct Step {
  float scale, inverse;
  Step(float largest, float limit) {
    if (!finite(largest))
      scale = NAN, inverse = 0.f;
    else
      scale = most(largest, kTiny) / limit, inverse = largest < kTiny ? 0.f : limit / largest;
  }
};

static inline I clamp_codes(F x, float limit) {  // a NaN becomes −limit; its scale is NaN already
  return round_int(min(max(x, set1(-limit)), set1(limit)));
}

static inline uint16_t bf16_bits(float x) {
  uint16_t lane[W];
  store_bf16(lane, set1(x));
  return lane[0];
}

// One padded row of floats in FP4: groups along the row, values exact in bf16.
template <bool nv>
static inline void fp4_row(float* x, int D, float inverse_global) {
  constexpr int group = nv ? 16 : 32;
  for (int d = 0; d < D; d += group) {
    const int end = least(d + group, (int)round_up(D, W));
    Largest top;
    for (int i = d; i < end; i += W) {
      const F v = mul(load(x + i), set1(inverse_global));
      store(x + i, v);
      top.add(v);
    }
    const F scale = fp4_scale<nv>(set1(top.value())), inverse = inverse_or_zero(scale);
    for (int i = d; i < end; i += W) store(x + i, fp4_value(load(x + i), scale, inverse));
  }
}

// Rows [n][stride] of finished values into a product's layout [n/slots][D/g][slots][g]. `slots` rows stand
// side by side: kChunk for keys, R for queries.
static inline void pack_rows_bf16(const float* x, int rows, int stride, int Dp, uint16_t* out, int slots) {
  for (int r = 0; r < rows; ++r) {
    uint16_t line[kMaxD + W];
    for (int d = 0; d < Dp; d += W) store_bf16(line + d, load(x + (int64_t)r * stride + d));
    uint32_t* to = (uint32_t*)out + (int64_t)(r / slots) * slots * (Dp / 2) + r % slots;
    for (int d = 0; d < Dp; d += 2, to += slots) std::memcpy(to, line + d, 4);
  }
}
static inline void pack_rows_f32(const float* x, int rows, int stride, int D, float* out, int slots) {
  for (int r0 = 0; r0 < rows; r0 += slots, out += (int64_t)slots * D)
    for (int d = 0; d < D; ++d)
      for (int r = 0; r < slots; ++r) out[(int64_t)d * slots + r] = x[(int64_t)(r0 + r) * stride + d];
}
// Codes of one row; returns their sum. offset turns signed codes into unsigned ones.
static inline int32_t pack_row_i8(const float* x, int Dp, float inverse, float limit, int offset,
                                  uint8_t* out, int slots, int row) {
  I sum = zeroi();
  uint8_t line[kMaxD + W];
  const int whole = (int)round_up(Dp, W);
  for (int d = 0; d < whole; d += W) {
    I code = clamp_codes(mul(load(x + d), set1(inverse)), limit);
    sum = addi(sum, code);
    store_u8(line + d, addi(code, set1i(offset)));
  }
  uint32_t* to = (uint32_t*)out + (int64_t)(row / slots) * slots * (Dp / 4) + row % slots;
  for (int d = 0; d < Dp; d += 4, to += slots) std::memcpy(to, line + d, 4);
  return sum_all(sum);
}

}  // namespace foveate::FOVEATE_TARGET
