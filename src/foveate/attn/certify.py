"""Certify: run a plan, say how far the result is from dense attention, and act on a bound.

A few rows of each head are computed exactly. From them follow the retained mass (share of a row's
probability on visited keys) and the relative L1 error Σ|O − O'| / Σ|O| of what came out, precision,
second filter and mean correction included. Density and the second filter's share are counted, not
estimated.

The one thing to know: intervals are 95 % bootstrap intervals over the sampled rows, and a bound is
compared with their worse end. They speak of this input only.
"""

from __future__ import annotations

import warnings
from time import perf_counter
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .backends import generation
from .layouts.blocks import BlockLayout
from .layouts.rules import block_regions
from .report import Bound, Report, brief
from .sampling import Sample, order_of, sample
from .select import Dense, Selection

if TYPE_CHECKING:
    from .pipeline import Plan

_RESAMPLES = 200


def certified(
    plan: Plan,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    layout: BlockLayout | None,
    bound: Bound | None,
) -> tuple[Tensor, Tensor, Report]:
    """Run a plan and report on it; with a bound, run it again with more until the bound is met.

    Args:
        plan: The call, decided.
        q, k, v, mask: As for `Plan.run`, checked.
        layout: Blocks to visit instead of choosing anew, in the selection's order.
        bound: What the result must reach.

    Returns:
        out, lse and the report of the last run; it tells the runs before.
    """
    from .pipeline import in_order_of, unit_rows, with_four

    if plan.kernels is None:
        return *plan.attend(q, k, v, mask, layout), _empty(plan, bound)
    order = q
    q, k, v = unit_rows(q, k, v)
    mask = with_four(mask)
    out, lse, report = _watched(plan, q, k, v, mask, layout)
    if bound is None:
        return in_order_of(order, out), lse, report
    story: list[str] = []
    raised = 0
    while (missed := bound.missed_by(report)) and bound.otherwise != "warn":
        nxt = _next(plan.select, bound, raised)
        if nxt is None:
            break
        story.append(f"{brief(plan.select)}: {missed}")
        plan, raised = _with(plan, nxt, q, k, v, mask), raised + 1
        out, lse, report = _watched(plan, q, k, v, mask, None)
    if missed:
        story.append(f"{brief(plan.select)}: {missed}")
        warnings.warn(f"{brief(plan.select)} misses the bound: {missed}", stacklevel=3)
    return in_order_of(order, out), lse, report.after(tuple(story), met=not missed)


def _next(select: Selection, bound: Bound, raised: int) -> Selection | None:
    """What to try when a bound is missed; None when everything is visited already."""
    if isinstance(select, Dense) and select.skip is None:
        return None
    more = select.more() if bound.otherwise == "more" and raised < bound.steps else None
    return Dense() if more is None else more


def _with(plan: Plan, select: Selection, q, k, v, mask: Tensor | None) -> Plan:
    """The same call with another selection."""
    from .pipeline import plan_of

    return plan_of(
        q.shape,
        k.shape,
        v.shape,
        (q.dtype, k.dtype, v.dtype),
        (q.device, k.device, v.device),
        None if mask is None else (mask.shape, mask.dtype, mask.device),
        select,
        plan.precision,
        plan.request.band is not None,
        plan.request.scale,
        plan.kernels.name,
        generation(),
    )


def _watched(
    plan: Plan, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, layout: BlockLayout | None
) -> tuple[Tensor, Tensor, Report]:
    """One run, timed and sampled."""
    select, request, kernels = plan.select, plan.request, plan.kernels
    if type(select).run is not Selection.run:
        raise TypeError(
            f"report is not possible for {type(select).__name__}, whose output is more than "
            "attention over blocks; expected a selection of blocks"
        )
    tally = None
    if request.skip is not None:
        tally = torch.zeros(*q.shape[:2], 2, dtype=torch.int64, device=q.device)
    start = _now(q)
    arranged = select.arrange(q, k, v)
    chosen_from = _now(q)
    if layout is None:
        layout = select.layout(*arranged[:2], request, kernels)
    chosen = _now(q)
    result = select.visit(*arranged, mask, layout, request, kernels, tally=tally)
    out, lse = select.restore(*result)
    end = _now(q)
    found = sample(q, k, v, mask, request, layout, order_of(select, q, k))
    visited, visible = _counted(plan, layout)
    rows = found.rows.unsqueeze(0).unsqueeze(-1).expand(*found.out.shape)
    off = (out.gather(2, rows).to(found.out.dtype) - found.out).abs().sum(-1)
    size = found.out.abs().sum(-1)
    report = Report(
        select=brief(select),
        precision=brief(plan.precision),
        backend=kernels.name,
        visited=visited,
        visible=visible,
        skipped=None if tally is None else _share(tally),
        rows=found.retained.numel(),
        seconds=end - start,
        estimate_seconds=chosen - chosen_from,
        **_mass(found),
        **_errors(off, size),
    )
    return out, lse, report


