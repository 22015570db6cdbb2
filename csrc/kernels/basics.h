// Small tools in each target's own namespace. Nothing of the C++ library that would be instantiated here:
// the linker keeps one copy of such functions, and one compiled for AVX-512 must not run elsewhere.
#pragma once
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>

#include "../types.h"

namespace foveate::FOVEATE_TARGET {

constexpr float kLog2e = 1.44269504088896340736f;
constexpr float kLn2 = 0.69314718055994530942f;
constexpr float kNone = -INFINITY;
constexpr int64_t kFar = INT64_MAX / 4;  // a band without a limit

template <class T>
static inline T least(T a, T b) {
  return b < a ? b : a;
}
template <class T>
static inline T most(T a, T b) {
  return a < b ? b : a;
}
static inline bool finite(float x) { return x <= FLT_MAX && x >= -FLT_MAX; }
// The larger one, or NaN if x is NaN; a NaN in best stays.
static inline float keep_largest(float best, float x) { return x > best || x != x ? x : best; }

template <int n>
struct Number {
  static constexpr int value = n;
};
struct Yes {
  static constexpr bool value = true;
};
struct No {
  static constexpr bool value = false;
};

// Memory on vector boundaries that grows and is not initialised.
template <class T>
class Array {
 public:
  Array() = default;
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  ~Array() { std::free(data_); }
  void resize(size_t n) {
    size_ = n;
    if (n <= room_) return;
    std::free(data_);
    room_ = n;
    data_ = static_cast<T*>(std::aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64));
    if (!data_) throw std::bad_alloc();
  }
  void assign(size_t n, T value) {
    resize(n);
    for (size_t i = 0; i < n; ++i) data_[i] = value;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0, room_ = 0;
};

}  // namespace foveate::FOVEATE_TARGET
