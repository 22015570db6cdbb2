// Rounding float32 values to the small formats, exactly: the result stays a float32.
// Adding and subtracting a power of two rounds to nearest even at a chosen bit; the exponent is clamped
// from below so that subnormals of the small format round on their own grid.
#pragma once

namespace foveate::FOVEATE_TARGET {

// x ≥ 0 to `mantissa` explicit bits, smallest normal exponent `min_exp`.
template <int mantissa, int min_exp>
static inline F round_positive(F x) {
  I e = andi(bits(x), set1i(0x7f800000));
  e = maxi(e, set1i((127 + min_exp) << 23));
  F magic = from_bits(addi(e, set1i((23 - mantissa) << 23)));
  return sub(add(x, magic), magic);
}

static inline F with_sign_of(F magnitude, F x) {
  return from_bits(addi(bits(magnitude), andi(bits(x), set1i(int32_t(0x80000000)))));
}

struct E4M3 {
  static constexpr int mantissa = 3, min_exp = -6;
  static constexpr float limit = 448.f;
};
struct E5M2 {
  static constexpr int mantissa = 2, min_exp = -14;
  static constexpr float limit = 57344.f;
};
struct E2M1 {
  static constexpr int mantissa = 1, min_exp = 0;
  static constexpr float limit = 6.f;
};

// min(x, limit) keeps a NaN in x when x is the second operand, so NaN stays visible.
template <class Format>
static inline F to_format_positive(F x) {
  return round_positive<Format::mantissa, Format::min_exp>(min(set1(Format::limit), x));
}
template <class Format>
static inline F to_format(F x) {
  return with_sign_of(to_format_positive<Format>(abs(x)), x);
}

// The FP22 accumulator of FP8 tensor cores keeps 13 mantissa bits and drops the rest.
static inline F truncate_fp22(F x) { return from_bits(andi(bits(x), set1i(~0x3ff))); }

}  // namespace foveate::FOVEATE_TARGET
