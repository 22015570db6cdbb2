// 2^x by a polynomial on [0, 1) and an exponent shift. Degree and largest relative error:
// 3: 7.5e-5 (8-bit and bf16 P), 4: 2.6e-6 (FP8 and FP4 P), 6: 2e-9 (16-bit and float32 P).
// Coefficients are a weighted least-squares fit iterated towards equal ripple of the relative error.
#pragma once

namespace foveate::FOVEATE_TARGET {

template <int degree>
static inline F exp2_poly(F f) {
  if constexpr (degree == 3) {
    F p = fma(set1(0.0780245231f), f, set1(0.226067168f));
    return fma(fma(p, f, set1(0.695833529f)), f, set1(0.99992522f));
  } else if constexpr (degree == 4) {
    F p = fma(set1(0.013534168f), f, set1(0.0520114623f));
    p = fma(fma(p, f, set1(0.241442754f)), f, set1(0.693003835f));
    return fma(p, f, set1(1.00000259f));
  } else {
    F p = fma(set1(0.000217022555f), f, set1(0.0012439688f));
    p = fma(fma(p, f, set1(0.00967884095f)), f, set1(0.055483342f));
    p = fma(fma(p, f, set1(0.240229836f)), f, set1(0.693146984f));
    return fma(p, f, set1(1.0f));
  }
}

template <int degree>
static inline F exp2_of(F x) {
  return scale_floor(exp2_poly<degree>(fraction(x)), x);
}

}  // namespace foveate::FOVEATE_TARGET
