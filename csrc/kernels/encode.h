// Writing Q, K and V in their formats and packing them for the products.
//
// Keys and values: first one pass for the statistics that span all tokens (mean, extremes per channel),
// then one pass over tiles. Queries: one pass over blocks, two when a scale spans the head.
// Non-finite input makes the scale of its group NaN, so the rows that depend on it come out as NaN.
#pragma once

#include "basics.h"
#include "round.h"
#include "fp4_scale.h"

namespace foveate::FOVEATE_TARGET {

constexpr int kMaxD = 256;
constexpr int kChunk = NV * W;      // keys, or columns of V, that a micro-kernel works on
constexpr float kTiny = 1e-30f;     // groups whose largest value is below this are written as zeros

static inline void read_row(const View& x, int64_t b, int64_t h, int64_t l, float* out) {
  const int64_t at = b * x.sb + h * x.sh + l * x.sl;
  const int D = (int)x.D, whole = D / W * W;
  if (x.dtype == Dtype::f32) {
    std::memcpy(out, (const float*)x.data + at, sizeof(float) * D);
  } else {
    const uint16_t* p = (const uint16_t*)x.data + at;
    const bool bf = x.dtype == Dtype::bf16;
    for (int d = 0; d < whole; d += W) store(out + d, bf ? load_bf16(p + d) : load_f16(p + d));
    if (whole < D) {
      uint16_t rest[W] = {};
      std::memcpy(rest, p + whole, 2 * (D - whole));
      store(out + whole, bf ? load_bf16(rest) : load_f16(rest));
    }
  }
  for (int d = D; d < (int)round_up(D, W); ++d) out[d] = 0.f;
}

static inline void write_row(const float* x, void* data, Dtype dtype, int64_t at, int64_t D) {
  if (dtype == Dtype::f32) {
    std::memcpy((float*)data + at, x, sizeof(float) * D);
    return;
  }
  uint16_t line[kMaxD + W];
  for (int64_t d = 0; d < D; d += W) {
    if (dtype == Dtype::bf16) store_bf16(line + d, load(x + d));
    else store_f16(line + d, load(x + d));
  }
  std::memcpy((uint16_t*)data + at, line, 2 * D);
}

// |x| as integers grows with |x|, and NaN is above everything: a maximum that cannot miss one.
struct Largest {
  I top = zeroi();
  inline void add(F x) { top = maxi(top, bits(abs(x))); }
  inline float value() const {
    int32_t lane[W];
    storei(lane, top);
    int32_t best = 0;
    for (int i = 0; i < W; ++i) best = most(best, lane[i]);
    float x;
    std::memcpy(&x, &best, 4);
    return x;
  }
};

// Largest value of a group → (scale, factor to codes).
struct Step {
  float scale, inverse;
  Step(float largest, float limit) {
    if (!finite(largest)) scale = NAN, inverse = 0.f;
    else scale = most(largest, kTiny) / limit, inverse = largest < kTiny ? 0.f : limit / largest;
  }
};

static inline I clamp_codes(F x, float limit) {   // a NaN becomes −limit; its scale is NaN already
  return round_int(min(max(x, set1(-limit)), set1(limit)));
}

static inline uint16_t bf16_bits(float x) {
  uint16_t lane[W];
  store_bf16(lane, set1(x));
  return lane[0];
}

// One row of floats in FP4: groups along the row, values exact in bf16.
template <bool nv>
static inline void fp4_row(float* x, int D, float inverse_global) {
  constexpr int group = nv ? 16 : 32;
  for (int d = 0; d < D; d += group) {
    float top = 0.f;
    const int end = least(d + group, D);
    for (int i = d; i < end; ++i) {
      x[i] *= inverse_global;
      const float m = fabsf(x[i]);
      top = keep_largest(top, m);
    }
    const float scale = fp4_scale<nv>(top);
    for (int i = d; i < end; ++i) {
      float lane[W];
      store(lane, mul(to_format<E2M1>(set1(scale > 0 ? x[i] / scale : 0.f)), set1(scale)));
      x[i] = lane[0];
    }
  }
}

// Rows [n][stride] of finished values into a product's layout [n/slots][D/g][slots][g]. `slots` rows stand side by
// side: kChunk for keys, R for queries.
static inline void pack_rows_bf16(const float* x, int rows, int stride, int Dp, uint16_t* out, int slots) {
  for (int r = 0; r < rows; ++r) {
    uint16_t line[kMaxD + W];
    for (int d = 0; d < Dp; d += W) store_bf16(line + d, load(x + (int64_t)r * stride + d));
    uint32_t* to = (uint32_t*)out + (int64_t)(r / slots) * slots * (Dp / 2) + r % slots;
    for (int d = 0; d < Dp; d += 2, to += slots) std::memcpy(to, line + d, 4);
  }
}
static inline void pack_rows_f32(const float* x, int rows, int stride, int D, float* out, int slots) {
  for (int r0 = 0; r0 < rows; r0 += slots, out += (int64_t)slots * D)
    for (int d = 0; d < D; ++d)
      for (int r = 0; r < slots; ++r) out[(int64_t)d * slots + r] = x[(int64_t)(r0 + r) * stride + d];
}
// Codes of one row; returns their sum. offset turns signed codes into unsigned ones.
static inline int32_t pack_row_i8(const float* x, int Dp, float inverse, float limit, int offset, uint8_t* out,
                                  int slots, int row) {
  I sum = zeroi();
  uint8_t line[kMaxD + W];
  const int whole = (int)round_up(Dp, W);
  for (int d = 0; d < whole; d += W) {
    I code = clamp_codes(mul(load(x + d), set1(inverse)), limit);
    sum = addi(sum, code);
    store_u8(line + d, addi(code, set1i(offset)));
  }
  uint32_t* to = (uint32_t*)out + (int64_t)(row / slots) * slots * (Dp / 4) + row % slots;
  for (int d = 0; d < Dp; d += 4, to += slots) std::memcpy(to, line + d, 4);
  int32_t lane[W], total = 0;
  storei(lane, sum);
  for (int i = 0; i < W; ++i) total += lane[i];
  return total;
}

// ---- statistics over tokens ----------------------------------------------------------------------

constexpr int64_t kChunkTokens = 512;   // partial sums over this many tokens, added in a fixed order

struct ChannelStats {   // sum, min, max per channel, [3][kMaxD]
  alignas(64) float sum[kMaxD + W], low[kMaxD + W], high[kMaxD + W];
  float bad = 0.f;      // NaN if any value was NaN
};

static inline void gather_stats(const View& x, int64_t b, int64_t h, int64_t from, int64_t to, ChannelStats& s) {
  const int D = (int)round_up(x.D, W);
  for (int d = 0; d < D; d += W)
    store(s.sum + d, zero()), store(s.low + d, set1(INFINITY)), store(s.high + d, set1(-INFINITY));
  F bad = zero();
  alignas(64) float line[kMaxD + W];
  for (int64_t l = from; l < to; ++l) {
    read_row(x, b, h, l, line);
    for (int d = 0; d < D; d += W) {
      F v = load(line + d);
      store(s.sum + d, add(load(s.sum + d), v));
      store(s.low + d, min(load(s.low + d), v));
      store(s.high + d, max(load(s.high + d), v));
      bad = fma(v, zero(), bad);   // 0 · finite = 0; anything else is NaN
    }
  }
  s.bad = sum_all(bad);
}

class EncodeKV {
 public:
  EncodeKV(KV& kv, const View& k, const View& v, int64_t first_tile) : kv_(kv), k_(k), v_(v), tile0_(first_tile) {
    heads_ = kv.B * kv.H;
    tiles_ = (k.L + kv.fmt.tile - 1) / kv.fmt.tile;
    chunks_ = (k.L + kChunkTokens - 1) / kChunkTokens;
    k_stats_ = tile0_ == 0 && (kv.k_mean || kv.k_global);
    v_stats_ = tile0_ == 0 && (kv.v_mean || kv.v_scale);
    if (k_stats_) ks_.resize(heads_ * chunks_);
    if (v_stats_) vs_.resize(heads_ * chunks_);
  }
  int64_t stat_jobs() const { return k_stats_ || v_stats_ ? heads_ * chunks_ : 0; }
  int64_t tile_jobs() const { return heads_ * tiles_; }

