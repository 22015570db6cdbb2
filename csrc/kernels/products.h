// The two matrix products, each for a group of R query rows and one tile of keys.
//
// Scores: K tiles are packed [tile/kChunk][D/g][kChunk][g] and a group of queries [D/g][R][g]: one step loads
// NV vectors of K, broadcasts R words of Q and does R·NV products, all of it read in order.
// P·V: V tiles are packed by columns, [Dvp/kChunk][tile/g][kChunk][g], a last chunk of columns may be
// narrower. While the scores of one group are computed, the exponentials of the group before it run in the
// gaps (scores_and_exponentials): the products keep one unit busy, the exponentials the others.
#pragma once

namespace foveate::FOVEATE_TARGET {

constexpr int kStride = kMaxTile;  // elements between rows of scores and of P
constexpr int kLanes = W < R ? R : W;

// One group of rows against one tile, on its way from scores to output.
struct Group {
  alignas(64) float scores[R * kStride];   // int32 bit patterns when !is_float
  alignas(64) float row_max[R * W];        // one vector of running maxima per row, same type
  alignas(64) float row_sum[R * W];        // one vector of partial sums of p per row
  alignas(64) float a[kLanes], b[kLanes];  // exponent of a score: a · score + b
  alignas(64) float alpha[kLanes];         // O and l are multiplied by this first
  alignas(64) float f_new[kLanes];         // factor of the new P·V and of the new sum of p
  alignas(64) float now[kLanes];           // largest exponent of each row in this tile
  const uint8_t* v = nullptr;
  const float* v_scale = nullptr;    // per column, or null
  int row = 0;                       // first row within the work item
  int k0 = 0, k1 = 0;                // keys of the tile that are visited, multiples of kAlign (attend.h)
  int64_t k_ahead = 0, v_ahead = 0;  // bytes from here to the next tile, 0 if nothing is to be fetched
  bool is_float = false;             // scores are floats, whatever the product yields
  bool as_bytes = false;             // P comes from integer scores (bytes_avx512.h)
};

// The two lines of memory that a step of the next tile will read. Decoding walks through K and V once and
// waits for memory: it asks a whole tile ahead, a little in every step.
static inline void fetch(const void* p, int64_t ahead) {
  __builtin_prefetch((const char*)p + ahead);
  __builtin_prefetch((const char*)p + ahead + 64);
}

template <class Dot>
static inline void step(typename Dot::Acc (&acc)[R][NV], const typename Dot::Element* k,
                        const typename Dot::Element* q) {
  decltype(Dot::load_b(k)) kv[NV];
  for (int n = 0; n < NV; ++n) kv[n] = Dot::load_b(k + n * W * Dot::g);
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < NV; ++n) acc[r][n] = Dot::step_kq(acc[r][n], kv[n], q + r * Dot::g);
}

template <class Dot>
static inline void start_sums(typename Dot::Acc (&acc)[R][NV], const int32_t* start) {
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < NV; ++n) {
      if constexpr (Dot::g == 4)
        acc[r][n] = set1i(start[r]);
      else
        acc[r][n] = Dot::zero_acc();
    }
}

static inline I vmax(I a, I b) { return maxi(a, b); }
static inline F vmax(F a, F b) { return max(a, b); }
static inline void put(float* p, I x) { storei((int32_t*)p, x); }
static inline void put(float* p, F x) { store(p, x); }
static inline I get(const float* p, I) { return loadi((const int32_t*)p); }
static inline F get(const float* p, F) { return load(p); }

// How a chunk of scores is finished while it is still in registers.
// Raw: stored as summed; one factor per row turns it into an exponent.
struct Raw {
  static constexpr bool makes_float = false;
  template <class Acc>
  inline Acc operator()(Acc acc, int, int) const {
    return acc;
  }
};
// Scaled: times a factor per key.
struct Scaled {
  static constexpr bool makes_float = true;
  const float* k_scale;
  inline F operator()(I acc, int, int c) const { return mul(to_float(acc), load(k_scale + c)); }
  inline F operator()(F acc, int, int c) const { return mul(acc, load(k_scale + c)); }
};
// Shifted: times factors per key and row, plus the term of the removed query mean.
struct Shifted {
  static constexpr bool makes_float = true;
  const float* k_scale;  // may be null
  const float* row_scale;
  const float* delta;
  template <class Acc>
  inline F operator()(Acc acc, int r, int c) const {
    F x;
    if constexpr (std::is_same_v<Acc, I>)
      x = to_float(acc);
    else
      x = acc;
    F s = set1(row_scale[r]);
    if (k_scale) s = mul(s, load(k_scale + c));
    return fma(x, s, load(delta + c));
  }
};

