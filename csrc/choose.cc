// Spending a budget on rows of block scores: which blocks are visited. Plain C++, the same on every target.
//
// A heap gives the best blocks one after the other, so a row costs its length plus what it takes, not a sort.
#include <algorithm>
#include <cmath>
#include <vector>

#include "dispatch.h"
#include "threads.h"

namespace foveate {
namespace {

constexpr double kSlack = 1e-6;  // of a row's total: float32 scores do not add up to the last bit

struct Block {
  float score;
  int32_t index;
  bool operator<(const Block& other) const {  // ties: the lower index is the better one
    return score < other.score || (score == other.score && index > other.index);
  }
};

class Row {
 public:
  Row(const ChoiceCall& c, int64_t n) : c_(c) {
    const int64_t I = n % c.nQ, h = n / c.nQ % c.H, b = n / c.nQ / c.H;
    scores_ = c.scores + n * c.nK;
    allowed_ = c.allowed + b * c.allowed_b + h * c.allowed_h + I * c.nK;
    kept_ = c.kept + b * c.kept_b + h * c.kept_h + I * c.nK;
    head_ = h;
    counts_ = c.counts + n, indices_ = c.indices + n * c.nK;
  }

  void choose(std::vector<Block>& rest, std::vector<uint8_t>& taken) {
    rest.clear();
    taken.assign((size_t)c_.nK, 0);
    double total = 0, collected = 0;
    int64_t visible = 0, number = 0;
    for (int64_t j = 0; j < c_.nK; ++j) {
      if (!allowed_[j]) continue;
      ++visible;
      const float score = scores_[j] > 0 ? scores_[j] : 0;  // a NaN counts as nothing
      total += score;
      if (c_.kept_first && kept_[j]) {
        taken[j] = 1, ++number;
        collected += score;
      } else {
        rest.push_back({score, (int32_t)j});
      }
    }
    std::make_heap(rest.begin(), rest.end());
    const bool by_mass = c_.mass && !(c_.mass[head_] >= 1);
    const double required = by_mass ? c_.mass[head_] * total : 0, slack = kSlack * total;
    const int64_t least = std::max<int64_t>(c_.at_least, c_.count ? count(visible) : 0);
    const double limit = c_.share ? c_.share[head_] * (1 - kSlack) * total : 0;
    const bool everything = c_.mass && !by_mass;
    while (!rest.empty()) {
      const Block& best = rest.front();
      bool more = false;
      if (c_.share)
        more = best.score >= limit;
      else if (by_mass && c_.inclusive)
        more = collected < required - slack;
      else if (by_mass)
        more = number == 0 || collected + best.score <= required + slack;
      if (!everything && !((more || number < least) && total > 0)) break;
      collected += best.score;
      taken[best.index] = 1, ++number;
      std::pop_heap(rest.begin(), rest.end());
      rest.pop_back();
    }
    write(taken);
  }

 private:
  int64_t count(int64_t visible) const {
    const double wanted = c_.count[head_];
    if (!c_.is_share[head_]) return (int64_t)wanted;
    const double of = double(c_.of_visible ? visible : c_.nK);
    return std::max<int64_t>(1, (int64_t)std::floor(wanted * of + 1e-9));  // 0.1 · 30 is three
  }

  void write(std::vector<uint8_t>& taken) {
    int32_t n = 0;
    int64_t first = -1;
    for (int64_t j = 0; j < c_.nK; ++j) {
      if (!allowed_[j]) continue;
      if (first < 0) first = j;
      if (taken[j] || kept_[j]) indices_[n++] = (int32_t)j;
    }
    if (n == 0 && first >= 0) indices_[n++] = (int32_t)first;  // nothing to go by: still not an empty row
    *counts_ = n;
    for (int64_t j = n; j < c_.nK; ++j) indices_[j] = 0;
  }

  const ChoiceCall& c_;
  const float* scores_;
  const uint8_t *allowed_, *kept_;
  int64_t head_;
  int32_t *counts_, *indices_;
};

}  // namespace

void choose_blocks(const ChoiceCall& call, int threads) {
  constexpr int64_t kRows = 32;  // per job
  struct State {
    const ChoiceCall& call;
    int64_t rows;
  } state{call, call.B * call.H * call.nQ};
  parallel_for((state.rows + kRows - 1) / kRows, threads,
               [](void* x, int64_t n, int) {
                 const State& s = *(State*)x;
                 std::vector<Block> rest;
                 std::vector<uint8_t> taken;
                 for (int64_t row = n * kRows; row < std::min((n + 1) * kRows, s.rows); ++row)
                   Row(s.call, row).choose(rest, taken);
               },
               &state);
}

}  // namespace foveate