  void stat_job(int64_t n) {
    const int64_t bh = n / chunks_, from = n % chunks_ * kChunkTokens, to = least(from + kChunkTokens, k_.L);
    if (k_stats_) gather_stats(k_, bh / kv_.H, bh % kv_.H, from, to, ks_[n]);
    if (v_stats_) gather_stats(v_, bh / kv_.H, bh % kv_.H, from, to, vs_[n]);
  }

  void merge_stats() {
    float mean[kMaxD + W], largest[kMaxD + W];
    for (int64_t bh = 0; bh < heads_; ++bh) {
      if (k_stats_) {
        merge(ks_.data() + bh * chunks_, kv_.D, kv_.fmt.smooth_k, mean, largest);
        if (kv_.k_mean) std::memcpy(kv_.k_mean + bh * kv_.D, mean, sizeof(float) * kv_.D);
        if (kv_.k_global) kv_.k_global[bh] = top(largest, kv_.D);
      }
      if (v_stats_) {
        merge(vs_.data() + bh * chunks_, kv_.Dv, kv_.fmt.smooth_v, mean, largest);
        for (int64_t d = 0; d < kv_.Dvp; ++d) {
          const bool in = d < kv_.Dv;
          if (kv_.v_mean) kv_.v_mean[bh * kv_.Dvp + d] = in ? mean[d] : 0.f;
          if (kv_.v_scale) kv_.v_scale[bh * kv_.Dvp + d] = in ? channel_scale(largest, d) : 0.f;
        }
      }
    }
  }

