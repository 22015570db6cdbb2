"""The measured parts of docs/sparse.md, from benchmarks/results/sparse-trust.json.

The one thing to know: `benchmarks.readme` fills them in; `benchmarks.sparse_trust` measures.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "sparse-trust.json"
NOT_YET = "Not measured yet: `python -m benchmarks.sparse_trust --write`."

Rows = list[list[str]]


def parts(markdown: Callable[[list[str], Rows], str]) -> dict[str, Callable[[], str]]:
    """Marker name → its text; `markdown` makes a table of a head and rows."""

    def filled(write: Callable[[dict[str, Any]], str]) -> Callable[[], str]:
        return lambda: write(json.loads(RESULT.read_text())) if RESULT.is_file() else NOT_YET

    return {
        "correction": filled(lambda found: markdown(*correction(found))),
        "filter": filled(lambda found: markdown(*second_filter(found))),
        "coverage": filled(coverage),
        "drift": filled(drift),
        "weights": filled(weights),
    }


def correction(found: dict[str, Any]) -> tuple[list[str], Rows]:
    """Errors without and with mean correction."""
    rows = []
    for plain in found["selections"]:
        if plain["variant"] != "plain":
            continue
        error, corrected = plain["error"], _of(found, plain["select"], "corrected")["error"]
        rows.append(
            [
                f"`{plain['select']}`",
                f"{plain['density']:.3f}",
                f"{plain['retained']:.3f}",
                f"{error:.4f}",
                f"{corrected:.4f}",
                f"{corrected / error - 1:+.1%}",
            ]
        )
    where = f"{found['model']}, {found['tokens']} tokens, {len(found['layers'])} layers"
    return [where, "density", "retained", "relative L1", "corrected", "change"], rows


def second_filter(found: dict[str, Any]) -> tuple[list[str], Rows]:
    """What the second filter leaves out, and what it costs."""
    rows = []
    for row in found["selections"]:
        if not row["variant"].startswith("skip"):
            continue
        plain = _of(found, row["select"], "plain")["error"]
        rows.append(
            [
                f"`{row['select']}`, `skip={row['variant'].split()[1]}`",
                f"{row['left_out']:.2%}",
                f"{plain:.5f} → {row['error']:.5f}",
            ]
        )
    return ["the same layers", "P·V left out", "relative L1"], rows


def coverage(found: dict[str, Any]) -> str:
    """How often the interval of a report held the error over all rows."""
    held, all_of_them = found["coverage"]["that hold the error"], found["coverage"]["intervals"]
    return f"Measured: {held} of {all_of_them} intervals held the error over all rows."


def drift(found: dict[str, Any]) -> str:
    """What happens when one layer's blocks serve the next."""
    pairs = found["neighbouring layers"]
    drifts = [pair["drift"] for pair in pairs]

    def mean(kind: str, what: str) -> float:
        return sum(pair[kind][what] for pair in pairs) / len(pairs)

    return (
        f"Neighbouring layers of a language model do not look alike ({found['model']}, "
        f"{len(pairs)} pairs): drift {min(drifts):.2f} to {max(drifts):.2f}. The blocks of the "
        f"layer before retain {mean('reused', 'retained'):.1%} of the mass at a density of "
        f"{mean('reused', 'density'):.3f} of all blocks; a layer's own retain "
        f"{mean('renewed', 'retained'):.1%} at {mean('renewed', 'density'):.3f}."
    )


def weights(found: dict[str, Any]) -> str:
    """Why the pseudo key has the weight it has."""
    study = found["weights of a pseudo key"]
    error = study["error"]
    return (
        f"Relative L1 (`{study['select']}`, {study['tokens']} tokens, {study['heads']} heads): "
        f"{error['none']:.3f} without correction, {error['mean']:.3f} with it, "
        f"{error['second order']:.3f} with the second-order term, {error['true mass']:.3f} with "
        "the true mass."
    )


def _of(found: dict[str, Any], select: str, variant: str) -> dict[str, Any]:
    return next(
        row for row in found["selections"] if (row["select"], row["variant"]) == (select, variant)
    )
