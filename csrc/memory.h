// Owners of the encoded operands: they allocate what the kernels fill.
#pragma once
#include <memory>

#include "types.h"

namespace foveate {

struct Free {
  void operator()(void* p) const;
};
using Bytes = std::unique_ptr<void, Free>;
Bytes allocate(size_t bytes);  // on a 64-byte boundary; throws std::bad_alloc

// Keys and values of B·H heads with room for `capacity` tiles each.
class OwnedKV {
 public:
  OwnedKV(const Formats& fmt, int64_t B, int64_t H, int64_t D, int64_t Dv, int64_t tiles, int lanes);
  void reserve(int64_t tiles);  // grows by at least half; keeps what is written
  int64_t bytes() const;
  KV view;

 private:
  struct Part {
    Bytes memory;
    size_t per_tile = 0;
    void** at = nullptr;
  };
  Part k_, v_, k_scale_, k_float_, v_tile_;
  Bytes k_mean_, k_global_, v_scale_, v_mean_;
  size_t fixed_bytes_ = 0;
};

class OwnedQueries {
 public:
  // fold: rows of all query heads that share a kv head form one head (decoding).
  OwnedQueries(const Call& call, bool fold, int rows);
  Queries view;

 private:
  Bytes codes_, scale_, start_, mean_, k_mean_dot_;
};

}  // namespace foveate
