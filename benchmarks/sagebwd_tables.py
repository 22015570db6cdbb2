"""Tables and verdicts about SageBwd, made from sagebwd-errors.json and sagebwd-study.json.

The one thing to know: a verdict is a condition on measured numbers, and a claim whose numbers are
missing is "open"; nothing is typed in except what papers print.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from benchmarks.verdicts import verdict_table

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet: `python -m benchmarks.{}` fills this in."
ARMS = {"float": "float", "axis": "`SageBwd()`", "block": '`SageBwd("block")`'}
BATCHES = {"small": "8,192 tokens", "large": "32,768 tokens"}
PUBLISHED = {  # arXiv 2603.02170, random data: relative L2 of out, dQ, dK and dV
    1: (0.0160, 0.0184, 0.0220, 0.0159),
    3: (0.0389, 0.0758, 0.0777, 0.0387),
    5: (0.0603, 0.2014, 0.2007, 0.0605),
    8: (0.0972, 0.4666, 0.4699, 0.0973),
    10: (0.1161, 0.6648, 0.6684, 0.1157),
}

SIZES = ("steps", "sequences", "length")

Run = dict[str, Any]


def parts() -> dict[str, Callable[[], str]]:
    """The generated parts of docs/sagebwd.md and docs/claims.md that speak of SageBwd."""
    return {
        "sagebwdclaims": claims_table,
        "sagebwdsweep": sweep_table,
        "sagebwdlessons": lessons_table,
        "sagebwdfinetune": finetune_table,
        "sagebwdpretrain": pretrain_table,
        "sagebwdverdict": verdict,
    }


def load(name: str) -> dict[str, Any] | None:
    """A record of benchmarks/results, if there is one."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


class Numbers:
    """What was measured; LookupError, with words, for what was not."""

    def __init__(self) -> None:
        self.errors = (load("sagebwd-errors.json") or {"records": []})["records"]
        self.runs = (load("sagebwd-study.json") or {"runs": []})["runs"]

    def sweep(self, size: int, mode: str) -> tuple[float, ...]:
        """Relative L2 of out, dQ, dK and dV at one size of scores; mode "axis" or "block"."""
        for r in self.errors:
            if (r["study"], r["row"]) == ("sweep", size) and f"'{mode}'" in r["precision"]:
                return tuple(r[name] for name in ("o", "dq", "dk", "dv"))
        raise LookupError("no sagebwd-errors.json")

    def lesson(self, study: str, row: str, name: str = "dq") -> list[float]:
        """Relative L2 of one tensor: one value for made-up data, one for each layer of a model."""
        found = [r[name] for r in self.errors if (r["study"], r["row"]) == (study, row)]
        if not found:
            raise LookupError(f"no {study} in sagebwd-errors.json")
        return found

    def final(self, kind: str, arm: str, **facts: Any) -> dict[tuple, float]:
        """Held-out loss at the end in nats by sizes and seed; infinite if the run diverged."""
        found = {}
        for r in self.runs:
            if (r["kind"], r["arm"]) == (kind, arm) and facts.items() <= r.items():
                bad = r["diverged"] is not None
                found[_sizes(r), r["seed"]] = (
                    math.inf if bad else math.log(r["perplexities"][-1][1])
                )
        if not found:
            raise LookupError("no sagebwd-study.json" if not self.runs else "not among the runs")
        return found

    def above_float(self, kind: str, arm: str, **facts: Any) -> tuple[float, float, int]:
        """Held-out loss above that of float with the same sizes and seed: mean, error, pairs."""
        ours, exact = self.final(kind, arm, **facts), self.final(kind, "float", **facts)
        off = [ours[key] - exact[key] for key in sorted(ours.keys() & exact.keys())]
        if not off:
            raise LookupError("no pair of runs")
        spread = math.nan
        if len(off) > 1 and all(map(math.isfinite, off)):
            spread = stdev(off) / math.sqrt(len(off))
        return mean(off), spread, len(off)


def claims_table() -> str:
    """One row for each claim."""
    from benchmarks.sagebwd_statements import CLAIMS

    return verdict_table(CLAIMS, Numbers())


def sweep_table() -> str:
    """Errors by the size of the scores: the paper's, and both modes."""
    numbers = Numbers()
    if not numbers.errors:
        return NOT_YET.format("sagebwd_errors")
    lines = [
        "| σ of q and k | | out | dQ | dK | dV |",
        "|---|---|---|---|---|---|",
    ]
    for size, printed in PUBLISHED.items():
        rows = (
            ("as printed in the paper", printed),
            (ARMS["block"], numbers.sweep(size, "block")),
            (ARMS["axis"], numbers.sweep(size, "axis")),
        )
        for place, (name, figures) in enumerate(rows):
            cells = " | ".join(f"{x:.4f}" for x in figures)
            lines.append(f"| {size if place == 0 else ''} | {name} | {cells} |")
    return "\n".join(lines)


