// Writing Q and packing it in groups of rows. One pass over blocks of queries, two where a scale spans the
// head.
#pragma once
#include "formats.h"

namespace foveate::FOVEATE_TARGET {

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
  void survey(int64_t n) {  // largest |q'| of one block
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
    if (f_.kind == QKFormat::integer && f_.q_grain == Grain::token && !q_.mean) return rows_of_their_own(n);
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
          case Grain::token:
            return r;
          case Grain::thread:
            return r / warp * 8 + r % 8;
          case Grain::warp:
            return r / warp;
          default:
            return 0;
        }
      };
      largest.assign(f_.q_grain == Grain::token ? padded : block_ / warp * 8 + 8, 0.f);
      if (whole_head_)
        largest[0] = largest_[n];
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
        const int32_t sum = pack_row_i8(x.data() + (size_t)r * s, (int)q_.Dp, sign * step.inverse,
                                        (float)f_.limit, 0, codes, R, r);
        q_.start[qh * q_.Lp + row0 + r] = -kKeyOffset * sum;
      }
      return;
    }
    float g = 1.f;
    if (f_.kind == QKFormat::nvfp4 || f_.kind == QKFormat::mxfp4) {
      if (whole_head_) {
        const float m = largest_[n];
        g = !finite(m) ? NAN : m >= kTiny ? m / (448.f * 6.f) : 1.f;
      }
      for (int r = 0; r < rows; ++r) {
        float* line = x.data() + (size_t)r * s;
        f_.kind == QKFormat::nvfp4 ? fp4_row<true>(line, (int)q_.D, 1.f / g)
                                   : fp4_row<false>(line, (int)q_.D, 1.f / g);
      }
    }
    for (int r = 0; r < padded; ++r) scale[r] = size * g;
    if (sign < 0)
      for (size_t i = 0; i < x.size(); ++i) x[i] = -x[i];
    for (int r = 0; r < padded; r += R) {
      if (f_.dot() == Dot::bf16)
        pack_rows_bf16(x.data() + (size_t)r * s, R, s, (int)q_.Dp, (uint16_t*)(codes + r / R * group_bytes),
                       R);
      else
        pack_rows_f32(x.data() + (size_t)r * s, R, s, (int)q_.D, (float*)(codes + r / R * group_bytes), R);
    }
  }

 private:
  int stride() const { return (int)round_up(q_.D, W); }

  // Where a row of Queries comes from.
  struct Source {
    int64_t b, h, l, kv_head;
  };
  Source source(int64_t qh, int64_t row) const {
    const int64_t fold = x_.H / q_.H;  // query heads folded into one (decoding)
    const int64_t b = qh / q_.H, h = qh % q_.H;
    if (q_.L != x_.L) return {b, h * fold + row / x_.L, row % x_.L, qh};
    return {b, h, row, b * kv_.H + h / (q_.H / kv_.H)};
  }

  // What lse needs where the mean of K was removed: scale · q · mean.
  void dot_with_mean(const float* line, int64_t qh, int64_t row, int64_t kv_head) {
    F dot = zero();
    for (int d = 0; d < stride(); d += W)
      dot = fma(load(line + d), load(kv_.k_mean + kv_head * kv_.Dm + d), dot);
    q_.k_mean_dot[qh * q_.Lp + row] = scale_ * sum_all(dot);
  }

  // The short road where each row has its own scale and nothing is smoothed: no block of floats in between.
  void rows_of_their_own(int64_t n) {
    const int64_t qh = n / blocks_, row0 = n % blocks_ * block_;
    const int rows = (int)least<int64_t>(block_, q_.L - row0), padded = (int)round_up(rows, R);
    const float limit = (float)f_.limit, size = fabsf(scale_) * kLog2e, sign = scale_ < 0 ? -1.f : 1.f;
    uint8_t* codes = q_.codes + (qh * (q_.Lp / R) + row0 / R) * q_.Dp * R;
    alignas(64) float line[kMaxD + W] = {};
    with_reader(x_, [&](auto reader) {
      for (int r = 0; r < padded; ++r) {
        const int64_t row = row0 + r, to = qh * q_.Lp + row;
        Largest top;
        if (r < rows) {
          const Source s = source(qh, row);
          prefetch_row(x_, s.b * x_.sb + s.h * x_.sh + (s.l + kAhead) * x_.sl);
          read_row(reader, x_, s.b, s.h, s.l, nullptr, line);
          for (int d = 0; d < stride(); d += W) top.add(load(line + d));
          if (lse_ && kv_.k_mean) dot_with_mean(line, qh, row, s.kv_head);
        }
        const Step step(top.value(), limit);
        q_.scale[to] = size * step.scale;
        q_.start[to] =
            -kKeyOffset * pack_row_i8(line, (int)q_.Dp, sign * step.inverse, limit, 0, codes, R, r);
      }
    });
  }

  // Rows of block n as floats, mean removed; also the terms that need the full q.
  int read_block(int64_t n, Array<float>& x) {
    const int64_t qh = n / blocks_, row0 = n % blocks_ * block_;
    const int rows = (int)least<int64_t>(block_, q_.L - row0), s = stride();
    x.resize((size_t)round_up(rows, R) * s);
    for (size_t i = (size_t)rows * s; i < x.size(); ++i) x[i] = 0.f;
    with_reader(x_, [&](auto reader) {
      for (int r = 0; r < rows; ++r) {
        const Source from = source(qh, row0 + r);
        float* line = x.data() + (size_t)r * s;
        read_row(reader, x_, from.b, from.h, from.l, nullptr, line);
        if (lse_ && kv_.k_mean) dot_with_mean(line, qh, row0 + r, from.kv_head);
      }
    });
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
  static Array<float>& buffer() {
    static thread_local Array<float> x;
    return x;
  }
  static Array<float>& groups() {
    static thread_local Array<float> x;
    return x;
  }

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

}  // namespace foveate::FOVEATE_TARGET