  void tile_job(int64_t n) {
    const int64_t bh = n / tiles_, t = n % tiles_;
    encode_k(bh, t);
    encode_v(bh, t);
  }

 private:
  void merge(const ChannelStats* part, int64_t D, bool smooth, float* mean, float* largest) const {
    for (int64_t d = 0; d < D; ++d) {
      double sum = 0;
      float low = INFINITY, high = -INFINITY, bad = 0.f;
      for (int64_t c = 0; c < chunks_; ++c) {
        sum += part[c].sum[d];
        low = least(low, part[c].low[d]), high = most(high, part[c].high[d]);
        bad += part[c].bad;
      }
      mean[d] = smooth ? float(sum / double(k_.L)) : 0.f;
      largest[d] = most(high - mean[d], mean[d] - low) + bad;
    }
  }
  static float top(const float* x, int64_t n) {
    float best = 0.f;
    for (int64_t i = 0; i < n; ++i) best = keep_largest(best, x[i]);
    return best;
  }
  float channel_scale(const float* largest, int64_t d) const {
    const VFormat& f = kv_.fmt.v;
    if (f.kind == VFormat::nvfp4 || f.kind == VFormat::mxfp4) return second_level(top(largest, kv_.Dv), f.second_level);
    return Step(largest[d], f.limit).scale;
  }
  static float second_level(float largest, bool on) {
    if (!finite(largest)) return NAN;
    return on && largest >= kTiny ? largest / (448.f * 6.f) : 1.f;
  }

