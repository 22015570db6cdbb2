// The way back through attention in float32: P again from q, k and lse, then
//
//     dV += Pᵀ·dO     dP = dO·Vᵀ     dS = P ∘ (dP − δ)     dK += scale · dSᵀ·Q     dQ += scale · dS·K
//
// with δ = Σ dO ∘ O − dlse of each row. A job owns one kv head and a part of the queries (all of it where there are
// heads enough): it visits each pair of blocks once, sums dQ of its rows and dK, dV of its head, and where several
// jobs share a head their sums are added in a fixed order. So results do not depend on threads.
#pragma once
#include "exp2.h"
#include "visits.h"

namespace foveate::FOVEATE_TARGET {

// c (+)= a · b for M rows and N vectors: a[m · a_row + k · a_step] · b[k · b_step + column] over k.
template <int M, int N>
static inline void multiply(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step, int steps,
                            float* c, int64_t c_row, bool add_to) {
  F acc[M][N];
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) acc[m][n] = add_to ? load(c + m * c_row + n * W) : zero();
  for (int k = 0; k < steps; ++k, a += a_step, b += b_step) {
    F bv[N];
    for (int n = 0; n < N; ++n) bv[n] = load(b + n * W);
    for (int m = 0; m < M; ++m) {
      const F am = set1(a[m * a_row]);
      for (int n = 0; n < N; ++n) acc[m][n] = fma(am, bv[n], acc[m][n]);
    }
  }
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) store(c + m * c_row + n * W, acc[m][n]);
}

class Backward {
  static constexpr int kTile = 128, kRows = 128;
  static constexpr int kScores = kTile + W;      // floats between rows of S
  static constexpr int64_t kLeastJobs = 8;

  struct Step {   // what one block of queries needs
    alignas(64) float q[kRows * (kMaxD + W)], dout[kRows * (kMaxD + W)], dq[kRows * (kMaxD + W)];
    alignas(64) float s[kRows * kScores], ds[kRows * kScores];
    float lse[kRows], delta[kRows];
    Sight sight[kRows];
    Horizon horizon[kRows / R];
    Visits visits;
  };

 public:
  explicit Backward(const Gradient& g) : g_(g) {
    D_ = (int)round_up(g.q.D, W), Dv_ = (int)round_up(g.v.D, W);
    // rows of floats do not begin at multiples of a page, or a column of them would sit in a few sets of the cache
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
    k_rows_.resize((size_t)(heads_ * keys * d_));
    k_packed_.resize((size_t)(heads_ * keys * D_));
    v_packed_.resize((size_t)(heads_ * keys * Dv_));
    dk_.resize((size_t)(heads_ * parts_ * keys * d_));
    dv_sum_.resize((size_t)(heads_ * parts_ * keys * dv_));
    scratch_.assign((size_t)g.threads, nullptr);
  }
  ~Backward() {
    for (size_t i = 0; i < scratch_.size(); ++i) delete scratch_[i];
  }
  Backward(const Backward&) = delete;

  int64_t pack_jobs() const { return heads_ * tiles_; }
  int64_t jobs() const { return heads_ * parts_; }
  int64_t merge_jobs() const { return heads_ * tiles_; }

  // K and V of one tile: K as rows for dQ, both packed for the products with rows of queries.
  void pack(int64_t n) {
    const int64_t head = n / tiles_, t0 = n % tiles_ * kTile;
    read_rows(g_.k, head / g_.k.H, head % g_.k.H, t0, kTile, d_, k_rows_.data() + n * kTile * d_);
    Array<float>& v = buffer();
    v.resize((size_t)(kTile * dv_));
    read_rows(g_.v, head / g_.k.H, head % g_.k.H, t0, kTile, dv_, v.data());
    pack_rows_f32(k_rows_.data() + n * kTile * d_, kTile, d_, D_, k_packed_.data() + n * kTile * D_, kChunk);
    pack_rows_f32(v.data(), kTile, dv_, Dv_, v_packed_.data() + n * kTile * Dv_, kChunk);
  }

