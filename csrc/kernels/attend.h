// The one online-softmax loop: any formats, any block layout, any band, masks, grouped heads.
//
// A work item is up to kMaxRows query rows of one head (for decoding: all rows of one group of heads).
// It walks over its visited tiles; in each tile over groups of R rows. Three stages per group: scores,
// exponentials (written as P), P·V. The exponentials of one group overlap the scores of the next.
#pragma once

#include "exp2.h"
#include "fp4_scale.h"
#include "products.h"
#include "visits.h"
#include "write_p.h"
#ifdef FOVEATE_BYTES
#include "bytes_avx512.h"
#endif

namespace foveate::FOVEATE_TARGET {

struct Scratch {
  Group groups[2];
#ifdef FOVEATE_BYTES
  ByteRows byte_rows[2];  // of the groups
#endif
  alignas(64) float p[R * kStride];  // bytes, bf16 or float32
  alignas(64) float delta[kMaxTile];
  alignas(64) float m[kMaxRows + kLanes];
  alignas(64) float o[(kMaxRows + R) * (256 + W)];
  Sight sight[kMaxRows];
  Horizon horizon[kMaxRows / R];
  Visits visits;
  int64_t looked = 0, left_out = 0;                        // of the second filter
  const int32_t *blocks = nullptr, *blocks_end = nullptr;  // the layout's list for this item
};

// Rows of one work item and where they come from and go to.
struct Item {
  int64_t b, kv_head;  // kv_head: b · Hk + hk
  int64_t row0;        // first row in the flattened rows of Queries head `qh`
  int64_t qh;          // b · H + h of Queries
  int rows;
};

class Attention {
 public:
  Attention(const Call& call, const Queries& q) : c_(call), q_(q), kv_(*call.kv), fmt_(call.kv->fmt) {
    const int64_t Lq = c_.q.L;
    folded_ = q.L != Lq;
    item_rows_ = kMaxRows;
    if (c_.layout.counts) item_rows_ = (int)least<int64_t>(kMaxRows, c_.layout.bq);
    if (fmt_.smooth_q)  // rows of an item share one query mean
      while (fmt_.block_q % item_rows_ || (c_.layout.counts && c_.layout.bq % item_rows_)) item_rows_ -= R;
    blocks_ = c_.layout.counts ? c_.layout.nQ : (q.L + item_rows_ - 1) / item_rows_;
    per_block_ = c_.layout.counts ? (c_.layout.bq + item_rows_ - 1) / item_rows_ : 1;
    tile_ = fmt_.tile;
    pv_ = fmt_.pv_dot();
    qk_ = fmt_.qk.dot();
    steps_ = (int)(kv_.Dp / dot_group(qk_));
    o_stride_ = (int)kv_.Dvp + W;
    log2_levels_ = log2f(fmt_.p_levels);
    k_row_scale_ = kv_.k_scale_per_tile();
  }

  int64_t items() const { return q_.B * q_.H * blocks_ * per_block_; }

  // Item n, in an order that starts with the longest rows of a causal call.
  void run(int64_t n, Scratch& s) const {
    Item it;
    const int64_t per_head = blocks_ * per_block_;
    it.qh = n / per_head;
    int64_t chunk = per_head - 1 - n % per_head;
    const int64_t bq = c_.layout.counts ? c_.layout.bq : item_rows_;
    it.row0 = chunk / per_block_ * bq + chunk % per_block_ * item_rows_;
    int64_t end = least(least(it.row0 + item_rows_, (chunk / per_block_ + 1) * bq), q_.L);
    it.rows = (int)(end - it.row0);
    if (it.rows <= 0) return;
    it.b = it.qh / q_.H;
    const int64_t h = it.qh % q_.H;
    it.kv_head = folded_ ? it.qh : it.b * kv_.H + h / (q_.H / kv_.H);
    for (float& m : s.m) m = kNone;
    std::memset(s.o, 0, sizeof(float) * o_stride_ * round_up(it.rows, R));
    list_visits(it, chunk / per_block_, s);
    s.looked = s.left_out = 0;
    walk(it, s);
    write(it, s);
    if (c_.filter.tally) {
      int64_t* tally = c_.filter.tally + 2 * (it.b * c_.q.H + head_of(it, it.row0));
      __atomic_fetch_add(tally, s.looked, __ATOMIC_RELAXED);
      __atomic_fetch_add(tally + 1, s.left_out, __ATOMIC_RELAXED);
    }
  }

 private:
  int64_t head_of(const Item& it, int64_t row) const {  // query head of a row
    const int64_t h = it.qh % q_.H;
    return folded_ ? h * (c_.q.H / q_.H) + row / c_.q.L : h;
  }
  int64_t position(int64_t row) const { return folded_ ? row % c_.q.L : row; }

  Sight sight(const Item& it, int64_t row) const {
    return sight_of(c_.bands, kv_.L, head_of(it, row), position(row));
  }

