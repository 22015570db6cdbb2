// The way back in 8 bits (SageBwd with scales along the axes that no product sums over): S, dV, dK and dQ are
// INT8 products, dP = dO·Vᵀ runs in bf16, because its error would go straight into dS.
//
// For one block of queries, two rounds over the keys it visits. The first: S from the forward's own codes, P,
// dP, and δ = Σ P∘dP, which is the δ that fits this P. The second: dS = P ∘ (dP − δ), codes of P and dS, the
// three products. Factors along a summed axis go into what is coded: with q = s_q[r]·q̂,  dK[c] = Σ_r
// dS·s_q[r]·q̂[r], so dS·s_q is coded with one scale per key; in the same way P·s_dO per key for dV, and
// dS·s_k per row for dQ.
#pragma once
#include "way_back.h"

namespace foveate::FOVEATE_TARGET {

// c += factor · (a · b) for M rows and N vectors: unsigned bytes a[m · a_row + k · a_step + 0…3], signed
// bytes b[k · b_step + 4 · column + 0…3]; sums start at `start` (per column; what an offset in a adds, taken
// off).
template <int M, int N>
static inline void add_bytes(const uint8_t* a, int64_t a_row, int64_t a_step, const uint8_t* b,
                             int64_t b_step, int steps, const int32_t* start, const float* factor, float* c,
                             int64_t c_row) {
  DotI8::Acc acc[M][N];
  for (int n = 0; n < N; ++n) {
    const I first = start ? loadi(start + n * W) : zeroi();
    for (int m = 0; m < M; ++m) acc[m][n] = first;
  }
  for (int k = 0; k < steps; ++k, a += a_step, b += b_step) {
    decltype(DotI8::load_b(b)) bv[N];
    for (int n = 0; n < N; ++n) bv[n] = DotI8::load_b(b + n * W * 4);
    for (int m = 0; m < M; ++m) {
      const auto am = DotI8::splat_p(a + m * a_row);
      for (int n = 0; n < N; ++n) acc[m][n] = DotI8::step_pv(acc[m][n], am, bv[n]);
    }
  }
  for (int m = 0; m < M; ++m)
    for (int n = 0; n < N; ++n) {
      float* at = c + m * c_row + n * W;
      store(at, fma(to_float(acc[m][n]), set1(factor[m]), load(at)));
    }
}

class BackwardInt8 : public WayBack<BackwardInt8> {
  friend WayBack<BackwardInt8>;

  static constexpr int kOffset = 128;             // signed codes are stored plus this
  static constexpr int kM = R, kN = NV;           // rows and vectors of a micro-kernel
  static constexpr int kStrip = W == 16 ? 8 : 4;  // vectors of keys whose maxima stay in registers
  using Scale = FOVEATE_TARGET::Step;             // Step is something else in here

  struct Step : Frame {
    // [rows/4][columns][4]: codes of Q and dO, the four rows of a dot product side by side
    alignas(64) uint8_t q[kRows * (kMaxD + W)], dout[kRows * (kMaxD + W)];
    alignas(64) uint16_t dout_rows[kRows * (kMaxD + W)];
    alignas(64) int32_t q_sum[kMaxD + W];  // −kOffset · Σ of the block's codes
    float q_scale[kRows], dout_scale[kRows];
    // codes of one visit: [rows/4][kTile][4] by key, [rows][kTile] by row
    alignas(64) uint8_t p[kRows * kTile], ds[kRows * kTile], ds_rows[kRows * kTile];
    alignas(64) float p_factor[kTile], ds_factor[kTile], row_factor[kRows];
    Array<float> weights, slopes;  // P and dP of all visits, [visit][kRows][kScores]
  };

 public:
  BackwardInt8(const Gradient& g, const KV& kv, const Queries& queries)
      : WayBack(g), kv_(kv), queries_(queries), exact_delta_(g.exact_delta) {
    const int64_t keys = heads_ * tiles_ * kTile;
    k_.resize((size_t)(keys * D_));
    k_sum_.resize((size_t)(keys / kAlign * D_));
    v_.resize((size_t)(keys * Dv_));
  }

