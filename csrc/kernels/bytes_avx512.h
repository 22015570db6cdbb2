// P in bytes from int32 scores, without floats: 8-bit P of the int8 precision on AVX-512.
//
// The products use the multipliers of the processor; so would the polynomial of exp2. This road needs one
// 16-bit multiplication for 32 scores, and everything else runs on units that the products leave idle:
//
//     d = (top − score) >> shift, saturated to 16 bits     y = round(d · mult / 2^15)     in 1/64 octaves
//     w = table[y mod 64] >> (y / 64),  table[f] = 255 · 2^(6 − f/64)     p̂ = w / 64 rounded, l sums w / 64
//
// Rounding y to 1/64 octave is a relative error of p of at most 0.54 %, 0.31 % rms: a third of what rounding
// the scores' operands to 8 bits brings.
#pragma once

namespace foveate::FOVEATE_TARGET {

// What a row needs: its largest score, and scale · 2^21 = mult · 2^−shift.
struct ByteRows {
  alignas(64) int32_t top[kLanes], shift[kLanes], mult[kLanes];  // mult in both halves
};

constexpr int32_t kHidden = -(1 << 30);  // a score that yields 0 for every legal shift and mult

struct ByteTable {
  I low, high, order, half;
  ByteTable() {
    alignas(64) static const struct Values {
      uint16_t t[64];
      int32_t order[16];
      Values() {
        for (int f = 0; f < 64; ++f) t[f] = (uint16_t)lrintf(255.f * 64.f * exp2f(-f / 64.f));
        // packing leaves words in the order of 128-bit lanes; word 4·lane + part belongs to keys of part
        for (int i = 0; i < 16; ++i) order[i] = i % 4 * 4 + i / 4;
      }
    } values;
    low = _mm512_loadu_si512(values.t), high = _mm512_loadu_si512(values.t + 32);
    order = _mm512_loadu_si512(values.order), half = _mm512_set1_epi16(32);
  }
  // 32 scores → 32 words
  inline I words(const int32_t* s, I top, I shift, I mult) const {
    I a = _mm512_srav_epi32(_mm512_sub_epi32(top, _mm512_load_si512(s)), shift);
    I b = _mm512_srav_epi32(_mm512_sub_epi32(top, _mm512_load_si512(s + W)), shift);
    I y = _mm512_mulhrs_epi16(_mm512_packs_epi32(a, b), mult);
    return _mm512_srlv_epi16(_mm512_permutex2var_epi16(low, y, high), _mm512_srli_epi16(y, 6));
  }
  inline I rounded(I w) const { return _mm512_srli_epi16(_mm512_add_epi16(w, half), 6); }
  inline I bytes(I first, I second) const {
    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(rounded(first), rounded(second)));
  }
  // Unsigned words hold the sum of 4, which is a row of 128 keys.
  static inline F sum_of_words(I sum) {
    const I both = addi(andi(sum, set1i(0xffff)), shr<16>(sum));
    return mul(to_float(both), set1(1.f / 64.f));
  }
};

// False if a row's scale is out of the range that 16 bits hold; then the float road serves the group.
static inline bool prepare_bytes(const float* scale, const float* top, int rows, ByteRows& out) {
  const F x = _mm512_mul_ps(load(scale), set1(float(1 << 21)));
  const I exponent = _mm512_sub_epi32(_mm512_srli_epi32(bits(x), 23), set1i(127));
  const I shift = _mm512_min_epi32(maxi(_mm512_sub_epi32(set1i(12), exponent), zeroi()), set1i(12));
  const I mult = round_int(_mm512_scalef_ps(x, to_float(shift)));
  const __mmask16 good = _mm512_cmp_epi32_mask(mult, set1i(1025), _MM_CMPINT_NLT) &
                         _mm512_cmp_epi32_mask(mult, set1i(32767), _MM_CMPINT_LE);
  storei(out.top, maxi(round_int(load(top)), set1i(kHidden / 2)));  // rows that see nothing: all zeros
  storei(out.shift, shift);
  storei(out.mult, _mm512_or_si512(mult, _mm512_slli_epi32(mult, 16)));
  const __mmask16 used = (__mmask16)((1u << rows) - 1);
  return (good & used) == used;
}

