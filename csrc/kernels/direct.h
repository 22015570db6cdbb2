// A few queries against keys and values as they lie in memory: decoding without packed operands.
//
// Packing K and V reads and writes them once, for one query as costly as attending. Here every key row is
// read once, for all query rows of the heads that share it, and so is every value row. Long caches are cut
// into parts that threads take, and the parts are merged by their maxima. Native numbers only: no format
// needs a scale.
#pragma once
#include "exp2.h"
#include "formats.h"
#include "sight.h"

namespace foveate::FOVEATE_TARGET {

constexpr int kDirectRows = 16;   // query rows of one kv head, at most
constexpr int kDirectKeys = 128;  // keys per step of the online softmax
constexpr int64_t kPart = 1024;   // keys per part, at most

class Direct {
 public:
  Direct(const Call& call, const View& k, const View& v, PKind p, const Segments& s)
      : c_(call), k_(k), v_(v), p_(p), segments_(s) {
    group_ = call.q.H / k.H;
    rows_ = (int)(group_ * call.q.L);
    parts_ = (k.L + kPart - 1) / kPart;
    stride_ = round_up(v.D, W) + 2 * W;  // O, then m and l
    partial_.resize((size_t)(items() * parts_ * rows_ * stride_));
  }
  int64_t items() const { return k_.B * k_.H; }
  int64_t jobs() const { return items() * parts_; }

  void job(int64_t n) {
    const int64_t item = n / parts_, from = n % parts_ * kPart, to = least(from + kPart, length(item));
    with_stored(k_, [&](auto reader) { part(reader, item, from, to, out_of(n, 0)); });
  }

  // Merges the parts of one kv head and writes its rows.
  void finish(int64_t item) {
    const int64_t b = item / k_.H, hk = item % k_.H;
    alignas(64) float line[kMaxD + W];
    for (int r = 0; r < rows_; ++r) {
      float m = kNone, l = 0.f;
      for (int64_t p = 0; p < parts_; ++p) m = most(m, out_of(item * parts_ + p, r)[stride_ - 2 * W]);
      for (int64_t d = 0; d < stride_ - 2 * W; d += W) store(line + d, zero());
      for (int64_t p = 0; p < parts_; ++p) {
        const float* o = out_of(item * parts_ + p, r);
        const float part_l = o[stride_ - W];
        if (part_l == 0.f) continue;
        const float weight = exp2f(o[stride_ - 2 * W] - m);
        l += weight * part_l;
        for (int64_t d = 0; d < stride_ - 2 * W; d += W)
          store(line + d, fma(load(o + d), set1(weight), load(line + d)));
      }
      const F inverse = set1(l == 0.f ? 0.f : 1.f / l);
      for (int64_t d = 0; d < stride_ - 2 * W; d += W) store(line + d, mul(load(line + d), inverse));
      const int64_t h = hk * group_ + r / c_.q.L, i = r % c_.q.L;
      write_row(line, c_.out.data, c_.out.dtype, b * c_.out.sb + h * c_.out.sh + i * c_.out.sl, v_.D);
      if (c_.out.lse) c_.out.lse[(b * c_.q.H + h) * c_.q.L + i] = l == 0.f ? kNone : kLn2 * (m + log2f(l));
    }
  }

 private:
  float* out_of(int64_t job, int row) { return partial_.data() + (job * rows_ + row) * stride_; }

  int64_t length(int64_t item) const { return segments_.length ? segments_.length[item] : k_.L; }
  // Where a kv head's rows begin, in elements.
  int64_t origin(const View& x, int64_t item) const {
    const int64_t at = item / k_.H * x.sb + item % k_.H * x.sh;
    return segments_.start ? at + segments_.start[item] * x.sl : at;
  }
  // Factors of a head's codes, or null.
  const float* scales(const float* all, int64_t item) const {
    return all ? all + item / k_.H * segments_.scale_sb + segments_.start[item] : nullptr;
  }