  // Sights of all rows and of each group of rows, and the tiles that at least one row can see.
  void list_visits(const Item& it, int64_t block, Scratch& s) const {
    Horizon all;
    for (int row = 0; row < it.rows; row += R) {
      Horizon& g = s.horizon[row / R] = Horizon();
      for (int r = row; r < least(row + R, it.rows); ++r) g.add(s.sight[r] = sight(it, it.row0 + r));
      all.add(g);
    }
    s.visits.list(c_.layout, it.b, head_of(it, it.row0), c_.q.H, block, kv_.L, tile_, all);
  }

  // Asks for one of `parts` of a tile that comes next: a layout jumps, and the processor cannot guess where
  // to.
  void ask_for(const Item& it, int tile, int part, int parts) const {
    const int64_t at = it.kv_head * kv_.capacity + tile;
    auto ask = [&](const uint8_t* p, int64_t bytes) {
      const int64_t each = round_up(bytes / parts, 64), from = part * each, to = least(from + each, bytes);
      for (int64_t i = from; i < to; i += 64) __builtin_prefetch(p + i, 0, 2);
    };
    ask(kv_.k + at * kv_.k_tile_bytes(), kv_.k_tile_bytes());
    ask(kv_.v + at * kv_.v_tile_bytes(), kv_.v_tile_bytes());
  }

  template <class Fn>
  bool with_shape(const Group& g, Fn fn) const;
  template <class D, class Finish>
  bool products(const typename D::Element* q, const typename D::Element* k, const int32_t* start, Group& g,
                Group* pending, Scratch& s, const Finish& finish) const;
  template <class D, class Finish>
  bool products_and_exponentials(const typename D::Element* q, const typename D::Element* k,
                                 const int32_t* start, Group& g, Group& pending, Scratch& s,
                                 const Finish& finish) const;
  void walk(const Item& it, Scratch& s) const;
  template <class Dot>
  void walk_scores(const Item& it, Scratch& s) const;
  void hide(const Item& it, const Visit& v, int rows, Group& g, Scratch& s) const;
  void add_mask(const Item& it, int64_t row, int64_t t0, int k0, int k1, float* x) const;
  void reduce(int rows, Group& g, Scratch& s) const;
  bool negligible(float threshold, bool clear, int rows, const Group& g, Scratch& s) const;
  bool is_seen(const Group& g, int at) const;
  void do_exponentials(Group& g, Scratch& s) const;
  void do_weigh(Group& g, Scratch& s) const;
  void write(const Item& it, Scratch& s) const;
  F read_output(int64_t at, int c) const;
  void query_mean_term(const Item& it, const Visit& v, Scratch& s) const;

