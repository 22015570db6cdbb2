"""Budget: how much of a row of block scores is visited, and the one rule that spends it.

The one thing to know: scores are masses (not negative); blocks that are `kept` are always visited,
and whether their mass counts towards the budget is the budget's own choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .convert import lists

DRIFT = 1e-6
"""Share of a row's total by which a mass may be missed: totals summed in float32 drift by less, and
must neither cost one block more nor leave out one that fits exactly."""


@dataclass(frozen=True)
class Budget:
    """How many blocks a row visits. Exactly one of `mass`, `count` and `share` is given.

    Args:
        mass: Share of the row's total score to collect, 0 … 1; a tuple gives one per query head.
            1 visits every allowed block.
        count: Number of the highest blocks: an int, or a fraction of `count_of`, rounded down, at
            least 1; a tuple gives one per query head.
        inclusive: The block that crosses `mass` is visited, too (the smallest set that reaches it);
            False leaves it out, but visits at least one block.
        at_least: Visit no fewer than so many of the best blocks, whatever their mass.
        kept_first: The kept blocks are taken first and their mass counts (XAttention); False
            selects as if they were not kept, and adds them afterwards (SpargeAttn).
        count_of: "all" (nK) or "visible" (the allowed blocks of the row).
        share: Visit every block that has at least this share of the row's total, 0 … 1; a tuple
            gives one per query head. Over all rows and heads, no rule collects more of the
            scores with so many blocks.

    Raises:
        TypeError: A value is not of its kind.
        ValueError: A value is out of range, or not exactly one of mass, count and share is given.
    """

    mass: float | tuple[float, ...] | None = None
    count: int | float | tuple[int | float, ...] | None = None
    inclusive: bool = True
    at_least: int = 0
    kept_first: bool = False
    count_of: str = "all"
    share: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("mass", "count", "share"):
            if isinstance(value := getattr(self, name), list):
                object.__setattr__(self, name, tuple(value))
        given = [n for n in ("mass", "count", "share") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"Budget has {' and '.join(given) or 'none of mass, count and share'}; expected "
                "exactly one of mass, count and share"
            )
        for name in ("mass", "share"):
            for one in _each(value := getattr(self, name)):
                if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 1:
                    raise ValueError(f"Budget.{name} is {value!r}; expected a share from 0 to 1")
        for one in _each(self.count):
            check_count("Budget.count", one)
        for name in ("inclusive", "kept_first"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"Budget.{name} is {getattr(self, name)!r}; expected a bool")
        least = self.at_least
        if isinstance(least, bool) or not isinstance(least, int) or least < 0:
            raise ValueError(f"Budget.at_least is {least!r}; expected an int of at least 0")
        if self.count_of not in ("all", "visible"):
            raise ValueError(f'Budget.count_of is {self.count_of!r}; expected "all" or "visible"')


def choose(scores: Tensor, budget: Budget, allowed: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Blocks to visit for given scores.

    Blocks are ranked by score, ties by lower index; with `kept_first` the kept ones come before all
    others. With T = Σ of the allowed scores of a row, R = mass · T, δ = 10⁻⁶ · T and c the mass of
    what was taken so far, a block of score s is taken in order of rank
        inclusive:  while c < R − δ;        exclusive:  while c + s ≤ R + δ, but at least one;
        count:      while fewer than count; at_least:   while fewer than at_least;
        share:      while s ≥ share · T (1 − 10⁻⁶).
    The kept ones are added. mass ≥ 1 visits every allowed block. A row whose allowed scores are all
    0 or NaN visits its kept blocks only; a row that would visit nothing visits the best allowed.

    Args:
        scores: Masses, `[B, H, nQ, nK]`; NaN and negative values count as 0.
        budget: What to spend.
        allowed: Where the row may choose, bool, broadcasts to scores.
        kept: What is always visited, bool, broadcasts to scores; a block that is not allowed is not
            kept.

    Returns:
        counts int32 `[B, H, nQ]` and indices int32 `[B, H, nQ, nK]` of a BlockLayout.

    Raises:
        ValueError: The budget names another number of heads than scores have.

    Source: SpargeAttn (arXiv 2502.18137), section 3.2, TopCdf; XAttention (arXiv 2503.16428),
    section 2.2.
    """
    allowed = allowed.expand(scores.shape)
    kept = kept.expand(scores.shape) & allowed
    mass = scores.double().nan_to_num(nan=0.0, posinf=1e300).clamp(min=0).masked_fill(~allowed, 0)
    if budget.share is not None and not budget.at_least:
        total = mass.sum(-1, keepdim=True)
        visits = _shares(mass, total, budget) & allowed | kept
        # no row is sorted: only one that would visit nothing needs its best
        best = mass.masked_fill(~allowed, -1).argmax(-1, keepdim=True)
        empty = ~visits.any(-1, keepdim=True)
        return lists(visits | torch.zeros_like(visits).scatter_(-1, best, empty) & allowed)
    ranked = mass.masked_fill(~allowed, -1)
    if budget.kept_first:
        ranked = ranked.masked_fill(kept, float("inf"))
    order = ranked.sort(dim=-1, descending=True, stable=True).indices
    taken = _taken(mass, order, budget, allowed, kept)
    visits = torch.zeros_like(taken).scatter_(-1, order, taken) & allowed | kept
    best = torch.zeros_like(taken).scatter_(-1, order[..., :1], True) & allowed
    return lists(torch.where(visits.any(-1, keepdim=True), visits, best))


