#include "dispatch.h"

#include <atomic>
#include <stdexcept>

#include "memory.h"

namespace foveate {
namespace {

bool runs_avx2() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#else
  return false;
#endif
}

bool runs_avx512() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16") && runs_avx2();
#else
  return false;
#endif
}

// Best first.
struct Candidate {
  const Table* (*table)();
  bool (*runs)();
};
const Candidate kCandidates[] = {
    {avx512_table, runs_avx512}, {avx2_table, runs_avx2}, {portable_table, [] { return true; }}};

std::atomic<const Table*> active{nullptr};

}  // namespace

std::vector<std::string> built_targets() {
  std::vector<std::string> names;
  for (const Candidate& c : kCandidates)
    if (c.table()) names.push_back(c.table()->name);
  return names;
}

std::vector<std::string> available_targets() {
  std::vector<std::string> names;
  for (const Candidate& c : kCandidates)
    if (c.table() && c.runs()) names.push_back(c.table()->name);
  return names;
}

void set_target(const std::string& name) {
  std::string known;
  for (const Candidate& c : kCandidates) {
    if (!c.table() || !c.runs()) continue;
    if (name.empty() || name == c.table()->name) {
      active = c.table();
      return;
    }
    known += (known.empty() ? "" : ", ") + std::string(c.table()->name);
  }
  throw std::invalid_argument("unknown CPU target \"" + name + "\"; this processor and build offer " + known);
}

void run_attention(const Call& call, const Table& table) {
  const Formats& f = call.kv->fmt;
  const int64_t group = call.q.H / call.kv->H;
  // Decoding: the few rows of all query heads that share a kv head go through its tiles together. Not where
  // the encoding of a row depends on its neighbours, or where heads visit different blocks.
  const bool row_by_row = f.qk.kind == QKFormat::f32 || f.qk.kind == QKFormat::bf16 ||
                          (f.qk.kind == QKFormat::integer && f.qk.q_grain == Grain::token);
  const bool fold = group > 1 && call.q.L <= 16 && row_by_row && !f.smooth_q && !call.layout.counts &&
                    !call.filter.threshold;
  OwnedQueries q(call, fold, table.rows);
  table.encode_queries(q.view, call);
  table.attend(call, q.view);
}

void run_backward_int8(const Gradient& g, const Formats& fmt, const Table& table) {
  OwnedKV kv(fmt, g.k.B, g.k.H, g.k.D, g.v.D, (g.k.L + fmt.tile - 1) / fmt.tile, table.lanes);
  kv.view.L = g.k.L;
  table.encode_keys_values(kv.view, g.k, g.v, 0, g.threads);
  Call call;
  call.q = g.q, call.scale = g.scale, call.kv = &kv.view, call.threads = g.threads;
  call.out.lse = (float*)g.lse;  // asks for what the mean of K is to lse; nothing is written there
  OwnedQueries q(call, false, table.rows);
  table.encode_queries(q.view, call);
  table.backward_int8(g, kv.view, q.view);
}

const Table& active_target() {
  if (!active.load()) set_target("");
  return *active.load();
}

}  // namespace foveate
