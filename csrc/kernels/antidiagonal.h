// Softmax mass of pairs of blocks, estimated from strided antidiagonals (XAttention, algorithm 1).
//
// S positions form a group. Row u of Q' is the tokens of group u from last to first, row w of K' those of
// group w from first to last, so Z = Q'·K'ᵀ holds sums over antidiagonals of S × S cells. Both are written in
// bytes, one scale per group: the noise of single products averages out over S of them. A job works on a few
// blocks of queries: its rows of Z (linear in length) are the only buffer.
#pragma once
#include "exp2.h"
#include "formats.h"
#include "products.h"

namespace foveate::FOVEATE_TARGET {

class Antidiagonal {
 public:
  explicit Antidiagonal(const AntidiagonalCall& c) : c_(c), S_(c.stride), Dp_(round_up(c.q.D, 4)) {
    Dm_ = round_up(c.q.D, W);
    steps_ = (int)(S_ * Dp_ / 4);
    shift_ = c.k.L - c.q.L;
    whole_ = c.k.L / S_, tail_ = c.k.L % S_, columns_ = whole_ + (tail_ > 0);
    chunks_ = (whole_ + kChunk - 1) / kChunk;
    nQ_ = (c.q.L + c.block - 1) / c.block, nK_ = (c.k.L + c.block - 1) / c.block;
    per_job_ = most<int64_t>(1, kRowsPerJob / (c.block / S_));
    spans_ = (nQ_ + per_job_ - 1) / per_job_;
    const int64_t heads = c.k.B * c.k.H;
    mean_.resize((size_t)(heads * Dm_));
    codes_.resize((size_t)(heads * chunks_ * chunk_bytes()));
    scale_.resize((size_t)(heads * chunks_ * kChunk));
  }

  int64_t mean_jobs() const { return c_.k.B * c_.k.H; }
  int64_t key_jobs() const { return c_.k.B * c_.k.H * chunks_; }
  int64_t jobs() const { return c_.q.B * c_.q.H * spans_; }

  // Softmax does not see what is subtracted from all keys, but bytes do: a mean over a sample serves.
  void mean_job(int64_t bh) {
    float* mean = mean_.data() + bh * Dm_;
    const int64_t step = most<int64_t>(1, least<int64_t>(16, c_.k.L / 256));
    alignas(64) float line[kMaxD + W];
    for (int64_t d = 0; d < Dm_; ++d) mean[d] = 0.f;
    with_reader(c_.k, [&](auto r) {
      for (int64_t l = 0; l < c_.k.L; l += step) {
        read_row(r, c_.k, bh / c_.k.H, bh % c_.k.H, l, nullptr, line);
        for (int64_t d = 0; d < Dm_; d += W) store(mean + d, add(load(mean + d), load(line + d)));
      }
    });
    const float n = float((c_.k.L + step - 1) / step);
    for (int64_t d = 0; d < Dm_; ++d) mean[d] = finite(mean[d]) ? mean[d] / n : 0.f;
  }

  // Codes of kChunk groups of keys.
  void key_job(int64_t n) {
    const int64_t bh = n / chunks_, chunk = n % chunks_;
    uint8_t* out = codes_.data() + n * chunk_bytes();
    Array<float>& x = buffer();
    for (int slot = 0; slot < kChunk; ++slot) {
      const int64_t w = chunk * kChunk + slot;
      const float largest = read_group(c_.k, bh, w * S_, 1, w < whole_ ? S_ : 0, mean_.data() + bh * Dm_, x);
      const Step step(largest, 127.f);
      scale_[n * kChunk + slot] = step.scale;
      for (int64_t t = 0; t < S_; ++t)
        pack_row_i8(x.data() + t * Dm_, (int)Dp_, step.inverse, 127.f, kKeyOffset, out + t * Dp_ * kChunk,
                    kChunk, slot);
    }
  }

  void job(int64_t n) const {
    const int64_t bh = n / spans_, first = n % spans_ * per_job_, last = least(first + per_job_, nQ_);
    const int64_t kv = bh / c_.q.H * c_.k.H + bh % c_.q.H / (c_.q.H / c_.k.H);
    Job& j = scratch();
    list_rows(first, last, j);
    float* out = c_.out + (bh * nQ_ + first) * nK_;
    for (int64_t i = 0; i < (last - first) * nK_; ++i) out[i] = 0.f;
    if (!j.count) return;
    const int groups = (j.count + R - 1) / R;
    j.z.resize((size_t)groups * R * row_length());
    j.codes.resize((size_t)groups * steps_ * R * 4);
    j.factor.assign((size_t)groups * R, 0.f);
    j.start.assign((size_t)groups * R, 0);
    for (int r = 0; r < groups * R; ++r) encode_row(bh, kv, r, j);
    for (int64_t chunk = 0; chunk < chunks_; ++chunk)
      for (int g = 0; g < groups; ++g) {
        const Row& last_row = j.rows[least(g * R + R, j.count) - 1];  // rows are in ascending order
        if (!c_.causal || last_row.u >= chunk * kChunk) product(kv, chunk, g, j);
      }
    for (int r = 0; r < j.count; ++r) {
      if (tail_ && visible(j.rows[r].u) == columns_) last_column(bh, kv, r, j);
      add_masses(j.z.data() + r * row_length(), visible(j.rows[r].u), out + (j.rows[r].block - first) * nK_);
    }
  }

