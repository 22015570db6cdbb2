// Writing K and V and packing them for the products. First one pass for the statistics that span all tokens
// (mean, extremes per channel), then one pass over tiles.
#pragma once
#include "formats.h"

namespace foveate::FOVEATE_TARGET {

// ---- statistics over tokens ----------------------------------------------------------------------

constexpr int64_t kChunkTokens = 512;   // partial sums over this many tokens, added in a fixed order

struct ChannelStats {   // sum, min, max per channel, [3][kMaxD]
  alignas(64) float sum[kMaxD + W], low[kMaxD + W], high[kMaxD + W];
  float bad = 0.f;      // NaN if any value was NaN
};

// Columns outside, rows inside: sums and extremes stay in registers.
template <class Read>
static inline void gather_stats(Read, const View& x, int64_t b, int64_t h, int64_t from, int64_t to, bool extremes,
                                ChannelStats& s) {
  const int64_t base = b * x.sb + h * x.sh;
  F bad = zero();
  for (int d = 0; d < (int)x.D; d += W) {
    const int n = (int)least<int64_t>(W, x.D - d);
    F sum = zero(), low = set1(INFINITY), high = set1(-INFINITY);
    for (int64_t l = from; l < to; ++l) {
      const int64_t at = base + l * x.sl + d;
      const F v = n == W ? Read::whole(x.data, at) : Read::some(x.data, at, n);
      sum = add(sum, v);
      if (extremes) low = min(low, v), high = max(high, v);
    }
    bad = fma(sum, zero(), bad);   // 0 · finite = 0; a NaN or an infinity leaves a NaN
    store(s.sum + d, sum);
    store(s.low + d, low);
    store(s.high + d, high);
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
    const int64_t b = bh / kv_.H, h = bh % kv_.H;
    if (k_stats_) with_reader(k_, [&](auto r) { gather_stats(r, k_, b, h, from, to, kv_.k_global != nullptr, ks_[n]); });
    if (v_stats_) with_reader(v_, [&](auto r) { gather_stats(r, v_, b, h, from, to, kv_.v_scale != nullptr, vs_[n]); });
  }

  void merge_stats() {
    float mean[kMaxD + W], largest[kMaxD + W];
    for (int64_t bh = 0; bh < heads_; ++bh) {
      if (k_stats_) {
        merge(ks_.data() + bh * chunks_, kv_.D, kv_.fmt.smooth_k, mean, largest);
        if (kv_.k_mean)
          for (int64_t d = 0; d < kv_.Dm; ++d) kv_.k_mean[bh * kv_.Dm + d] = d < kv_.D ? mean[d] : 0.f;
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
    if (f.kind == VFormat::f16) return f16_scale(top(largest, kv_.Dv));
    return Step(largest[d], f.limit).scale;
  }
  // A power of two that keeps float16 sums of p·v finite and small v normal: with 2^e ≤ largest < 2^(e+1) it is
  // 2^(e − clamp(e, low, high)), high = 14 − ceil(log2 terms), low = min(high, −4).
  float f16_scale(float largest) const {
    if (!finite(largest)) return 1.f;   // V itself carries the NaN or infinity
    const int64_t terms = kv_.fmt.sum == Sum::fp16 ? kv_.L : kv_.fmt.sum == Sum::fp16_fp32 ? kv_.fmt.tile : 1;
    int e, high = 14;
    for (int64_t n = 1; n < terms; n *= 2) --high;
    frexpf(most(largest, kTiny), &e);
    --e;
    return ldexpf(1.f, e - most(least(e, high), least(high, -4)));
  }
  static float second_level(float largest, bool on) {
    if (!finite(largest)) return NAN;
    return on && largest >= kTiny ? largest / (448.f * 6.f) : 1.f;
  }

  // Rows of one tile as floats, mean removed, zeros behind the last row; returns the largest |x| of all.
  static float read_tile(const View& x, int64_t b, int64_t h, int64_t from, int rows, int tile, int stride,
                         const float* mean, Array<float>& out) {
    out.resize((size_t)tile * stride);
    Largest top;
    with_reader(x, [&](auto reader) {
      for (int r = 0; r < rows; ++r) read_row(reader, x, b, h, from + r, mean, out.data() + (size_t)r * stride, top);
    });
    for (int r = rows; r < tile; ++r) std::memset(out.data() + (size_t)r * stride, 0, sizeof(float) * stride);
    return top.value();
  }

  void encode_k(int64_t bh, int64_t t) {
    const int tile = kv_.fmt.tile, stride = (int)round_up(kv_.D, W);
    const int rows = (int)least<int64_t>(tile, k_.L - t * tile);
    const int64_t at = bh * kv_.capacity + tile0_ + t;
    Array<float>& x = buffer();
    const float tile_top = read_tile(k_, bh / kv_.H, bh % kv_.H, t * tile, rows, tile, stride,
                                     kv_.k_mean ? kv_.k_mean + bh * kv_.Dm : nullptr, x);
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
        else if (count == 1) largest[0] = tile_top;
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
    read_tile(v_, bh / kv_.H, bh % kv_.H, t * tile, rows, tile, stride,
              kv_.v_mean ? kv_.v_mean + bh * kv_.Dvp : nullptr, x);
    const VFormat& f = kv_.fmt.v;
    const float* scale = kv_.v_scale ? kv_.v_scale + bh * kv_.Dvp : nullptr;
    alignas(64) float inverse[kMaxD + W];
    for (int d = 0; d < stride; ++d)   // tiny channels are zeros; a NaN scale has codes 0
      inverse[d] = !scale || d >= Dv ? 1.f : scale[d] > 1e-37f ? 1.f / scale[d] : 0.f;
    switch (f.kind) {
      case VFormat::f32: break;
      case VFormat::bf16: break;
      case VFormat::f16: each(x, tile, stride, [&](F a, int d) { return round_f16(mul(a, load(inverse + d))); }); break;
      case VFormat::e4m3: each(x, tile, stride, [&](F a, int d) { return fp8<E4M3>(mul(a, load(inverse + d))); }); break;
      case VFormat::e5m2: each(x, tile, stride, [&](F a, int d) { return fp8<E5M2>(mul(a, load(inverse + d))); }); break;
      case VFormat::nvfp4: fp4_columns<true>(x, tile, stride, inverse); break;
      case VFormat::mxfp4: fp4_columns<false>(x, tile, stride, inverse); break;
      case VFormat::i8_channel: break;   // scaled while it is packed
      case VFormat::i8_channel_tile:
        if (f.kind == VFormat::i8_channel_tile) tile_scales(x, rows, stride, f.limit, kv_.v_tile + at * stride, inverse);
    }
    uint8_t* out = kv_.v + at * kv_.v_tile_bytes();
    for (int col = 0; col < stride;) {   // columns in chunks, as the product reads them
      const int width = stride - col >= kChunk ? kChunk : W;
      const float* from = x.data() + col;
      const int64_t at_col = (int64_t)col * tile;
      switch (kv_.fmt.pv_dot()) {
        case Dot::f32: pack_v_f32(from, tile, stride, width, (float*)out + at_col); break;
        case Dot::bf16: pack_v_bf16(from, tile, stride, width, (uint16_t*)out + at_col); break;
        case Dot::i8: pack_v_i8(from, tile, stride, width, inverse + col, f.limit, out + at_col); break;
      }
      col += width;
    }
  }

  // One scale per channel from the rows of this tile, and its inverse for the codes.
  static void tile_scales(Array<float>& x, int rows, int stride, float limit, float* scale, float* inverse) {
    for (int d = 0; d < stride; d += W) {
      Largest top;
      for (int r = 0; r < rows; ++r) top.add(load(x.data() + (size_t)r * stride + d));
      float largest[W];
      storei((int32_t*)largest, top.top);
      for (int i = 0; i < W; ++i) {
        const Step step(largest[i], limit);
        scale[d + i] = step.scale, inverse[d + i] = step.inverse;
      }
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
  // Groups of keys for each channel, a vector of channels at a time.
  template <bool nv>
  static void fp4_columns(Array<float>& x, int rows, int stride, const float* inverse_global) {
    constexpr int group = nv ? 16 : 32;
    for (int r = 0; r < rows; r += group)
      for (int d = 0; d < stride; d += W) {
        float* at = x.data() + (size_t)r * stride + d;
        F top = zero();
        for (int i = 0; i < group; ++i) {
          const F v = mul(load(at + (size_t)i * stride), load(inverse_global + d));
          store(at + (size_t)i * stride, v);
          top = max(top, abs(v));
        }
        const F scale = fp4_scale<nv>(top), inverse = inverse_or_zero(scale);
        for (int i = 0; i < group; ++i) {
          float* to = at + (size_t)i * stride;
          store(to, fp4_value(load(to), scale, inverse));
        }
      }
  }
  static void pack_v_f32(const float* x, int rows, int stride, int width, float* out) {
    for (int r = 0; r < rows; ++r, out += width) std::memcpy(out, x + (size_t)r * stride, sizeof(float) * width);
  }
  static void pack_v_i8(const float* x, int rows, int stride, int width, const float* inverse, float limit,
                        uint8_t* out) {
    const I byte = set1i(255);
    for (int r = 0; r < rows; r += 4)
      for (int d = 0; d < width; d += W, out += 4 * W) {
        const float* at = x + (size_t)r * stride + d;
        const F f = load(inverse + d);
        auto code = [&](int row) { return clamp_codes(mul(load(at + row * stride), f), limit); };
        I w = ori(andi(code(0), byte), shl<8>(andi(code(1), byte)));
        w = ori(w, ori(shl<16>(andi(code(2), byte)), shl<24>(code(3))));
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

}  // namespace
