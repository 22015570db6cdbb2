// The way back through attention in float32: P again from q, k and lse, then
//
//     dV += Pᵀ·dO     dP = dO·Vᵀ     dS = P ∘ (dP − δ)     dK += scale · dSᵀ·Q     dQ += scale · dS·K
//
// with δ = Σ dO ∘ O − dlse of each row.
#pragma once
#include "way_back.h"

namespace foveate::FOVEATE_TARGET {

// c (+)= a · b for M rows and N vectors: a[m · a_row + k · a_step] · b[k · b_step + column] over k.
template <int M, int N>
static inline void multiply(const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step,
                            int steps, float* c, int64_t c_row, bool add_to) {
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

class Backward : public WayBack<Backward> {
  friend WayBack<Backward>;

  struct Step : Frame {
    alignas(64) float q[kRows * (kMaxD + W)], dout[kRows * (kMaxD + W)];
    alignas(64) float s[kRows * kScores], ds[kRows * kScores];
  };

 public:
  explicit Backward(const Gradient& g) : WayBack(g) {
    const int64_t keys = heads_ * tiles_ * kTile;
    k_rows_.resize((size_t)(keys * d_));
    k_packed_.resize((size_t)(keys * D_));
    v_packed_.resize((size_t)(keys * Dv_));
  }

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

 private:
  void read_queries(const Block& at, Step& s) {
    read_rows(g_.q, at, d_, s.q);
    read_rows(g_.dout, at, dv_, s.dout);
    for (int r = 0; r < at.padded; ++r) {
      s.lse[r] = INFINITY, s.delta[r] = 0.f;  // rows that see nothing: P is 0
      if (r >= at.rows || g_.lse[row_of(at, r)] == kNone) continue;
      s.lse[r] = g_.lse[row_of(at, r)] * kLog2e;
      s.delta[r] = product_with_out(at, r, s.dout + r * dv_) - (g_.dlse ? g_.dlse[row_of(at, r)] : 0.f);
    }
  }

  void visit_all(const Block& at, Step& s) {
    for (int n = 0; n < s.visits.count; ++n) {
      const Visit& v = s.visits[n];
      if (v.holes) s.visits.list_keys(v);
      const int first = first_of(v, at, s);
      if (first < at.rows) visit(at, v, first, s);
    }
  }

  void visit(const Block& at, const Visit& v, int first, Step& s) {
    const int64_t tile = at.head * tiles_ + v.tile, t0 = (int64_t)v.tile * kTile;
    for (int c = v.k0; c < v.k1; c += kChunk)  // S and dP
      for (int r = first; r < at.padded; r += R) {
        multiply<R, NV>(s.q + r * d_, d_, 1, k_packed_.data() + (tile * kTile + c) * D_, kChunk, D_,
                        s.s + r * kScores + c, kScores, false);
        multiply<R, NV>(s.dout + r * dv_, dv_, 1, v_packed_.data() + (tile * kTile + c) * Dv_, kChunk, Dv_,
                        s.ds + r * kScores + c, kScores, false);
      }
    for (int r = first; r < at.padded; ++r) weigh(at, v, r, s);
    const int64_t n = at.padded - first;
    float *dk = dk_of(at, t0), *dv = dv_of(at, t0);
    for (int c = v.k0; c < v.k1; c += R) {
      columns(Dv_, [&](auto width, int d) {  // dV += Pᵀ·dO
        multiply<R, decltype(width)::value>(s.s + first * kScores + c, 1, kScores, s.dout + first * dv_ + d,
                                            dv_, (int)n, dv + c * dv_ + d, dv_, true);
      });
      columns(D_, [&](auto width, int d) {  // dK += dSᵀ·Q
        multiply<R, decltype(width)::value>(s.ds + first * kScores + c, 1, kScores, s.q + first * d_ + d, d_,
                                            (int)n, dk + c * d_ + d, d_, true);
      });
    }
    columns(D_, [&](auto width, int d) {  // dQ += dS·K
      for (int r = first; r < at.padded; r += R)
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
  void weigh(const Block& at, const Visit& v, int r, Step& s) {
    float *x = s.s + r * kScores, *y = s.ds + r * kScores;
    if (r >= at.rows) {
      for (int c = v.k0; c < v.k1; c += W) store(x + c, zero()), store(y + c, zero());
      return;
    }
    const bool clear = is_clear(v, at, r, s);
    const F a = set1(g_.scale * kLog2e), top = set1(s.lse[r]), delta = set1(s.delta[r]),
            scale = set1(g_.scale);
    if (!clear) {
      for (int c = v.k0; c < v.k1; c += W) store(x + c, mul(a, load(x + c)));
      hide(at, v, r, s, x);
    }
    for (int c = v.k0; c < v.k1; c += W) {
      const F exponent = clear ? sub(mul(a, load(x + c)), top) : sub(load(x + c), top);
      const F p = exp2_of<6>(exponent);
      store(x + c, p);
      store(y + c, mul(mul(scale, p), sub(load(y + c), delta)));
    }
    if (clear) return;
    for (int c = v.k0; c < v.k1; ++c)  // what is hidden may hold anything, and 0 · ∞ would be NaN
      if (x[c] == 0.f) y[c] = 0.f;
  }

  static Array<float>& buffer() {
    static thread_local Array<float> x;
    return x;
  }

  Array<float> k_rows_, k_packed_, v_packed_;
};

}  // namespace foveate::FOVEATE_TARGET
