// Writing P: each struct turns exponents into one vector of codes and returns the p that the sum takes.
#pragma once

namespace foveate::FOVEATE_TARGET {

struct WriteU8 {  // round(levels · 2^…); levels are folded into the exponent
  using Element = uint8_t;
  static inline F write(F y, uint8_t* out) {
    const F p = exp2_of<3>(y);
    store_u8(out, round_int(p));
    return p;
  }
};
struct WriteBf16 {
  using Element = uint16_t;
  static inline F write(F y, uint16_t* out) {
    F p = exp2_of<3>(y);
    store_bf16(out, p);
    return p;
  }
};
struct WriteF16 {  // float16 values in float32 lanes: no 16-bit product is needed for them
  using Element = float;
  static inline F write(F y, float* out) {
    F p = exp2_of<6>(y);
    store(out, round_f16(p));
    return p;
  }
};
struct WriteF32 {
  using Element = float;
  static inline F write(F y, float* out) {
    F p = exp2_of<6>(y);
    store(out, p);
    return p;
  }
};
template <class Format>
struct WriteFP8 {  // E4M3 and E5M2 values are exact in bf16
  using Element = uint16_t;
  static inline F write(F y, uint16_t* out) {
    F p = exp2_of<4>(y);
    store_bf16(out, to_format_positive<Format>(p));
    return p;
  }
};

// FP4 needs whole groups of keys, so it has its own loop: one group of keys for all rows, then their scales
// at once. The recipe's chunks of keys are whole groups.
template <bool nv, bool is_float>
static void exponentials_fp4(Group& g, uint16_t* out) {
  constexpr int group = nv ? 16 : 32;
  alignas(64) float p[group / W][R * W], top[R * W], largest[kLanes], scale[kLanes], inverse[kLanes];
  for (int r = 0; r < R; ++r) store(g.row_sum + r * W, zero());
  for (float& x : largest) x = 0.f;
  for (int c = g.k0; c < g.k1; c += group) {
    for (int r = 0; r < R; ++r) {
      const F a = set1(g.a[r]), b = set1(g.b[r]);
      F best = zero(), sum = load(g.row_sum + r * W);
      for (int i = 0; i < group / W; ++i) {
        const float* at = g.scores + r * kStride + c + i * W;
        F s;
        if constexpr (is_float)
          s = load(at);
        else
          s = to_float(loadi((const int32_t*)at));
        const F x = exp2_of<4>(fma(s, a, b));
        store(p[i] + r * W, x);
        sum = add(sum, x);
        best = max(best, x);
      }
      store(top + r * W, best);
      store(g.row_sum + r * W, sum);
    }
    row_maxima(top, false, largest);
    for (int r = 0; r < R; r += W) {
      // a p of 1 may come out a little smaller, and a power-of-two scale must not fall by half for that
      const F s = fp4_scale<nv>(nv ? load(largest + r) : mul(load(largest + r), set1(1.00001f)));
      store(scale + r, s);
      store(inverse + r, inverse_or_zero(s));
    }
    for (int r = 0; r < R; ++r)
      for (int i = 0; i < group / W; ++i) {
        const F code = to_format_positive<E2M1>(mul(load(p[i] + r * W), set1(inverse[r])));
        store_bf16(out + r * kStride + c + i * W, mul(code, set1(scale[r])));
      }
  }
}

}  // namespace foveate::FOVEATE_TARGET