def _taken(mass: Tensor, order: Tensor, budget: Budget, allowed: Tensor, kept: Tensor) -> Tensor:
    """Which ranks are taken, bool `[B, H, nQ, nK]` in the order of ranks."""
    heads, nk = mass.shape[1], mass.shape[-1]
    rank = torch.arange(nk, device=mass.device)
    sure = kept.sum(-1, keepdim=True) if budget.kept_first else rank.new_zeros(1)
    sure = sure.clamp(min=budget.at_least)
    total = mass.sum(-1, keepdim=True)
    if budget.count is not None:
        room = allowed.sum(-1, keepdim=True) if budget.count_of == "visible" else nk
        wanted = _counts(budget.count, heads, room, mass.device)
        return (rank < sure.maximum(wanted)) & (total > 0)
    if budget.share is not None:
        return _shares(mass.gather(-1, order), total, budget) | (rank < sure) & (total > 0)
    share = _per_head(budget.mass, heads, mass.device)
    ordered = mass.gather(-1, order)
    collected = ordered.cumsum(-1)
    required = (share - DRIFT if budget.inclusive else share + DRIFT) * total
    if budget.inclusive:
        before = torch.cat((torch.zeros_like(total), collected[..., :-1]), dim=-1)
        fits = before < required
    else:
        fits = collected <= required
        sure = sure.clamp(min=1)
    return ((fits | (rank < sure)) & (total > 0)) | (share >= 1)


def _shares(mass: Tensor, total: Tensor, budget: Budget) -> Tensor:
    """Which blocks have their share, bool, in the shape of mass."""
    least = _per_head(budget.share, mass.shape[1], mass.device) * (1 - DRIFT)
    return (mass >= least * total) & (total > 0)


def _counts(count, heads: int, room: Tensor | int, device) -> Tensor:
    """Blocks of each row, int64, broadcastable to `[B, H, nQ, 1]`."""
    room = torch.as_tensor(room, device=device).double()
    each = count if isinstance(count, tuple) else (count,) * heads
    share = _per_head(tuple(x if isinstance(x, float) else 0.0 for x in each), heads, device)
    fixed = _per_head(tuple(0 if isinstance(x, float) else x for x in each), heads, device)
    # plus a little: 0.29 · 100 must not become 28 blocks
    return torch.where(fixed > 0, fixed, (share * room + 1e-9).floor().clamp(min=1)).long()


def _per_head(value: float | tuple[float, ...], heads: int, device) -> Tensor:
    """One value, or one per head, as float64 `[H or 1, 1, 1]`."""
    values = _each(value)
    if len(values) not in (1, heads):
        raise ValueError(f"budget has {len(values)} values; expected one, or one per head, {heads}")
    return torch.tensor(values, dtype=torch.float64, device=device).view(-1, 1, 1)


def _each(value: object) -> tuple:
    return () if value is None else value if isinstance(value, tuple) else (value,)


def check_count(name: str, value: object) -> None:
    """An int of at least 1, or a float in (0, 1]."""
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not whole and not (isinstance(value, float) and 0 < value <= 1):
        raise ValueError(
            f"{name} is {value!r}; expected an int of at least 1 (blocks) or a float in (0, 1] "
            "(share)"
        )
