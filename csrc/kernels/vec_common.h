// What the vector vocabularies have in common, written with the words that each of them defines.
// FOVEATE_LANE_REDUCTIONS is set by targets that have instructions for sums and maxima over lanes.
#pragma once

namespace foveate::FOVEATE_TARGET {

#ifndef FOVEATE_LANE_REDUCTIONS
static inline int32_t sum_all(I a) {
  int32_t lane[W], total = 0;
  storei(lane, a);
  for (int i = 0; i < W; ++i) total += lane[i];
  return total;
}
static inline int32_t max_all(I a) {
  int32_t lane[W];
  storei(lane, a);
  int32_t best = lane[0];
  for (int i = 1; i < W; ++i) best = lane[i] > best ? lane[i] : best;
  return best;
}
// Largest lane of each of R rows of vectors.
static inline void row_maxima(const float* lanes, bool is_int, float* top) {
  for (int r = 0; r < R; ++r) {
    if (is_int) {
      const int32_t* x = (const int32_t*)lanes + r * W;
      int32_t best = x[0];
      for (int i = 1; i < W; ++i) best = x[i] > best ? x[i] : best;
      top[r] = (float)best;
    } else {
      const float* x = lanes + r * W;
      float best = x[0];
      for (int i = 1; i < W; ++i) best = x[i] > best ? x[i] : best;
      top[r] = best;
    }
  }
}
#endif

struct DotF32 {
  using Acc = F;
  using Element = float;
  static constexpr int g = 1;
  static inline Acc step_kq(Acc acc, F k, const float* q) { return fma(k, set1(*q), acc); }
  static inline F load_b(const float* p) { return load(p); }
  static inline F splat_p(const float* p) { return set1(*p); }
  static inline Acc step_pv(Acc acc, F p, F v) { return fma(p, v, acc); }
  static inline Acc zero_acc() { return zero(); }
  static inline F as_float(Acc a) { return a; }
};

}  // namespace foveate::FOVEATE_TARGET