  // Of one tile: codes of K with four keys side by side, and V as pairs.
  void pack(int64_t n) {
    const int64_t head = n / tiles_, t0 = n % tiles_ * kTile;
    const int rows = (int)least<int64_t>(kTile, round_up(kv_.L, kAlign) - t0);
    uint8_t* k = k_.data() + n * kTile * D_;
    std::memset(k, 0, (size_t)kTile * D_);
    for (int c = 0; c < rows; ++c) {
      const uint8_t* from = codes_of(head, t0 + c / kChunk * kChunk) + c % kChunk * 4;
      uint8_t* to = k + c / 4 * D_ * 4 + c % 4;
      for (int d = 0; d < kv_.Dp; ++d) to[d * 4] = (uint8_t)(from[d / 4 * kChunk * 4 + d % 4] - kKeyOffset);
    }
    for (int c = 0; c < kTile; c += kAlign)
      sum_codes(k + c * D_, kAlign, D_, k_sum_.data() + (n * kTile + c) / kAlign * D_);
    Array<float>& v = buffer();
    v.resize((size_t)(kTile * dv_));
    read_rows(g_.v, head / g_.k.H, head % g_.k.H, t0, kTile, dv_, v.data());
    pack_rows_bf16(v.data(), kTile, dv_, Dv_, v_.data() + n * kTile * Dv_, kChunk);
  }

 private:
  // The forward's codes of a chunk of keys, [Dp/4][kChunk][4].
  const uint8_t* codes_of(int64_t head, int64_t key) const {
    return kv_.k + (head * kv_.capacity * kv_.fmt.tile + key) * kv_.Dp;
  }
  float k_scale(int64_t head, int64_t key) const {
    return kv_.k_scale[head * kv_.capacity + key / kv_.fmt.tile];
  }

  // −kOffset · the sums of codes [rows/4][columns][4] over rows.
  static void sum_codes(const uint8_t* codes, int rows, int columns, int32_t* sums) {
    for (int d = 0; d < columns; ++d) {
      int32_t sum = 0;
      for (int r = 0; r < rows; r += 4)
        for (int i = 0; i < 4; ++i) sum += (int8_t)codes[(r * columns + d * 4) + i];
      sums[d] = -kOffset * sum;
    }
  }

  void read_queries(const Block& at, Step& s) {
    const int64_t head = at.b * g_.q.H + at.qh;
    std::memset(s.q, 0, (size_t)at.padded * D_);
    for (int r = 0; r < at.padded; ++r) {
      const uint8_t* from = query_codes(head, at.row0 + r / R * R) + r % R * 4;
      uint8_t* to = s.q + r / 4 * D_ * 4 + r % 4;
      for (int d = 0; d < queries_.Dp; ++d) to[d * 4] = from[d / 4 * R * 4 + d % 4];
    }
    sum_codes(s.q, at.padded, D_, s.q_sum);
    alignas(64) float line[kMaxD + W];
    const int64_t stride = Dv_;
    std::memset(s.dout, 0, (size_t)at.padded * Dv_);
    for (int r = 0; r < at.padded; ++r) {
      s.lse[r] = INFINITY, s.delta[r] = 0.f;  // rows that see nothing: P is 0
      s.q_scale[r] = s.dout_scale[r] = 0.f;
      if (r >= at.rows || g_.lse[row_of(at, r)] == kNone) {
        std::memset(s.dout_rows + r * stride, 0, sizeof(uint16_t) * Dv_);
        continue;
      }
      const int64_t q = head * queries_.Lp + at.row0 + r;
      s.q_scale[r] = queries_.scale[q];
      s.lse[r] = (g_.lse[row_of(at, r)] - (queries_.k_mean_dot ? queries_.k_mean_dot[q] : 0.f)) * kLog2e;
      with_reader(g_.dout,
                  [&](auto reader) { read_row(reader, g_.dout, at.b, at.qh, at.row0 + r, nullptr, line); });
      Largest top;
      for (int d = 0; d < Dv_; d += W)
        top.add(load(line + d)), store_bf16(s.dout_rows + r * stride + d, load(line + d));
      const Scale own(top.value(), 127.f);
      s.dout_scale[r] = own.scale;
      uint8_t codes[kMaxD + W];
      for (int d = 0; d < Dv_; d += W)
        store_u8(codes + d, clamp_codes(mul(load(line + d), set1(own.inverse)), 127.f));
      uint8_t* to = s.dout + r / 4 * Dv_ * 4 + r % 4;
      for (int d = 0; d < Dv_; ++d) to[d * 4] = codes[d];
      if (!exact_delta_) s.delta[r] = product_with_out(at, r, line);
      if (g_.dlse) s.delta[r] -= g_.dlse[row_of(at, r)];
    }
  }
  // A group of R rows, [Dp/4][R][4]; blocks of queries begin at whole groups.
  const uint8_t* query_codes(int64_t head, int64_t row) const {
    return queries_.codes + (head * queries_.Lp + row) * queries_.Dp;
  }