// A row whose scores are all hidden has no maximum.
static inline F without_hidden(F now, F top) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(top, set1((float)kHidden), _CMP_LE_OQ), now, set1(kNone));
}

// For groups whose scale is out of range: integer scores, some of them hidden, to float exponents.
static inline void hidden_to_floats(Group& g) {
  for (int r = 0; r < R; ++r)
    for (int c = g.k0; c < g.k1; c += W) {
      float* at = g.scores + r * kStride + c;
      const I s = loadi((const int32_t*)at);
      const __mmask16 hidden = _mm512_cmp_epi32_mask(s, set1i(kHidden), _MM_CMPINT_EQ);
      store(at, _mm512_mask_blend_ps(hidden, mul(to_float(s), set1(g.a[r])), set1(kNone)));
    }
  for (float& a : g.a) a = 1.f;
  g.is_float = true;
}

[[gnu::noinline]] static void bytes_of(Group& g, const ByteRows& c, uint8_t* p) {
  const ByteTable table;
  for (int r = 0; r < R; ++r) {
    const I top = set1i(c.top[r]), shift = set1i(c.shift[r]), mult = set1i(c.mult[r]);
    I sum = zeroi();
    for (int k = g.k0; k < g.k1; k += 4 * W) {
      const int32_t* s = (const int32_t*)g.scores + r * kStride + k;
      const I first = table.words(s, top, shift, mult);
      const I second = k + 2 * W < g.k1 ? table.words(s + 2 * W, top, shift, mult) : zeroi();
      const I b = table.bytes(first, second);
      sum = _mm512_add_epi16(sum, _mm512_add_epi16(first, second));
      storei((int32_t*)(p + r * kStride + k), b);
    }
    store(g.row_sum + r * W, table.sum_of_words(sum));
  }
}

// The scores of `cur` and the bytes of `prev`, interleaved: 64 bytes of P for every 4·each steps.
template <int vectors, int each, bool fetching>
[[gnu::noinline]] static void scores_and_bytes(const uint8_t* q, const uint8_t* k, int steps,
                                               const int32_t* start, Group& cur, Group& prev,
                                               const ByteRows& rows, uint8_t* p) {
  const ByteTable table;
  auto go = [&](I(&acc)[R][NV], const uint8_t* kp, const uint8_t* qp) {
    if constexpr (fetching) fetch(kp, cur.k_ahead);
    step<DotI8>(acc, kp, qp);
  };
  int c = cur.k0, r = 0;
  for (int ch = 0; ch < vectors / NV; ++ch, c += kChunk) {
    I acc[R][NV];
    start_sums<DotI8>(acc, start);
    const uint8_t* kp = k + (int64_t)c * steps * 4;
    const uint8_t* qp = q;
    for (int rr = 0; rr < R * NV / vectors; ++rr, ++r) {
      const I top = set1i(rows.top[r]), shift = set1i(rows.shift[r]), mult = set1i(rows.mult[r]);
      const int32_t* s = (const int32_t*)prev.scores + r * kStride + prev.k0;
      uint8_t* out = p + r * kStride + prev.k0;
      I sum = zeroi();
#pragma GCC unroll 2
      for (int part = 0; part < vectors / 4; ++part) {
#pragma GCC unroll 8
        for (int i = 0; i < 2 * each; ++i, kp += kChunk * 4, qp += R * 4) go(acc, kp, qp);
        const I first = table.words(s + part * 4 * W, top, shift, mult);
#pragma GCC unroll 8
        for (int i = 0; i < 2 * each; ++i, kp += kChunk * 4, qp += R * 4) go(acc, kp, qp);
        const I second = table.words(s + part * 4 * W + 2 * W, top, shift, mult);
        sum = _mm512_add_epi16(sum, _mm512_add_epi16(first, second));
        storei((int32_t*)(out + part * 4 * W), table.bytes(first, second));
      }
      store(prev.row_sum + r * W, table.sum_of_words(sum));
    }
    for (int i = R * NV * each; i < steps; ++i, kp += kChunk * 4, qp += R * 4) go(acc, kp, qp);
    finish_chunk(acc, cur, c, ch == 0, Raw{});
  }
}

}  // namespace foveate::FOVEATE_TARGET
