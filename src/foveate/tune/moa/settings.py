"""How a plan is found: everything but the model and the text."""

from __future__ import annotations

from dataclasses import dataclass

from .calibrate import ANSWER, KINDS
from .influence import SCORES

PARTS = {"calibration": (0.0, 0.6), "validation": (0.65, 1.0)}  # of the text; nothing is in both


@dataclass(frozen=True)
class Settings:
    """How a plan is found.

    Args:
        lengths: Profiled lengths, whole blocks.
        density: Largest mean density at each of `lengths` and `beyond`.
        beyond: Further lengths with the same budget.
        least: Smallest mean density at each of them, as a share of `density`. Without it rules that
            name a number of tokens win, and a plan has next to nothing left on longer texts.
        samples: Calibration items of each length; or one number for each of `lengths`.
        kinds: What they ask in turn, see `calibrate`; for data sets it does not matter.
        answer: Tokens of an answer, at most.
        score: What counts as a rule's loss, one of `influence.SCORES`.
        per_query: A rule for each query head, not for each key head; caches then keep what the
            neediest query head of each group wants.
        share: How losses of query heads that share keys are joined, "sum" or "max".
        normalise: Losses as shares of their "head" or "layer", or None.
        distinct: Different rules in a layer, at most: 1, 2 or None.
        meaning: "deployment" or "profile", see `rules`.
        intervals: Parts of each loss's range on the front, see `optimise.front`.
        plans: Plans of the front that are validated, at most.
        validation: Length of the validation items.
        items: Number of validation items.
        sink: First keys, always visible.
        block: Tokens of a block.
    """

    lengths: tuple[int, ...]
    density: float
    beyond: tuple[int, ...] = ()
    least: float = 0.9
    samples: int | tuple[int, ...] = 3
    kinds: tuple[str, ...] = KINDS
    answer: int = ANSWER
    score: str = "abs"
    per_query: bool = False
    share: str = "sum"
    normalise: str | None = None
    distinct: int | None = 2
    meaning: str = "deployment"
    intervals: int = 4
    plans: int = 4
    validation: int = 0
    items: int = 3
    sink: int = 64
    block: int = 64

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ValueError(f'score is "{self.score}"; expected one of {", ".join(SCORES)}')
        if isinstance(self.samples, tuple) and len(self.samples) != len(self.lengths):
            raise ValueError(
                f"samples is {self.samples}; expected one number, or one for each of the "
                f"{len(self.lengths)} lengths"
            )
        if not 0 <= self.least <= 1:
            raise ValueError(f"least is {self.least}; expected a share of the density, 0 to 1")
        if not self.kinds or not set(self.kinds) <= set(KINDS):
            raise ValueError(f"kinds is {self.kinds}; expected some of {', '.join(KINDS)}")
        for length in (*self.lengths, self.validation):
            if length % self.block:
                raise ValueError(
                    f"a length is {length}; expected whole blocks, a multiple of {self.block}"
                )

    @property
    def read(self) -> dict[int, int]:
        """Calibration items of each length."""
        each = (
            self.samples if isinstance(self.samples, tuple) else [self.samples] * len(self.lengths)
        )
        return dict(zip(self.lengths, each, strict=True))

    @property
    def budgeted(self) -> tuple[int, ...]:
        """Lengths beyond the profiled ones that keep to the density, that of validation included:
        plans that exceed it there would be compared with a uniform one unfairly."""
        more = {*self.beyond, *([self.validation] if self.validation else [])}
        return tuple(sorted(more - set(self.lengths)))

    @property
    def tag(self) -> str:
        """What items and their profiles depend on beside their kind, length and number."""
        return f"{self.answer}/{self.sink}/{self.block}"