  void encode_k(int64_t bh, int64_t t) {
    const int tile = kv_.fmt.tile, stride = (int)round_up(kv_.D, W) ;
    const int rows = (int)least<int64_t>(tile, k_.L - t * tile);
    const int64_t at = bh * kv_.capacity + tile0_ + t;
    Array<float>& x = buffer();
    x.assign((size_t)tile * stride, 0.f);
    const float* mean = kv_.k_mean ? kv_.k_mean + bh * kv_.D : nullptr;
    for (int r = 0; r < rows; ++r) {
      float* line = x.data() + (size_t)r * stride;
      read_row(k_, bh / kv_.H, bh % kv_.H, t * tile + r, line);
      if (mean) for (int d = 0; d < (int)kv_.D; ++d) line[d] -= mean[d];
    }
    if (kv_.k_float) pack_rows_f32(x.data(), tile, stride, (int)kv_.D, kv_.k_float + at * kv_.D * tile, W);
    uint8_t* out = kv_.k + at * kv_.k_tile_bytes();
    const QKFormat& f = kv_.fmt.qk;
    switch (f.kind) {
      case QKFormat::f32: pack_rows_f32(x.data(), tile, stride, (int)kv_.D, (float*)out, kChunk); break;
      case QKFormat::bf16: pack_rows_bf16(x.data(), tile, stride, (int)kv_.Dp, (uint16_t*)out, kChunk); break;
      case QKFormat::nvfp4: case QKFormat::mxfp4: {
        const float g = second_level(kv_.k_global[bh], f.second_level);
        for (int r = 0; r < rows; ++r) {
          float* line = x.data() + (size_t)r * stride;
          f.kind == QKFormat::nvfp4 ? fp4_row<true>(line, (int)kv_.D, 1.f / g) : fp4_row<false>(line, (int)kv_.D, 1.f / g);
        }
        kv_.k_scale[at] = g;
        pack_rows_bf16(x.data(), tile, stride, (int)kv_.Dp, (uint16_t*)out, kChunk);
        break;
      }
      case QKFormat::integer: {
        Array<float>& largest = groups();
        int count;
        auto group = [&](int r) {
          switch (f.k_grain) {
            case Grain::token: return r;
            case Grain::thread: return r / 64 * 4 + r % 8 / 2;
            default: return 0;
          }
        };
        count = f.k_grain == Grain::token ? tile : f.k_grain == Grain::thread ? (tile + 63) / 64 * 4 : 1;
        largest.assign(count, 0.f);
        if (f.k_grain == Grain::tensor) largest[0] = kv_.k_global[bh];
        else largest_of_groups(x.data(), rows, stride, group, largest);
        for (int r = 0; r < tile; ++r) {
          const Step step(largest[group(r)], (float)f.limit);
          if (kv_.k_scale_per_key()) kv_.k_scale[at * tile + r] = step.scale;
          else kv_.k_scale[at] = step.scale;
          pack_row_i8(x.data() + (size_t)r * stride, (int)kv_.Dp, step.inverse, (float)f.limit, kKeyOffset, out, kChunk, r);
        }
      }
    }
  }

  template <class GroupOf>
  static void largest_of_groups(const float* x, int rows, int stride, GroupOf group, Array<float>& largest) {
    for (int r = 0; r < rows; ++r) {
      Largest l;
      for (int d = 0; d < stride; d += W) l.add(load(x + (size_t)r * stride + d));
      float m = l.value(), &best = largest[group(r)];
      best = keep_largest(best, m);
    }
  }