  void visit_all(const Block& at, Step& s) {
    const int64_t each = (int64_t)kRows * kScores, held = exact_delta_ ? s.visits.count : 1;
    s.weights.resize((size_t)(held * each)), s.slopes.resize((size_t)(held * each));
    auto for_visits = [&](auto fn) {
      for (int n = 0; n < s.visits.count; ++n) {
        const int first = first_of(s.visits[n], at, s);
        const int64_t place = exact_delta_ ? n * each : 0;
        if (first < at.rows) fn(s.visits[n], first, s.weights.data() + place, s.slopes.data() + place);
      }
    };
    if (exact_delta_) {
      for_visits([&](const Visit& v, int first, float* p, float* dp) { weights(at, v, first, p, dp, s); });
      for_visits([&](const Visit& v, int first, float* p, float* dp) { gradients(at, v, first, p, dp, s); });
    } else {
      for_visits([&](const Visit& v, int first, float* p, float* dp) {
        weights(at, v, first, p, dp, s), gradients(at, v, first, p, dp, s);
      });
    }
    // dS sums to dlse over a row, so the mean that was taken off the keys comes back by that much
    for (int r = 0; r < at.rows; ++r) {
      const float back = g_.dlse && kv_.k_mean ? g_.dlse[row_of(at, r)] : 0.f;
      if (back == 0.f || s.lse[r] == INFINITY) continue;
      for (int d = 0; d < D_; d += W) {
        float* to = s.dq + r * d_ + d;
        store(to, fma(set1(g_.scale * back), load(kv_.k_mean + at.head * kv_.Dm + d), load(to)));
      }
    }
  }

  // P and dP of one visit, and what they add to δ.
  void weights(const Block& at, const Visit& v, int first, float* p, float* dp, Step& s) const {
    const int64_t tile = at.head * tiles_ + v.tile, t0 = (int64_t)v.tile * kTile,
                  head = at.b * g_.q.H + at.qh;
    if (v.holes) s.visits.list_keys(v);
    for (int c = v.k0; c < v.k1; c += kChunk) {
      const uint8_t* k = codes_of(at.head, t0 + c);
      const uint16_t* v_chunk = v_.data() + (tile * kTile + c) * Dv_;
      const float factor = k_scale(at.head, t0 + c);
      for (int r = first; r < at.padded; r += R) {
        DotI8::Acc acc[R][NV];
        start_sums<DotI8>(acc, queries_.start + head * queries_.Lp + at.row0 + r);
        const uint8_t *kp = k, *qp = query_codes(head, at.row0 + r);
        for (int d = 0; d < queries_.Dp; d += 4, kp += kChunk * 4, qp += R * 4) step<DotI8>(acc, kp, qp);
        for (int i = 0; i < R; ++i)
          for (int n = 0; n < NV; ++n)
            store(p + (r + i) * kScores + c + n * W,
                  mul(to_float(acc[i][n]), set1(s.q_scale[r + i] * factor)));
        F sum[R][NV];
        for (int i = 0; i < R; ++i)
          for (int n = 0; n < NV; ++n) sum[i][n] = zero();
        const uint16_t *vp = v_chunk, *op = s.dout_rows + (int64_t)r * Dv_;
        for (int d = 0; d < Dv_; d += 2, vp += kChunk * 2, op += 2) {
          decltype(DotBf16::load_b(vp)) pairs[NV];
          for (int n = 0; n < NV; ++n) pairs[n] = DotBf16::load_b(vp + n * W * 2);
          for (int i = 0; i < R; ++i)
            for (int n = 0; n < NV; ++n)
              sum[i][n] = DotBf16::step_kq(sum[i][n], pairs[n], op + (int64_t)i * Dv_);
        }
        for (int i = 0; i < R; ++i)
          for (int n = 0; n < NV; ++n) store(dp + (r + i) * kScores + c + n * W, sum[i][n]);
      }
    }
    for (int r = first; r < at.padded; ++r) {
      float *x = p + r * kScores, *y = dp + r * kScores;
      const bool clear = is_clear(v, at, r, s);
      if (!clear && r < at.rows) hide(at, v, r, s, x);
      const F top = set1(s.lse[r]);
      F sum = zero();
      for (int c = v.k0; c < v.k1; c += W) {
        const F weight = exp2_of<4>(sub(load(x + c), top));
        store(x + c, weight);
        sum = fma(weight, load(y + c), sum);
      }
      if (!clear) {  // what is hidden may hold anything, and 0 · ∞ would be NaN
        sum = zero();
        for (int c = v.k0; c < v.k1; ++c)
          if (x[c] == 0.f) y[c] = 0.f;
        for (int c = v.k0; c < v.k1; c += W) sum = fma(load(x + c), load(y + c), sum);
      }
      if (exact_delta_) s.delta[r] += sum_all(sum);
    }
  }

