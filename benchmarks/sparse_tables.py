"""Tables and verdicts about sparse selection, made from the records of sparse.json.

The one thing to know: like `claims.py`, nothing here is typed in: a verdict is a condition on
measured numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.verdicts import verdict_table

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet: `python -m benchmarks.sparse_claims` fills this in."
DENSITIES = ("0.1", "0.15", "0.25", "0.35", "0.5")
MAIN = 4096


def parts() -> dict[str, Callable[[], str]]:
    """The generated parts of docs/claims.md that speak of sparse selection."""
    return {
        "sparse": lambda: _if_measured(claims_table),
        "sparsestudies": lambda: _if_measured(studies),
        "retrieval": retrieval_table,
    }


def _if_measured(render: Callable[[dict[str, Any]], str]) -> str:
    path = RESULTS / "sparse.json"
    return render(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else NOT_YET


def claims_table(document: dict[str, Any]) -> str:
    """One row for each claim."""
    from benchmarks.sparse_statements import CLAIMS

    return verdict_table(CLAIMS, Lookup(document))


class Lookup:
    """Numbers of the records by study, row, data and length."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.records = document["records"]

    def __call__(
        self, study: str, row: str, length: int | None = None, data: str | None = None
    ) -> dict[str, Any]:
        """The record; raises LookupError with words when there is none."""
        for record in self.records:
            if (
                (record["study"], record["row"]) == (study, row)
                and length in (None, record["length"])
                and data in (None, record.get("data"))
            ):
                return record
        raise LookupError(f"{study}, {row}" + (f", {length} tokens" if length else ""))

    def error(self, study: str, row: str, density: float, length: int = MAIN) -> float:
        """Relative L1 at a density, on the model's tensors."""
        found = self(study, row, length, "model")["error_at"][f"{density:g}"]
        if found is None:
            raise LookupError(f"{row} does not reach a density of {density:g}")
        return found

    def lengths(self, study: str, row: str, data: str) -> list[int]:
        """Lengths that were measured, ascending."""
        found = {
            r["length"]
            for r in self.records
            if (r["study"], r["row"], r.get("data")) == (study, row, data)
        }
        return sorted(found)


def studies(document: dict[str, Any]) -> str:
    """All tables."""
    numbers = Lookup(document)
    blocks = [
        f"Measured at commit {document['commit']} with torch {document['versions']['torch']}."
    ]
    for number, (study, title) in enumerate(
        (
            ("sparge", "SpargeAttn: rules, blocks of 128 × 64"),
            ("xattention", "XAttention: rules, blocks of 128 × 128"),
        )
    ):
        blocks.append(f"### {8 + number}. {title}\n\n{_rules(document, study)}")
    blocks.append(f"### 10. Sparsity and length\n\n{_lengths(document, numbers)}")
    blocks.append(f"### 11. Both filters\n\n{_filters(document)}")
    blocks.append(f"### 12. Orders of video tokens\n\n{_orders(document)}")
    return "\n\n".join(blocks)


def _rules(document: dict[str, Any], study: str) -> str:
    """Relative L1 (and retained mass) of each rule at equal densities."""
    header = ["rule", *(f"density {d}" for d in DENSITIES)]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for record in document["records"]:
        if (record["study"], record["length"], record.get("data")) != (study, MAIN, "model"):
            continue
        cells = []
        for density in DENSITIES:
            error, kept = record["error_at"][density], record["retained_at"][density]
            cells.append("–" if error is None else f"{error:.4f} / {100 * kept:.1f}")
        lines.append(f"| {record['row']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _lengths(document: dict[str, Any], numbers: Lookup) -> str:
    """Density that an error needs, and the error at a density, by length."""
    columns = [("model", n) for n in (2048, 4096, 8192)]
    columns += [("made up", n) for n in (8192, 16384, 32768)]
    rows = (
        ("sparge", "exclusive"),
        ("sparge", "top-k of all"),
        ("sparge", "share"),
        ("sparge", "share, mean correction"),
        ("xattention", "released: stride 16"),
        ("xattention", "stride 16, share"),
        ("xattention", "stride 16, share, mean correction"),
    )
    header = ["", *(f"{n:,}, {data}" for data, n in columns)]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for study, row in rows:
        for name, pick in (
            ("density for L1 0.08", lambda r: r["density_for"]["0.08"]),
            ("L1 at density 0.25", lambda r: r["error_at"]["0.25"]),
            ("L1 at density 0.1", lambda r: r["error_at"]["0.1"]),
        ):
            cells = []
            for data, length in columns:
                try:
                    found = pick(numbers(study, row, length, data))
                except LookupError:
                    found = None
                cells.append("–" if found is None else f"{found:.3f}")
            lines.append(f"| {study}, {row}: {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _filters(document: dict[str, Any]) -> str:
    header = ["", "density", "P·V left out of it", "sparsity", "relative L1"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for r in document["records"]:
        if r["study"] == "filters":
            cells = [f"{100 * r[k]:.1f} %" for k in ("density", "pv_skipped", "sparsity")]
            lines.append(f"| {r['row']} | " + " | ".join(cells) + f" | {r['error']:.4f} |")
    return "\n".join(lines)


def _orders(document: dict[str, Any]) -> str:
    header = ["", "likeness of Q", "likeness of K", *(f"L1 at density {d}" for d in DENSITIES)]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for r in document["records"]:
        if r["study"] == "orders":
            cells = [f"{r['likeness_q']:.3f}", f"{r['likeness_k']:.3f}"]
            for density in DENSITIES:
                error = r["error_at"][density]
                cells.append("–" if error is None else f"{error:.4f}")
            lines.append(f"| {r['row']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def retrieval() -> dict[str, Any] | None:
    """The stored evaluation, or None."""
    path = RESULTS / "retrieval.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def retrieval_table() -> str:
    """Perplexity, recall and ranking of each way by length."""
    record = retrieval()
    if record is None:
        return "Not measured yet: `foveate eval` with `--out benchmarks/results/retrieval.json`."
    tasks = [task for task in record["tasks"] if task != "text"]
    found = {(r["way"], r["task"], r["length"]): r for r in record["summary"]}
    header = ["tokens", "attention", "perplexity", *tasks, "mean"]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for length in record["lengths"]:
        for way in record["ways"]:
            mine = [found.get((way["label"], task, length)) for task in tasks]
            if None in mine:
                continue
            text = found.get((way["label"], "text", length))
            means = [sum(r[k] for r in mine) / len(mine) for k in ("recall", "ranking")]
            cells = [f"{100 * r['recall']:.0f} / {100 * r['ranking']:.0f}" for r in mine]
            lines.append(
                f"| {length:,} | {way['label']} | "
                f"{'–' if text is None else format(text['perplexity'], '.2f')} | "
                + " | ".join(cells)
                + f" | {100 * means[0]:.1f} / {100 * means[1]:.1f} |"
            )
    counts = {r["samples"] for r in record["summary"] if r["task"] != "text"}
    told = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts)}"
    return "\n".join(
        [f"Recall / ranking in percent, {told} samples of each task and length.", "", *lines]
    )
