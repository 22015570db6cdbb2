// The stages of the loop in attend.h: scores, hiding what a row must not see, the numbers of a group, P, and
// P·V. Included by attend.h, whose class they belong to.
#pragma once

namespace foveate::FOVEATE_TARGET {

// delta[key] = q̄ · k' in base-2 units, for the block of queries that the item lies in.
inline void Attention::query_mean_term(const Item& it, const Visit& v, Scratch& s) const {
  const int64_t blocks = (q_.L + fmt_.block_q - 1) / fmt_.block_q;
  const float* mean = q_.mean + (it.qh * blocks + it.row0 / fmt_.block_q) * q_.D;
  const float* k = kv_.k_float + (it.kv_head * kv_.capacity + v.tile) * kv_.D * tile_;
  for (int c = v.k0; c < v.k1; c += W) {
    F sum = zero();
    for (int64_t d = 0; d < kv_.D; ++d) sum = fma(set1(mean[d]), load(k + c * kv_.D + d * W), sum);
    store(s.delta + c, sum);
  }
}

// Groups that do not see everything: hidden keys get −inf. Where only the band hides keys and P is made of
// bytes, scores stay integers and hidden ones become kHidden.
inline void Attention::hide(const Item& it, const Visit& v, int rows, Group& g, Scratch& s) const {
  const int64_t t0 = (int64_t)v.tile * tile_;
#ifdef FOVEATE_BYTES
  if (fmt_.p == PKind::u8_tile && !g.is_float && !c_.mask.data && !v.holes) {
    for (int r = 0; r < rows; ++r) {
      const Sight& see = s.sight[g.row + r];
      const int64_t sink = see.sink - t0, lo = see.lo - t0, hi = see.hi - t0;
      I best = set1i(kHidden);
      for (int c = g.k0; c < g.k1; c += W) {
        int32_t* at = (int32_t*)g.scores + r * kStride + c;
        const uint32_t seen = first_lanes(hi - c) & (first_lanes(sink - c) | ~first_lanes(lo - c));
        const I x = _mm512_mask_blend_epi32((__mmask16)seen, set1i(kHidden), loadi(at));
        storei(at, x);
        best = maxi(best, x);
      }
      storei((int32_t*)g.row_max + r * W, best);
    }
    return;
  }
#endif
  for (int r = 0; r < R; ++r) {
    float* x = g.scores + r * kStride;
    const F a = set1(g.a[r]);
    for (int c = g.k0; c < g.k1; c += W)
      store(x + c,
            mul(a, g.is_float || qk_ != Dot::i8 ? load(x + c) : to_float(loadi((const int32_t*)x + c))));
    if (r >= rows) continue;
    const int64_t row = it.row0 + g.row + r;
    if (c_.mask.data) add_mask(it, row, t0, g.k0, (int)least<int64_t>(g.k1, kv_.L - t0), x);
    const Sight& see = s.sight[g.row + r];
    const int64_t sink = see.sink - t0, lo = see.lo - t0, hi = see.hi - t0;
    for (int c = (int)most<int64_t>(hi, g.k0); c < g.k1; ++c) x[c] = kNone;
    for (int c = (int)most<int64_t>(sink, g.k0), end = (int)least<int64_t>(lo, g.k1); c < end; ++c)
      x[c] = kNone;
    if (!v.holes) continue;
    for (int c = g.k0; c < g.k1; c += W) store(x + c, add(load(x + c), load(s.visits.listed + c)));
  }
  g.is_float = true;
  for (int r = 0; r < R; ++r) {
    F best = set1(kNone);
    for (int c = g.k0; c < g.k1; c += W) best = max(best, load(g.scores + r * kStride + c));
    store(g.row_max + r * W, best);
    g.a[r] = 1.f;
  }
}

// Adds the mask's values for keys [k0, k1) of a tile to a row of base-2 exponents.
inline void Attention::add_mask(const Item& it, int64_t row, int64_t t0, int k0, int k1, float* x) const {
  const Mask& m = c_.mask;
  const int64_t at =
      it.b * m.sb + head_of(it, row) * m.sh + (folded_ ? row % c_.q.L : row) * m.si + t0 * m.sj;
  if (m.additive) {
    const float* value = (const float*)m.data + at;
    for (int c = k0; c < k1; ++c) x[c] += kLog2e * value[c * m.sj];
  } else {
    const uint8_t* seen = (const uint8_t*)m.data + at;
    for (int c = k0; c < k1; ++c)
      if (!seen[c * m.sj]) x[c] = kNone;
  }
}

// From lane-wise maxima to the numbers that the exponentials and P·V need, for all rows of a group at once.
inline void Attention::reduce(int rows, Group& g, Scratch& s) const {
  alignas(64) float top[kLanes];
  const bool is_int = !g.is_float && qk_ == Dot::i8;
  row_maxima(g.row_max, is_int, top);
  const F floor = set1(-3e38f);  // stands in for −inf where a difference of two of them would be NaN
  const bool own_max = fmt_.p == PKind::u8_tile;
  bool to_floats = false;
#ifdef FOVEATE_BYTES
  g.as_bytes = is_int && own_max && prepare_bytes(g.a, top, rows, s.byte_rows[&g - s.groups]);
  if (is_int && own_max && !g.as_bytes) to_floats = true;
#else
  (void)rows;
#endif
  for (int r = 0; r < R; r += W) {
    const F a = load(g.a + r);
    F now = mul(a, load(top + r));
#ifdef FOVEATE_BYTES
    if (is_int) now = without_hidden(now, load(top + r));
#endif
    const F before = load(s.m + g.row + r);
    // the maximum comes second: a NaN score then stays visible in every later step
    const F after = max(before, now);
    const F safe = max(floor, after);
    const F alpha = exp2_of<6>(sub(before, safe));
    const F base = own_max ? max(floor, now) : safe;
    const F fresh = own_max ? exp2_of<6>(sub(now, safe)) : set1(1.f);
    store(g.b + r, sub(set1(log2_levels_), base));
    store(g.alpha + r, alpha);
    store(g.f_new + r, fresh);
    store(g.now + r, now);
    store_rows(s.m + g.row + r, after);
  }
#ifdef FOVEATE_BYTES
  if (to_floats) hidden_to_floats(g);
#endif
  (void)to_floats;
}

// Whether a group can be left out: in no row does a score come near the largest so far. Nothing is pending
// then, because no row's maximum rose. Rows that see nothing of the tile agree; a NaN does not.
inline bool Attention::negligible(float threshold, bool clear, int rows, const Group& g, Scratch& s) const {
  bool all = true;
  for (int r = 0; r < rows; ++r) all &= g.now[r] <= s.m[g.row + r] - threshold;
  if (!c_.filter.tally) return all;
  int64_t pairs = (int64_t)rows * (g.k1 - g.k0);
  if (!clear) {
    pairs = 0;
    for (int r = 0; r < rows; ++r)
      for (int c = g.k0; c < g.k1; ++c) pairs += is_seen(g, r * kStride + c);
  }
  s.looked += pairs;
  if (all) s.left_out += pairs;
  return all;
}

// Whether a score was not hidden.
inline bool Attention::is_seen(const Group& g, int at) const {
#ifdef FOVEATE_BYTES
  if (!g.is_float) return ((const int32_t*)g.scores)[at] != kHidden;
#endif
  return g.scores[at] != kNone;
}

inline void Attention::do_exponentials(Group& g, Scratch& s) const {
#ifdef FOVEATE_BYTES
  if (g.as_bytes) return bytes_of(g, s.byte_rows[&g - s.groups], (uint8_t*)s.p);
#endif
  auto either = [&](auto one) {
    using One = decltype(one);
    auto* p = (typename One::Element*)s.p;
    if (g.is_float || qk_ != Dot::i8)
      exponentials<One, true>(g, p);
    else
      exponentials<One, false>(g, p);
  };
  const bool is_float = g.is_float || qk_ != Dot::i8;
  switch (fmt_.p) {
    case PKind::u8_tile:
    case PKind::u8_running:
      either(WriteU8{});
      break;
    case PKind::bf16:
      either(WriteBf16{});
      break;
    case PKind::f16:
      either(WriteF16{});
      break;
    case PKind::f32:
      either(WriteF32{});
      break;
    case PKind::e4m3:
      either(WriteFP8<E4M3>{});
      break;
    case PKind::e5m2:
      either(WriteFP8<E5M2>{});
      break;
    case PKind::nvfp4:
      is_float ? exponentials_fp4<true, true>(g, (uint16_t*)s.p)
               : exponentials_fp4<true, false>(g, (uint16_t*)s.p);
      break;
    case PKind::mxfp4:
      is_float ? exponentials_fp4<false, true>(g, (uint16_t*)s.p)
               : exponentials_fp4<false, false>(g, (uint16_t*)s.p);
      break;
  }
}

inline void Attention::do_weigh(Group& g, Scratch& s) const {
  float* o = s.o + (int64_t)g.row * o_stride_;
  const int Dvp = (int)kv_.Dvp;
  auto chained = [&](auto dot) {
    using D = decltype(dot);
    auto* p = (const typename D::Element*)s.p;
    switch (fmt_.sum) {
      case Sum::fp32:
        weigh<D, Chain::none, false>(g, p, tile_, Dvp, 0, o, o_stride_);
        break;
      case Sum::fp22_fp32:
        weigh<D, Chain::fp22, false>(g, p, tile_, Dvp, fmt_.chain, o, o_stride_);
        break;
      case Sum::fp22:
        weigh<D, Chain::fp22, true>(g, p, tile_, Dvp, fmt_.chain, o, o_stride_);
        break;
      case Sum::fp16_fp32:
        weigh<D, Chain::fp16, false>(g, p, tile_, Dvp, fmt_.chain, o, o_stride_);
        break;
      case Sum::fp16:
        weigh<D, Chain::fp16, true>(g, p, tile_, Dvp, fmt_.chain, o, o_stride_);
        break;
    }
  };
  if (pv_ == Dot::i8)
    weigh<DotI8, Chain::none, false>(g, (const uint8_t*)s.p, tile_, Dvp, 0, o, o_stride_);
  else if (pv_ == Dot::bf16)
    chained(DotBf16{});
  else
    chained(DotF32{});
}

// Calls fn(Number<vectors per row>, Number<steps per exponential>) where a kernel for this shape exists, else
// false.
template <class Fn>
bool Attention::with_shape(const Group& g, Fn fn) const {
  const int keys = g.k1 - g.k0, each = steps_ / (R * NV);
  auto by_steps = [&](auto n) {
    if (each < 1) return false;
    if (each >= 4)
      fn(n, Number<4>());
    else if (each >= 2)
      fn(n, Number<2>());
    else
      fn(n, Number<1>());
    return true;
  };
  return keys == 8 * W ? by_steps(Number<8>()) : keys == 4 * W ? by_steps(Number<4>()) : false;
}

// Scores of `g`; where a kernel does both, also the exponentials of `pending`, then true.
template <class D, class Finish>
bool Attention::products(const typename D::Element* q, const typename D::Element* k, const int32_t* start,
                         Group& g, Group* pending, Scratch& s, const Finish& finish) const {
  if (kFuse && pending && pending->k1 - pending->k0 == g.k1 - g.k0 &&
      products_and_exponentials<D>(q, k, start, g, *pending, s, finish))
    return true;
  scores<D>(q, k, steps_, start, g, finish);
  return false;
}

template <class D, class Finish>
bool Attention::products_and_exponentials(const typename D::Element* q, const typename D::Element* k,
                                          const int32_t* start, Group& g, Group& pending, Scratch& s,
                                          const Finish& finish) const {
  if constexpr (kFuse) {
    [[maybe_unused]] auto fused = [&](auto one) {
      using One = decltype(one);
      return with_shape(g, [&](auto n, auto each) {
        scores_and_exponentials<D, One, true, decltype(n)::value, decltype(each)::value>(
            q, k, steps_, start, g, pending, (typename One::Element*)s.p, finish);
      });
    };
    constexpr bool is_int = std::is_same_v<D, DotI8>;
    if constexpr (is_int && !Finish::makes_float) {
#ifdef FOVEATE_BYTES
      if (!pending.as_bytes) return false;
      const ByteRows& rows = s.byte_rows[&pending - s.groups];
      return with_shape(g, [&](auto n, auto each) {
        constexpr int N = decltype(n)::value, E = decltype(each)::value;
        if (g.k_ahead)
          scores_and_bytes<N, E, true>(q, k, steps_, start, g, pending, rows, (uint8_t*)s.p);
        else
          scores_and_bytes<N, E, false>(q, k, steps_, start, g, pending, rows, (uint8_t*)s.p);
      });
#endif
    } else if constexpr (is_int) {
      return fmt_.p == PKind::e4m3 && pending.is_float && fused(WriteFP8<E4M3>{});
    } else if constexpr (std::is_same_v<D, DotBf16> && !Finish::makes_float) {
      return fmt_.p == PKind::bf16 && fused(WriteBf16{});
    } else if constexpr (std::is_same_v<D, DotF32> && !Finish::makes_float) {
      return fmt_.p == PKind::f32 && fused(WriteF32{});
    }
  }
  return false;
}

}  // namespace foveate::FOVEATE_TARGET
