// What every way back through attention shares: which rows meet which keys, in which order sums are added,
// and where they go. A job owns one kv head and a part of the queries (all of it where there are heads
// enough): it visits each pair of blocks once, sums dQ of its rows and dK, dV of its head, and where several
// jobs share a head their sums are added in a fixed order. So results do not depend on threads.
//
// `Numbers` says how the products are done. It has a Step (derived from Frame) and the functions read_queries
// and visit_all, and packs K and V before.
#pragma once
#include "exp2.h"
#include "visits.h"

namespace foveate::FOVEATE_TARGET {

template <class Numbers>
class WayBack {
 protected:
  static constexpr int kTile = 128, kRows = 128;
  static constexpr int kScores = kTile + W;  // floats between rows of S
  static constexpr int64_t kLeastJobs = 8;

  struct Frame {  // what one block of queries needs
    alignas(64) float dq[kRows * (kMaxD + W)];
    float lse[kRows], delta[kRows];
    Sight sight[kRows];
    Horizon horizon[kRows / R];
    Visits visits;
  };
  struct Block {
    int64_t job, head, b, qh, row0;
    int rows, padded;
  };  // the rows of one Frame

 public:
  explicit WayBack(const Gradient& g) : g_(g) {
    D_ = (int)round_up(g.q.D, W), Dv_ = (int)round_up(g.v.D, W);
    // rows of floats do not begin at multiples of a page, or a column of them would sit in a few sets of the
    // cache
    d_ = D_ + W, dv_ = Dv_ + W;
    rows_ = kRows;
    if (g.layout.counts) rows_ = (int)least<int64_t>(kRows, g.layout.bq);
    blocks_ = g.layout.counts ? g.layout.nQ : (g.q.L + rows_ - 1) / rows_;
    per_block_ = g.layout.counts ? (g.layout.bq + rows_ - 1) / rows_ : 1;
    tiles_ = (g.k.L + kTile - 1) / kTile;
    heads_ = g.k.B * g.k.H;
    group_ = g.q.H / g.k.H;
    // parts of the queries, so that a few heads still make work for several threads; a matter of sizes alone
    parts_ = most<int64_t>(1, least<int64_t>((kLeastJobs + heads_ - 1) / heads_, blocks_ / 4));
    const int64_t keys = tiles_ * kTile;
    dk_.resize((size_t)(heads_ * parts_ * keys * d_));
    dv_sum_.resize((size_t)(heads_ * parts_ * keys * dv_));
    scratch_.assign((size_t)g.threads, nullptr);
  }
  ~WayBack() {
    for (size_t i = 0; i < scratch_.size(); ++i) delete (typename Numbers::Step*)scratch_[i];
  }
  WayBack(const WayBack&) = delete;

  int64_t pack_jobs() const { return heads_ * tiles_; }
  int64_t jobs() const { return heads_ * parts_; }
  int64_t merge_jobs() const { return heads_ * tiles_; }

  void job(int64_t n, int thread) {
    using Step = typename Numbers::Step;
    const int64_t head = n / parts_, part = n % parts_, steps = blocks_ * per_block_;
    const int64_t keys = tiles_ * kTile;
    std::memset(dk_.data() + n * keys * d_, 0, sizeof(float) * keys * d_);
    std::memset(dv_sum_.data() + n * keys * dv_, 0, sizeof(float) * keys * dv_);
    if (!scratch_[(size_t)thread]) scratch_[(size_t)thread] = new Step();
    Step& s = *(Step*)scratch_[(size_t)thread];
    for (int64_t h = 0; h < group_; ++h)
      for (int64_t i = steps * part / parts_; i < steps * (part + 1) / parts_; ++i) block(n, head, h, i, s);
  }

