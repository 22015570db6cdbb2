#include "memory.h"

#include <pthread.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

namespace foveate {

namespace {

// Freed buffers are kept for the next call of the same sizes: fresh pages from the system cost about as much
// as encoding what goes into them. At most this much is kept; larger buffers go back at once.
constexpr size_t kKept = 64u << 20;

struct Shelf {
  std::mutex lock;
  std::multimap<size_t, void*> buffers;  // by size
  size_t bytes = 0;
};
Shelf& shelf() {
  static Shelf* one = [] {  // never destroyed: buffers may be freed while the process ends
    pthread_atfork([] { shelf().lock.lock(); }, [] { shelf().lock.unlock(); }, [] { shelf().lock.unlock(); });
    return new Shelf;
  }();
  return *one;
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kKeep = false;  // exact sizes and no reuse, so that the sanitizer sees every step too far
#else
constexpr bool kKeep = true;
#endif

// Before each buffer stands its size.
constexpr size_t kHead = 64;

}  // namespace

Bytes allocate(size_t bytes) {
  size_t size = bytes + kHead;
  if (kKeep) {
    size = (size + 4095) / 4096 * 4096;
    Shelf& s = shelf();
    std::lock_guard<std::mutex> hold(s.lock);
    auto it = s.buffers.lower_bound(size);
    if (it != s.buffers.end() && it->first <= size + size / 4) {
      void* p = it->second;
      s.bytes -= it->first;
      s.buffers.erase(it);
      return Bytes(p);
    }
  }
  void* memory = nullptr;
  char* p = posix_memalign(&memory, kHead, size) == 0 ? static_cast<char*>(memory) : nullptr;
  if (!p) throw std::bad_alloc();
  std::memcpy(p, &size, sizeof size);
  return Bytes(p + kHead);
}

void Free::operator()(void* p) const {
  size_t size;
  std::memcpy(&size, static_cast<char*>(p) - kHead, sizeof size);
  if (kKeep) {
    Shelf& s = shelf();
    std::lock_guard<std::mutex> hold(s.lock);
    if (s.bytes + size <= kKept) {
      s.buffers.emplace(size, p);
      s.bytes += size;
      return;
    }
  }
  std::free(static_cast<char*>(p) - kHead);
}

OwnedKV::OwnedKV(const Formats& fmt, int64_t B, int64_t H, int64_t D, int64_t Dv, int64_t tiles, int lanes) {
  KV& x = view;
  x.fmt = fmt;
  x.B = B, x.H = H, x.D = D, x.Dv = Dv;
  x.Dp = round_up(D, dot_group(fmt.qk.dot()));
  x.Dm = round_up(D, lanes);
  x.Dvp = round_up(Dv, lanes);
  const QKFormat& f = fmt.qk;
  const bool fp4 = f.kind == QKFormat::nvfp4 || f.kind == QKFormat::mxfp4;
  const bool v_fp4 = fmt.v.kind == VFormat::nvfp4 || fmt.v.kind == VFormat::mxfp4;
  // floats need no scale, and tiles with a scale of their own none for the whole length
  const bool v_whole = fmt.v.kind == VFormat::i8_channel || fmt.v.kind == VFormat::e4m3 ||
                       fmt.v.kind == VFormat::e5m2 || (fmt.v.kind == VFormat::f16 && fmt.v.second_level);
  k_.per_tile = (size_t)x.k_tile_bytes(), k_.at = (void**)&x.k;
  v_.per_tile = (size_t)x.v_tile_bytes(), v_.at = (void**)&x.v;
  k_scale_.at = (void**)&x.k_scale, k_float_.at = (void**)&x.k_float, v_tile_.at = (void**)&x.v_tile;
  if (f.kind == QKFormat::integer || fp4)
    k_scale_.per_tile = sizeof(float) * (x.k_scale_per_key() ? fmt.tile : 1);
  if (fmt.smooth_q) k_float_.per_tile = sizeof(float) * (size_t)(D * fmt.tile);
  if (fmt.v.kind == VFormat::i8_channel_tile) v_tile_.per_tile = sizeof(float) * (size_t)x.Dvp;
  auto fixed = [&](float*& at, Bytes& owner, int64_t floats) {
    owner = allocate(sizeof(float) * (size_t)floats);
    fixed_bytes_ += sizeof(float) * (size_t)floats;
    at = (float*)owner.get();
  };
  if (fmt.smooth_k) fixed(x.k_mean, k_mean_, B * H * x.Dm);
  if (fp4 || (f.kind == QKFormat::integer && f.k_grain == Grain::tensor)) fixed(x.k_global, k_global_, B * H);
  if (v_whole || v_fp4) fixed(x.v_scale, v_scale_, B * H * x.Dvp);
  if (fmt.smooth_v) fixed(x.v_mean, v_mean_, B * H * x.Dvp);
  reserve(tiles);
}

void OwnedKV::reserve(int64_t tiles) {
  const int64_t old = view.capacity, heads = view.B * view.H;
  if (tiles <= old) return;
  const int64_t now = old ? (tiles > old + old / 2 ? tiles : old + old / 2) : tiles;
  for (Part* p : {&k_, &v_, &k_scale_, &k_float_, &v_tile_}) {
    if (!p->per_tile) continue;
    Bytes fresh = allocate(p->per_tile * (size_t)(now * heads));
    for (int64_t h = 0; old && h < heads; ++h)
      std::memcpy((char*)fresh.get() + p->per_tile * (size_t)(h * now),
                  (char*)p->memory.get() + p->per_tile * (size_t)(h * old), p->per_tile * (size_t)old);
    p->memory = std::move(fresh);
    *p->at = p->memory.get();
  }
  view.capacity = now;
}

int64_t OwnedKV::bytes() const {
  size_t total = fixed_bytes_;
  for (const Part* p : {&k_, &v_, &k_scale_, &k_float_, &v_tile_})
    total += p->per_tile * (size_t)(view.capacity * view.B * view.H);
  return (int64_t)total;
}

OwnedQueries::OwnedQueries(const Call& call, bool fold, int rows) {
  Queries& x = view;
  const KV& kv = *call.kv;
  const Formats& fmt = kv.fmt;
  x.B = call.q.B, x.D = call.q.D, x.Dp = kv.Dp, x.rows = rows;
  x.H = fold ? kv.H : call.q.H;
  x.L = fold ? call.q.L * (call.q.H / kv.H) : call.q.L;
  x.Lp = round_up(x.L, rows);
  const size_t heads = (size_t)(x.B * x.H), all = heads * (size_t)x.Lp;
  codes_ = allocate(all * (size_t)x.Dp * (size_t)dot_bytes(fmt.qk.dot()));
  x.codes = (uint8_t*)codes_.get();
  scale_ = allocate(all * sizeof(float));
  x.scale = (float*)scale_.get();
  if (fmt.qk.dot() == Dot::i8) start_ = allocate(all * sizeof(int32_t)), x.start = (int32_t*)start_.get();
  if (fmt.smooth_q) {
    mean_ = allocate(heads * (size_t)((x.L + fmt.block_q - 1) / fmt.block_q * x.D) * sizeof(float));
    x.mean = (float*)mean_.get();
  }
  if (call.out.lse && kv.k_mean)
    k_mean_dot_ = allocate(all * sizeof(float)), x.k_mean_dot = (float*)k_mean_dot_.get();
}

}  // namespace foveate