  void encode_v(int64_t bh, int64_t t) {
    const int tile = kv_.fmt.tile, stride = (int)kv_.Dvp, Dv = (int)kv_.Dv;
    const int rows = (int)least<int64_t>(tile, v_.L - t * tile);
    const int64_t at = bh * kv_.capacity + tile0_ + t;
    Array<float>& x = buffer();
    x.assign((size_t)tile * stride, 0.f);
    const float* mean = kv_.v_mean ? kv_.v_mean + bh * kv_.Dvp : nullptr;
    for (int r = 0; r < rows; ++r) {
      float* line = x.data() + (size_t)r * stride;
      read_row(v_, bh / kv_.H, bh % kv_.H, t * tile + r, line);
      if (mean) for (int d = 0; d < stride; d += W) store(line + d, sub(load(line + d), load(mean + d)));
    }
    const VFormat& f = kv_.fmt.v;
    const float* scale = kv_.v_scale ? kv_.v_scale + bh * kv_.Dvp : nullptr;
    alignas(64) float inverse[kMaxD + W];
    for (int d = 0; d < stride; ++d)   // tiny channels are zeros; a NaN scale has codes 0
      inverse[d] = !scale || d >= Dv ? 1.f : scale[d] > 1e-37f ? 1.f / scale[d] : 0.f;
    switch (f.kind) {
      case VFormat::f32: break;
      case VFormat::bf16: break;
      case VFormat::f16: each(x, tile, stride, [](F a, int) { return round_f16(a); }); break;
      case VFormat::e4m3: each(x, tile, stride, [&](F a, int d) { return fp8<E4M3>(mul(a, load(inverse + d))); }); break;
      case VFormat::e5m2: each(x, tile, stride, [&](F a, int d) { return fp8<E5M2>(mul(a, load(inverse + d))); }); break;
      case VFormat::nvfp4: fp4_columns<true>(x, tile, stride, inverse); break;
      case VFormat::mxfp4: fp4_columns<false>(x, tile, stride, inverse); break;
      case VFormat::i8_channel: case VFormat::i8_channel_tile: {
        float factor = 1.f;
        if (f.kind == VFormat::i8_channel_tile) {
          Largest l;
          for (int r = 0; r < rows; ++r)
            for (int d = 0; d < stride; d += W) l.add(mul(load(x.data() + (size_t)r * stride + d), load(inverse + d)));
          const Step step(l.value(), f.limit);
          kv_.v_tile[at] = step.scale;
          factor = step.inverse;
        }
        each(x, tile, stride, [&](F a, int d) { return mul(a, mul(load(inverse + d), set1(factor))); });
      }
    }
    uint8_t* out = kv_.v + at * kv_.v_tile_bytes();
    for (int col = 0; col < stride;) {   // columns in chunks, as the product reads them
      const int width = stride - col >= kChunk ? kChunk : W;
      const float* from = x.data() + col;
      const int64_t at_col = (int64_t)col * tile;
      switch (kv_.fmt.pv_dot()) {
        case Dot::f32: pack_v_f32(from, tile, stride, width, (float*)out + at_col); break;
        case Dot::bf16: pack_v_bf16(from, tile, stride, width, (uint16_t*)out + at_col); break;
        case Dot::i8: pack_v_i8(from, tile, stride, width, f.limit, out + at_col); break;
      }
      col += width;
    }
  }

  template <class Format>
  static F fp8(F x) { return to_format<Format>(x); }
  template <class Fn>
  static void each(Array<float>& x, int rows, int stride, Fn fn) {
    for (int r = 0; r < rows; ++r)
      for (int d = 0; d < stride; d += W) {
        float* at = x.data() + (size_t)r * stride + d;
        store(at, fn(load(at), d));
      }
  }
  template <bool nv>
  static void fp4_columns(Array<float>& x, int rows, int stride, const float* inverse) {
    constexpr int group = nv ? 16 : 32;
    float column[group];
    for (int r = 0; r < rows; r += group)
      for (int d = 0; d < stride; ++d) {
        for (int i = 0; i < group; ++i) column[i] = x[(size_t)(r + i) * stride + d];
        fp4_row<nv>(column, group, inverse[d]);
        for (int i = 0; i < group; ++i) x[(size_t)(r + i) * stride + d] = column[i];
      }
  }
  static void pack_v_f32(const float* x, int rows, int stride, int width, float* out) {
    for (int r = 0; r < rows; ++r, out += width) std::memcpy(out, x + (size_t)r * stride, sizeof(float) * width);
  }
  static void pack_v_i8(const float* x, int rows, int stride, int width, float limit, uint8_t* out) {
    const I byte = set1i(255);
    for (int r = 0; r < rows; r += 4)
      for (int d = 0; d < width; d += W, out += 4 * W) {
        const float* at = x + (size_t)r * stride + d;
        I w = andi(clamp_codes(load(at), limit), byte);
        w = ori(w, shl<8>(andi(clamp_codes(load(at + stride), limit), byte)));
        w = ori(w, shl<16>(andi(clamp_codes(load(at + 2 * stride), limit), byte)));
        w = ori(w, shl<24>(clamp_codes(load(at + 3 * stride), limit)));
        storei((int32_t*)out, w);
      }
  }
  static void pack_v_bf16(const float* x, int rows, int stride, int width, uint16_t* out) {
    for (int r = 0; r < rows; r += 2)
      for (int d = 0; d < width; d += W) {
        uint16_t even[W], odd[W];
        store_bf16(even, load(x + (size_t)r * stride + d));
        store_bf16(odd, load(x + (size_t)(r + 1) * stride + d));
        for (int i = 0; i < W; ++i, out += 2) out[0] = even[i], out[1] = odd[i];
      }
  }
  static Array<float>& buffer() { static thread_local Array<float> x; return x; }
  static Array<float>& groups() { static thread_local Array<float> x; return x; }