  // Sums of the parts of one tile, to the outputs.
  void merge(int64_t n) {
    const int64_t head = n / tiles_, t0 = n % tiles_ * kTile, rows = least<int64_t>(kTile, g_.k.L - t0);
    const int64_t keys = tiles_ * kTile;
    alignas(64) float line[kMaxD + W];
    auto sum = [&](const float* from, int64_t stride, int64_t D, float* to) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t d = 0; d < D; d += W) {
          F x = load(from + (t0 + r) * stride + d);
          for (int64_t p = 1; p < parts_; ++p) x = add(x, load(from + (p * keys + t0 + r) * stride + d));
          store(line + d, x);
        }
        std::memcpy(to + (head * g_.k.L + t0 + r) * D, line, sizeof(float) * D);
      }
    };
    sum(dk_.data() + head * parts_ * keys * d_, d_, g_.k.D, g_.dk);
    sum(dv_sum_.data() + head * parts_ * keys * dv_, dv_, g_.v.D, g_.dv);
  }

 protected:
  // Rows [from, from + n) of a head as floats, zeros behind the last.
  static void read_rows(const View& x, int64_t b, int64_t h, int64_t from, int n, int stride, float* out) {
    with_reader(x, [&](auto reader) {
      for (int r = 0; r < n; ++r)
        if (from + r < x.L)
          read_row(reader, x, b, h, from + r, nullptr, out + (int64_t)r * stride);
        else
          std::memset(out + (int64_t)r * stride, 0, sizeof(float) * stride);
    });
  }
  // The same, and nothing is read behind the block: those rows belong to others.
  static void read_rows(View x, const Block& at, int stride, float* out) {
    x.L = at.row0 + at.rows;
    read_rows(x, at.b, at.qh, at.row0, at.padded, stride, out);
  }

  int64_t row_of(const Block& at, int r) const { return (at.b * g_.q.H + at.qh) * g_.q.L + at.row0 + r; }

  // Σ dO ∘ O of one row.
  float product_with_out(const Block& at, int r, const float* dout) const {
    alignas(64) float line[kMaxD + W];
    with_reader(g_.out,
                [&](auto reader) { read_row(reader, g_.out, at.b, at.qh, at.row0 + r, nullptr, line); });
    F sum = zero();
    for (int d = 0; d < Dv_; d += W) sum = fma(load(line + d), load(dout + d), sum);
    return sum_all(sum);
  }

  // The first group of rows that sees anything of a visit, or `rows`.
  static int first_of(const Visit& v, const Block& at, const Frame& s) {
    const int64_t t0 = (int64_t)v.tile * kTile;
    int first = 0;
    while (first < at.rows && !s.horizon[first / R].any(t0 + v.k0, t0 + v.k1)) first += R;
    return first;
  }
  bool is_clear(const Visit& v, const Block& at, int r, const Frame& s) const {
    const int64_t t0 = (int64_t)v.tile * kTile;
    return r < at.rows && !v.holes && !g_.mask.data && s.horizon[r / R].every(t0 + v.k0, t0 + v.k1);
  }

  // Base-2 exponents of a row: the mask's values added, hidden keys at −inf.
  void hide(const Block& at, const Visit& v, int r, const Frame& s, float* x) const {
    const int64_t t0 = (int64_t)v.tile * kTile, end = least<int64_t>(v.k1, g_.k.L - t0);
    if (const Mask& m = g_.mask; m.data) {
      const int64_t i = at.b * m.sb + at.qh * m.sh + (at.row0 + r) * m.si + t0 * m.sj;
      for (int64_t c = v.k0; c < end; ++c) {
        if (m.additive)
          x[c] += kLog2e * ((const float*)m.data)[i + c * m.sj];
        else if (!((const uint8_t*)m.data)[i + c * m.sj])
          x[c] = kNone;
      }
    }
    const Sight& see = s.sight[r];
    for (int64_t c = v.k0; c < v.k1; ++c)
      if (t0 + c >= see.hi || (t0 + c < see.lo && t0 + c >= see.sink)) x[c] = kNone;
    if (v.holes)
      for (int c = v.k0; c < v.k1; c += W) store(x + c, add(load(x + c), load(s.visits.listed + c)));
  }

  float* dk_of(const Block& at, int64_t key) { return dk_.data() + (at.job * tiles_ * kTile + key) * d_; }
  float* dv_of(const Block& at, int64_t key) {
    return dv_sum_.data() + (at.job * tiles_ * kTile + key) * dv_;
  }

  const Gradient& g_;
  int D_, Dv_, d_, dv_, rows_;
  int64_t blocks_, per_block_, tiles_, heads_, group_, parts_;

 private:
  // Block i of query head h of the group, against all it visits.
  template <class Step>
  void block(int64_t job, int64_t head, int64_t h, int64_t i, Step& s) {
    Block at{job, head, head / g_.k.H, head % g_.k.H * group_ + h, 0, 0, 0};
    const int64_t bq = g_.layout.counts ? g_.layout.bq : rows_;
    at.row0 = i / per_block_ * bq + i % per_block_ * rows_;
    at.rows = (int)(least(least(at.row0 + rows_, (i / per_block_ + 1) * bq), g_.q.L) - at.row0);
    if (at.rows <= 0) return;
    at.padded = (int)round_up(at.rows, R);
    std::memset(s.dq, 0, sizeof(float) * at.padded * d_);
    auto& self = *static_cast<Numbers*>(this);
    self.read_queries(at, s);
    Horizon all;
    for (int r = 0; r < at.rows; r += R) {
      Horizon& part = s.horizon[r / R] = Horizon();
      for (int j = r; j < least(r + R, at.rows); ++j)
        part.add(s.sight[j] = sight_of(g_.bands, g_.k.L, at.qh, at.row0 + j));
      all.add(part);
    }
    s.visits.list(g_.layout, at.b, at.qh, g_.q.H, i / per_block_, g_.k.L, kTile, all);
    self.visit_all(at, s);
    for (int r = 0; r < at.rows; ++r)
      std::memcpy(g_.dq + row_of(at, r) * g_.q.D, s.dq + r * d_, sizeof(float) * g_.q.D);
  }

  Array<void*> scratch_;
  Array<float> dk_, dv_sum_;
};

}  // namespace foveate::FOVEATE_TARGET
