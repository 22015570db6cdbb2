// Scales of FP4 groups, for a vector of group maxima at once.
// NVFP4: E4M3 of max / 6. MXFP4: 2^(floor(log2 max) − 2), so the largest value falls in [4, 8) and saturates
// at 6 (OCP microscaling); maxima below 2^-120 count as zero. Both keep a NaN.
#pragma once
#include "round.h"

namespace foveate::FOVEATE_TARGET {

template <bool nv>
static inline F fp4_scale(F top) {
  if constexpr (nv) {
    return to_format_positive<E4M3>(mul(top, set1(1.f / 6.f)));
  } else {
    const I exponent = andi(bits(top), set1i(0x7f800000));
    const F power = from_bits(maxi(subi(exponent, set1i(2 << 23)), set1i(4 << 23)));
    // tiny maxima: a scale that the caller's codes of 0 make harmless; NaN + power stays NaN
    return add(power, mul(top, zero()));
  }
}

// x in E2M1 times its scale. `inverse` is 1 / scale, or 0 where the scale is 0.
static inline F fp4_value(F x, F scale, F inverse) { return mul(to_format<E2M1>(mul(x, inverse)), scale); }

static inline F inverse_or_zero(F x) {
  alignas(64) float lane[W];
  store(lane, x);
  for (int i = 0; i < W; ++i) lane[i] = lane[i] == 0.f ? 0.f : 1.f / lane[i];
  return load(lane);
}

}  // namespace foveate::FOVEATE_TARGET
