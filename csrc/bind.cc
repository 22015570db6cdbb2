// The one file that knows Python. Tensors arrive as addresses with shapes and strides (a data pointer costs
// 0.1 µs, a DLPack exchange 5 µs); the Python side has checked them and keeps them alive during the call.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <tuple>

#include "dispatch.h"
#include "memory.h"

namespace nb = nanobind;
using namespace foveate;

namespace {

// address, dtype (0 float32, 1 bfloat16, 2 float16), strides of B, H, L, shape
using TensorTuple = std::tuple<uintptr_t, int, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;
View view_of(const TensorTuple& t) {
  View v;
  int dtype;
  uintptr_t at;
  std::tie(at, dtype, v.sb, v.sh, v.sl, v.B, v.H, v.L, v.D) = t;
  v.data = (const void*)at;
  v.dtype = (Dtype)dtype;
  return v;
}

// Encoded keys and values; `length` tokens are written.
class PyKV {
 public:
  PyKV(const Formats& fmt, const TensorTuple& k, const TensorTuple& v, int threads)
      : table_(active_target()),
        owned_(fmt, std::get<5>(k), std::get<6>(k), std::get<8>(k), std::get<8>(v),
               (std::get<7>(k) + fmt.tile - 1) / fmt.tile, table_.lanes) {
    write(k, v, 0, threads);
  }
  // Writes tokens from tile `first` on; everything from there is replaced.
  void write(const TensorTuple& k, const TensorTuple& v, int64_t first, int threads) {
    View kv = view_of(k), vv = view_of(v);
    const int64_t tile = owned_.view.fmt.tile;
    nb::gil_scoped_release free;
    owned_.reserve(first + (kv.L + tile - 1) / tile);
    owned_.view.L = first * tile + kv.L;
    table_.encode_keys_values(owned_.view, kv, vv, first, threads);
  }
  const KV& kv() const { return owned_.view; }
  const Table& table() const { return table_; }
  int64_t bytes() const { return owned_.bytes(); }

