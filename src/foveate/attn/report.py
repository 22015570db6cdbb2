"""Report and Bound: what a certified run says, and what may be asked of it.

The one thing to know: a report is plain numbers; `str(report)` is for people, `as_dict()` for JSON.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal


@dataclass(frozen=True)
class Bound:
    """What a run must reach, and what to do if it does not.

    Args:
        retained: Least mean share of the mass on visited keys, 0 … 1; None asks nothing.
        error: Largest relative L1 error; None asks nothing.
        otherwise: "more" raises the budget up to `steps` times and then visits everything,
            "dense" visits everything at once, "warn" keeps the result and warns.
        steps: How many times "more" raises the budget.

    The worse end of the 95 % interval is compared, so a bound that is met is met with some room.

    Raises:
        ValueError: Nothing is asked, or a number is out of range.
    """

    retained: float | None = None
    error: float | None = None
    otherwise: Literal["more", "dense", "warn"] = "more"
    steps: int = 3

    def __post_init__(self) -> None:
        if self.retained is None and self.error is None:
            raise ValueError("Bound asks nothing; expected retained, error or both")
        if self.retained is not None and not _between(self.retained, 0, 1):
            raise ValueError(f"Bound.retained is {self.retained!r}; expected a share, 0 to 1")
        if self.error is not None and not _between(self.error, 0, math.inf):
            raise ValueError(
                f"Bound.error is {self.error!r}; expected a relative L1 error, 0 or more"
            )
        if self.otherwise not in ("more", "dense", "warn"):
            raise ValueError(
                f'Bound.otherwise is {self.otherwise!r}; expected "more", "dense" or "warn"'
            )
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or self.steps < 0:
            raise ValueError(f"Bound.steps is {self.steps!r}; expected an int, 0 or more")

    def missed_by(self, report: Report) -> str:
        """Which bounds a report misses, in words; empty when it meets them all."""
        missed = []
        if self.retained is not None and not report.retained_interval[0] >= self.retained:
            low = report.retained_interval[0]
            missed.append(f"retained mass {low:.3f} is below {self.retained:g}")
        if self.error is not None and not report.error_interval[1] <= self.error:
            high = report.error_interval[1]
            missed.append(f"relative L1 {high:.3g} is above {self.error:g}")
        return ", ".join(missed)


@dataclass(frozen=True)
class Report:
    """How one run compares with dense attention.

    Args:
        select, precision, backend: What ran, in short.
        visited: Pairs of blocks that were visited, of those below.
        visible: Pairs of blocks with at least one pair that the rule lets see each other.
        skipped: Share of the visible pairs met in the loop whose P·V the second filter left out;
            None when it is off.
        rows: Sampled rows, over all heads and the batch.
        retained: Mean share of a row's mass on visited keys.
        retained_interval: 95 % interval of that mean.
        retained_low: The 5 % quantile over rows.
        retained_least: The least of all sampled rows.
        retained_by_head: Mean of each query head.
        error: Relative L1 error, estimated from the sampled rows.
        error_interval: Its 95 % interval.
        error_by_head: The same for each query head.
        seconds: Time of the run without the certificate.
        estimate_seconds: The part of it that chose the blocks.
        story: What ran before and missed the bound, and why.
        met: Whether the bound is met; None without one.
    """

    select: str
    precision: str
    backend: str
    visited: int
    visible: int
    skipped: float | None
    rows: int
    retained: float
    retained_interval: tuple[float, float]
    retained_low: float
    retained_least: float
    retained_by_head: tuple[float, ...]
    error: float
    error_interval: tuple[float, float]
    error_by_head: tuple[float, ...]
    seconds: float
    estimate_seconds: float
    story: tuple[str, ...] = ()
    met: bool | None = None

    @property
    def density(self) -> float:
        """Visited ÷ visible pairs of blocks, exact; 1 when nothing is visible."""
        return self.visited / self.visible if self.visible else 1.0

    @property
    def estimate_share(self) -> float:
        """Share of the time that choosing the blocks took."""
        return self.estimate_seconds / self.seconds if self.seconds else 0.0

    def after(self, story: tuple[str, ...], met: bool) -> Report:
        """This report as the last of several runs."""
        return replace(self, story=story, met=met)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, `density` and `estimate_share` included."""
        return {
            **asdict(self),
            "density": self.density,
            "estimate_share": self.estimate_share,
        }

    def __str__(self) -> str:
        low, high = self.retained_interval
        best, worst = self.error_interval
        lines = [
            f"ran         {self.select}, {self.precision}, on {self.backend}",
            f"density     {self.density:.1%} ({self.visited} of {self.visible} pairs of blocks)",
        ]
        if self.skipped is not None:
            lines.append(f"filter      {self.skipped:.1%} of the P·V that was left is left out")
        lines += [
            f"retained    {self.retained:.1%} of the mass (95 %: {low:.1%} to {high:.1%}); "
            f"5 % of rows below {self.retained_low:.1%}, least {self.retained_least:.1%}",
            f"error       relative L1 {self.error:.3g} (95 %: {best:.3g} to {worst:.3g})",
            f"sampled     {self.rows} rows, attended exactly",
            f"time        {self.seconds * 1e3:.1f} ms, {self.estimate_share:.1%} of it to choose",
        ]
        if self.met is not None:
            lines += [f"before      {step}" for step in self.story[: None if self.met else -1]]
            lines.append(f"bound       {'met' if self.met else f'missed: {self.story[-1]}'}")
        return "\n".join(lines)


def brief(choice: Any) -> str:
    """A selection or a precision with the fields that are not as they come."""
    if hasattr(choice, "given"):
        return "the caller's layout"
    named = []
    own_first = sorted(fields(choice), key=lambda field: field.kw_only)
    for field in own_first:
        value = getattr(choice, field.name)
        if value == field.default:
            continue
        long = isinstance(value, tuple) and len(value) > 4
        named.append(f"{field.name}={f'({len(value)} values)' if long else repr(value)}")
    return f"{type(choice).__name__}({', '.join(named)})"


def _between(value: object, low: float, high: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and low <= value <= high