def lessons_table() -> str:
    """Errors with one thing changed: data with offsets, and real layers."""
    numbers = Numbers()
    if not numbers.errors:
        return NOT_YET.format("sagebwd_errors")
    real = any(r["study"] == "model" for r in numbers.errors)
    heads = ["| | offsets: out | dQ | dK | dV |", "|---|---|---|---|---|"]
    if real:
        heads[0] += " model: dQ, median | dQ, worst | dK, worst | dV, worst |"
        heads[1] += "---|---|---|---|"
    lines = heads
    for r in numbers.errors:
        if r["study"] != "offsets":
            continue
        cells = [f"{r[name]:.3f}" for name in ("o", "dq", "dk", "dv")]
        if real:
            dq, dk, dv = (numbers.lesson("model", r["row"], x) for x in ("dq", "dk", "dv"))
            cells += [f"{x:.3f}" for x in (median(dq), max(dq), max(dk), max(dv))]
        lines.append(f"| {r['row']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def finetune_table() -> str:
    """Held-out perplexity of SmolLM2 before and after, for each arm."""
    numbers = Numbers()
    runs = [r for r in numbers.runs if r["kind"] == "finetune"]
    if not runs:
        return NOT_YET.format("sagebwd_study")
    lines = [
        "| trained for | attention | seeds | perplexity before | after | after, measured with "
        "float attention | loss above float, nats |",
        "|---|---|---|---|---|---|---|",
    ]
    for sizes in sorted({_sizes(r) for r in runs}, reverse=True):
        label = "{} steps of {} × {}".format(*sizes)
        for arm, title in ARMS.items():
            mine = [r for r in runs if r["arm"] == arm and _sizes(r) == sizes]
            if not mine:
                continue
            before, after = (mean(r["perplexities"][x][1] for r in mine) for x in (0, -1))
            plain = mean(r["perplexity_in_float"] for r in mine)
            facts = dict(zip(SIZES, sizes, strict=True))
            off = "" if arm == "float" else _off(numbers, "finetune", arm, **facts)
            lines.append(
                f"| {label} | {title} | {len(mine)} | {before:.3f} | {after:.3f} | {plain:.3f} | "
                f"{off} |"
            )
            label = ""
    return "\n".join([*lines, "", _origin(runs)])


def pretrain_table() -> str:
    """Held-out loss at the end of pre-training: batch, QK-norm and arm."""
    numbers = Numbers()
    runs = [r for r in numbers.runs if r["kind"] == "pretrain"]
    if not runs:
        return NOT_YET.format("sagebwd_study")
    lines = [
        "| batch | QK-norm | attention | seeds | held-out loss, nats per byte | above float | "
        "σ of scores, largest layer |",
        "|---|---|---|---|---|---|---|",
    ]
    for batch, tokens in BATCHES.items():
        for norm in (True, False):
            for arm, title in ARMS.items():
                facts = {"batch": batch, "qk_norm": norm}
                mine = [r for r in runs if r["arm"] == arm and facts.items() <= r.items()]
                if not mine:
                    continue
                final = mean(numbers.final("pretrain", arm, **facts).values())
                off = "" if arm == "float" else _off(numbers, "pretrain", arm, **facts)
                sizes = mean(max(r["score_sizes"]) for r in mine)
                shown = f"{final:.4f}" if math.isfinite(final) else "diverged"
                lines.append(
                    f"| {tokens} | {'yes' if norm else 'no'} | {title} | {len(mine)} | {shown} | "
                    f"{off} | {sizes:.1f} |"
                )
    return "\n".join([*lines, "", _origin(runs)])


def verdict() -> str:
    """Whether "lossless in fine-tuning, slower in pre-training" shows, in one paragraph."""
    from benchmarks.sagebwd_statements import sentence

    try:
        return sentence(Numbers())
    except LookupError as missing:
        return f"Open: not measured ({missing.args[0]})."


def _sizes(run: Run) -> tuple[int, ...]:
    return tuple(run[name] for name in SIZES)


def _off(numbers: Numbers, kind: str, arm: str, **facts: Any) -> str:
    try:
        off, spread, _ = numbers.above_float(kind, arm, **facts)
    except LookupError:
        return ""
    return shown(off, spread)


def shown(off: float, spread: float) -> str:
    """A difference with its standard error, which one seed has not."""
    if not math.isfinite(off):
        return "diverged"
    return f"{off:+.4f}" + ("" if math.isnan(spread) else f" ± {spread:.4f}")


def _origin(runs: list[Run]) -> str:
    devices = sorted({f"{r['machine']['device']}, torch {r['machine']['torch']}" for r in runs})
    error = "± is the standard error over pairs of runs with equal seeds."
    return f"{len(runs)} runs; made on: {'; '.join(devices)}. {error}"
