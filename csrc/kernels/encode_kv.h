// Writing K and V and packing them for the products. First one pass for the statistics that span all tokens
// (mean, extremes per channel), then one pass over tiles.
#pragma once
#include "channel_stats.h"
#include "write_v.h"

namespace foveate::FOVEATE_TARGET {

class EncodeKV {
 public:
  EncodeKV(KV& kv, const View& k, const View& v, int64_t first_tile)
      : kv_(kv), k_(k), v_(v), tile0_(first_tile) {
    tiles_ = (k.L + kv.fmt.tile - 1) / kv.fmt.tile;
    chunks_ = (k.L + kChunkTokens - 1) / kChunkTokens;
    k_stats_ = tile0_ == 0 && (kv.k_mean || kv.k_global);
    v_stats_ = tile0_ == 0 && (kv.v_mean || kv.v_scale);
    if (k_stats_) ks_.resize((size_t)(heads_per_round() * chunks_));
    if (v_stats_) vs_.resize((size_t)(heads_per_round() * chunks_));
  }
  // Heads are encoded in rounds: what the statistics read is still in the second-level cache for the codes.
  int64_t heads() const { return kv_.B * kv_.H; }
  int64_t heads_per_round() const {
    const int64_t bytes = k_.L * (k_.D + v_.D) * (k_.dtype == Dtype::f32 ? 4 : 2);
    return most<int64_t>(1, least<int64_t>(heads(), (768 << 10) / most<int64_t>(bytes, 1)));
  }
  void begin_round(int64_t first) { head0_ = first, heads_ = least(heads_per_round(), heads() - first); }

  int64_t stat_jobs() const { return k_stats_ || v_stats_ ? heads_ * chunks_ : 0; }
  int64_t tile_jobs() const { return heads_ * tiles_; }

  void stat_job(int64_t n) {
    const int64_t bh = head0_ + n / chunks_, from = n % chunks_ * kChunkTokens,
                  to = least(from + kChunkTokens, k_.L);
    const int64_t b = bh / kv_.H, h = bh % kv_.H;
    if (k_stats_)
      with_reader(
          k_, [&](auto r) { gather_stats(r, k_, b, h, from, to, step(), kv_.k_global != nullptr, ks_[n]); });
    if (v_stats_)
      with_reader(
          v_, [&](auto r) { gather_stats(r, v_, b, h, from, to, step(), kv_.v_scale != nullptr, vs_[n]); });
  }

  void merge_stats() {
    float mean[kMaxD + W], largest[kMaxD + W];
    for (int64_t i = 0; i < heads_; ++i) {
      const int64_t bh = head0_ + i;
      if (k_stats_) {
        merge(&ks_[i * chunks_], kv_.D, kv_.fmt.smooth_k, mean, largest);
        if (kv_.k_mean)
          for (int64_t d = 0; d < kv_.Dm; ++d) kv_.k_mean[bh * kv_.Dm + d] = d < kv_.D ? mean[d] : 0.f;
        if (kv_.k_global) kv_.k_global[bh] = top(largest, kv_.D);
      }
      if (v_stats_) {
        merge(&vs_[i * chunks_], kv_.Dv, kv_.fmt.smooth_v, mean, largest);
        for (int64_t d = 0; d < kv_.Dvp; ++d) {
          const bool in = d < kv_.Dv;
          if (kv_.v_mean) kv_.v_mean[bh * kv_.Dvp + d] = in ? mean[d] : 0.f;
          if (kv_.v_scale) kv_.v_scale[bh * kv_.Dvp + d] = in ? channel_scale(largest, d) : 0.f;
        }
      }
    }
  }

