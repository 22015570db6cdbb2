// Statistics of K and V that span all tokens: sums and extremes per channel, of some tokens at a time.
#pragma once
#include "formats.h"

namespace foveate::FOVEATE_TARGET {

constexpr int64_t kChunkTokens = 512;  // partial sums over this many tokens, added in a fixed order

struct ChannelStats {  // sum, min, max per channel, [3][kMaxD]
  alignas(64) float sum[kMaxD + W], low[kMaxD + W], high[kMaxD + W];
  float bad = 0.f;  // NaN if any value was NaN
};

// Every step-th row, in memory order, four at a time, so that the sums in the first-level cache are touched
// rarely.
template <class Read>
static inline void gather_stats(Read, const View& x, int64_t b, int64_t h, int64_t from, int64_t to,
                                int64_t step, bool extremes, ChannelStats& s) {
  const int D = (int)x.D, stride = (int)round_up(D, W);
  for (int d = 0; d < stride; d += W)
    store(s.sum + d, zero()), store(s.low + d, set1(INFINITY)), store(s.high + d, set1(-INFINITY));
  for (int64_t l = from; l < to; l += 4 * step) {
    const int64_t at = b * x.sb + h * x.sh + l * x.sl, next = step * x.sl;
    const int rows = (int)least<int64_t>(4, (to - l + step - 1) / step);
    for (int r = 0; r < rows; ++r) prefetch_row(x, at + (r + kAhead) * next);
    for (int d = 0; d < D; d += W) {
      auto row = [&](int r) {  // rows behind the last repeat it for the extremes
        const int64_t i = at + least(r, rows - 1) * next + d;
        return d + W <= D ? Read::whole(x.data, i) : Read::some(x.data, i, D - d);
      };
      const F v0 = row(0), v1 = row(1), v2 = row(2), v3 = row(3);
      F sum = v0;
      if (rows == 4)
        sum = add(add(v0, v1), add(v2, v3));
      else {
        if (rows > 1) sum = add(sum, v1);
        if (rows > 2) sum = add(sum, v2);
      }
      store(s.sum + d, add(load(s.sum + d), sum));
      if (!extremes) continue;
      store(s.low + d, min(load(s.low + d), min(min(v0, v1), min(v2, v3))));
      store(s.high + d, max(load(s.high + d), max(max(v0, v1), max(v2, v3))));
    }
  }
  F bad = zero();  // 0 · finite = 0; a NaN or an infinity anywhere leaves a NaN
  for (int d = 0; d < D; d += W) bad = fma(load(s.sum + d), zero(), bad);
  s.bad = sum_all(bad);
}

}  // namespace foveate::FOVEATE_TARGET
