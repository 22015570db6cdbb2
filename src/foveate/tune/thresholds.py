"""Per-head thresholds as XAttention's authors find them: by dynamic programming, and by profiling.

`minimum_thresholds` is the search of the paper (arXiv 2503.16428, section 2.3), made cheap by an
additive measure of quality. `profile_thresholds` is the other way its authors use: the threshold
with which the estimate would have found the blocks that truly matter.

The one thing to know: the search counts adjustments, as the paper does, whatever each saves.
`allocate` spends the density itself and is never worse; this is here to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Minimum:
    """Result of `minimum_thresholds`.

    Args:
        steps: How often each head's threshold was lowered.
        thresholds: start · factor^steps of each head.
        density: Mean density of the heads.
        loss: Σ loss.
    """

    steps: tuple[int, ...]
    thresholds: tuple[float, ...]
    density: float
    loss: float


def minimum_thresholds(
    density: Tensor,
    loss: Tensor,
    target: float,
    *,
    start: float = 0.9,
    factor: float = 0.9,
    budget: int = 1000,
) -> Minimum:
    """Lower the thresholds of heads one step at a time, while quality holds.

    D[h][m] is the least loss with m adjustments spent on the first h heads,

        D[h][m] = min over e of D[h−1][m−e] + loss[h, e],

    ties by lower density; of all m the one with the lowest density whose loss is within the target
    is taken.

    Args:
        density: Density of each head after e adjustments, `[heads, E + 1]`.
        loss: The same for its loss; losses of heads add up.
        target: Largest Σ loss.
        start: Threshold without adjustments.
        factor: What one adjustment multiplies it by.
        budget: Adjustments in all.

    Returns:
        Steps and thresholds of each head.

    Raises:
        ValueError: No number of adjustments reaches the target, or shapes differ.
    """
    if density.shape != loss.shape or density.dim() != 2 or 0 in density.shape:
        raise ValueError(
            f"density has shape {list(density.shape)}, loss {list(loss.shape)}; expected the same "
            "[heads, E + 1] of both"
        )
    density, loss = density.double(), loss.double()
    heads, levels = loss.shape
    most = min(budget, heads * (levels - 1))
    lost = loss.new_full((most + 1,), float("inf"))
    lost[0] = 0.0
    seen = torch.zeros_like(lost)  # density spent, to break ties and to choose m
    trail = []
    for head in range(heads):
        best = torch.full_like(lost, float("inf"))
        dense = torch.full_like(lost, float("inf"))
        taken = torch.zeros(most + 1, dtype=torch.long)
        for e in range(min(levels - 1, most) + 1):
            with_loss = torch.full_like(lost, float("inf"))
            with_loss[e:] = lost[: most + 1 - e] + loss[head, e]
            with_dense = torch.full_like(lost, float("inf"))
            with_dense[e:] = seen[: most + 1 - e] + density[head, e]
            better = (with_loss < best) | ((with_loss == best) & (with_dense < dense))
            best, dense = (
                torch.where(better, with_loss, best),
                torch.where(better, with_dense, dense),
            )
            taken[better] = e
        lost, seen = best, dense
        trail.append(taken)
    good = lost <= target + 1e-12 * max(1.0, abs(target))
    if not bool(good.any()):
        raise ValueError(
            f"target is {target:.6g}; the least loss that was found is {float(lost.min()):.6g}, "
            "expected at least that"
        )
    m = int(seen.masked_fill(~good, float("inf")).argmin())
    total, mean = float(lost[m]), float(seen[m]) / heads
    steps = []
    for taken in reversed(trail):
        steps.append(int(taken[m]))
        m -= steps[-1]
    steps.reverse()
    return Minimum(tuple(steps), tuple(start * factor**e for e in steps), mean, total)


def profile_thresholds(
    samples: Sequence[tuple[Tensor, Tensor]],
    coverage: float = 0.9,
    reduce: str = "max",
    allowed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Thresholds with which an estimate would have found the blocks that truly matter.

    In each row of blocks take the fewest blocks, by true mass, that hold `coverage` of it; the
    smallest estimate among them is the row's cut. A head's threshold is the share of all estimated
    mass that lies at or above the cuts.

    Args:
        samples: For each text (true mass, estimated mass), both `[Hq, nQ, nK]`, zero where nothing
            is visible.
        coverage: Share of the true mass, in (0, 1].
        reduce: "max" or "mean" over texts; the authors take the maximum.
        allowed: Visible blocks, to state densities; None takes those with estimated mass.

    Returns:
        thresholds `[Hq]`, and the density that the cuts imply, `[Hq]`, mean over texts.
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is {coverage}; expected a share of the mass, in (0, 1]")
    if reduce not in ("max", "mean"):
        raise ValueError(f'reduce is "{reduce}"; expected "max" or "mean"')
    if not samples:
        raise ValueError("samples is empty; expected at least one pair (true mass, estimate)")
    thresholds, densities = [], []
    for true, estimate in samples:
        true, estimate = true.double(), estimate.double()
        ranked = true.sort(dim=-1, descending=True, stable=True)
        total = ranked.values.sum(-1, keepdim=True)
        before = ranked.values.cumsum(-1) - ranked.values
        needed = before < coverage * total - 1e-12 * total
        chosen = torch.zeros_like(needed).scatter_(-1, ranked.indices, needed)
        cut = estimate.masked_fill(~chosen, float("inf")).amin(-1, keepdim=True)
        above = estimate >= cut
        mass = (estimate * above).sum((-1, -2)) / estimate.sum((-1, -2)).clamp(min=1e-300)
        visible = (estimate > 0) if allowed is None else allowed.expand_as(estimate)
        thresholds.append(mass)
        densities.append((above & visible).sum((-1, -2)) / visible.sum((-1, -2)).clamp(min=1))
    stacked = torch.stack(thresholds)
    return (
        stacked.amax(0) if reduce == "max" else stacked.mean(0),
        torch.stack(densities).mean(0),
    )
