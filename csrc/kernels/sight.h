// What a query row can see: the band of the call, worked out for one row and for several.
#pragma once
#include "basics.h"

namespace foveate::FOVEATE_TARGET {

// Keys [lo, hi) and [0, sink) are visible to a row; sink ≤ hi, and lo is 0 where both overlap.
struct Sight {
  int64_t lo, hi, sink;
};

// The sights of several rows.
struct Horizon {
  int64_t lo_min = kFar, lo_max = 0, hi_min = kFar, hi_max = 0, sink_min = kFar, sink_max = 0;
  void add(const Sight& s) {
    lo_min = least(lo_min, s.lo), lo_max = most(lo_max, s.lo);
    hi_min = least(hi_min, s.hi), hi_max = most(hi_max, s.hi);
    sink_min = least(sink_min, s.sink), sink_max = most(sink_max, s.sink);
  }
  void add(const Horizon& h) {
    add(Sight{h.lo_min, h.hi_min, h.sink_min}), add(Sight{h.lo_max, h.hi_max, h.sink_max});
  }
  bool any(int64_t from, int64_t to) const { return (lo_min < to && hi_max > from) || sink_max > from; }
  bool every(int64_t from, int64_t to) const { return hi_min >= to && (lo_max <= from || sink_min >= to); }
  int64_t last(int64_t from, int64_t to) const {
    return most(lo_min < to ? least(hi_max, to) : from, least(sink_max, to));
  }
};

// Row i of a head stands at i + shift among the keys.
static inline Sight sight_of(const Bands& bands, int64_t length, int64_t head, int64_t row) {
  const int64_t at = row + bands.shift;
  Sight s;
  s.hi = bands.after >= kFar ? length : most<int64_t>(0, least(at + bands.after + 1, length));
  s.lo = bands.before[head] >= kFar ? 0 : most<int64_t>(0, least(at - bands.before[head], s.hi));
  s.sink = least(bands.sink[head], s.hi);
  if (s.sink >= s.lo) s.lo = 0;
  return s;
}

}  // namespace foveate::FOVEATE_TARGET