  const Call& c_;
  const Queries& q_;
  const KV& kv_;
  const Formats& fmt_;
  bool folded_ = false, k_row_scale_ = false;
  int item_rows_, tile_, steps_, o_stride_;
  int64_t blocks_, per_block_;
  Dot qk_, pv_;
  float log2_levels_;
};

template <class D>
void Attention::walk_scores(const Item& it, Scratch& s) const {
  using Element = typename D::Element;
  Group* pending = nullptr;
  int flip = 0;
  auto settle = [&](bool exponentials_done) {
    if (!pending) return;
    if (!exponentials_done) do_exponentials(*pending, s);
    do_weigh(*pending, s);
    pending = nullptr;
  };
  const bool few = it.rows <= 2 * R;
  const float* threshold = c_.filter.threshold ? c_.filter.threshold + (folded_ ? 0 : it.qh % q_.H) : nullptr;
  const Element* q_item = (const Element*)q_.codes + (it.qh * (q_.Lp / R) + it.row0 / R) * q_.Dp * R;
  for (int n = 0; n < s.visits.count; ++n) {
    const Visit& v = s.visits[n];
    const int64_t kv_tile = it.kv_head * kv_.capacity + v.tile;
    const Element* k = (const Element*)(kv_.k + kv_tile * kv_.k_tile_bytes());
    const float* k_scale = kv_.k_scale ? kv_.k_scale + (k_row_scale_ ? kv_tile : kv_tile * tile_) : nullptr;
    if (fmt_.smooth_q) query_mean_term(it, v, s);
    if (v.holes) s.visits.list_keys(v);
    const int64_t t0 = (int64_t)v.tile * tile_;
    for (int row = 0; row < it.rows; row += R) {
      const int rows = least(R, it.rows - row);
      if (!few && n + 1 < s.visits.count) ask_for(it, s.visits[n + 1].tile, row / R, it.rows / R);
      const Horizon& sees = s.horizon[row / R];
      if (!sees.any(t0 + v.k0, t0 + v.k1)) continue;
      Group& g = s.groups[flip];
      flip ^= 1;
      g.row = row;
      g.k0 = v.k0;
      g.k1 = least<int>(v.k1, (int)round_up(sees.last(t0 + v.k0, t0 + v.k1) - t0, kAlign));
      g.v = kv_.v + kv_tile * kv_.v_tile_bytes();
      g.v_scale = kv_.v_tile ? kv_.v_tile + kv_tile * kv_.Dvp : nullptr;
      g.k_ahead = row + R >= it.rows && few ? kv_.k_tile_bytes() : 0;
      g.v_ahead = g.k_ahead ? kv_.v_tile_bytes() : 0;
      g.is_float = false;
      const int64_t at = it.qh * q_.Lp + it.row0 + row;
      const int32_t* start = q_.start ? q_.start + at : nullptr;
      const Element* q = q_item + (int64_t)(row / R) * q_.Dp * R;
      const float tile_scale = k_row_scale_ ? *k_scale : 1.f;
      const bool clear = !v.holes && !c_.mask.data && sees.every(t0 + g.k0, t0 + g.k1);
      bool done = false;
      for (int r = 0; r < R; ++r) g.a[r] = q_.scale[at + r] * tile_scale;
      if (fmt_.smooth_q) {
        alignas(64) float row_scale[kLanes];
        for (int r = 0; r < R; ++r) row_scale[r] = g.a[r], g.a[r] = 1.f;
        g.is_float = true;
        done = products<D>(q, k, start, g, pending, s,
                           Shifted{k_row_scale_ ? nullptr : k_scale, row_scale, s.delta});
      } else if (k_scale && !k_row_scale_) {
        g.is_float = true;
        done = products<D>(q, k, start, g, pending, s, Scaled{k_scale});
      } else {
        done = products<D>(q, k, start, g, pending, s, Raw{});
      }
      // the constants of this group are worked out before P·V of the last one, whose products hide their
      // latency
      if (!clear) hide(it, v, rows, g, s);
      reduce(rows, g, s);
      settle(done);
      if (threshold && negligible(*threshold, clear, rows, g, s)) continue;
      pending = &g;
    }
  }
  settle(false);
}

inline F Attention::read_output(int64_t at, int c) const {
  const View x{c_.out.data, c_.out.dtype};
  const int n = (int)least<int64_t>(W, kv_.Dv - c);
  F value = zero();
  with_reader(x, [&](auto r) {
    using Read = decltype(r);
    if (n == W)
      value = Read::whole(x.data, at + c);
    else if (n > 0)
      value = Read::some(x.data, at + c, n);
  });
  return value;
}

// O / l, times the scales of V, plus its mean; and lse in natural log, of the keys before smoothing.
inline void Attention::write(const Item& it, Scratch& s) const {
  const float* v_scale = kv_.v_scale ? kv_.v_scale + it.kv_head * kv_.Dvp : nullptr;
  const float* v_mean = kv_.v_mean ? kv_.v_mean + it.kv_head * kv_.Dvp : nullptr;
  alignas(64) float line[256 + W];
  for (int r = 0; r < it.rows; ++r) {
    const int64_t row = it.row0 + r, h = head_of(it, row), i = folded_ ? row % c_.q.L : row;
    const float* o = s.o + (int64_t)r * o_stride_;
    const float l = sum_all(load(o + kv_.Dvp));
    const bool empty = l == 0.f;
    const F inverse = set1(empty ? 0.f : 1.f / l);
    const int64_t at = it.b * c_.out.sb + h * c_.out.sh + i * c_.out.sl;
    const bool direct = c_.out.dtype == Dtype::f32 && kv_.Dvp == kv_.Dv;
    float* to = direct ? (float*)c_.out.data + at : line;
    float lse = empty ? kNone : kLn2 * (s.m[r] + log2f(l) - log2_levels_);
    if (!empty && q_.k_mean_dot) lse += q_.k_mean_dot[it.qh * q_.Lp + row];
    float* lse_at = c_.out.lse ? c_.out.lse + (it.b * c_.q.H + h) * c_.q.L + i : nullptr;
    F share = set1(1.f);  // of these keys, beside those whose results lie there already
    if (c_.out.merge) {
      if (empty) continue;
      share = set1(1.f / (1.f + expf(*lse_at - lse)));
      lse = *lse_at == kNone ? lse : most(lse, *lse_at) + log1pf(expf(-fabsf(lse - *lse_at)));
    }
    for (int c = 0; c < kv_.Dvp; c += W) {
      F x = mul(load(o + c), inverse);
      if (v_scale) x = mul(x, load(v_scale + c));
      if (v_mean && !empty) x = add(x, load(v_mean + c));
      if (c_.out.merge) {
        const F old = read_output(at, c);
        x = fma(share, sub(x, old), old);
      }
      store(to + c, x);
    }
    if (!direct) write_row(line, c_.out.data, c_.out.dtype, at, kv_.Dv);
    if (lse_at) *lse_at = lse;
  }
}

inline void Attention::walk(const Item& it, Scratch& s) const {
  if (qk_ == Dot::i8)
    walk_scores<DotI8>(it, s);
  else if (qk_ == Dot::bf16)
    walk_scores<DotBf16>(it, s);
  else
    walk_scores<DotF32>(it, s);
}

}  // namespace foveate::FOVEATE_TARGET

#include "stages.h"