 private:
  static constexpr int64_t kRowsPerJob = 32;  // rows that share one pass over K'

  struct Row {
    int64_t u, block;
  };  // a group of queries, and the block it counts for
  struct Job {
    Array<Row> rows;
    int count = 0;
    Array<float> z, factor, offset;  // offset: what the mean took from the row's average
    Array<uint8_t> codes;
    Array<int32_t> start;
  };

  int64_t chunk_bytes() const { return (int64_t)steps_ * kChunk * 4; }
  int64_t row_length() const { return round_up(most(columns_, chunks_ * kChunk), W) + W; }
  int64_t visible(int64_t u) const { return !c_.causal ? columns_ : u < 0 ? 0 : least(u + 1, columns_); }
  static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

  // The groups of queries that have a token in blocks [first, last); one that lies across a border counts for
  // both. Groups that stand before the first key see nothing if the call is causal.
  void list_rows(int64_t first, int64_t last, Job& j) const {
    j.rows.resize((size_t)((last - first) * (c_.block / S_ + 1)));
    j.count = 0;
    for (int64_t I = first; I < last; ++I) {
      const int64_t from = shift_ + I * c_.block, to = shift_ + least((I + 1) * c_.block, c_.q.L);
      for (int64_t u = floor_div(from, S_); u <= floor_div(to - 1, S_); ++u)
        if (u >= 0 || !c_.causal) j.rows[j.count++] = {u, I};
    }
    j.offset.assign((size_t)j.count, 0.f);
  }

  // Tokens first + i · direction of a head for i in [0, S) as floats, zeros where there is none; its largest
  // value.
  template <class Exists>
  float read_tokens(const View& x, int64_t bh, int64_t first, int direction, const Exists& exists,
                    const float* mean, Array<float>& out) const {
    out.resize((size_t)(S_ * Dm_));
    Largest top;
    with_reader(x, [&](auto reader) {
      for (int64_t t = 0; t < S_; ++t) {
        float* line = out.data() + t * Dm_;
        const int64_t token = first + t * direction;
        if (!exists(token)) {
          std::memset(line, 0, sizeof(float) * Dm_);
          continue;
        }
        const int64_t at = bh / x.H * x.sb + bh % x.H * x.sh + token * x.sl;
        prefetch_row(x, at + kAhead * x.sl * direction);
        read_row(reader, x, bh / x.H, bh % x.H, token, mean, line);
        for (int64_t d = 0; d < Dm_; d += W) top.add(load(line + d));
      }
    });
    return top.value();
  }
  float read_group(const View& x, int64_t bh, int64_t first, int direction, int64_t count, const float* mean,
                   Array<float>& out) const {
    return read_tokens(
        x, bh, first, direction, [=](int64_t token) { return token < first + count; }, mean, out);
  }
  float read_queries(int64_t bh, int64_t u, Array<float>& out) const {  // last token first
    return read_tokens(
        c_.q, bh, u * S_ + S_ - 1 - shift_, -1, [&](int64_t i) { return i >= 0 && i < c_.q.L; }, nullptr,
        out);
  }
  // Tokens of group u that exist: t in [from, to) of the antidiagonal, where t = S − 1 is the group's first
  // token.
  void present(int64_t u, int64_t& from, int64_t& to) const {
    const int64_t first = u * S_ - shift_;  // the group's first token
    from = most<int64_t>(0, first + S_ - c_.q.L);
    to = least(S_, S_ + first);
  }