  // dS and the codes of one visit, then dV, dK and dQ.
  void gradients(const Block& at, const Visit& v, int first, const float* p, float* dp, Step& s) {
    const int64_t t0 = (int64_t)v.tile * kTile;
    alignas(64) float k_scales[kTile];
    for (int c = v.k0; c < v.k1; c += W) store(k_scales + c, set1(k_scale(at.head, t0 + c)));
    for (int r = first; r < at.padded; ++r) s.row_factor[r] = 0.f;
    strips(v, [&](auto width, int c) {
      slopes_of<decltype(width)::value>(at, first, p + c, dp + c, k_scales + c, c, s);
    });
    alignas(64) float row_inverse[kRows];
    for (int r = first; r < at.padded; ++r) {
      const Scale e(s.row_factor[r], 127.f);
      s.row_factor[r] = e.scale * g_.scale, row_inverse[r] = e.inverse;
    }
    encode(at, v, first, p, dp, k_scales, row_inverse, s);

    const int rows = at.padded - first;
    const int32_t* q_sum = s.q_sum;
    alignas(64) int32_t part[kMaxD + W];
    if (first) sum_codes(s.q + first * D_, rows, D_, part), q_sum = part;
    float *dk = dk_of(at, t0), *dv = dv_of(at, t0);
    const uint8_t *p_codes = s.p + first * kTile, *ds_codes = s.ds + first * kTile;
    for (int c = v.k0; c < v.k1; c += kM) {
      columns(Dv_, [&](auto width, int d) {
        add_bytes<kM, decltype(width)::value>(p_codes + c * 4, 4, kTile * 4, s.dout + first * Dv_ + d * 4,
                                              Dv_ * 4, rows / 4, nullptr, s.p_factor + c, dv + c * dv_ + d,
                                              dv_);
      });
      columns(D_, [&](auto width, int d) {
        add_bytes<kM, decltype(width)::value>(ds_codes + c * 4, 4, kTile * 4, s.q + first * D_ + d * 4,
                                              D_ * 4, rows / 4, q_sum + d, s.ds_factor + c, dk + c * d_ + d,
                                              d_);
      });
    }
    const int64_t tile = at.head * tiles_ + v.tile;
    const uint8_t* k = k_.data() + (tile * kTile + v.k0) * D_;
    const int32_t* sums = k_sum_.data() + tile * (kTile / kAlign) * D_;
    for (int d = 0; d < D_; d += W) {
      I sum = zeroi();
      for (int i = v.k0 / kAlign; i < v.k1 / kAlign; ++i) sum = addi(sum, loadi(sums + i * D_ + d));
      storei(part + d, sum);
    }
    for (int r = first; r < at.padded; r += kM)
      columns(D_, [&](auto width, int d) {
        add_bytes<kM, decltype(width)::value>(s.ds_rows + r * kTile + v.k0, kTile, 4, k + d * 4, D_ * 4,
                                              (v.k1 - v.k0) / 4, part + d, s.row_factor + r,
                                              s.dq + r * d_ + d, d_);
      });
  }