  KV& kv_;
  const View &k_, &v_;
  int64_t tile0_, heads_, tiles_, chunks_;
  bool k_stats_, v_stats_;
  Array<ChannelStats> ks_, vs_;
};

class EncodeQ {
 public:
  // `scale` is the softmax scale; its sign goes into the codes so that every factor stays positive.
  EncodeQ(Queries& q, const View& x, const KV& kv, float scale, bool lse)
      : q_(q), x_(x), kv_(kv), f_(kv.fmt.qk), scale_(scale), lse_(lse) {
    block_ = kv.fmt.block_q;
    blocks_ = (q.L + block_ - 1) / block_;
    whole_head_ = (f_.kind == QKFormat::integer && f_.q_grain == Grain::tensor) ||
                  ((f_.kind == QKFormat::nvfp4 || f_.kind == QKFormat::mxfp4) && f_.second_level);
    if (whole_head_) largest_.assign(jobs(), 0.f);
  }
  int64_t jobs() const { return q_.B * q_.H * blocks_; }
  bool needs_survey() const { return whole_head_; }
  void survey(int64_t n) {   // largest |q'| of one block
    Array<float>& x = buffer();
    const int rows = read_block(n, x);
    Largest l;
    for (size_t i = 0; i < (size_t)rows * stride(); i += W) l.add(load(x.data() + i));
    largest_[n] = l.value();
  }
  void merge_survey() {
    for (int64_t h = 0; h < q_.B * q_.H; ++h) {
      float best = 0.f;
      for (int64_t b = 0; b < blocks_; ++b) {
        const float m = largest_[h * blocks_ + b];
        best = keep_largest(best, m);
      }
      for (int64_t b = 0; b < blocks_; ++b) largest_[h * blocks_ + b] = best;
    }
  }