 private:
  const Table& table_;  // the layout depends on the target, so it stays the same for life
  OwnedKV owned_;
};

using MaskTuple = std::tuple<uintptr_t, bool, int64_t, int64_t, int64_t, int64_t>;
using LayoutTuple = std::tuple<uintptr_t, uintptr_t, int64_t, int64_t, int64_t, int64_t, bool, bool>;

// The parts of a call that do not depend on how K and V are kept.
Call call_of(const TensorTuple& q, int64_t keys, double scale, uintptr_t before, uintptr_t sink,
             int64_t after, const std::optional<MaskTuple>& mask, const TensorTuple& out, uintptr_t lse,
             int threads) {
  Call c;
  c.q = view_of(q);
  c.scale = (float)scale;
  c.bands.before = (const int64_t*)before;
  c.bands.sink = (const int64_t*)sink;
  c.bands.after = after;
  c.bands.shift = keys - c.q.L;
  if (mask) {
    uintptr_t at;
    std::tie(at, c.mask.additive, c.mask.sb, c.mask.sh, c.mask.si, c.mask.sj) = *mask;
    c.mask.data = (const void*)at;
  }
  const View o = view_of(out);
  c.out = {(void*)o.data, o.dtype, o.sb, o.sh, o.sl, (float*)lse};
  c.threads = threads;
  return c;
}

Layout layout_of(const std::optional<LayoutTuple>& tuple) {
  Layout y;
  if (!tuple) return y;
  uintptr_t counts, indices;
  std::tie(counts, indices, y.bq, y.bk, y.nQ, y.nK, y.per_batch, y.per_head) = *tuple;
  y.counts = (const int32_t*)counts, y.indices = (const int32_t*)indices;
  return y;
}

void attend(const PyKV& packed, const TensorTuple& q, double scale, uintptr_t before, uintptr_t sink,
            int64_t after, std::optional<MaskTuple> mask, std::optional<LayoutTuple> layout,
            uintptr_t threshold, uintptr_t tally, const TensorTuple& out, uintptr_t lse, bool merge,
            int threads) {
  Call c = call_of(q, packed.kv().L, scale, before, sink, after, mask, out, lse, threads);
  c.kv = &packed.kv();
  c.filter = {(const float*)threshold, (int64_t*)tally};
  c.out.merge = merge;
  c.layout = layout_of(layout);
  nb::gil_scoped_release free;
  run_attention(c, packed.table());
}

void attend_direct(const TensorTuple& k, const TensorTuple& v, const TensorTuple& q, double scale,
                   uintptr_t before, uintptr_t sink, int64_t after, std::optional<MaskTuple> mask,
                   const TensorTuple& out, uintptr_t lse, int p, int threads) {
  const View kv = view_of(k), vv = view_of(v);
  const Call c = call_of(q, kv.L, scale, before, sink, after, mask, out, lse, threads);
  nb::gil_scoped_release free;
  active_target().attend_direct(c, kv, vv, (PKind)p, Segments());
}

// One query per head against keys and values in a store of their own for each head.
void attend_segments(const TensorTuple& k, const TensorTuple& v, const TensorTuple& q, double scale,
                     uintptr_t start, uintptr_t length, uintptr_t k_scale, uintptr_t v_scale,
                     int64_t scale_sb, const TensorTuple& out, uintptr_t lse, int p, int threads) {
  const View kv = view_of(k), vv = view_of(v);
  const Call c =
      call_of(q, kv.L, scale, 0, 0, 0, std::nullopt, out, lse, threads);  // no band: every token is seen
  const Segments segments{(const int64_t*)start, (const int64_t*)length, (const float*)k_scale,
                          (const float*)v_scale, scale_sb};
  nb::gil_scoped_release free;
  active_target().attend_direct(c, kv, vv, (PKind)p, segments);
}

// `formats`: in 8 bits, from the codes that the forward made with them; none: in float32.
void backward(const TensorTuple& q, const TensorTuple& k, const TensorTuple& v, const TensorTuple& out,
              const TensorTuple& dout, uintptr_t lse, uintptr_t dlse, double scale, uintptr_t before,
              uintptr_t sink, int64_t after, std::optional<MaskTuple> mask, std::optional<LayoutTuple> layout,
              const std::optional<Formats>& formats, bool exact_delta, uintptr_t dq, uintptr_t dk,
              uintptr_t dv, int threads) {
  const View keys = view_of(k);
  const Call c = call_of(q, keys.L, scale, before, sink, after, mask, out, 0, threads);
  Gradient g;
  g.q = c.q, g.k = keys, g.v = view_of(v), g.out = view_of(out), g.dout = view_of(dout);
  g.lse = (const float*)lse, g.dlse = (const float*)dlse;
  g.scale = c.scale, g.mask = c.mask, g.layout = layout_of(layout), g.bands = c.bands;
  g.dq = (float*)dq, g.dk = (float*)dk, g.dv = (float*)dv;
  g.exact_delta = exact_delta, g.threads = threads;
  nb::gil_scoped_release free;
  if (formats)
    run_backward_int8(g, *formats, active_target());
  else
    active_target().backward(g);
}

void block_means(const TensorTuple& x, uintptr_t mean, int64_t rows, uintptr_t out, uintptr_t likeness,
                 int threads) {
  const MeansCall c{view_of(x), (const float*)mean, rows, (float*)out, (float*)likeness};
  nb::gil_scoped_release free;
  active_target().block_means(c, threads);
}

void antidiagonal(const TensorTuple& q, const TensorTuple& k, double factor, int64_t stride, int64_t block,
                  bool causal, uintptr_t out, int threads) {
  const AntidiagonalCall c{view_of(q), view_of(k), (float)factor, stride, block, causal, (float*)out};
  nb::gil_scoped_release free;
  active_target().antidiagonal(c, threads);
}

// address and strides over batch and heads of a bool map, its rows contiguous
using MapTuple = std::tuple<uintptr_t, int64_t, int64_t>;
void choose(uintptr_t scores, std::tuple<int64_t, int64_t, int64_t, int64_t> shape,
            const std::optional<std::vector<double>>& mass, const std::optional<std::vector<double>>& share,
            const std::optional<std::vector<double>>& count, const std::vector<uint8_t>& is_share,
            bool inclusive, bool kept_first, bool of_visible, int64_t at_least, MapTuple allowed,
            MapTuple kept, uintptr_t counts, uintptr_t indices, int threads) {
  ChoiceCall c;
  c.scores = (const float*)scores;
  std::tie(c.B, c.H, c.nQ, c.nK) = shape;
  c.mass = mass ? mass->data() : nullptr;
  c.share = share ? share->data() : nullptr;
  c.count = count ? count->data() : nullptr;
  c.is_share = is_share.data();
  c.inclusive = inclusive, c.kept_first = kept_first, c.of_visible = of_visible, c.at_least = at_least;
  uintptr_t at;
  std::tie(at, c.allowed_b, c.allowed_h) = allowed, c.allowed = (const uint8_t*)at;
  std::tie(at, c.kept_b, c.kept_h) = kept, c.kept = (const uint8_t*)at;
  c.counts = (int32_t*)counts, c.indices = (int32_t*)indices;
  nb::gil_scoped_release free;
  choose_blocks(c, threads);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "CPU kernels of foveate.";
  nb::class_<Formats>(m, "Formats")
      .def(
          "__init__",
          [](Formats* f, int qk, int limit, int q_grain, int k_grain, bool qk_second, int p, float levels,
             int v, float v_limit, bool v_second, int sum, int chain, bool smooth_q, bool smooth_k,
             bool smooth_v, int mean_every, int block_q, int warp_q, int tile) {
            new (f) Formats();
            f->qk = {(QKFormat::Kind)qk, limit, (Grain)q_grain, (Grain)k_grain, qk_second};
            f->p = (PKind)p, f->p_levels = levels;
            f->v = {(VFormat::Kind)v, v_limit, v_second};
            f->sum = (Sum)sum, f->chain = chain;
            f->smooth_q = smooth_q, f->smooth_k = smooth_k, f->smooth_v = smooth_v;
            f->mean_every = mean_every;
            f->block_q = block_q, f->warp_q = warp_q, f->tile = tile;
          },
          nb::kw_only(), nb::arg("qk"), nb::arg("limit"), nb::arg("q_grain"), nb::arg("k_grain"),
          nb::arg("qk_second"), nb::arg("p"), nb::arg("levels"), nb::arg("v"), nb::arg("v_limit"),
          nb::arg("v_second"), nb::arg("sum"), nb::arg("chain"), nb::arg("smooth_q"), nb::arg("smooth_k"),
          nb::arg("smooth_v"), nb::arg("mean_every"), nb::arg("block_q"), nb::arg("warp_q"), nb::arg("tile"));
  nb::class_<PyKV>(m, "KV")
      .def(nb::init<const Formats&, const TensorTuple&, const TensorTuple&, int>())
      .def("write", &PyKV::write)
      .def_prop_ro("length", [](const PyKV& x) { return x.kv().L; })
      .def_prop_ro("nbytes", &PyKV::bytes)
      .def_prop_ro("target", [](const PyKV& x) { return std::string(x.table().name); });
  m.def("attend", &attend, nb::arg("kv"), nb::arg("q"), nb::arg("scale"), nb::arg("before"), nb::arg("sink"),
        nb::arg("after"), nb::arg("mask").none(), nb::arg("layout").none(), nb::arg("threshold"),
        nb::arg("tally"), nb::arg("out"), nb::arg("lse"), nb::arg("merge"), nb::arg("threads"));
  m.def("attend_direct", &attend_direct, nb::arg("k"), nb::arg("v"), nb::arg("q"), nb::arg("scale"),
        nb::arg("before"), nb::arg("sink"), nb::arg("after"), nb::arg("mask").none(), nb::arg("out"),
        nb::arg("lse"), nb::arg("p"), nb::arg("threads"));
  m.def("backward", &backward, nb::arg("q"), nb::arg("k"), nb::arg("v"), nb::arg("out"), nb::arg("dout"),
        nb::arg("lse"), nb::arg("dlse"), nb::arg("scale"), nb::arg("before"), nb::arg("sink"),
        nb::arg("after"), nb::arg("mask").none(), nb::arg("layout").none(), nb::arg("formats").none(),
        nb::arg("exact_delta"), nb::arg("dq"), nb::arg("dk"), nb::arg("dv"), nb::arg("threads"));
  m.def("attend_segments", &attend_segments, nb::arg("k"), nb::arg("v"), nb::arg("q"), nb::arg("scale"),
        nb::arg("start"), nb::arg("length"), nb::arg("k_scale"), nb::arg("v_scale"), nb::arg("scale_sb"),
        nb::arg("out"), nb::arg("lse"), nb::arg("p"), nb::arg("threads"));
  m.def("block_means", &block_means, nb::arg("x"), nb::arg("mean"), nb::arg("rows"), nb::arg("out"),
        nb::arg("likeness"), nb::arg("threads"));
  m.def("antidiagonal", &antidiagonal, nb::arg("q"), nb::arg("k"), nb::arg("factor"), nb::arg("stride"),
        nb::arg("block"), nb::arg("causal"), nb::arg("out"), nb::arg("threads"));
  m.def("choose", &choose, nb::arg("scores"), nb::arg("shape"), nb::arg("mass").none(),
        nb::arg("share").none(), nb::arg("count").none(), nb::arg("is_share"), nb::arg("inclusive"),
        nb::arg("kept_first"), nb::arg("of_visible"), nb::arg("at_least"), nb::arg("allowed"),
        nb::arg("kept"), nb::arg("counts"), nb::arg("indices"), nb::arg("threads"));
  m.def("rows", [] { return active_target().rows; });
  m.def("built", &built_targets);
  m.def("available", &available_targets);
  m.def("active", [] { return std::string(active_target().name); });
  m.def("set_target", &set_target, nb::arg("name"));
}
