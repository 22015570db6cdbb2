"""What each factor is worth: add-one, drop-one, interaction, Shapley values, with intervals.

    Δ⁺(f) = S({f}) − S(∅);   Δ⁻(f) = S(all) − S(all∖{f})
    L×T = S({L, T}) − S({L}) − S({T}) + S(∅)

The one thing to know: an interval is over photographs (bootstrap, 95 %), since crops of one
photograph are not independent; seeds are averaged first.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .factors import FACTORS, Factors

DRAWS = 2000


class Scores:
    """Scores of all trainings of one study, by configuration.

    Args:
        runs: What `fem.run` returned or wrote, one or several (of the same test pairs).
        metric: "psnr" or "ssim".

    Raises:
        ValueError: No scores, or test pairs that differ.
    """

    def __init__(self, runs: Sequence[Mapping[str, Any]], metric: str = "psnr") -> None:
        entries = [s for run in runs for s in run["scores"]]
        if not entries:
            raise ValueError("there are no scores yet; run some trainings first")
        first = runs[0]
        if any(r["photo"] != first["photo"] or r["ratio"] != first["ratio"] for r in runs):
            raise ValueError("the runs were scored on different test pairs; they cannot be joined")
        self.photo, self.ratio, self.gain = first["photo"], first["ratio"], first["gain"]
        self.seeds: dict[str, list[int]] = {}
        sums: dict[str, list[float]] = {}
        for entry in entries:
            name, values = entry["factors"], entry[metric]
            self.seeds.setdefault(name, []).append(entry["seed"])
            old = sums.get(name, [0.0] * len(values))
            sums[name] = [a + b for a, b in zip(old, values, strict=True)]
        self.values = {n: [v / len(self.seeds[n]) for v in total] for n, total in sums.items()}

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def effect(
        self, terms: Mapping[str, float], keep: Callable[[int], bool] | None = None
    ) -> dict[str, float]:
        """A weighted sum of configurations' scores: mean, and its interval over photographs.

        Args:
            terms: Configuration → weight.
            keep: Which test pairs count, by index; None takes all.
        """
        by_photo: dict[int, list[float]] = {}
        for i, photo in enumerate(self.photo):
            if keep is None or keep(i):
                value = sum(w * self.values[name][i] for name, w in terms.items())
                by_photo.setdefault(photo, []).append(value)
        means = [sum(v) / len(v) for v in by_photo.values()]
        rng = random.Random(0)
        drawn = sorted(sum(rng.choices(means, k=len(means))) / len(means) for _ in range(DRAWS))
        return {
            "mean": sum(means) / len(means),
            "low": drawn[round(0.025 * DRAWS)],
            "high": drawn[round(0.975 * DRAWS) - 1],
        }


def add_one(code: str) -> dict[str, float]:
    """The terms of Δ⁺."""
    return {code: 1.0, "none": -1.0}


def drop_one(code: str) -> dict[str, float]:
    """The terms of Δ⁻."""
    everything = frozenset(FACTORS)
    return {str(Factors(everything)): 1.0, str(Factors(everything - {code})): -1.0}


INTERACTION = {"LT": 1.0, "L": -1.0, "T": -1.0, "none": 1.0}


def summary(runs: Sequence[Mapping[str, Any]], metric: str = "psnr") -> dict[str, Any]:
    """All effects that the scores allow, over all test pairs, by ratio and by system gain.

    Returns:
        seeds per configuration; score, add_one, drop_one per name, interaction; and by_ratio,
        by_gain with the single effects.
    """
    scores = Scores(runs, metric)
    told: dict[str, Any] = {
        "seeds": {n: len(s) for n, s in scores.seeds.items()},
        "score": {n: scores.effect({n: 1.0}) for n in scores.values},
        **_effects(scores, None),
    }
    told["by_ratio"] = {
        f"{k:g}": _effects(scores, lambda i, k=k: scores.ratio[i] == k)
        for k in sorted(set(scores.ratio))
    }
    told["by_gain"] = {
        name: _effects(scores, lambda i, low=low, high=high: low <= scores.gain[i] < high)
        for name, low, high in _thirds(scores.gain)
    }
    return told


def _thirds(gain: Sequence[float]) -> list[tuple[str, float, float]]:
    """Name and bounds of three equal groups of system gains; those that are empty are left out."""
    ranked = sorted(gain)
    first, second = ranked[len(ranked) // 3], ranked[2 * len(ranked) // 3]
    groups = [
        (f"K < {first:.2g}", 0.0, first),
        (f"K {first:.2g} to {second:.2g}", first, second),
        (f"K ≥ {second:.2g}", second, float("inf")),
    ]
    return [g for g in groups if any(g[1] <= value < g[2] for value in gain)]


def _effects(scores: Scores, keep: Callable[[int], bool] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, terms in (("add_one", add_one), ("drop_one", drop_one)):
        found[name] = {
            code: scores.effect(terms(code), keep)
            for code in FACTORS
            if all(n in scores for n in terms(code))
        }
    if all(n in scores for n in INTERACTION):
        found["interaction"] = scores.effect(INTERACTION, keep)
    return found


def shapley(
    value: Callable[[Factors], float],
    permutations: int = 20,
    seed: int = 0,
    codes: Sequence[str] = tuple(FACTORS),
) -> dict[str, float]:
    """Shapley values by sampling: mean gain of a factor over random orders of switching on.

    Args:
        value: Score of a set of factors; asked once for each set that occurs.
        permutations: Orders to draw; each asks for up to len(codes) + 1 sets.
        seed: Of the orders.
        codes: Which factors.

    Returns:
        Code → value; they sum to value(all) − value(none) exactly.

    Raises:
        ValueError: permutations below 1.
    """
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; expected at least 1")
    rng = random.Random(seed)
    known: dict[Factors, float] = {}
    total = dict.fromkeys(codes, 0.0)
    for _ in range(permutations):
        on: frozenset[str] = frozenset()
        before = _asked(value, Factors(on), known)
        for code in rng.sample(list(codes), len(codes)):
            on |= {code}
            after = _asked(value, Factors(on), known)
            total[code] += (after - before) / permutations
            before = after
    return total


def _asked(value: Callable[[Factors], float], key: Factors, known: dict[Factors, float]) -> float:
    if key not in known:
        known[key] = value(key)
    return known[key]