  void job(int64_t n, int thread) {
    const int64_t head = n / parts_, part = n % parts_, steps = blocks_ * per_block_;
    const int64_t keys = tiles_ * kTile;
    std::memset(dk_.data() + n * keys * d_, 0, sizeof(float) * keys * d_);
    std::memset(dv_sum_.data() + n * keys * dv_, 0, sizeof(float) * keys * dv_);
    if (!scratch_[(size_t)thread]) scratch_[(size_t)thread] = new Step();
    Step& s = *scratch_[(size_t)thread];
    for (int64_t h = 0; h < group_; ++h)
      for (int64_t i = steps * part / parts_; i < steps * (part + 1) / parts_; ++i) step(n, head, h, i, s);
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

 private:
  // Rows [from, from + n) of a head as floats, zeros behind the last.
  static void read_rows(const View& x, int64_t b, int64_t h, int64_t from, int n, int stride, float* out) {
    with_reader(x, [&](auto reader) {
      for (int r = 0; r < n; ++r)
        if (from + r < x.L) read_row(reader, x, b, h, from + r, nullptr, out + (int64_t)r * stride);
        else std::memset(out + (int64_t)r * stride, 0, sizeof(float) * stride);
    });
  }

  // Block i of query head h of the group, against all it visits.
  void step(int64_t job, int64_t head, int64_t h, int64_t i, Step& s) {
    const int64_t b = head / g_.k.H, qh = head % g_.k.H * group_ + h;
    const int64_t bq = g_.layout.counts ? g_.layout.bq : rows_;
    const int64_t row0 = i / per_block_ * bq + i % per_block_ * rows_;
    const int rows = (int)(least(least(row0 + rows_, (i / per_block_ + 1) * bq), g_.q.L) - row0);
    if (rows <= 0) return;
    const int padded = (int)round_up(rows, R);
    read_queries(b, qh, row0, rows, padded, s);
    Horizon all;
    for (int r = 0; r < rows; r += R) {
      Horizon& part = s.horizon[r / R] = Horizon();
      for (int j = r; j < least(r + R, rows); ++j) part.add(s.sight[j] = sight_of(g_.bands, g_.k.L, qh, row0 + j));
      all.add(part);
    }
    s.visits.list(g_.layout, b, qh, g_.q.H, i / per_block_, g_.k.L, kTile, all);
    for (int n = 0; n < s.visits.count; ++n) {
      const Visit& v = s.visits[n];
      if (v.holes) s.visits.list_keys(v);
      visit(job, head, b, qh, row0, rows, padded, v, s);
    }
    for (int r = 0; r < rows; ++r)
      std::memcpy(g_.dq + ((b * g_.q.H + qh) * g_.q.L + row0 + r) * g_.q.D, s.dq + r * d_, sizeof(float) * g_.q.D);
  }

  void read_queries(int64_t b, int64_t qh, int64_t row0, int rows, int padded, Step& s) {
    // reads stop at the block's end: rows behind it belong to others
    View q = g_.q, dout = g_.dout, out = g_.out;
    q.L = dout.L = out.L = row0 + rows;
    read_rows(q, b, qh, row0, padded, d_, s.q);
    read_rows(dout, b, qh, row0, padded, dv_, s.dout);
    std::memset(s.dq, 0, sizeof(float) * padded * d_);
    alignas(64) float line[kMaxD + W];
    for (int r = 0; r < padded; ++r) {
      s.lse[r] = INFINITY, s.delta[r] = 0.f;   // rows that see nothing: P is 0
      if (r >= rows) continue;
      const int64_t at = (b * g_.q.H + qh) * g_.q.L + row0 + r;
      if (g_.lse[at] == kNone) continue;
      s.lse[r] = g_.lse[at] * kLog2e;
      with_reader(out, [&](auto reader) { read_row(reader, out, b, qh, row0 + r, nullptr, line); });
      F sum = zero();
      for (int d = 0; d < Dv_; d += W) sum = fma(load(line + d), load(s.dout + r * dv_ + d), sum);
      s.delta[r] = sum_all(sum) - (g_.dlse ? g_.dlse[at] : 0.f);
    }
  }

  void visit(int64_t job, int64_t head, int64_t b, int64_t qh, int64_t row0, int rows, int padded, const Visit& v,
             Step& s) {
    const int64_t tile = head * tiles_ + v.tile, t0 = (int64_t)v.tile * kTile;
    int first = 0;   // groups before it see nothing of the visit
    while (first < rows && !s.horizon[first / R].any(t0 + v.k0, t0 + v.k1)) first += R;
    if (first >= rows) return;
    for (int c = v.k0; c < v.k1; c += kChunk)   // S and dP
      for (int r = first; r < padded; r += R) {
        multiply<R, NV>(s.q + r * d_, d_, 1, k_packed_.data() + (tile * kTile + c) * D_, kChunk, D_, s.s + r * kScores + c,
                        kScores, false);
        multiply<R, NV>(s.dout + r * dv_, dv_, 1, v_packed_.data() + (tile * kTile + c) * Dv_, kChunk, Dv_,
                        s.ds + r * kScores + c, kScores, false);
      }
    for (int r = first; r < padded; ++r) {
      const bool clear = r < rows && !v.holes && !g_.mask.data && s.horizon[r / R].every(t0 + v.k0, t0 + v.k1);
      weigh(b, qh, row0 + r, r < rows, clear, t0, v, r, s);
    }
    const int64_t keys = tiles_ * kTile, n = padded - first;
    float *dk = dk_.data() + (job * keys + t0) * d_, *dv = dv_sum_.data() + (job * keys + t0) * dv_;
    for (int c = v.k0; c < v.k1; c += R) {
      columns(Dv_, [&](auto width, int d) {   // dV += Pᵀ·dO
        multiply<R, decltype(width)::value>(s.s + first * kScores + c, 1, kScores, s.dout + first * dv_ + d, dv_, (int)n,
                                            dv + c * dv_ + d, dv_, true);
      });
      columns(D_, [&](auto width, int d) {   // dK += dSᵀ·Q
        multiply<R, decltype(width)::value>(s.ds + first * kScores + c, 1, kScores, s.q + first * d_ + d, d_, (int)n,
                                            dk + c * d_ + d, d_, true);
      });
    }
    columns(D_, [&](auto width, int d) {   // dQ += dS·K
      for (int r = first; r < padded; r += R)
        multiply<R, decltype(width)::value>(s.ds + r * kScores + v.k0, kScores, 1,
                                            k_rows_.data() + (tile * kTile + v.k0) * d_ + d, d_, v.k1 - v.k0,
                                            s.dq + r * d_ + d, d_, true);
    });
  }

  template <class Fn>
  static void columns(int D, const Fn& fn) {
    int d = 0;
    for (; d + NV * W <= D; d += NV * W) fn(Number<NV>(), d);
    for (; d < D; d += W) fn(Number<1>(), d);
  }

  // P and scale · dS of one row, in place of S and dP.
  void weigh(int64_t b, int64_t qh, int64_t row, bool is_row, bool clear, int64_t t0, const Visit& v, int r, Step& s) {
    float *x = s.s + r * kScores, *y = s.ds + r * kScores;
    if (!is_row) {
      for (int c = v.k0; c < v.k1; c += W) store(x + c, zero()), store(y + c, zero());
      return;
    }
    const F a = set1(g_.scale * kLog2e), top = set1(s.lse[r]), delta = set1(s.delta[r]), scale = set1(g_.scale);
    if (!clear) {
      for (int c = v.k0; c < v.k1; c += W) store(x + c, mul(a, load(x + c)));
      hide(b, qh, row, t0, v, r, s, x);
    }
    for (int c = v.k0; c < v.k1; c += W) {
      const F exponent = clear ? sub(mul(a, load(x + c)), top) : sub(load(x + c), top);
      const F p = exp2_of<6>(exponent);
      store(x + c, p);
      store(y + c, mul(mul(scale, p), sub(load(y + c), delta)));
    }
    if (clear) return;
    for (int c = v.k0; c < v.k1; ++c)   // what is hidden may hold anything, and 0 · ∞ would be NaN
      if (x[c] == 0.f) y[c] = 0.f;
  }

  // Base-2 exponents of a row: the mask's values added, hidden keys at −inf.
  void hide(int64_t b, int64_t qh, int64_t row, int64_t t0, const Visit& v, int r, const Step& s, float* x) const {
    const int64_t end = least<int64_t>(v.k1, g_.k.L - t0);
    if (const Mask& m = g_.mask; m.data) {
      const int64_t at = b * m.sb + qh * m.sh + row * m.si + t0 * m.sj;
      for (int64_t c = v.k0; c < end; ++c) {
        if (m.additive) x[c] += kLog2e * ((const float*)m.data)[at + c * m.sj];
        else if (!((const uint8_t*)m.data)[at + c * m.sj]) x[c] = kNone;
      }
    }
    const Sight& see = s.sight[r];
    for (int64_t c = v.k0; c < v.k1; ++c)
      if (t0 + c >= see.hi || (t0 + c < see.lo && t0 + c >= see.sink)) x[c] = kNone;
    if (v.holes)
      for (int c = v.k0; c < v.k1; c += W) store(x + c, add(load(x + c), load(s.visits.listed + c)));
  }

  static Array<float>& buffer() { static thread_local Array<float> x; return x; }

  const Gradient& g_;
  int D_, Dv_, d_, dv_, rows_;
  int64_t blocks_, per_block_, tiles_, heads_, group_, parts_;
  Array<Step*> scratch_;
  Array<float> k_rows_, k_packed_, v_packed_, dk_, dv_sum_;
};

}  // namespace
