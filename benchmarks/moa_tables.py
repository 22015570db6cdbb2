"""Tables, verdicts and the picture about MoA, made from moa-quality.json and moa.json.

The one thing to know: a verdict is a condition on measured numbers, and a claim whose numbers are
missing is "open"; nothing is typed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.verdicts import verdict_table

RESULTS = Path(__file__).parent / "results"
KINDS = {"MoA": "MoA plan", "split": "all or little", "uniform": "one window"}
SEARCHES = {
    "MoA": "as above",
    "MoA-joint": "with the joint score",
    "MoA-plain": "made without “facts”",
    "MoA-short": "made on 2,048 tokens only",
}
TASKS = {"needle_text": "one number", "multikey": "one number of six", "text": "novel"}

Record = dict[str, Any]


def parts() -> dict[str, Callable[[], str]]:
    """The generated parts of docs/moa.md and docs/claims.md that speak of MoA."""
    return {
        "moaclaims": claims_table,
        "moaquality": quality_table,
        "moareach": reach_table,
        "moasearches": searches_table,
        "moasolver": solver_table,
        "moaspeed": speed_table,
        "moaspeedbf16": lambda: speed_table(BF16),
    }


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
        raise LookupError(f"{way} is not in moa-quality.json")

    def reach(self, way: str, task: str = "needle_text") -> tuple[int, int]:
        """Effective context in tokens, and how many of them a head keeps on average."""
        document = load("moa-quality.json") or {"records": []}
        found = _reach(document, way, task)
        if found is None:
            raise LookupError(f"{way} is not in moa-quality.json")
        return found

    def speed(self, cache: str, batch: int, value: str, name: str = "moa.json") -> float:
        """A value of one cache at one batch size; the median where there are several."""
        for record in (load(name) or {"records": []})["records"]:
            if (record["cache"], record["batch"]) == (cache, batch):
                found = record[value]
                return found["median"] if isinstance(found, dict) else found
        raise LookupError(f"no {cache} in {name}")

    def solver(self, name: str, value: str) -> float:
        """The largest value among the programs of one size."""
        records = (load("moa-solver.json") or {"records": []})["records"]
        found = [r[value] for r in records if r["size"].startswith(f"{name},")]
        if not found:
            raise LookupError("no moa-solver.json")
        return max(found)

    def load(self) -> float:
        """How busy the machine was when programs were timed."""
        return (load("moa-solver.json") or {"load": 0.0})["load"]


def claims_table() -> str:
    """One row for each claim."""
    from benchmarks.moa_statements import CLAIMS

    return verdict_table(CLAIMS, Lookup())


def quality_table() -> str:
    """Retrieval and perplexity by length: a row for each kind of spans at each density."""
    return _quality(KINDS, TASKS)


def searches_table() -> str:
    """The same for plans that were found otherwise, beside the first ones."""
    return _quality(SEARCHES, {name: TASKS[name] for name in ("needle_text", "multikey")})


def _quality(kinds: dict[str, str], tasks: dict[str, str]) -> str:
    document = load("moa-quality.json")
    if document is None:
        return "Not measured yet: `python -m benchmarks.moa_quality` fills this in."
    cells = {(r["way"], r["task"], r["length"]): r for r in document["records"] if "length" in r}
    ways = _ways(document, kinds)
    blocks = []
    for task, title in tasks.items():
        value = "perplexity" if task == "text" else "accuracy"
        found = [[cells.get((way, task, n)) for n in document["lengths"]] for way in ways]
        heads = []
        for place, length in enumerate(document["lengths"]):
            counts = {row[place]["samples"] for row in found if row[place] is not None}
            ends = dict.fromkeys((min(counts, default=0), max(counts, default=0)))
            heads.append(f"{length:,}<br>({'–'.join(map(str, ends))})")
        lines = [
            f"**{title}**: {'perplexity' if task == 'text' else 'share of right answers'} by "
            "tokens (samples)",
            "",
            "| | " + " | ".join(heads) + " |",
            "|---" * (len(heads) + 1) + "|",
        ]
        for way, row in zip(ways, found, strict=True):
            shown = ["" if r is None else f"{r[value]:.2f}" + _off(r, way) for r in row]
            lines.append(f"| {_title(way, kinds)} | " + " | ".join(shown) + " |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def reach_table() -> str:
    """Effective contexts, and the tokens that a head keeps then."""
    document = load("moa-quality.json")
    if document is None:
        return "Not measured yet: `python -m benchmarks.moa_quality` fills this in."
    lines = [
        "| | one number | tokens kept then | one number of six | tokens kept then |",
        "|---|---|---|---|---|",
    ]
    for way in _ways(document, KINDS | SEARCHES):
        cells = []
        for task in ("needle_text", "multikey"):
            reach, kept = _reach(document, way, task) or (0, 0)
            cells += [f"{reach:,}", f"{kept:,}"] if reach else ["–", ""]
        title = _title(way, SEARCHES | KINDS)
        title = title if not way.startswith("MoA-") else f"MoA plan {title}"
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _reach(document: Record, way: str, task: str) -> tuple[int, int] | None:
    """Effective context and the tokens kept then; None if it was not measured."""
    mine = [r for r in document["records"] if (r["way"], r["task"]) == (way, task)]
    reach = next((r["effective"] for r in mine if "effective" in r), None)
    if reach is None:
        return None
    density = next((r["density"] for r in mine if r.get("length") == reach), 0.0)
    return reach, round(density * reach)


def _ways(document: Record, kinds: dict[str, str]) -> list[str]:
    """The ways of some kinds that were measured, dense first, then by falling density."""
    there = {r["way"] for r in document["records"]}
    densities = sorted({w.rpartition(" ")[2] for w in there if " " in w}, key=float, reverse=True)
    wanted = ["dense", *(f"{kind} {d}" for d in densities for kind in kinds)]
    return [way for way in wanted if way in there]


def _title(way: str, kinds: dict[str, str]) -> str:
    kind, _, density = way.rpartition(" ")
    return f"{kinds[kind]}, {density}" if kind else "dense attention"


def _off(record: Record, way: str) -> str:
    """The true density where it is not the one in the row's name."""
    density = float(way.rpartition(" ")[2]) if " " in way else 1.0
    return f" *({record['density']:.2f})*" if abs(record["density"] - density) > 0.02 else ""


BF16 = "moa-bfloat16.json"


def speed_table(name: str = "moa.json") -> str:
    """A row for each cache and batch size."""
    document = load(name)
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


def solver_table() -> str:
    """A row for each size of model: seconds and gaps of its programs."""
    document = load("moa-solver.json")
    if document is None:
        return "Not measured yet: `python -m benchmarks.moa_solver` fills this in."
    lines = [
        "| layers × heads (made-up profiles) | rules | budgets | seconds a program | largest gap |",
        "|---|---|---|---|---|",
    ]
    for size in dict.fromkeys(r["size"] for r in document["records"]):
        mine = [r for r in document["records"] if r["size"] == size]
        seconds = [r["seconds"] for r in mine]
        lines.append(
            f"| {size} | {mine[0]['rules']} | {mine[0]['budgets']} | {min(seconds):.1f} to "
            f"{max(seconds):.1f} | {max(r['gap'] for r in mine):.2%} |"
        )
    lines += ["", f"{document['threads']} threads, load average {document['load']:.1f}."]
    return "\n".join(lines)