  void job(int64_t n) {
    Array<float>& x = buffer();
    const int rows = read_block(n, x);
    const int64_t qh = n / blocks_, row0 = n % blocks_ * block_;
    const int padded = (int)round_up(rows, R), s = stride();
    const float c = scale_ * kLog2e, size = fabsf(c);
    float* scale = q_.scale + qh * q_.Lp + row0;
    uint8_t* codes = q_.codes + (qh * (q_.Lp / R) + row0 / R) * q_.Dp * R * dot_bytes(f_.dot());
    const int64_t group_bytes = q_.Dp * R * dot_bytes(f_.dot());
    const float sign = scale_ < 0 ? -1.f : 1.f;
    if (f_.kind == QKFormat::integer) {
      Array<float>& largest = groups();
      const int warp = kv_.fmt.warp_q;
      auto group = [&](int r) {
        switch (f_.q_grain) {
          case Grain::token: return r;
          case Grain::thread: return r / warp * 8 + r % 8;
          case Grain::warp: return r / warp;
          default: return 0;
        }
      };
      largest.assign(f_.q_grain == Grain::token ? padded : block_ / warp * 8 + 8, 0.f);
      if (whole_head_) largest[0] = largest_[n];
      else
        for (int r = 0; r < rows; ++r) {
          Largest l;
          for (int d = 0; d < s; d += W) l.add(load(x.data() + (size_t)r * s + d));
          float m = l.value(), &best = largest[group(r)];
          best = keep_largest(best, m);
        }
      for (int r = 0; r < padded; ++r) {
        const Step step(r < rows ? largest[group(r)] : 0.f, (float)f_.limit);
        scale[r] = size * step.scale;
        const int32_t sum = pack_row_i8(x.data() + (size_t)r * s, (int)q_.Dp, sign * step.inverse, (float)f_.limit, 0,
                                        codes, R, r);
        q_.start[qh * q_.Lp + row0 + r] = -kKeyOffset * sum;
      }
      return;
    }
    float g = 1.f;
    if (f_.kind == QKFormat::nvfp4 || f_.kind == QKFormat::mxfp4) {
      if (whole_head_) {
        const float m = largest_[n];
        g = !finite(m) ? NAN
            : m >= kTiny ? m / (448.f * 6.f) : 1.f;
      }
      for (int r = 0; r < rows; ++r) {
        float* line = x.data() + (size_t)r * s;
        f_.kind == QKFormat::nvfp4 ? fp4_row<true>(line, (int)q_.D, 1.f / g) : fp4_row<false>(line, (int)q_.D, 1.f / g);
      }
    }
    for (int r = 0; r < padded; ++r) scale[r] = size * g;
    if (sign < 0) for (size_t i = 0; i < x.size(); ++i) x[i] = -x[i];
    for (int r = 0; r < padded; r += R) {
      if (f_.dot() == Dot::bf16)
        pack_rows_bf16(x.data() + (size_t)r * s, R, s, (int)q_.Dp, (uint16_t*)(codes + r / R * group_bytes), R);
      else
        pack_rows_f32(x.data() + (size_t)r * s, R, s, (int)q_.D, (float*)(codes + r / R * group_bytes), R);
    }
  }

 private:
  int stride() const { return (int)round_up(q_.D, W); }
  // Rows of block n as floats, mean removed; also the terms that need the full q.
  int read_block(int64_t n, Array<float>& x) {
    const int64_t qh = n / blocks_, row0 = n % blocks_ * block_;
    const int rows = (int)least<int64_t>(block_, q_.L - row0), s = stride();
    x.assign((size_t)round_up(rows, R) * s, 0.f);
    const int64_t fold = x_.H / q_.H;   // query heads folded into one (decoding)
    const int64_t b = qh / q_.H, h = qh % q_.H;
    const bool folded = q_.L != x_.L;
    const float* k_mean = nullptr;
    if (lse_ && kv_.k_mean) k_mean = kv_.k_mean + (folded ? qh : b * kv_.H + h / (q_.H / kv_.H)) * kv_.D;
    for (int r = 0; r < rows; ++r) {
      const int64_t row = row0 + r;
      float* line = x.data() + (size_t)r * s;
      read_row(x_, b, folded ? h * fold + row / x_.L : h, folded ? row % x_.L : row, line);
      if (k_mean) {
        float dot = 0.f;
        for (int d = 0; d < (int)q_.D; ++d) dot += line[d] * k_mean[d];
        q_.k_mean_dot[qh * q_.Lp + row] = scale_ * dot;
      }
    }
    if (!q_.mean) return rows;
    float* mean = q_.mean + n * q_.D;
    const float c = scale_ * kLog2e;
    for (int d = 0; d < (int)q_.D; ++d) {
      float sum = 0.f;
      for (int r = 0; r < rows; ++r) sum += x[(size_t)r * s + d];
      const float m = sum / float(rows);
      for (int r = 0; r < rows; ++r) x[(size_t)r * s + d] -= m;
      mean[d] = c * m;
    }
    return rows;
  }
  static Array<float>& buffer() { static thread_local Array<float> x; return x; }
  static Array<float>& groups() { static thread_local Array<float> x; return x; }

  Queries& q_;
  const View& x_;
  const KV& kv_;
  const QKFormat& f_;
  float scale_;
  bool lse_, whole_head_;
  int block_;
  int64_t blocks_;
  Array<float> largest_;
};

}  // namespace