  void encode_row(int64_t bh, int64_t kv, int r, Job& j) const {
    Array<float>& x = buffer();
    uint8_t* out = j.codes.data() + (int64_t)(r / R) * steps_ * R * 4;
    if (r >= j.count) {  // rows behind the last
      x.assign((size_t)Dm_, 0.f);
      for (int64_t t = 0; t < S_; ++t)
        pack_row_i8(x.data(), (int)Dp_, 0.f, 127.f, 0, out + t * Dp_ * R, R, r % R);
      return;
    }
    const Step step(read_queries(bh, j.rows[r].u, x), 127.f);
    int64_t from, to;
    present(j.rows[r].u, from, to);
    int32_t sum = 0;
    for (int64_t t = 0; t < S_; ++t)
      sum += pack_row_i8(x.data() + t * Dm_, (int)Dp_, step.inverse, 127.f, 0, out + t * Dp_ * R, R, r % R);
    j.start[r] = -kKeyOffset * sum;
    const float average = c_.factor * kLog2e / float(to - from);
    j.factor[r] = step.scale * average;
    if (!tail_ || visible(j.rows[r].u) < columns_) return;
    F dot = zero();
    for (int64_t t = 0; t < S_; ++t)
      for (int64_t d = 0; d < Dm_; d += W)
        dot = fma(load(x.data() + t * Dm_ + d), load(mean_.data() + kv * Dm_ + d), dot);
    j.offset[r] = sum_all(dot) * average;
  }

  // Z of R rows and kChunk columns, in base-2 units.
  void product(int64_t kv, int64_t chunk, int group, Job& j) const {
    I acc[R][NV];
    start_sums<DotI8>(acc, j.start.data() + group * R);
    const uint8_t* k = codes_.data() + (kv * chunks_ + chunk) * chunk_bytes();
    const uint8_t* q = j.codes.data() + (int64_t)group * steps_ * R * 4;
    for (int s = 0; s < steps_; ++s, k += kChunk * 4, q += R * 4) step<DotI8>(acc, k, q);
    const float* scale = scale_.data() + (kv * chunks_ + chunk) * kChunk;
    for (int r = 0; r < R; ++r)
      for (int n = 0; n < NV; ++n) {
        const F factor = mul(set1(j.factor[group * R + r]), load(scale + n * W));
        store(j.z.data() + (group * R + r) * row_length() + chunk * kChunk + n * W,
              mul(to_float(acc[r][n]), factor));
      }
  }

  // The last group of keys is shorter than S: its average is over fewer pairs, and worked out with floats.
  // The mean of K stays in it; the other columns lack what it gives, so that is taken away here, too.
  void last_column(int64_t bh, int64_t kv, int r, Job& j) const {
    int64_t from, to;
    present(j.rows[r].u, from, to);
    to = least(to, tail_);
    float& z = j.z[r * row_length() + columns_ - 1];
    if (from >= to) {
      z = kNone;
      return;
    }
    Array<float>& x = buffer();
    read_queries(bh, j.rows[r].u, x);
    alignas(64) float line[kMaxD + W];
    F dot = zero();
    with_reader(c_.k, [&](auto reader) {
      for (int64_t t = from; t < to; ++t) {
        read_row(reader, c_.k, kv / c_.k.H, kv % c_.k.H, whole_ * S_ + t, nullptr, line);
        for (int64_t d = 0; d < Dm_; d += W) dot = fma(load(x.data() + t * Dm_ + d), load(line + d), dot);
      }
    });
    z = sum_all(dot) * c_.factor * kLog2e / float(to - from) - j.offset[r];
  }

  // Softmax over the first n values of a row, summed by blocks of keys.
  void add_masses(float* z, int64_t n, float* out) const {
    if (n == 0) return;
    for (int64_t i = n; i < round_up(n, W); ++i) z[i] = kNone;
    F best = load(z);
    for (int64_t i = W; i < n; i += W) best = max(best, load(z + i));
    alignas(64) float lanes[W];
    store(lanes, best);
    float top = kNone;
    for (float x : lanes) top = keep_largest(top, x);
    if (top == kNone) return;
    F sum = zero();
    for (int64_t i = 0; i < n; i += W) {
      const F e = exp2_of<6>(sub(load(z + i), set1(top)));
      store(z + i, e);
      sum = add(sum, e);
    }
    const float inverse = 1.f / sum_all(sum);
    const int64_t per_block = c_.block / S_;
    for (int64_t J = 0, i = 0; i < n; ++J, i += per_block) {
      const int64_t end = least(i + per_block, n);
      float mass = 0.f;
      int64_t w = i;
      if (per_block % W == 0) {  // values behind the last are 0
        F part = zero();
        for (; w < end; w += W) part = add(part, load(z + w));
        mass = sum_all(part);
      } else {
        for (; w < end; ++w) mass += z[w];
      }
      out[J] += mass * inverse;
    }
  }

  static Array<float>& buffer() {
    static thread_local Array<float> x;
    return x;
  }
  static Job& scratch() {
    static thread_local Job j;
    return j;
  }

  const AntidiagonalCall& c_;
  int64_t S_, Dp_, Dm_, shift_, whole_, tail_, columns_, chunks_, nQ_, nK_, per_job_, spans_;
  int steps_;
  Array<float> mean_, scale_;
  Array<uint8_t> codes_;
};

}  // namespace foveate::FOVEATE_TARGET
