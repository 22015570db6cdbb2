"""Tables and verdicts of docs/claims.md, made from the records of ablations.json.

The one thing to know: a verdict is computed from a condition on measured numbers, so it changes
when they do; nothing in the document's generated parts is written by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.readme import fill

DOCUMENT = Path(__file__).parent.parent / "docs" / "claims.md"
ABLATIONS = Path(__file__).parent / "results" / "ablations.json"

TITLES = {
    "smoothing": "1. Smoothing",
    "granularity": "2. Granularity",
    "pv_formats": "3. Formats of P and V, and sinks",
    "lengths": "4. The 22-bit accumulator and length",
    "ranges": "5. Ranges and chains of float16 sums",
    "smooth_v": "6. Smoothing V",
    "fp4_choices": "7. Four-bit choices",
}

Numbers = Callable[..., float]


@dataclass(frozen=True)
class Claim:
    """One statement of a paper and how our numbers bear on it."""

    system: str
    text: str
    tested: str
    measured: Callable[[Numbers], str]
    holds: Callable[[Numbers], bool]
    otherwise: str  # the verdict if it does not hold


def rendered(document: dict[str, Any], claims: tuple[Claim, ...]) -> str:
    """docs/claims.md with its generated parts as the records say."""
    from benchmarks import (
        lowlight_reenet_tables,
        lowlight_sacc_tables,
        moa_tables,
        motion_tables,
        sagebwd_tables,
        sparse_tables,
        vsa_tables,
    )

    parts = {
        "claims": lambda: claims_table(document, claims),
        "ablations": lambda: tables(document),
        **sparse_tables.parts(),
        **moa_tables.parts(),
        **lowlight_reenet_tables.parts(),
        **lowlight_sacc_tables.parts(),
        **sagebwd_tables.parts(),
        **vsa_tables.parts(),
        **motion_tables.parts(motion_tables.load()),
    }
    return fill(DOCUMENT.read_text(encoding="utf-8"), parts)


def lookup(document: dict[str, Any]) -> Numbers:
    """A function (study, row, column, figure="cosine") → number."""
    found = {(r["study"], r["row"], r["column"]): r for r in document["records"]}
    return lambda study, row, column, figure="cosine": found[study, row, column][figure]


def claims_table(document: dict[str, Any], claims: tuple[Claim, ...]) -> str:
    """One row for each claim."""
    numbers = lookup(document)
    lines = [
        "| system | claim | how we test it, at which scale | measured | verdict |",
        "|---|---|---|---|---|",
    ]
    for claim in claims:
        verdict = "holds" if claim.holds(numbers) else claim.otherwise
        cells = (claim.system, claim.text, claim.tested, claim.measured(numbers), verdict)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def tables(document: dict[str, Any]) -> str:
    """One table for each study: cosine in percent / relative L1."""
    blocks = []
    for study, title in TITLES.items():
        records = [r for r in document["records"] if r["study"] == study]
        rows = list(dict.fromkeys(r["row"] for r in records))
        columns = list(dict.fromkeys(r["column"] for r in records))
        cells = {(r["row"], r["column"]): _cell(r) for r in records}
        lines = [f"### {title}", "", "| | " + " | ".join(columns) + " |"]
        lines.append("|---" * (len(columns) + 1) + "|")
        for row in rows:
            lines.append(
                f"| {row} | " + " | ".join(cells.get((row, c), "") for c in columns) + " |"
            )
        blocks.append("\n".join(lines))
    origin = f"Measured at commit {document['commit']} with torch {document['versions']['torch']}."
    return "\n\n".join([origin, *blocks])


def _cell(record: dict[str, Any]) -> str:
    if "relative_l2" in record:
        return f"{record['relative_l2']:.1e}"
    if record["cosine"] is None:
        return "overflow"
    return f"{percent(record['cosine'])} / {record['relative_l1']:.4f}"


def percent(cosine: float) -> str:
    """A cosine in percent, with more digits the nearer it is to 100."""
    return f"{100 * cosine:.{4 if cosine > 0.9995 else 2}f}"
