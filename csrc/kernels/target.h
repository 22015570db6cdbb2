// One target: include after defining FOVEATE_TARGET and its vectors. Yields `table()`.
#pragma once
#include "basics.h"
#include "encode_kv.h"
#include "encode_q.h"
#include "attend.h"
#include "direct.h"
#include "backward.h"
#include "backward_int8.h"
#include "means.h"
#include "antidiagonal.h"
#include "../dispatch.h"
#include "../threads.h"

namespace foveate::FOVEATE_TARGET {

static void encode_keys_values(KV& kv, const View& k, const View& v, int64_t first_tile, int threads) {
  EncodeKV e(kv, k, v, first_tile);
  for (int64_t head = 0; head < e.heads(); head += e.heads_per_round()) {
    e.begin_round(head);
    if (e.stat_jobs()) {
      parallel_for(e.stat_jobs(), threads, [](void* x, int64_t n, int) { ((EncodeKV*)x)->stat_job(n); }, &e);
      e.merge_stats();
    }
    parallel_for(e.tile_jobs(), threads, [](void* x, int64_t n, int) { ((EncodeKV*)x)->tile_job(n); }, &e);
  }
}

static void encode_queries(Queries& q, const Call& call) {
  EncodeQ e(q, call.q, *call.kv, call.scale, call.out.lse != nullptr);
  if (e.needs_survey()) {
    parallel_for(e.jobs(), call.threads, [](void* x, int64_t n, int) { ((EncodeQ*)x)->survey(n); }, &e);
    e.merge_survey();
  }
  parallel_for(e.jobs(), call.threads, [](void* x, int64_t n, int) { ((EncodeQ*)x)->job(n); }, &e);
}

static void attend(const Call& call, const Queries& q) {
  struct State {
    Attention attention;
    Array<Scratch*> scratch;
    ~State() {
      for (size_t i = 0; i < scratch.size(); ++i) delete scratch[i];
    }
  } state{Attention(call, q), {}};
  state.scratch.assign((size_t)call.threads, nullptr);
  parallel_for(
      state.attention.items(), call.threads,
      [](void* x, int64_t n, int thread) {
        State& s = *(State*)x;
        Scratch*& mine = s.scratch[(size_t)thread];
        if (!mine) mine = new Scratch;
        s.attention.run(n, *mine);
      },
      &state);
}

static void attend_direct(const Call& call, const View& k, const View& v, PKind p, const Segments& segments) {
  Direct d(call, k, v, p, segments);
  parallel_for(d.jobs(), call.threads, [](void* x, int64_t n, int) { ((Direct*)x)->job(n); }, &d);
  parallel_for(d.items(), call.threads, [](void* x, int64_t n, int) { ((Direct*)x)->finish(n); }, &d);
}

template <class Way>
static void go_back(Way& b, int threads) {
  parallel_for(b.pack_jobs(), threads, [](void* x, int64_t n, int) { ((Way*)x)->pack(n); }, &b);
  parallel_for(b.jobs(), threads, [](void* x, int64_t n, int thread) { ((Way*)x)->job(n, thread); }, &b);
  parallel_for(b.merge_jobs(), threads, [](void* x, int64_t n, int) { ((Way*)x)->merge(n); }, &b);
}

static void backward(const Gradient& call) {
  Backward b(call);
  go_back(b, call.threads);
}

static void backward_int8(const Gradient& call, const KV& kv, const Queries& queries) {
  BackwardInt8 b(call, kv, queries);
  go_back(b, call.threads);
}

static void block_means(const MeansCall& call, int threads) {
  BlockMeans m(call);
  parallel_for(m.jobs(), threads, [](void* x, int64_t n, int) { ((BlockMeans*)x)->job(n); }, &m);
}

static void antidiagonal(const AntidiagonalCall& call, int threads) {
  Antidiagonal a(call);
  parallel_for(a.mean_jobs(), threads, [](void* x, int64_t n, int) { ((Antidiagonal*)x)->mean_job(n); }, &a);
  parallel_for(a.key_jobs(), threads, [](void* x, int64_t n, int) { ((Antidiagonal*)x)->key_job(n); }, &a);
  parallel_for(a.jobs(), threads, [](void* x, int64_t n, int) { ((Antidiagonal*)x)->job(n); }, &a);
}

static constexpr Table kTable = {FOVEATE_TARGET_NAME,
                                 W,
                                 R,
                                 encode_keys_values,
                                 encode_queries,
                                 attend,
                                 attend_direct,
                                 backward,
                                 backward_int8,
                                 block_means,
                                 antidiagonal};

}  // namespace foveate::FOVEATE_TARGET
