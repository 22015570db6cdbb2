"""From dense to sparse in small steps: how many cubes are kept at each step of training.

    kept(step) = max(target, N − drop · ⌊(step − hold) / interval + 1⌋)      and N before `hold`

The one thing to know: it counts whole cubes, so the target is reached exactly. (A rate of sparsity
that is added up in floating point can stop one step short of it.)
Source: Video Sparse Attention (arXiv 2505.13389), section 2.3 and appendix C.5.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..attn.select import fields
from ..attn.select.vsa import check_keep, cubes_kept


@dataclass(frozen=True)
class Annealing:
    """A schedule of kept cubes.

    Args:
        keep: What is kept at the end: cubes (int), or a share of all (float in (0, 1], rounded up).
        drop: Cubes fewer at each interval: an int, or a share of all (rounded up).
        interval: Steps between two changes.
        hold: Steps that stay dense before the first.

    Raises:
        TypeError, ValueError: A field is not of its kind or out of range.
    """

    keep: int | float = 32
    drop: int | float = 10
    interval: int = 50
    hold: int = 50

    def __post_init__(self) -> None:
        check_keep("Annealing.keep", self.keep)
        check_keep("Annealing.drop", self.drop)
        fields.whole(self, "interval", 1)
        fields.whole(self, "hold", 0)

    def kept(self, step: int, cubes: int) -> int:
        """Cubes to keep at a step.

        Args:
            step: Steps of training done so far, from 0.
            cubes: Cubes of the grid, N; fewer than `keep` are all kept.
        """
        if step < self.hold:
            return cubes
        drops = (step - self.hold) // self.interval + 1
        return max(cubes_kept(self.keep, cubes), cubes - drops * cubes_kept(self.drop, cubes))

    def last(self, cubes: int) -> int:
        """The first step at which the target is reached."""
        drop = cubes_kept(self.drop, cubes)
        drops = -(-(cubes - cubes_kept(self.keep, cubes)) // drop)
        return self.hold + (drops - 1) * self.interval if drops else 0
