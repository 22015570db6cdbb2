"""Tables, verdicts and the picture about MoA, made from moa-quality.json and moa.json.

The one thing to know: a verdict is a condition on measured numbers, and a claim whose numbers are
missing is "open"; nothing is typed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
KINDS = {"MoA": "MoA plan", "uniform": "one window", "split": "all or little"}
TASKS = {"needle_text": "one number", "multikey": "one number of six", "text": "novel"}

Record = dict[str, Any]


def parts() -> dict[str, Callable[[], str]]:
    """The generated parts of docs/moa.md and docs/claims.md that speak of MoA."""
    return {"moaclaims": claims_table, "moaquality": quality_table, "moaspeed": speed_table}


def load(name: str) -> Record | None:
    """A record of benchmarks/results, if there is one."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


class Lookup:
    """Numbers of both records; LookupError, with words, for what was not measured."""

    def quality(self, way: str, task: str, length: int, value: str) -> float:
        """A value of one way at one task and length."""
        for record in (load("moa-quality.json") or {"records": []})["records"]:
            if (record["way"], record["task"], record.get("length")) == (way, task, length):
                return record[value]
        raise LookupError("no moa-quality.json")

    def effective(self, way: str, task: str) -> int:
        """Effective context in tokens."""
        for record in (load("moa-quality.json") or {"records": []})["records"]:
            if (record["way"], record["task"]) == (way, task) and "effective" in record:
                return record["effective"]
        raise LookupError("no moa-quality.json")

    def speed(self, cache: str, batch: int, value: str) -> float:
        """A value of one cache at one batch size; the median where there are several."""
        for record in (load("moa.json") or {"records": []})["records"]:
            if (record["cache"], record["batch"]) == (cache, batch):
                found = record[value]
                return found["median"] if isinstance(found, dict) else found
        raise LookupError("no moa.json")


def claims_table() -> str:
    """One row for each claim."""
    from benchmarks.moa_statements import CLAIMS

    numbers = Lookup()
    lines = [
        "| system | claim | how we test it, at which scale | measured | verdict |",
        "|---|---|---|---|---|",
    ]
    for claim in CLAIMS:
        try:
            measured, holds = claim.measured(numbers), claim.holds(numbers)
        except LookupError as missing:
            measured, verdict = f"not measured ({missing.args[0]})", "open"
        else:
            verdict = "holds" if holds else claim.otherwise
        lines.append(
            "| " + " | ".join((claim.system, claim.text, claim.tested, measured, verdict)) + " |"
        )
    return "\n".join(lines)


def quality_table() -> str:
    """A row for each way: retrieval and perplexity by length."""
    document = load("moa-quality.json")
    if document is None:
        return "Not measured yet: `python -m benchmarks.moa_quality` fills this in."
    ways = list(dict.fromkeys(r["way"] for r in document["records"]))
    ways.sort(key=lambda w: -float(w.split()[-1]) if " " in w else -2)
    cells = {(r["way"], r["task"], r["length"]): r for r in document["records"] if "length" in r}
    blocks = []
    for task, title in TASKS.items():
        value = "perplexity" if task == "text" else "accuracy"
        counts = [
            [r["samples"] for (_, t, n), r in cells.items() if (t, n) == (task, length)]
            for length in document["lengths"]
        ]
        samples = [f"{min(c)}" if min(c) == max(c) else f"{min(c)}–{max(c)}" for c in counts]
        head = [f"{n:,}<br>({c})" for n, c in zip(document["lengths"], samples, strict=True)]
        lines = [
            f"**{title}**: {'perplexity' if task == 'text' else 'share of right answers'} by "
            "tokens (samples)",
            "",
            "| | " + " | ".join(head) + " |",
            "|---" * (len(head) + 1) + "|",
        ]
        for way in ways:
            row = [cells.get((way, task, n)) for n in document["lengths"]]
            shown = [
                "" if r is None else f"{r[value]:.2f}" + _off(r, way, document["lengths"])
                for r in row
            ]
            lines.append(f"| {_title(way)} | " + " | ".join(shown) + " |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _title(way: str) -> str:
    kind, _, density = way.partition(" ")
    return f"{KINDS[kind]}, {density}" if density else "dense attention"


def _off(record: Record, way: str, lengths: list[int]) -> str:
    """The true density where it is not the one in the row's name."""
    density = float(way.split()[1]) if " " in way else 1.0
    return f" *({record['density']:.2f})*" if abs(record["density"] - density) > 0.02 else ""


def speed_table() -> str:
    """A row for each cache and batch size."""
    document = load("moa.json")
    if document is None:
        return "Not measured yet: `python -m benchmarks.moa` fills this in."
    lines = [
        "| batch | cache | ms a step | tokens/s | × static cache, SDPA | × dynamic cache, SDPA | "
        "attention alone, ms | × SDPA | × our dense kernel | memory |",
        "|---" * 10 + "|",
    ]
    for r in document["records"]:
        factors = [r[k]["median"] for k in ("over_static", "over_dynamic")]
        alone = [r[f"attention_over_static{k}"]["median"] for k in ("", "_of_foveate")]
        cells = [
            str(r["batch"]),
            r["cache"],
            f"{1e3 * r['step']['median']:.1f}",
            f"{r['tokens_per_second']:.1f}",
            *(f"{x:.2f}" for x in factors),
            f"{1e3 * r['attention']['median']:.1f}",
            *(f"{x:.2f}" for x in alone),
            f"{r['memory']:.3f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