def _empty(plan: Plan, bound: Bound | None) -> Report:
    """The report of a call without anything to compute: nothing is lost."""
    request = plan.request
    none = torch.zeros(request.batch, request.q_heads, 0, device=request.device)
    found = Sample(none[0].long(), none.unsqueeze(-1), none)
    return Report(
        select=brief(plan.select),
        precision=brief(plan.precision),
        backend="none",
        visited=0,
        visible=0,
        skipped=None,
        rows=0,
        seconds=0.0,
        estimate_seconds=0.0,
        met=None if bound is None else True,
        **_mass(found),
        **_errors(none, none),
    )


def _mass(found: Sample) -> dict:
    """Figures of the retained mass."""
    mass = found.retained.double()
    if not mass.numel():
        mass = mass.new_ones(1, max(mass.shape[1], 1), 1)
    low = torch.quantile(mass.flatten()[: 1 << 24], 0.05)  # quantile takes no more than 2^24
    return {
        "retained": float(mass.mean()),
        "retained_interval": _interval(mass, torch.ones_like(mass)),
        "retained_low": float(low),
        "retained_least": float(mass.min()),
        "retained_by_head": tuple(mass.mean((0, 2)).tolist()),
    }


def _errors(off: Tensor, size: Tensor) -> dict:
    """Figures of the relative L1 error, from row sums of |O − O'| and |O|, `[B, Hq, n]`."""
    off, size = off.double(), size.double()
    return {
        "error": float(_ratio(off.sum(), size.sum())),
        "error_interval": _interval(off, size),
        "error_by_head": tuple(_ratio(off.sum((0, 2)), size.sum((0, 2))).tolist()),
    }


def _interval(above: Tensor, below: Tensor) -> tuple[float, float]:
    """95 % bootstrap interval of Σ above / Σ below; rows are drawn anew within each head."""
    above, below = (x.transpose(0, 1).flatten(1) for x in (above, below))  # [Hq, B · n]
    heads, rows = above.shape
    if not rows:
        return 0.0, 0.0
    draw = torch.Generator().manual_seed(0)
    drawn = torch.randint(rows, (_RESAMPLES, heads, rows), generator=draw).to(above.device)
    above, below = (
        x.expand(_RESAMPLES, -1, -1).gather(2, drawn).sum((1, 2)) for x in (above, below)
    )
    ends = torch.tensor([0.025, 0.975], dtype=above.dtype, device=above.device)
    low, high = torch.quantile(_ratio(above, below), ends).tolist()
    return low, high


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """above / below, and 0 where both are."""
    return torch.where((above == 0) & (below == 0), 0.0, above / below)


def _counted(plan: Plan, layout: BlockLayout | None) -> tuple[int, int]:
    """Pairs of blocks that are visited, and those that hold a visible pair."""
    request = plan.request
    lengths = (request.q_length, request.k_length)
    block = (128, 128) if layout is None else layout.block
    allowed, _ = block_regions(request.band, lengths, block, request.device)
    visible = int(allowed.sum()) * request.batch * request.q_heads // allowed.shape[0]
    if layout is None:
        return visible, visible
    used = torch.arange(layout.indices.shape[3], device=layout.device)
    visited = 0
    for head in range(layout.counts.shape[1]):  # one at a time: the tables are large
        may = allowed[head if allowed.shape[0] > 1 else 0].expand(layout.counts.shape[0], -1, -1)
        hits = may.gather(-1, layout.indices[:, head].long())
        visited += int((hits & (used < layout.counts[:, head].unsqueeze(-1))).sum())
    copies = request.batch // layout.counts.shape[0] * (request.q_heads // layout.counts.shape[1])
    return visited * copies, visible


def _share(tally: Tensor) -> float:
    looked_at, left_out = tally.sum((0, 1)).tolist()
    return left_out / looked_at if looked_at else 0.0


def _now(q: Tensor) -> float:
    """Seconds, once the device is done."""
    if q.device.type == "cuda":
        torch.cuda.synchronize(q.device)
    return perf_counter()
