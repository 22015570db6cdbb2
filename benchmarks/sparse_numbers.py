"""Numbers of the claims about sparse selection, as text and as conditions.

The one thing to know: a number that was not measured raises LookupError, and the claim is open.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from benchmarks.sparse_tables import Lookup, retrieval

AT = 0.35  # density at which rules are compared; the table shows others


def errors(n: Lookup, study: str, *rows: str, at: float = AT) -> str:
    return ", ".join(f"{row} {n.error(study, row, at):.4f}" for row in rows)


def by_length(n: Lookup, study: str, *rows: str) -> str:
    return "; ".join(
        f"{length:,}: " + ", ".join(f"{row} {n.error(study, row, AT, length):.4f}" for row in rows)
        for length in n.lengths(study, rows[0], "model")
    )


def ahead(n: Lookup, study: str, first: str, *others: str) -> bool:
    return all(
        n.error(study, first, AT, length) < n.error(study, other, AT, length)
        for length in n.lengths(study, first, "model")
        for other in others
    )


def needed(n: Lookup, study: str, row: str, data: str) -> list[tuple[int, float]]:
    """(length, density needed for a relative L1 of 0.08)."""
    found = [
        (length, n(study, row, length, data)["density_for"]["0.08"])
        for length in n.lengths(study, row, data)
    ]
    return [(length, density) for length, density in found if density is not None]


def told(pairs: list[tuple[int, float]]) -> str:
    return ", ".join(f"{length:,}: {100 * (1 - density):.0f} %" for length, density in pairs)


def grows(pairs: list[tuple[int, float]]) -> bool:
    return len(pairs) > 1 and pairs[-1][1] < pairs[0][1]


def profile(select: str) -> dict[str, Any]:
    """What the shipped profile reached on text that it was not made with."""
    file = resources.files("foveate.data").joinpath("profiles", f"smollm2-135m-{select}.json")
    if not file.is_file():
        raise LookupError(f"no profile for {select}")
    reached = json.loads(file.read_text(encoding="utf-8"))["reached"]
    return {
        "tuned": reached["held_out"],
        "fixed": reached["one_value_at_equal_density"]["held_out"],
    }


def tuned(select: str) -> str:
    found = profile(select)
    return (
        f"L1 {found['fixed']['l1']:.4f} → {found['tuned']['l1']:.4f} at density "
        f"{found['tuned']['density']:.3f}"
    )


def better(select: str) -> bool:
    found = profile(select)
    return found["tuned"]["l1"] < found["fixed"]["l1"]


def scores(select: str, value: str, length: int | None = None) -> tuple[float, float]:
    """Mean over retrieval tasks at the longest length: dense and with a selection."""
    record = retrieval()
    if record is None:
        raise LookupError("no retrieval results")
    length = max(record["lengths"]) if length is None else length
    labels = [record["ways"][0]["label"]]
    labels += [way["label"] for way in record["ways"] if select in way["label"]][-1:]
    means = []
    for label in labels:
        mine = [
            r[value]
            for r in record["summary"]
            if r["way"] == label and r["length"] == length and r["task"] != "text"
        ]
        if not mine:
            raise LookupError("no retrieval results")
        means.append(sum(mine) / len(mine))
    if len(means) < 2:
        raise LookupError(f"no retrieval results with {select}")
    return means[0], means[1]


def kept(select: str) -> str:
    recall, ranking = scores(select, "recall"), scores(select, "ranking")
    return (
        f"recall {100 * recall[0]:.1f} → {100 * recall[1]:.1f} %, ranking "
        f"{100 * ranking[0]:.1f} → {100 * ranking[1]:.1f} %"
    )


def holds_retrieval(select: str) -> bool:
    recall, ranking = scores(select, "recall"), scores(select, "ranking")
    return recall[1] > recall[0] - 0.02 and ranking[1] > ranking[0] - 0.02
