// Plain descriptions of one call: pointers, shapes, strides, formats. No Python, no torch, no templates,
// so that every target (and any other host) can include this file.
#pragma once
#include <cstddef>
#include <cstdint>

namespace foveate {

constexpr int kMaxGroup = 8;   // query rows that one micro-kernel works on, at most
constexpr int kMaxTile = 128;  // keys per step of the online softmax, at most
constexpr int kMaxRows = 128;  // query rows per work item, at most

enum class Dtype : int { f32, bf16, f16, i8 };  // i8: codes, only where keys and values are read in place

// What the two matrix products run on. i8: 4 bytes at a time into int32. bf16: pairs into float32.
enum class Dot : int { i8, bf16, f32 };

// How K and Q are written.
enum class Grain : int { tensor, block, warp, thread, token };
struct QKFormat {
  enum Kind : int { f32, bf16, integer, nvfp4, mxfp4 } kind = f32;
  int limit = 127;  // integer: largest code
  Grain q_grain = Grain::token, k_grain = Grain::token;
  bool second_level = true;  // fp4: one more scale per head
  Dot dot() const { return kind == integer ? Dot::i8 : kind == f32 ? Dot::f32 : Dot::bf16; }
};

// How P is written after the exponential.
enum class PKind : int { f32, f16, bf16, u8_tile, u8_running, e4m3, e5m2, nvfp4, mxfp4 };
// How V is written.
struct VFormat {
  enum Kind : int { f32, f16, bf16, i8_channel, i8_channel_tile, e4m3, e5m2, nvfp4, mxfp4 } kind = f32;
  float limit = 127.f;
  bool second_level = true;  // fp4: one more scale per head; f16: a power of two per head against overflow
};
// Where P·V is summed (see Recipe.accumulate).
enum class Sum : int { fp32, fp22, fp22_fp32, fp16, fp16_fp32 };

struct Formats {
  QKFormat qk;
  PKind p = PKind::f32;
  float p_levels = 1.f;  // p is multiplied by this before it is written
  VFormat v;
  Sum sum = Sum::fp32;
  int chain = 32;  // keys between roundings of fp22 and fp16 sums
  bool smooth_q = false, smooth_k = false, smooth_v = false;
  int mean_every = 1;  // means of K and V over every n-th token, as long as that leaves 256
  int block_q = 128, warp_q = 32, tile = 128;
  Dot pv_dot() const {
    switch (p) {
      case PKind::u8_tile:
      case PKind::u8_running:
        return Dot::i8;
      case PKind::f32:
      case PKind::f16:
        return Dot::f32;
      default:
        return Dot::bf16;
    }
  }
};

inline int dot_group(Dot d) { return d == Dot::i8 ? 4 : d == Dot::bf16 ? 2 : 1; }
inline int dot_bytes(Dot d) { return d == Dot::i8 ? 1 : d == Dot::bf16 ? 2 : 4; }
inline int64_t round_up(int64_t x, int64_t m) { return (x + m - 1) / m * m; }

// A strided [B, H, L, D] tensor whose last dimension is contiguous; strides count elements.
struct View {
  const void* data = nullptr;
  Dtype dtype = Dtype::f32;
  int64_t sb = 0, sh = 0, sl = 0;
  int64_t B = 0, H = 0, L = 0, D = 0;
};

// Encoded keys and values, tile by tile. Owned by the caller; see encode_kv.h for the exact layout.
struct KV {
  Formats fmt;
  int64_t B = 0, H = 0, L = 0, D = 0, Dv = 0;
  int64_t capacity = 0;             // tiles allocated per (batch, head)
  int64_t Dp = 0, Dm = 0, Dvp = 0;  // D padded to a dot group, D and Dv padded to whole vectors
  uint8_t* k = nullptr;             // [B·H, capacity, tile/chunk, Dp/g, chunk, g]
  uint8_t* v = nullptr;             // [B·H, capacity, Dvp/chunk, tile/g, chunk, g]
  float* k_scale = nullptr;   // [B·H, capacity], or [B·H, capacity, tile] if k_scale_per_key(); null when 1
  float* k_float = nullptr;   // [B·H, capacity, tile/W, D, W], smoothed K for the Q-mean term, or null
  float* k_mean = nullptr;    // [B·H, Dm], or null
  float* k_global = nullptr;  // [B·H] largest |k'| of the head (tensor scale, second level of FP4), or null
  float* v_tile = nullptr;    // [B·H, capacity, Dvp] scale per channel and tile, or null when 1
  float* v_scale = nullptr;   // [B·H, Dvp], or null when 1
  float* v_mean = nullptr;    // [B·H, Dvp], or null
  bool k_scale_per_key() const { return fmt.qk.kind == QKFormat::integer && fmt.qk.k_grain >= Grain::warp; }
  bool k_scale_per_tile() const { return k_scale && !k_scale_per_key(); }
  int64_t k_tile_bytes() const { return Dp * fmt.tile * dot_bytes(fmt.qk.dot()); }
  int64_t v_tile_bytes() const { return Dvp * fmt.tile * dot_bytes(fmt.pv_dot()); }
};

// Encoded queries, in groups of rows: [B·H, groups, Dp/g, rows, g].
struct Queries {
  int64_t B = 0, H = 0, L = 0, D = 0, Dp = 0, rows = 0;  // H, L after folding a decode group
  uint8_t* codes = nullptr;
  float* scale = nullptr;       // [B·H, Lp]: |scale|·log2(e)·q_scale per row
  int32_t* start = nullptr;     // [B·H, Lp]: start value of the int32 sums
  float* mean = nullptr;        // [B·H, ceil(L / block_q), D], times scale·log2(e); or null
  float* k_mean_dot = nullptr;  // [B·H, Lp]: scale·q·k_mean for lse; or null
  int64_t Lp = 0;
};

// A bool (bytes) or float32 mask, strides in elements, 0 where it broadcasts.
struct Mask {
  const void* data = nullptr;
  bool additive = false;
  int64_t sb = 0, sh = 0, si = 0, sj = 0;
};

// Which blocks of keys a block of queries visits; counts null visits all.
struct Layout {
  const int32_t* counts = nullptr;   // [B or 1, H or 1, nQ]
  const int32_t* indices = nullptr;  // [B or 1, H or 1, nQ, nK]
  int64_t bq = 0, bk = 0, nQ = 0, nK = 0;
  bool per_batch = false, per_head = false;
};

// Query i stands at i + shift; it sees keys from position − before to position + after, and the first `sink`.
struct Bands {
  const int64_t* before = nullptr;  // [Hq]
  const int64_t* sink = nullptr;    // [Hq]
  int64_t after = 0;
  int64_t shift = 0;
};

struct Output {
  void* data = nullptr;
  Dtype dtype = Dtype::f32;
  int64_t sb = 0, sh = 0, sl = 0;
  float* lse = nullptr;  // [B, Hq, Lq] contiguous
  bool merge = false;    // what lies there are results over other keys; the two are joined
};

// The second filter: P·V of a tile is left out for a group of rows where no probability is above 2^−threshold
// of the largest so far.
struct Filter {
  const float* threshold = nullptr;  // [Hq] or null; infinity never leaves anything out
  int64_t* tally = nullptr;          // [B, Hq, 2] pairs of (row, key) looked at and left out, or null
};

struct Call {
  View q;
  float scale = 1.f;
  const KV* kv = nullptr;
  Mask mask;
  Layout layout;
  Bands bands;
  Filter filter;
  Output out;
  int threads = 1;
};

// The way back through one call: from the gradient of its output (and of lse) to those of q, k and v.
struct Gradient {
  View q, k, v, out, dout;
  const float* lse = nullptr;   // [B, Hq, Lq]
  const float* dlse = nullptr;  // the same, or null
  float scale = 1.f;
  Mask mask;
  Layout layout;
  Bands bands;
  float *dq = nullptr, *dk = nullptr,
        *dv = nullptr;      // [B, Hq, Lq, D], [B, Hk, Lk, D], [B, Hk, Lk, Dv] contiguous
  bool exact_delta = true;  // in 8 bits: Σ P∘dP rather than Σ dO∘O
  int threads = 1;
};

// Keys and values that lie in a store of their own for each head, one behind the other: `length` tokens from
// `start`.
struct Segments {
  const int64_t* start = nullptr;   // [B, Hk] in tokens from the batch's first; null: views as usual
  const int64_t* length = nullptr;  // [B, Hk]
  const float *k_scale = nullptr, *v_scale = nullptr;  // a factor for each token of the store, or null
  int64_t scale_sb = 0;                                // their stride over batch
};

// Means of blocks of rows.
struct MeansCall {
  View x;
  const float* mean = nullptr;  // [B·H, D], subtracted from every row, or null
  int64_t rows = 0;
  float* out = nullptr;       // [B·H, ceil(L / rows), D]
  float* likeness = nullptr;  // [B·H, ceil(L / rows)] or null
};

// Softmax mass of pairs of blocks by antidiagonal sums.
struct AntidiagonalCall {
  View q, k;
  float factor = 1.f;  // of the average score of an antidiagonal
  int64_t stride = 0, block = 0;
  bool causal = false;
  float* out = nullptr;  // [B·Hq, ceil(Lq / block), ceil(Lk / block)]
};

// Blocks to visit for given scores. Arrays over heads have Hq entries; those of bytes broadcast by strides of
// 0.
struct ChoiceCall {
  const float* scores = nullptr;  // [B, Hq, nQ, nK]
  int64_t B = 0, H = 0, nQ = 0, nK = 0;
  const double* mass = nullptr;       // [Hq] or null
  const double* share = nullptr;      // [Hq] or null
  const double* count = nullptr;      // [Hq] or null
  const uint8_t* is_share = nullptr;  // [Hq], whether count is a share
  bool inclusive = true, kept_first = false, of_visible = false;
  int64_t at_least = 0;
  const uint8_t *allowed = nullptr, *kept = nullptr;  // [.., nQ, nK]
  int64_t allowed_b = 0, allowed_h = 0, kept_b = 0, kept_h = 0;
  int32_t *counts = nullptr, *indices = nullptr;  // [B, Hq, nQ], [B, Hq, nQ, nK]
};

}  // namespace foveate
