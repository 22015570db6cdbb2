// Writing a strip of V in its format and packing it for the product of P and V.
#pragma once
#include "formats.h"

namespace foveate::FOVEATE_TARGET {

// Rows of a tile that are written at a time: they stay in the first-level cache and are whole micro-kernels
// and whole FP4 groups.
constexpr int kStrip = 32;

template <class Fn>
static inline void each(float* x, int stride, Fn fn) {
  for (int r = 0; r < kStrip; ++r)
    for (int d = 0; d < stride; d += W) {
      float* at = x + (size_t)r * stride + d;
      store(at, fn(load(at), d));
    }
}
// Groups of keys for each channel, a vector of channels at a time.
template <bool nv>
static inline void fp4_columns(float* x, int rows, int stride, const float* inverse_global) {
  constexpr int group = nv ? 16 : 32;
  for (int r = 0; r < rows; r += group)
    for (int d = 0; d < stride; d += W) {
      float* at = x + (size_t)r * stride + d;
      F top = zero();
      for (int i = 0; i < group; ++i) {
        const F v = mul(load(at + (size_t)i * stride), load(inverse_global + d));
        store(at + (size_t)i * stride, v);
        top = max(top, abs(v));
      }
      const F scale = fp4_scale<nv>(top), inverse = inverse_or_zero(scale);
      for (int i = 0; i < group; ++i) {
        float* to = at + (size_t)i * stride;
        store(to, fp4_value(load(to), scale, inverse));
      }
    }
}

// Values of one strip as their format has them; integers are scaled while they are packed.
static inline void write_v(VFormat::Kind kind, float* x, int stride, const float* inverse) {
  switch (kind) {
    case VFormat::f32:
    case VFormat::bf16:
    case VFormat::i8_channel:
    case VFormat::i8_channel_tile:
      break;
    case VFormat::f16:
      each(x, stride, [&](F a, int d) { return round_f16(mul(a, load(inverse + d))); });
      break;
    case VFormat::e4m3:
      each(x, stride, [&](F a, int d) { return to_format<E4M3>(mul(a, load(inverse + d))); });
      break;
    case VFormat::e5m2:
      each(x, stride, [&](F a, int d) { return to_format<E5M2>(mul(a, load(inverse + d))); });
      break;
    case VFormat::nvfp4:
      fp4_columns<true>(x, kStrip, stride, inverse);
      break;
    case VFormat::mxfp4:
      fp4_columns<false>(x, kStrip, stride, inverse);
      break;
  }
}

// ---- packing

static inline void pack_v_f32(const float* x, int rows, int stride, int width, float* out) {
  for (int r = 0; r < rows; ++r, out += width)
    std::memcpy(out, x + (size_t)r * stride, sizeof(float) * width);
}
static inline void pack_v_i8(const float* x, int rows, int stride, int width, const float* inverse,
                             float limit, uint8_t* out) {
  const I byte = set1i(255);
  for (int r = 0; r < rows; r += 4)
    for (int d = 0; d < width; d += W, out += 4 * W) {
      const float* at = x + (size_t)r * stride + d;
      const F f = load(inverse + d);
      auto code = [&](int row) { return clamp_codes(mul(load(at + row * stride), f), limit); };
      I w = ori(andi(code(0), byte), shl<8>(andi(code(1), byte)));
      w = ori(w, ori(shl<16>(andi(code(2), byte)), shl<24>(code(3))));
      storei((int32_t*)out, w);
    }
}
static inline void pack_v_bf16(const float* x, int rows, int stride, int width, uint16_t* out) {
  for (int r = 0; r < rows; r += 2)
    for (int d = 0; d < width; d += W) {
      uint16_t even[W], odd[W];
      store_bf16(even, load(x + (size_t)r * stride + d));
      store_bf16(odd, load(x + (size_t)(r + 1) * stride + d));
      for (int i = 0; i < W; ++i, out += 2) out[0] = even[i], out[1] = odd[i];
    }
}

}  // namespace foveate::FOVEATE_TARGET
