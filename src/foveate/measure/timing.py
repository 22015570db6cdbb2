"""Timing calls against each other: interleaved rounds, medians, ratios taken inside each round.

The one thing to know: a machine's speed drifts (clock, neighbours), so two calls are only
comparable when they run right after one another. Every round runs each call once, in rotating
order; ratios are formed per round, and the median of the ratios is what we report.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Summary:
    """Median and quantiles of positive numbers (seconds, or ratios without a unit)."""

    median: float
    low: float  # 10 % quantile
    high: float  # 90 % quantile
    count: int

    def as_dict(self) -> dict[str, float | int]:
        return {"median": self.median, "q10": self.low, "q90": self.high, "count": self.count}


def summarize(values: Sequence[float]) -> Summary:
    """Median, 10 % and 90 % quantile of `values`, by linear interpolation."""
    if not values:
        raise ValueError("values is empty; expected at least one measurement")
    ordered = sorted(values)
    return Summary(
        statistics.median(ordered), quantile(ordered, 0.1), quantile(ordered, 0.9), len(ordered)
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Value below which `share` of the ascending numbers lie, interpolated linearly."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@dataclass(frozen=True)
class Timings:
    """Seconds of each call in each round: `seconds[name][round]`."""

    seconds: dict[str, list[float]]

    def summary(self, name: str) -> Summary:
        """Median and quantiles of one call's seconds."""
        return summarize(self.seconds[name])

    def ratio(self, slow: str, fast: str) -> Summary:
        """How many times faster `fast` is than `slow`: per round, then median and quantiles."""
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return summarize([s / f for s, f in pairs])


def interleave(
    calls: dict[str, Callable[[], Any]],
    rounds: int = 7,
    warmup: int = 1,
    shortest: float = 0.02,
    tick: Callable[[], None] | None = None,
) -> Timings:
    """Time several calls against each other.

    A call shorter than `shortest` seconds is repeated inside each measurement, so that the clock's
    resolution and one interrupt do not matter; its time is the mean of the repetitions.

    Args:
        calls: Name to a function without arguments; its result is dropped.
        rounds: Measurements of each call.
        warmup: Untimed calls of each before the first round.
        shortest: Seconds that one measurement should last at least.
        tick: Called after each round, for progress bars.

    Returns:
        Seconds per call and round.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; expected at least 1")
    repeats = {name: _repeats(call, warmup, shortest) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection inside a measurement would be charged to whoever runs then
    try:
        for turn in range(rounds):
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                seconds[name].append(_measure(calls[name], repeats[name]))
            if tick is not None:
                tick()
    finally:
        if was_enabled:
            gc.enable()
    return Timings(seconds)


def _repeats(call: Callable[[], Any], warmup: int, shortest: float) -> int:
    for _ in range(warmup):
        call()
    once = _measure(call, 1)
    return max(1, min(1000, math.ceil(shortest / max(once, 1e-7))))


def _measure(call: Callable[[], Any], repeats: int) -> float:
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begin) / repeats