  template <class Read>
  void part(Read, int64_t item, int64_t from, int64_t to, float* out) {
    const int64_t b = item / k_.H, hk = item % k_.H;
    const int D = (int)k_.D, Dw = (int)round_up(D, W), Dv = (int)v_.D;
    alignas(64) float q[kDirectRows * (kMaxD + W)], s[kDirectRows * kDirectKeys];
    Sight see[kDirectRows];
    Horizon all;
    for (int r = 0; r < rows_; ++r) {
      const int64_t h = hk * group_ + r / c_.q.L, i = r % c_.q.L;
      with_reader(c_.q, [&](auto reader) { read_row(reader, c_.q, b, h, i, nullptr, q + r * Dw); });
      all.add(see[r] = segments_.start ? Sight{0, to, 0} : sight_of(c_.bands, k_.L, h, i));
      for (int64_t d = 0; d < stride_; ++d) out[r * stride_ + d] = 0.f;
      out[r * stride_ + stride_ - 2 * W] = kNone;
    }
    const float *k_scale = scales(segments_.k_scale, item), *v_scale = scales(segments_.v_scale, item);
    const int64_t k_at = origin(k_, item), v_at = origin(v_, item);
    for (int64_t t0 = from; t0 < to; t0 += kDirectKeys) {
      const int keys = (int)least<int64_t>(kDirectKeys, to - t0);
      if (!all.any(t0, t0 + keys)) continue;
      alignas(64) float line[4 * (kMaxD + W)];
      const float c = c_.scale * kLog2e;
      for (int j = 0; j < keys; j += 4) {  // four keys at a time: their sums do not wait for each other
        read_four(Read(), k_, k_at + (t0 + j) * k_.sl, keys - j, Dw, line);
        for (int r = 0; r < rows_; ++r) {
          F s0 = zero(), s1 = zero(), s2 = zero(), s3 = zero();
          for (int d = 0; d < Dw; d += W) {
            const F x = load(q + r * Dw + d);
            s0 = fma(load(line + d), x, s0), s1 = fma(load(line + Dw + d), x, s1);
            s2 = fma(load(line + 2 * Dw + d), x, s2), s3 = fma(load(line + 3 * Dw + d), x, s3);
          }
          float* to = s + r * kDirectKeys + j;
          to[0] = c * sum_all(s0), to[1] = c * sum_all(s1), to[2] = c * sum_all(s2), to[3] = c * sum_all(s3);
        }
      }
      if (k_scale) scale_by(k_scale + t0, keys, s);
      for (int r = 0; r < rows_; ++r)
        weights(b, hk, r, t0, keys, see[r], s + r * kDirectKeys, out + r * stride_);
      if (v_scale) scale_by(v_scale + t0, keys, s);
      const int Dvw = (int)round_up(Dv, W);
      for (int j = 0; j < keys; j += 4) {
        read_four(Read(), v_, v_at + (t0 + j) * v_.sl, keys - j, Dvw, line);
        for (int r = 0; r < rows_; ++r) {
          float* o = out + r * stride_;
          const float* p = s + r * kDirectKeys + j;
          if (p[0] != 0.f && p[1] != 0.f && p[2] != 0.f && p[3] != 0.f) {
            const F p0 = set1(p[0]), p1 = set1(p[1]), p2 = set1(p[2]), p3 = set1(p[3]);
            for (int d = 0; d < Dvw; d += W) {
              const F near = fma(p1, load(line + Dvw + d), mul(p0, load(line + d)));
              const F far = fma(p3, load(line + 3 * Dvw + d), mul(p2, load(line + 2 * Dvw + d)));
              store(o + d, add(load(o + d), add(near, far)));
            }
          } else {
            for (int i = 0; i < 4; ++i) {  // a hidden key's value may be anything
              if (p[i] == 0.f) continue;
              for (int d = 0; d < Dvw; d += W)
                store(o + d, fma(set1(p[i]), load(line + i * Dvw + d), load(o + d)));
            }
          }
        }
      }
    }
  }

  // A factor for each key, on all rows.
  void scale_by(const float* factor, int keys, float* s) const {
    for (int r = 0; r < rows_; ++r)
      for (int j = 0; j < keys; ++j) s[r * kDirectKeys + j] *= factor[j];
  }

  // Four rows from element `at` on as floats; those from `left` on are zeros.
  template <class Read>
  static void read_four(Read, const View& x, int64_t at, int left, int width, float* out) {
    View row = x;  // rows are found by `at`, not by batch and head
    row.sb = row.sh = 0;
    for (int i = 0; i < 4; ++i) {
      if (i >= left) {
        std::memset(out + i * width, 0, sizeof(float) * width);
        continue;
      }
      prefetch_row(x, at + (i + 12) * x.sl);
      row.data = (const char*)x.data + (at + i * x.sl) * bytes_of(x.dtype);
      read_row(Read(), row, 0, 0, 0, nullptr, out + i * width);
    }
  }

  // One row's scores of a step to p, in place; O, m and l of the row are brought to the new maximum.
  void weights(int64_t b, int64_t hk, int r, int64_t t0, int keys, const Sight& see, float* s,
               float* o) const {
    const int64_t h = hk * group_ + r / c_.q.L, i = r % c_.q.L;
    const Mask& mask = c_.mask;
    const int64_t at = b * mask.sb + h * mask.sh + i * mask.si;
    float best = kNone;
    const bool clear =
        !mask.data && keys == kDirectKeys && see.hi >= t0 + keys && (see.lo <= t0 || see.sink >= t0 + keys);
    if (clear) {
      F top = load(s);  // may miss a NaN, which then shows in p
      for (int j = W; j < keys; j += W) top = max(top, load(s + j));
      float lane[W];
      store(lane, top);
      for (int i = 0; i < W; ++i) best = most(best, lane[i]);
    }
    for (int j = 0; j < keys && !clear; ++j) {
      const int64_t key = t0 + j;
      if (mask.data && mask.additive) s[j] += kLog2e * ((const float*)mask.data)[at + key * mask.sj];
      if (mask.data && !mask.additive && !((const uint8_t*)mask.data)[at + key * mask.sj]) s[j] = kNone;
      if (key >= see.hi || (key < see.lo && key >= see.sink)) s[j] = kNone;
      best = most(best, s[j]);
    }
    for (int j = keys; j < kDirectKeys; ++j) s[j] = kNone;
    float &m = o[stride_ - 2 * W], &l = o[stride_ - W];
    const float after = most(m, best), safe = most(after, -3e38f);
    if (after != m) {
      const F alpha = set1(exp2f(m - safe));
      l *= exp2f(m - safe);
      for (int64_t d = 0; d < stride_ - 2 * W; d += W) store(o + d, mul(load(o + d), alpha));
      m = after;
    }
    F sum = zero();
    for (int j = 0; j < kDirectKeys; j += W) {
      F p = exp2_of<6>(sub(load(s + j), set1(safe)));
      sum = add(sum, p);
      if (p_ == PKind::bf16) p = round_bf16(p);
      if (p_ == PKind::f16) p = round_f16(p);
      store(s + j, p);
    }
    l += sum_all(sum);
  }

  static inline F round_bf16(F x) {
    uint16_t line[W];
    store_bf16(line, x);
    return load_bf16(line);
  }

  const Call& c_;
  const View &k_, &v_;
  PKind p_;
  const Segments segments_;
  int64_t group_, parts_, stride_;
  int rows_;
  Array<float> partial_;
};

}  // namespace foveate::FOVEATE_TARGET
