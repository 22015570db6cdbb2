// Means of blocks of rows, and how alike the rows of a block are: |1/n · Σ x/|x||², the mean cosine of all
// pairs in one pass over the rows instead of a Gram matrix.
#pragma once
#include "formats.h"

namespace foveate::FOVEATE_TARGET {

class BlockMeans {
 public:
  explicit BlockMeans(const MeansCall& c) : c_(c), blocks_((c.x.L + c.rows - 1) / c.rows) {}
  int64_t jobs() const { return c_.x.B * c_.x.H * blocks_; }
  void job(int64_t n) const {
    with_reader(c_.x, [&](auto r) { c_.likeness ? block<true>(r, n) : block<false>(r, n); });
  }

 private:
  static constexpr int kRows = 4;  // rows at a time: the sums in the first-level cache are touched rarely

  template <bool likeness, class Read>
  void block(Read, int64_t n) const {
    const View& x = c_.x;
    const int D = (int)x.D, stride = (int)round_up(D, W);
    const int64_t bh = n / blocks_, from = n % blocks_ * c_.rows, to = least(from + c_.rows, x.L);
    alignas(64) float mean[kMaxD + W], sum[kMaxD + W], unit[kMaxD + W], line[kRows][kMaxD + W];
    for (int d = 0; d < stride; ++d)
      mean[d] = c_.mean && d < D ? c_.mean[bh * D + d] : 0.f, sum[d] = unit[d] = 0.f;
    for (int64_t l = from; l < to; l += kRows) {
      const int64_t at = bh / x.H * x.sb + bh % x.H * x.sh + l * x.sl;
      const int rows = (int)least<int64_t>(kRows, to - l);
      F square[kRows];
      for (int r = 0; r < kRows; ++r) square[r] = zero();
      for (int r = 0; r < rows; ++r) prefetch_row(x, at + (r + kAhead) * x.sl);
      for (int d = 0; d < stride; d += W) {
        F all = zero();
        for (int r = 0; r < kRows; ++r) {
          F v = zero();
          if (r < rows) {
            const int64_t i = at + r * x.sl + d;
            v = sub(d + W <= D ? Read::whole(x.data, i) : Read::some(x.data, i, D - d), load(mean + d));
          }
          all = add(all, v);
          if constexpr (likeness) store(line[r] + d, v), square[r] = fma(v, v, square[r]);
        }
        store(sum + d, add(load(sum + d), all));
      }
      if constexpr (likeness) {
        F inverse[kRows];  // rows of zeros point nowhere; a NaN stays one
        for (int r = 0; r < kRows; ++r) {
          const float s = sum_all(square[r]);
          inverse[r] = set1(s == 0.f ? 0.f : 1.f / sqrtf(s));
        }
        for (int d = 0; d < stride; d += W) {
          F all = load(unit + d);
          for (int r = 0; r < kRows; ++r) all = fma(load(line[r] + d), inverse[r], all);
          store(unit + d, all);
        }
      }
    }
    const float n_rows = float(to - from);
    for (int d = 0; d < D; ++d) c_.out[n * D + d] = sum[d] / n_rows;
    if constexpr (likeness) {
      F s = zero();
      for (int d = 0; d < stride; d += W) s = fma(load(unit + d), load(unit + d), s);
      c_.likeness[n] = sum_all(s) / (n_rows * n_rows);
    }
  }

  const MeansCall& c_;
  int64_t blocks_;
};

}  // namespace foveate::FOVEATE_TARGET
