"""Budget: how much of a row of block scores is visited, and the one rule that spends it.

The one thing to know: scores are masses (not negative); blocks that are `kept` are always visited,
and whether their mass counts towards the budget is the budget's own choice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """How many blocks a row visits. Exactly one of `mass` and `count` is given.

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
    """

    mass: float | tuple[float, ...] | None = None
    count: int | float | tuple[int | float, ...] | None = None
    inclusive: bool = True
    at_least: int = 0
    kept_first: bool = False
    count_of: str = "all"
