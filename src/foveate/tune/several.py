"""One threshold for each head, under a budget of density at every length.

`spend` has one budget for all lengths together: a short text may then be denser than asked, if a
long one is sparser. Here each length keeps to the budget on its own.

The one thing to know: tables of all lengths must have the same candidates and the same layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .program import Program, Solution, solve
from .search import Table


def spend_at(
    tables: dict[int, Table],
    density: float | Sequence[float],
    distinct: int | None = None,
    **options: object,
) -> Solution:
    """One candidate for each head, for the least mean loss within a density at each length.

    Args:
        tables: What every candidate of every head costs and loses, for each length, as `calibrate`
            returns it for pieces of that length.
        density: Largest mean density, for all lengths or for each.
        distinct: Different candidates in a layer, at most: 1, 2 or None.
        **options: Of `program.solve`.

    Returns:
        The solution; `choice.flatten().tolist()` goes to `selections`.

    Raises:
        ValueError: Tables do not fit each other, or a density cannot be reached.
    """
    found = list(tables.values())
    if not found or len({(t.layers, t.density.shape) for t in found}) != 1:
        raise ValueError("tables differ in layers or candidates, or there are none")
    bounds = list(density) if isinstance(density, (list, tuple)) else [density] * len(found)
    if len(bounds) != len(found):
        raise ValueError(f"density has {len(bounds)} values; expected one, or {len(found)}")
    layers = len(found[0].layers)
    cost = torch.stack([t.density.T.unflatten(0, (layers, -1)) for t in found])
    loss = torch.stack([t.loss.T.unflatten(0, (layers, -1)) for t in found]).mean(0)
    heads = loss.shape[0] * loss.shape[1]
    budget = torch.tensor(bounds, dtype=torch.float64) * heads
    return solve(Program(loss, cost, budget, distinct), **options)  # type: ignore[arg-type]