  void tile_job(int64_t n) {
    const int64_t bh = head0_ + n / tiles_, t = n % tiles_;
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
      mean[d] = smooth ? float(sum / double((k_.L + step() - 1) / step())) : 0.f;
      largest[d] = most(high - mean[d], mean[d] - low) + bad;
    }
  }
  // Rows between those that a mean is taken of; extremes need every row, their formats have mean_every 1.
  int64_t step() const {  // a power of two, so that chunks of tokens begin with a sampled one
    int64_t n = 1;
    while (2 * n <= kv_.fmt.mean_every && 2 * n <= k_.L / 256) n *= 2;
    return n;
  }
  static float top(const float* x, int64_t n) {
    float best = 0.f;
    for (int64_t i = 0; i < n; ++i) best = keep_largest(best, x[i]);
    return best;
  }
  float channel_scale(const float* largest, int64_t d) const {
    const VFormat& f = kv_.fmt.v;
    if (f.kind == VFormat::nvfp4 || f.kind == VFormat::mxfp4)
      return second_level(top(largest, kv_.Dv), f.second_level);
    if (f.kind == VFormat::f16) return f16_scale(top(largest, kv_.Dv));
    return Step(largest[d], f.limit).scale;
  }
  // A power of two that keeps float16 sums of p·v finite and small v normal: with 2^e ≤ largest < 2^(e+1) it
  // is 2^(e − clamp(e, low, high)), high = 14 − ceil(log2 terms), low = min(high, −4).
  float f16_scale(float largest) const {
    if (!finite(largest)) return 1.f;  // V itself carries the NaN or infinity
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

  // Rows [r0, r0 + kStrip) of a tile as floats, mean removed, zeros behind the last row.
  static void read_strip(const View& x, int64_t b, int64_t h, int64_t from, int rows, int stride,
                         const float* mean, float* out) {
    with_reader(x, [&](auto reader) {
      for (int r = 0; r < kStrip; ++r)
        if (r < rows)
          read_row(reader, x, b, h, from + r, mean, out + (size_t)r * stride);
        else
          std::memset(out + (size_t)r * stride, 0, sizeof(float) * stride);
    });
  }

  void encode_k(int64_t bh, int64_t t) {
    const int tile = kv_.fmt.tile, stride = (int)kv_.Dm;
    const int rows = (int)least<int64_t>(tile, k_.L - t * tile);
    const int64_t at = bh * kv_.capacity + tile0_ + t;
    const float* mean = kv_.k_mean ? kv_.k_mean + bh * kv_.Dm : nullptr;
    const QKFormat& f = kv_.fmt.qk;
    float inverse[kMaxTile];
    if (f.kind == QKFormat::integer) key_scales(bh, t, rows, mean, inverse);
    const bool fp4 = f.kind == QKFormat::nvfp4 || f.kind == QKFormat::mxfp4;
    const float g = fp4 ? second_level(kv_.k_global[bh], f.second_level) : 1.f;
    if (fp4) kv_.k_scale[at] = g;
    alignas(64) float x[kStrip * (kMaxD + W)];
    for (int r0 = 0; r0 < tile; r0 += kStrip) {
      read_strip(k_, bh / kv_.H, bh % kv_.H, t * tile + r0, rows - r0, stride, mean, x);
      if (kv_.k_float)
        pack_rows_f32(x, kStrip, stride, (int)kv_.D, kv_.k_float + (at * tile + r0) * kv_.D, W);
      uint8_t* out = kv_.k + at * kv_.k_tile_bytes() + r0 * kv_.Dp * dot_bytes(f.dot());
      if (fp4)
        for (int r = 0; r < kStrip; ++r)
          f.kind == QKFormat::nvfp4 ? fp4_row<true>(x + (size_t)r * stride, (int)kv_.D, 1.f / g)
                                    : fp4_row<false>(x + (size_t)r * stride, (int)kv_.D, 1.f / g);
      switch (f.dot()) {
        case Dot::f32:
          pack_rows_f32(x, kStrip, stride, (int)kv_.D, (float*)out, kChunk);
          break;
        case Dot::bf16:
          pack_rows_bf16(x, kStrip, stride, (int)kv_.Dp, (uint16_t*)out, kChunk);
          break;
        case Dot::i8:
          for (int r = 0; r < kStrip; ++r)
            pack_row_i8(x + (size_t)r * stride, (int)kv_.Dp, inverse[r0 + r], (float)f.limit, kKeyOffset, out,
                        kChunk, r);
      }
    }
  }

  // Stores the scales of a tile's keys; yields the factor from each key to its codes.
  void key_scales(int64_t bh, int64_t t, int rows, const float* mean, float* inverse) {
    const int tile = kv_.fmt.tile;
    const int64_t at = bh * kv_.capacity + tile0_ + t, b = bh / kv_.H, h = bh % kv_.H;
    const float limit = (float)kv_.fmt.qk.limit;
    const Grain grain = kv_.fmt.qk.k_grain;
    if (!kv_.k_scale_per_key()) {
      Largest top;
      if (grain != Grain::tensor)
        with_reader(k_, [&](auto reader) {
          for (int r = 0; r < rows; ++r) add_row(reader, k_, b, h, t * tile + r, mean, top);
        });
      const Step step(grain == Grain::tensor ? kv_.k_global[bh] : top.value(), limit);
      kv_.k_scale[at] = step.scale;
      for (int r = 0; r < tile; ++r) inverse[r] = step.inverse;
      return;
    }
    auto group = [&](int r) {
      return grain == Grain::token ? r : grain == Grain::thread ? r / 64 * 4 + r % 8 / 2 : r / 64;
    };
    Largest top[kMaxTile];
    with_reader(k_, [&](auto reader) {
      for (int r = 0; r < rows; ++r) add_row(reader, k_, b, h, t * tile + r, mean, top[group(r)]);
    });
    for (int r = 0; r < tile; ++r) {
      const Step step(top[group(r)].value(), limit);
      kv_.k_scale[at * tile + r] = step.scale;
      inverse[r] = step.inverse;
    }
  }

  void encode_v(int64_t bh, int64_t t) {
    const int tile = kv_.fmt.tile, stride = (int)kv_.Dvp, Dv = (int)kv_.Dv;
    const int rows = (int)least<int64_t>(tile, v_.L - t * tile);
    const int64_t at = bh * kv_.capacity + tile0_ + t, b = bh / kv_.H, h = bh % kv_.H;
    const float* mean = kv_.v_mean ? kv_.v_mean + bh * kv_.Dvp : nullptr;
    const VFormat& f = kv_.fmt.v;
    const float* scale = kv_.v_scale ? kv_.v_scale + bh * kv_.Dvp : nullptr;
    alignas(64) float inverse[kMaxD + W];
    if (f.kind == VFormat::i8_channel_tile)
      tile_scales(b, h, t * tile, rows, mean, kv_.v_tile + at * stride, inverse);
    else
      for (int d = 0; d < stride; ++d)  // tiny channels are zeros; a NaN scale has codes 0
        inverse[d] = !scale || d >= Dv ? 1.f : scale[d] > 1e-37f ? 1.f / scale[d] : 0.f;
    alignas(64) float x[kStrip * (kMaxD + W)];
    for (int r0 = 0; r0 < tile; r0 += kStrip) {
      read_strip(v_, b, h, t * tile + r0, rows - r0, stride, mean, x);
      write_v(f.kind, x, stride, inverse);
      uint8_t* out = kv_.v + at * kv_.v_tile_bytes();
      for (int col = 0; col < stride;) {  // columns in chunks, as the product reads them
        const int width = stride - col >= kChunk ? kChunk : W;
        const int64_t to = (int64_t)col * tile + r0 * width;
        switch (kv_.fmt.pv_dot()) {
          case Dot::f32:
            pack_v_f32(x + col, kStrip, stride, width, (float*)out + to);
            break;
          case Dot::bf16:
            pack_v_bf16(x + col, kStrip, stride, width, (uint16_t*)out + to);
            break;
          case Dot::i8:
            pack_v_i8(x + col, kStrip, stride, width, inverse + col, f.limit, out + to);
            break;
        }
        col += width;
      }
    }
  }

  // One scale per channel from the rows of this tile, and its inverse for the codes.
  void tile_scales(int64_t b, int64_t h, int64_t from, int rows, const float* mean, float* scale,
                   float* inverse) const {
    alignas(64) int32_t top[kMaxD + W] = {};
    const int D = (int)kv_.Dv, stride = (int)kv_.Dvp;
    with_reader(v_, [&](auto reader) {
      using Read = decltype(reader);
      for (int r = 0; r < rows; ++r) {
        const int64_t at = b * v_.sb + h * v_.sh + (from + r) * v_.sl;
        prefetch_row(v_, at + kAhead * v_.sl);
        for (int d = 0; d < D; d += W) {
          F x = d + W <= D ? Read::whole(v_.data, at + d) : Read::some(v_.data, at + d, D - d);
          if (mean) x = sub(x, load(mean + d));
          storei(top + d, maxi(loadi(top + d), bits(abs(x))));  // as integers: a NaN is the largest
        }
      }
    });
    for (int d = 0; d < stride; ++d) {
      float largest;
      std::memcpy(&largest, top + d, 4);
      const Step step(largest, kv_.fmt.v.limit);
      scale[d] = step.scale, inverse[d] = step.inverse;
    }
  }

  KV& kv_;
  const View &k_, &v_;
  int64_t tile0_, tiles_, chunks_, head0_ = 0, heads_ = 0;
  bool k_stats_, v_stats_;
  Array<ChannelStats> ks_, vs_;
};

}  // namespace foveate::FOVEATE_TARGET
