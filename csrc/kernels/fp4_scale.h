// Scales of FP4 groups. NVFP4: E4M3 of max / 6. MXFP4: a power of two.
#pragma once

namespace foveate::FOVEATE_TARGET {

template <bool nv>
static inline float fp4_scale(float top) {
  if constexpr (nv) {
    float lane[W];
    store(lane, to_format_positive<E4M3>(set1(top / 6.f)));
    return lane[0];
  } else {
    // 2^(floor(log2 max) − 2): the largest value falls in [4, 8) and saturates at 6 (OCP microscaling)
    if (!(top >= FLT_MIN)) return top != top ? top : 0.f;
    int exponent;
    frexpf(top, &exponent);
    return ldexpf(1.f, exponent - 3);
  }
}

}  // namespace