  // dS in place of dP for N vectors of keys; the largest values of what will be coded, per key and per row.
  template <int N>
  static void slopes_of(const Block& at, int first, const float* p, float* dp, const float* k_scales, int c,
                        Step& s) {
    I p_top[N], ds_top[N];
    F ks[N];
    for (int n = 0; n < N; ++n) p_top[n] = ds_top[n] = zeroi(), ks[n] = load(k_scales + n * W);
    for (int r = first; r < at.padded; ++r) {
      const F delta = set1(s.delta[r]), by_dout = set1(s.dout_scale[r]), by_q = set1(s.q_scale[r]);
      I row_top = zeroi();
      for (int n = 0; n < N; ++n) {
        const F weight = load(p + r * kScores + n * W);
        const F ds = mul(weight, sub(load(dp + r * kScores + n * W), delta)), size = abs(ds);
        store(dp + r * kScores + n * W, ds);
        p_top[n] = maxi(p_top[n], bits(mul(weight, by_dout)));
        ds_top[n] = maxi(ds_top[n], bits(mul(size, by_q)));
        row_top = maxi(row_top, bits(mul(size, ks[n])));
      }
      const float top = from_int(max_all(row_top));
      s.row_factor[r] = keep_largest(s.row_factor[r], top);
    }
    for (int n = 0; n < N; ++n) {
      store(s.p_factor + c + n * W, from_bits(p_top[n]));
      store(s.ds_factor + c + n * W, from_bits(ds_top[n]));
    }
  }

  // Codes of P and dS of one visit; factors of what they are multiplied with.
  static void encode(const Block& at, const Visit& v, int first, const float* p, const float* ds,
                     const float* k_scales, const float* row_inverse, Step& s) {
    alignas(64) float p_inverse[kTile], ds_inverse[kTile];
    for (int c = v.k0; c < v.k1; ++c) {
      const Scale a(s.p_factor[c], 255.f), b(s.ds_factor[c], 127.f);
      s.p_factor[c] = a.scale, p_inverse[c] = a.inverse;
      s.ds_factor[c] = b.scale * kLn2, ds_inverse[c] = b.inverse;  // q_scale carries log2(e)
    }
    const F offset = set1((float)kOffset);
    for (int r = first; r < at.padded; r += 4)
      for (int c = v.k0; c < v.k1; c += W) {
        const F by_p = load(p_inverse + c), by_ds = load(ds_inverse + c), by_k = load(k_scales + c);
        I p4 = zeroi(), ds4 = zeroi();
        auto row = [&](auto shift, int i) {
          constexpr int n = decltype(shift)::value;
          const F x = mul(load(p + i * kScores + c), mul(by_p, set1(s.dout_scale[i])));
          const F y = load(ds + i * kScores + c);
          p4 = ori(p4, shl<n>(round_int(x)));
          ds4 = ori(ds4, shl<n>(round_int(fma(y, mul(by_ds, set1(s.q_scale[i])), offset))));
          store_u8(s.ds_rows + i * kTile + c, round_int(fma(y, mul(by_k, set1(row_inverse[i])), offset)));
        };
        row(Number<0>(), r), row(Number<8>(), r + 1), row(Number<16>(), r + 2), row(Number<24>(), r + 3);
        storei((int32_t*)(s.p + r * kTile + c * 4), p4);
        storei((int32_t*)(s.ds + r * kTile + c * 4), ds4);
      }
  }

  // A vector of keys at a time as wide as registers allow.
  template <class Fn>
  static void strips(const Visit& v, const Fn& fn) {
    int c = v.k0;
    for (; c + kStrip * W <= v.k1; c += kStrip * W) fn(Number<kStrip>(), c);
    for (; c < v.k1; c += NV * W) fn(Number<NV>(), c);
  }
  template <class Fn>
  static void columns(int D, const Fn& fn) {
    int d = 0;
    for (; d + kN * W <= D; d += kN * W) fn(Number<kN>(), d);
    for (; d < D; d += W) fn(Number<1>(), d);
  }
  static float from_int(int32_t x) {
    float y;
    std::memcpy(&y, &x, 4);
    return y;
  }
  static Array<float>& buffer() {
    static thread_local Array<float> x;
    return x;
  }

  const KV& kv_;
  const Queries& queries_;
  const bool exact_delta_;
  Array<uint8_t> k_;      // [tiles][kTile/4][D][4]
  Array<int32_t> k_sum_;  // [tiles][kTile/kAlign][D], −kOffset · sums of codes
  Array<uint16_t> v_;     // [tiles][kTile/kChunk][Dv/2][kChunk][2]
};

}  // namespace foveate::FOVEATE_TARGET
