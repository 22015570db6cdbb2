// Which parts of which tiles of keys a few rows of queries visit: those that the band lets at least one of
// them see, and, where there is a layout, that it lists.
#pragma once
#include "formats.h"
#include "sight.h"

namespace foveate::FOVEATE_TARGET {

constexpr int kAlign =
    32;  // visits begin and end at multiples of this: whole micro-kernels, chains and FP4 groups
static_assert(kAlign % kChunk == 0);

// Part of one tile.
struct Visit {
  int tile, k0, k1;
  bool holes;  // some keys between k0 and k1 are not visited by the layout
};

class Visits {
 public:
  int count = 0;
  alignas(64) float listed[kMaxTile];  // after list_keys: 0, or −inf for keys of the visit that the layout
                                       // leaves out

  const Visit& operator[](int n) const { return visits_[(size_t)n]; }

  // For rows that together see `all`, of `length` keys in tiles of `tile`; block: theirs, of B or 1 and H or
  // 1 lists.
  void list(const Layout& y, int64_t b, int64_t h, int64_t H, int64_t block, int64_t length, int tile,
            const Horizon& all) {
    length_ = length, tile_ = tile, bk_ = y.bk;
    visits_.resize((size_t)((length + tile - 1) / tile));
    count = 0;
    if (!y.counts) {
      add(0, all.sink_max, all, false);
      add(all.lo_min, all.hi_max, all, false);
      return;
    }
    const int64_t at = ((y.per_batch ? b : 0) * (y.per_head ? H : 1) + (y.per_head ? h : 0)) * y.nQ + block;
    blocks_ = y.indices + at * y.nK;
    blocks_end_ = blocks_ + y.counts[at];
    for (const int32_t* i = blocks_; i < blocks_end_; ++i) add(*i * y.bk, (*i + 1) * y.bk, all, true);
  }

  // Which keys of a visit with holes the layout asks for. Lists are ascending.
  void list_keys(const Visit& v) {
    const int64_t t0 = (int64_t)v.tile * tile_;
    for (int c = v.k0; c < v.k1; ++c) listed[c] = kNone;
    const int32_t *lo = blocks_, *hi = blocks_end_;
    while (lo < hi) {  // the first block that ends behind the visit's first key
      const int32_t* mid = lo + (hi - lo) / 2;
      if ((*mid + 1) * bk_ <= t0 + v.k0)
        lo = mid + 1;
      else
        hi = mid;
    }
    for (; lo < blocks_end_ && *lo * bk_ < t0 + v.k1; ++lo)
      for (int64_t c = most<int64_t>(*lo * bk_ - t0, v.k0), end = least<int64_t>((*lo + 1) * bk_ - t0, v.k1);
           c < end; ++c)
        listed[c] = 0.f;
  }

 private:
  // Keys [from, to); calls come in ascending order.
  void add(int64_t from, int64_t to, const Horizon& all, bool blocks) {
    to = least(to, length_);
    for (int64_t t = from / tile_; t * tile_ < to; ++t) {
      if (count && visits_[(size_t)count - 1].tile > t) continue;  // first keys and window may overlap
      const int64_t t0 = t * tile_;
      if (!all.any(t0, t0 + tile_)) continue;
      const int64_t x0 = most(from, t0) - t0, x1 = least(to, t0 + tile_) - t0;
      const int k0 = (int)(x0 / kAlign * kAlign), k1 = (int)least<int64_t>(round_up(x1, kAlign), tile_);
      // a block that does not begin or end at an aligned key leaves keys that nobody asked for
      const bool holes = blocks && (k0 != x0 || (k1 != x1 && t0 + x1 < length_));
      if (count && visits_[(size_t)count - 1].tile == t) {
        Visit& v = visits_[(size_t)count - 1];
        v.holes |= holes || (blocks && k0 > v.k1);
        v.k1 = most(v.k1, k1);
      } else {
        visits_[(size_t)count++] = {(int)t, k0, k1, holes};
      }
    }
  }

  Array<Visit> visits_;
  const int32_t *blocks_ = nullptr, *blocks_end_ = nullptr;  // the layout's list
  int64_t length_ = 0, bk_ = 0;
  int tile_ = 0;
};

}  // namespace foveate::FOVEATE_TARGET