template <class Acc, class Finish>
static inline void finish_chunk(Acc (&acc)[R][NV], Group& g, int c, bool first, const Finish& finish) {
  for (int r = 0; r < R; ++r) {
    auto best = finish(acc[r][0], r, c);
    put(g.scores + r * kStride + c, best);
    for (int n = 1; n < NV; ++n) {
      auto x = finish(acc[r][n], r, c + n * W);
      put(g.scores + r * kStride + c + n * W, x);
      best = vmax(best, x);
    }
    if (!first) best = vmax(best, get(g.row_max + r * W, best));
    put(g.row_max + r * W, best);
  }
}

template <class Dot, class Finish>
[[gnu::noinline]] static void scores(const typename Dot::Element* q, const typename Dot::Element* k,
                                     int steps, const int32_t* start, Group& g, const Finish& finish) {
  for (int c = g.k0; c < g.k1; c += kChunk) {
    typename Dot::Acc acc[R][NV];
    start_sums<Dot>(acc, start);
    const typename Dot::Element* kp = k + (int64_t)c * steps * Dot::g;
    const typename Dot::Element* qp = q;
    for (int s = 0; s < steps; ++s, kp += kChunk * Dot::g, qp += R * Dot::g) step<Dot>(acc, kp, qp);
    finish_chunk(acc, g, c, c == g.k0, finish);
  }
}

// P of one group, row by row. `One` writes one vector of P and returns it for the sum.
template <class One, bool is_float>
[[gnu::noinline]] static void exponentials(Group& g, typename One::Element* p) {
  for (int r = 0; r < R; ++r) {
    F a = set1(g.a[r]), b = set1(g.b[r]), sum = zero();
    for (int c = g.k0; c < g.k1; c += W) {
      F s;
      if constexpr (is_float)
        s = load(g.scores + r * kStride + c);
      else
        s = to_float(loadi((const int32_t*)g.scores + r * kStride + c));
      sum = add(sum, One::write(fma(s, a, b), p + r * kStride + c));
    }
    store(g.row_sum + r * W, sum);
  }
}

// Both at once: the scores of `cur` and the exponentials of `prev`, vectors per row fixed at compile time.
// A chunk of scores takes `steps` steps and brings R·NV exponentials with it, spread evenly.
template <class Dot, class One, bool is_float, int vectors, int steps_per_exp, class Finish>
[[gnu::noinline]] static void scores_and_exponentials(const typename Dot::Element* q,
                                                      const typename Dot::Element* k, int steps,
                                                      const int32_t* start, Group& cur, Group& prev,
                                                      typename One::Element* p, const Finish& finish) {
  constexpr int per_chunk = R * NV;
  constexpr int rows_per_chunk = per_chunk / vectors;
  int c = cur.k0;
  for (int ch = 0; ch < vectors / NV; ++ch, c += kChunk) {
    typename Dot::Acc acc[R][NV];
    start_sums<Dot>(acc, start);
    const typename Dot::Element* kp = k + (int64_t)c * steps * Dot::g;
    const typename Dot::Element* qp = q;
    for (int rr = 0; rr < rows_per_chunk; ++rr) {
      const int r = ch * rows_per_chunk + rr;
      const float* src = prev.scores + r * kStride + prev.k0;
      typename One::Element* dst = p + r * kStride + prev.k0;
      F sum = zero();
#pragma GCC unroll 8
      for (int e = 0; e < vectors; ++e) {
        F s;
        if constexpr (is_float)
          s = load(src + e * W);
        else
          s = to_float(loadi((const int32_t*)src + e * W));
#pragma GCC unroll 4
        for (int i = 0; i < steps_per_exp; ++i, kp += kChunk * Dot::g, qp += R * Dot::g)
          step<Dot>(acc, kp, qp);
        sum = add(sum, One::write(fma(s, set1(prev.a[r]), set1(prev.b[r])), dst + e * W));
      }
      store(prev.row_sum + r * W, sum);
    }
    for (int s = per_chunk * steps_per_exp; s < steps; ++s, kp += kChunk * Dot::g, qp += R * Dot::g)
      step<Dot>(acc, kp, qp);
    finish_chunk(acc, cur, c, ch == 0, finish);
  }
}

