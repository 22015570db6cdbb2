"""Schedule: which selection serves which step of a diffusion model.

The first steps lay out the picture and the last ones finish its detail; both are left dense, since
an error there stays. Between them the selection serves, with the same threshold or one that moves
in equal steps.

The one thing to know: steps count from 0 in the order in which they run.
Source: XAttention (arXiv 2503.16428), §3.1: five dense steps at the start, without which the layout
of the video drifts. Dense steps at the end are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .select import Dense, Selection, selection_named


@dataclass(frozen=True)
class Schedule:
    """A selection for each step.

    Args:
        select: Serves in the middle; a selection or its name.
        steps: How many steps there are.
        dense_first: So many steps at the start visit everything.
        dense_last: So many at the end, too.
        ramp: Thresholds of the first and of the last step that `select` serves; those between lie
            on a line. None keeps the selection's own.

    Raises:
        TypeError, ValueError: A part is not of its kind, or no step would be left to `select`.
    """

    select: str | Selection
    steps: int
    dense_first: int = 5
    dense_last: int = 2
    ramp: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.select, str):
            object.__setattr__(self, "select", selection_named(self.select))
        if not isinstance(self.select, Selection):
            raise TypeError(
                f"Schedule.select is {type(self.select).__name__}; expected a selection or a name"
            )
        for name, least in (("steps", 1), ("dense_first", 0), ("dense_last", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(
                    f"Schedule.{name} is {value!r}; expected an int of at least {least}"
                )
        if self.dense_first + self.dense_last >= self.steps:
            raise ValueError(
                f"Schedule.dense_first {self.dense_first} and dense_last {self.dense_last} leave "
                f"none of {self.steps} steps; expected a sum below steps (fewer dense steps suit "
                "short runs)"
            )
        if self.ramp is not None:
            self._check_ramp()

    def at(self, step: int) -> Selection:
        """The selection of a step, 0 … steps − 1.

        Raises:
            ValueError: There is no such step.
        """
        if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < self.steps:
            raise ValueError(f"step is {step!r}; expected an int from 0 to {self.steps - 1}")
        last = self.steps - self.dense_last - 1
        if step < self.dense_first or step > last:
            return Dense()
        if self.ramp is None:
            return self.select
        way = (step - self.dense_first) / max(last - self.dense_first, 1)
        return replace(self.select, threshold=self.ramp[0] + way * (self.ramp[1] - self.ramp[0]))

    def _check_ramp(self) -> None:
        if getattr(self.select, "threshold", None) is None:
            raise ValueError(
                f"Schedule.ramp is given, and {type(self.select).__name__} has no threshold to "
                "move; expected Sparge(threshold=…), XAttention(…), or no ramp"
            )
        if not isinstance(self.ramp, tuple | list) or len(self.ramp) != 2:
            raise ValueError(
                f"Schedule.ramp is {self.ramp!r}; expected two thresholds, e.g. (0.95, 0.85)"
            )
        object.__setattr__(self, "ramp", tuple(self.ramp))
        for one in self.ramp:
            replace(self.select, threshold=one)  # the selection checks it
