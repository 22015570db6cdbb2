"""Reports against what they estimate, computed in full; bounds against what they promise."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from foveate import (
    BlockLayout,
    Bound,
    Dense,
    Hilbert,
    Sparge,
    TopK,
    Window,
    XAttention,
    attention,
    plan,
)
from foveate.attn.report import brief
from foveate.attn.sampling import order_of, sample, spread
from foveate.attn.select import Selection

from .kit import causal_mask, inputs

SMALL = (8, 4)  # blocks small enough for 32 queries, so that every row is sampled
EXACT = {"precision": "native", "backend": "reference"}


def exact(q, k, v, seen, bias=None):
    """Dense attention and its probabilities, `[B, Hq, Lq, Lk]`, in float64."""
    groups = q.shape[1] // k.shape[1]
    q, k, v = q.double(), *(x.double().repeat_interleave(groups, 1) for x in (k, v))
    scores = q @ k.transpose(-1, -2) * q.shape[3] ** -0.5
    if bias is not None:
        scores = scores + bias
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1).nan_to_num(nan=0.0)
    return weights @ v, weights


def masks(kind, lengths):
    lq, lk = lengths
    torch.manual_seed(3)
    bool_mask = torch.rand(2, 1, lq, lk) > 0.4
    if kind == "bool":
        return bool_mask
    return torch.randn(1, 4, 1, lk) if kind == "additive" else None


@pytest.mark.parametrize("kind", [None, "bool", "additive"])
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize("lengths", [(40, 64), (64, 40)], ids=str)
def test_sampled_rows_are_exact(lengths, causal, kind):
    q, k, v = inputs(2, 4, 2, *lengths)
    mask = masks(kind, lengths)
    made = plan(q, k, v, select=TopK(3, SMALL), causal=causal, mask=mask, **EXACT)
    layout = made.layout(q, k)
    seen = causal_mask(*lengths) if causal else torch.ones(lengths, dtype=torch.bool)
    if kind == "bool":
        seen = seen & mask
    out, weights = exact(q, k, v, seen, mask if kind == "additive" else None)
    retained = (weights * layout.to_mask()).sum(-1)
    retained[weights.sum(-1) == 0] = 1.0
    found = sample(q, k, v, mask, made.request, layout, rows=10)
    rows = found.rows[None].expand(2, -1, -1)
    assert found.rows.shape == (4, 10)
    assert torch.allclose(found.retained.double(), retained.gather(2, rows), atol=1e-5)
    wide = rows.unsqueeze(-1).expand(-1, -1, -1, v.shape[3])
    assert torch.allclose(found.out.double(), out.gather(2, wide), atol=1e-5)


def test_rows_lie_one_in_each_cell_at_changing_places():
    rows = spread(8, 4096, 32, torch.device("cpu"))
    assert torch.equal(rows, spread(8, 4096, 32, torch.device("cpu")))
    assert torch.equal(rows // 128, torch.arange(32).expand(8, -1))
    assert len((rows % 128).unique()) > 100  # of 128 places in a block
    assert torch.equal(spread(2, 7, 32, torch.device("cpu")), torch.arange(7).expand(2, -1))


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize(
    "select",
    [
        TopK(2, SMALL),
        Window(6, 2, SMALL),
        Sparge(threshold=0.5, block=SMALL),
        Sparge(threshold=0.5, block=SMALL, correct=True, skip=1.0),
        XAttention(threshold=0.5, block=8, stride=4),
        Dense(),
    ],
    ids=lambda x: brief(x),
)
def test_with_every_row_sampled_a_report_is_exact(select, causal):
    q, k, v = inputs(2, 4, 2, 32, 64)
    out, lse, report = plan(q, k, v, select=select, causal=causal, **EXACT).run(
        q, k, v, return_lse=True, report=True
    )
    plain, plain_lse = attention(q, k, v, select=select, causal=causal, return_lse=True, **EXACT)
    assert torch.equal(out, plain)
    assert torch.equal(lse, plain_lse)
    seen = causal_mask(32, 64) if causal else torch.ones(32, 64, dtype=torch.bool)
    dense, weights = exact(q, k, v, seen)
    off = (out - dense).abs()
    assert report.error == pytest.approx(float(off.sum() / dense.abs().sum()), rel=1e-4, abs=1e-6)
    by_head = off.sum((0, 2, 3)) / dense.abs().sum((0, 2, 3))
    assert report.error_by_head == pytest.approx(by_head.tolist(), rel=1e-4, abs=1e-6)
    layout = plan(q, k, v, select=select, causal=causal, **EXACT).layout(q, k)
    kept = torch.ones(1, 1, 32, 64) if layout is None else layout.to_mask()
    mass = (weights * kept).sum(-1)
    assert report.retained == pytest.approx(float(mass.mean()), abs=1e-6)
    assert report.retained_least == pytest.approx(float(mass.min()), abs=1e-6)
    assert report.retained_low == pytest.approx(float(mass.flatten().quantile(0.05)), abs=1e-6)
    assert report.retained_by_head == pytest.approx(mass.mean((0, 2)).tolist(), abs=1e-6)
    assert report.rows == 2 * 4 * 32
    assert (report.skipped is None) == (select.skip is None)
    for low, middle, high in (
        (report.retained_interval[0], report.retained, report.retained_interval[1]),
        (report.error_interval[0], report.error, report.error_interval[1]),
    ):
        assert low - 1e-6 <= middle <= high + 1e-6


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
def test_density_is_counted_in_visible_blocks(causal):
    q, k, v = inputs(2, 4, 2, 100, 150)
    made = plan(q, k, v, select=TopK(3, (16, 8)), causal=causal, **EXACT)
    _, report = made.run(q, k, v, report=True)
    visits = made.layout(q, k).to_dense().expand(2, 4, -1, -1)
    rule = causal_mask(100, 150) if causal else torch.ones(100, 150, dtype=torch.bool)
    visible = torch.tensor(
        [
            [bool(rule[i : i + 16, j : j + 8].any()) for j in range(0, 150, 8)]
            for i in range(0, 100, 16)
        ]
    )
    assert report.visible == 2 * 4 * int(visible.sum())
    assert report.visited == int((visits & visible).sum())
    assert report.density == report.visited / report.visible


def test_one_layout_for_all_heads_counts_for_all():
    q, k, v = inputs(2, 4, 2, 64, 64)
    layout = BlockLayout.from_dense(torch.eye(4, dtype=torch.bool)[None, None], (16, 16), (64, 64))
    _, report = plan(q, k, v, select=layout, **EXACT).run(q, k, v, report=True)
    assert (report.visited, report.visible) == (2 * 4 * 4, 2 * 4 * 16)
    assert report.select == "the caller's layout"


def test_tokens_in_another_order_are_followed():
    q, k, v = inputs(1, 2, 1, 64, 64)
    select = Sparge(keep=2, block=SMALL, order=Hilbert((4, 4, 4)))
    made = plan(q, k, v, select=select, **EXACT)
    there = order_of(select, q, k)[1]
    _, report = made.run(q, k, v, report=True)
    _, weights = exact(q, k, v, torch.ones(64, 64, dtype=torch.bool))
    seen = torch.zeros(1, 2, 64, 64)
    seen[:, :, there[:, None], there] = made.layout(q, k).to_mask().float()
    mass = (weights * seen).sum(-1)
    rows = spread(2, 64, 32, q.device)[None]
    assert report.retained == pytest.approx(float(mass.gather(2, rows).mean()), abs=1e-6)
    dense = attention(q, k, v, **EXACT)
    sparse = made.run(q, k, v)
    wide = rows.unsqueeze(-1).expand(-1, -1, -1, v.shape[3])
    off = (sparse - dense).gather(2, wide).abs().sum() / dense.gather(2, wide).abs().sum()
    assert report.error == pytest.approx(float(off), rel=1e-4)


def test_precision_counts_as_error_and_not_as_mass():
    q, k, v = inputs(1, 2, 1, 128, 128)
    _, report = plan(q, k, v, precision="int8", backend="reference").run(q, k, v, report=True)
    assert report.retained == report.density == 1.0
    assert 1e-3 < report.error < 0.05


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_skipped_share_follows_the_tally(share):
    q, k, v = inputs(1, 2, 1, 64, 256)
    k[:, :, 128:] *= 0.1
    call = {"select": Dense(skip=200.0 if share < 0.5 else 0.5), **EXACT}
    _, report = plan(20 * q, k, v, **call).run(20 * q, k, v, report=True)
    assert report.skipped == 0.0 if share < 0.5 else 0.3 < report.skipped <= 0.5


def test_a_report_reads_well_and_is_json():
    q, k, v = inputs(1, 2, 1, 128, 128)
    made = plan(q, k, v, select=TopK(2, (16, 16), skip=9.0), causal=True, **EXACT)
    out, report = made.run(q, k, v, report=True)
    text = str(report)
    for word in ("TopK(k=2, block=(16, 16), skip=9.0), Native()", "density", "filter", "retained"):
        assert word in text
    assert "bound" not in text
    data = json.loads(json.dumps(report.as_dict()))
    assert data["density"] == report.density
    assert 0 < data["estimate_share"] < 1
    assert out.shape == (1, 2, 128, 24)


def test_memory_order_and_views_are_kept():
    q, k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in inputs(1, 2, 1, 64, 64))
    k = k.transpose(2, 3).contiguous().transpose(2, 3)  # a last stride that is not 1
    out, _ = plan(q, k, v, **EXACT).run(q, k, v, report=True)
    assert out.transpose(1, 2).is_contiguous()
    assert torch.equal(out, attention(q, k, v, **EXACT))


def test_nothing_to_compute_loses_nothing():
    q, k, v = inputs(1, 2, 1, 0, 64)
    out, report = plan(q, k, v, **EXACT).run(q, k, v, bound=Bound(retained=0.9))
    assert out.shape == (1, 2, 0, 24)
    assert (report.retained, report.error, report.met) == (1.0, 0.0, True)
    json.dumps(report.as_dict())


class TestBounds:
    def call(self, bound, select=None, **options):
        q, k, v = inputs(1, 4, 2, 256, 256)
        call = {"causal": True, **EXACT, **options}
        made = plan(q, k, v, select=select or TopK(2, (16, 16)), **call)
        out, report = made.run(q, k, v, bound=bound)
        return out, report, lambda select: attention(q, k, v, select=select, **call)

    def test_what_is_met_runs_once(self):
        out, report, again = self.call(Bound(retained=0.1))
        assert (report.met, report.story) == (True, ())
        assert torch.equal(out, again(TopK(2, (16, 16))))
        assert "bound       met" in str(report)

    def test_more_is_tried_until_it_is_enough(self):
        out, report, again = self.call(Bound(retained=0.6, steps=5))
        assert report.met
        assert report.retained_interval[0] >= 0.6
        assert [step.split(":")[0] for step in report.story] == [
            "TopK(k=2, block=(16, 16))",
            "TopK(k=4, block=(16, 16))",
        ]
        assert report.select == "TopK(k=8, block=(16, 16))"
        assert torch.equal(out, again(TopK(8, (16, 16))))
        assert "before      TopK(k=2, block=(16, 16)): retained mass" in str(report)

    def test_after_the_last_step_everything_is_visited(self):
        out, report, again = self.call(Bound(error=1e-4, steps=1))
        assert (report.select, report.met, len(report.story)) == ("Dense()", True, 2)
        assert torch.equal(out, again("dense"))

    def test_dense_at_once(self):
        out, report, again = self.call(Bound(error=1e-4, otherwise="dense"))
        assert (report.select, len(report.story)) == ("Dense()", 1)
        assert torch.equal(out, again("dense"))

    def test_warn_keeps_the_result(self):
        with pytest.warns(UserWarning, match=r"TopK\(k=2.*misses the bound: relative L1 .* above"):
            out, report, again = self.call(Bound(error=1e-4, otherwise="warn"))
        assert report.met is False
        assert torch.equal(out, again(TopK(2, (16, 16))))
        assert "bound       missed: TopK(k=2" in str(report)

    def test_what_even_dense_misses_is_said(self):
        with pytest.warns(UserWarning, match=r"Dense\(\) misses the bound"):
            _, report, _ = self.call(Bound(error=1e-9, steps=0), precision="int8")
        assert report.met is False

    def test_a_filter_without_a_selection_is_dropped(self):
        _, report, _ = self.call(Bound(error=1e-4), select=Dense(skip=0.1))
        assert (report.select, report.met) == ("Dense()", True)

    def test_a_layout_that_misses_gives_way_to_all(self):
        q, k, v = inputs(1, 2, 1, 64, 64)
        diagonal = torch.eye(4, dtype=torch.bool)[None, None]
        layout = BlockLayout.from_dense(diagonal, (16, 16), (64, 64))
        out, report = plan(q, k, v, select=layout, **EXACT).run(q, k, v, bound=Bound(retained=0.9))
        assert report.select == "Dense()"
        assert torch.equal(out, attention(q, k, v, **EXACT))

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({}, "Bound asks nothing; expected retained, error or both"),
            ({"retained": 1.5}, "Bound.retained is 1.5; expected a share, 0 to 1"),
            ({"error": -1}, "Bound.error is -1; expected a relative L1 error"),
            ({"error": True}, "Bound.error is True"),
            ({"error": 0.1, "otherwise": "cry"}, "Bound.otherwise is 'cry'; expected"),
            ({"error": 0.1, "steps": -1}, "Bound.steps is -1; expected an int"),
        ],
    )
    def test_senseless_bounds_are_refused(self, fields, message):
        with pytest.raises(ValueError, match=message):
            Bound(**fields)


@pytest.mark.parametrize(
    ("select", "more"),
    [
        (TopK(3, skip=5.0), TopK(6, skip=9.0)),
        (TopK(0.7), TopK(1.0)),
        (Window(100), Window(200)),
        (Sparge(threshold=0.9), Sparge(threshold=0.95)),
        (Sparge(threshold=(0.8, 0.5)), Sparge(threshold=(0.9, 0.75))),
        (Sparge(keep=0.3), Sparge(keep=0.6)),
        (Sparge(keep=(2, 5), skip=(3.0, 4.0)), Sparge(keep=(4, 10), skip=(7.0, 8.0))),
        (XAttention(threshold=0.5), XAttention(threshold=0.75)),
    ],
    ids=str,
)
def test_more_is_a_larger_budget(select, more):
    assert select.more().__class__ is type(select)
    for name, value in vars(more).items():
        assert getattr(select.more(), name) == pytest.approx(value), name


class TestLayouts:
    @pytest.mark.parametrize(
        "select",
        [TopK(2, (16, 16), skip=3.0), Sparge(keep=2, block=SMALL, order=Hilbert((4, 4, 4)))],
        ids=brief,
    )
    def test_a_plans_own_layout_gives_the_same_result(self, select):
        q, k, v = inputs(1, 2, 1, 64, 64)
        made = plan(q, k, v, select=select, **EXACT)
        layout = made.layout(q, k)
        assert torch.equal(made.run(q, k, v, layout=layout), made.run(q, k, v))
        assert layout.skip == select.skip

    def test_dense_and_given_layouts(self):
        q, k, v = inputs(1, 2, 1, 64, 64)
        assert plan(q, k, v, **EXACT).layout(q, k) is None
        layout = BlockLayout.from_dense(torch.ones(1, 1, 4, 4) > 0, (16, 16), (64, 64))
        assert plan(q, k, v, select=layout, **EXACT).layout(q, k) is layout

    def test_a_layout_of_another_kind_is_refused(self):
        q, k, v = inputs(1, 2, 1, 64, 64)
        made = plan(q, k, v, select=TopK(2, (16, 16)), **EXACT)
        other = plan(q, k, v, select=TopK(2, (8, 8)), **EXACT).layout(q, k)
        with pytest.raises(ValueError, match=r"layout has blocks of \(8, 8\).*expects \(16, 16\)"):
            made.run(q, k, v, layout=other)
        with pytest.raises(ValueError, match=r"skip 4.0"):
            made.run(q, k, v, layout=replace(made.layout(q, k), skip=4.0))
        with pytest.raises(TypeError, match="layout is Tensor; expected a BlockLayout"):
            made.run(q, k, v, layout=q)
        long = torch.cat([k, k], 2)
        longer = plan(q, long, long, select=TopK(2, (16, 16)), **EXACT)
        with pytest.raises(ValueError, match=r"lengths \(64, 64\)"):
            longer.run(q, long, long, layout=made.layout(q, k))


def test_a_selection_with_a_run_of_its_own_is_refused():
    @dataclass(frozen=True)
    class Other(Selection):
        name: ClassVar[str] = "other"

        def run(self, q, k, v, mask, request, kernels):
            return kernels.attend(kernels.encode(q, k, v, request), request, None, mask)

    q, k, v = inputs(1, 2, 1, 64, 64)
    with pytest.raises(TypeError, match="report is not possible for Other"):
        plan(q, k, v, select=Other(), **EXACT).run(q, k, v, report=True)


@pytest.mark.parametrize(
    ("select", "text"),
    [
        (Dense(skip=9.0), "Dense(skip=9.0)"),
        (TopK(1, skip=9.0, correct=True), "TopK(k=1, block=(128, 128), skip=9.0, correct=True)"),
        (Window(5), "Window(span=5, sink=0, block=(64, 128))"),
        (Sparge(keep=1, correct=True), "Sparge(keep=1, correct=True)"),
    ],
    ids=str,
)
def test_explain_tells_of_filter_and_correction(select, text):
    q, k, v = inputs(1, 2, 1, 300, 300)
    assert f"select      {text}" in plan(q, k, v, select=select).explain()


def test_a_run_without_a_report_says_nothing():
    q, k, v = inputs(1, 2, 1, 64, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = plan(q, k, v, select=TopK(1, (16, 16)), **EXACT).run(q, k, v)
    assert isinstance(out, torch.Tensor)