// How P·V sums are rounded on their way.
enum class Chain { none, fp22, fp16 };
template <Chain chain>
static inline F round_chain(F x) {
  if constexpr (chain == Chain::fp22) return truncate_fp22(x);
  if constexpr (chain == Chain::fp16) return round_f16(x);
  return x;
}

// O ← alpha·O + f_new · P·V for the group's rows, and l ← alpha·l + f_new · sum of p (l lies behind O as a
// vector). carry: O itself is the accumulator of the narrow sum (single-level accumulation).
template <class Dot, int NC, Chain chain, bool carry, bool fetching>
static inline void weigh_columns(const Group& g, const typename Dot::Element* p,
                                 const typename Dot::Element* v, const float* v_scale, int chain_keys,
                                 float* o, int o_stride) {
  typename Dot::Acc acc[R][NC];
  for (int r = 0; r < R; ++r)
    for (int n = 0; n < NC; ++n) {
      if constexpr (carry)
        acc[r][n] = mul(load(o + r * o_stride + n * W), set1(g.alpha[r]));
      else
        acc[r][n] = Dot::zero_acc();
    }
  const typename Dot::Element* vp = v + g.k0 * NC * W;
  for (int key = g.k0; key < g.k1;) {
    int stop = g.k1;
    if constexpr (chain != Chain::none) stop = least(g.k1, (key / chain_keys + 1) * chain_keys);
    for (; key < stop; key += Dot::g, vp += NC * W * Dot::g) {
      decltype(Dot::load_b(vp)) vv[NC];
      for (int n = 0; n < NC; ++n) vv[n] = Dot::load_b(vp + n * W * Dot::g);
      if constexpr (fetching) fetch(vp, g.v_ahead);
      for (int r = 0; r < R; ++r) {
        auto pr = Dot::splat_p(p + r * kStride + key);
        for (int n = 0; n < NC; ++n) acc[r][n] = Dot::step_pv(acc[r][n], pr, vv[n]);
      }
    }
    if constexpr (chain != Chain::none)
      for (int r = 0; r < R; ++r)
        for (int n = 0; n < NC; ++n) acc[r][n] = round_chain<chain>(acc[r][n]);
  }
  F scale[NC];
  for (int n = 0; n < NC; ++n) scale[n] = v_scale ? load(v_scale + n * W) : set1(1.f);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int n = 0; n < NC; ++n) {
      float* at = o + r * o_stride + n * W;
      if constexpr (carry)
        store(at, acc[r][n]);
      else if constexpr (Dot::g == 4)
        store(at, fma(mul(Dot::as_float(acc[r][n]), scale[n]), set1(g.f_new[r]),
                      mul(load(at), set1(g.alpha[r]))));
      else
        store(at, fma(Dot::as_float(acc[r][n]), set1(g.f_new[r]), mul(load(at), set1(g.alpha[r]))));
    }
}

template <class Dot, Chain chain, bool carry>
[[gnu::noinline]] static void weigh(const Group& g, const typename Dot::Element* p, int tile, int Dvp,
                                    int chain_keys, float* o, int o_stride) {
  const auto* v = (const typename Dot::Element*)g.v;
  auto columns = [&](auto width, auto fetching, int col) {
    weigh_columns<Dot, decltype(width)::value, chain, carry, decltype(fetching)::value>(
        g, p, v + (int64_t)col * tile, g.v_scale ? g.v_scale + col : nullptr, chain_keys, o + col, o_stride);
  };
  int col = 0;
  for (; col + NV * W <= Dvp; col += NV * W)
    g.v_ahead ? columns(Number<NV>(), Yes(), col) : columns(Number<NV>(), No(), col);
  for (; col < Dvp; col += W) columns(Number<1>(), No(), col);
  for (int r = 0; r < R; ++r) {
    float* l = o + r * o_stride + Dvp;
    store(l, fma(load(g.row_sum + r * W), set1(g.f_new[r]), mul(load(l), set1(g.alpha[r]))));
  }
}

}  // namespace foveate::FOVEATE_TARGET
