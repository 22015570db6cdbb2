"""Tables and claims about training with video sparse attention, made from vsa-study.json.

The one thing to know: arms are compared seed by seed: runs of one seed see the same clips, noise
and times. Intervals are the smallest and the largest of the seeds.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.verdicts import verdict_table

RESULTS = Path(__file__).parent / "results"
NAME, TINY = "vsa-study.json", "vsa-study-tiny.json"
"""The comparison on a GPU, and the variants of VSA at the scale of a CPU; never mixed."""
NOT_YET = "Not measured yet: `python -m benchmarks.vsa_study` fills this in."
BASELINES = ("Compress KV", "Spatial-Temporal", "Spatial-Full", "Strided Window", "Local")
MAIN = ("dense", "VSA", *BASELINES)
VARIANTS = ("VSA", "fine stage only", "max pooling", "conv pooling")
LARGER = ("VSA", "VSA K=16", "VSA K=8", "fine stage only", "max pooling")

Record = dict[str, Any]


def parts() -> dict[str, Callable[[], str]]:
    """The generated parts of docs/train-video.md and docs/claims.md that speak of VSA."""
    return {
        "vsaclaims": claims_table,
        "vsaarms": lambda: arms_table(MAIN),
        "vsalarger": lambda: arms_table(LARGER, against="VSA"),
        "vsavariants": lambda: arms_table(VARIANTS, against="VSA", name=TINY),
        "vsasweep": lambda: sweep_table(TINY),
        "vsatiny": lambda: scale_line(TINY),
        "vsacritical": critical_table,
        "vsaretrofit": retrofit_table,
        "vsascale": scale_line,
        "vsatrained": trained_line,
    }


def load(name: str = NAME) -> Record | None:
    """A study, if it has been run."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


class Study:
    """Numbers of the study; LookupError, with words, for what was not measured."""

    def __init__(self, name: str = NAME) -> None:
        self.name = name
        self.records = (load(name) or {"records": []})["records"]

    @property
    def tiny(self) -> Study:
        """The study at the scale of a CPU."""
        return Study(TINY)

    def of(self, arm: str) -> dict[int, Record]:
        """Seed → record of an arm."""
        found = {r["seed"]: r for r in self.records if r["arm"] == arm}
        if not found:
            raise LookupError(f"no {arm} in {self.name}")
        return found

    def arms(self) -> list[str]:
        """All arms that were measured."""
        return sorted({r["arm"] for r in self.records if "held_out" in r})

    def final(self, arm: str) -> list[float]:
        """Held-out loss at the end of the budget, by seed."""
        return [self.of(arm)[seed]["held_out"][-1][1] for seed in sorted(self.of(arm))]

    def above(self, arm: str, other: str) -> list[float]:
        """Final loss of an arm less that of another, for the seeds that both have."""
        mine, theirs = self.of(arm), self.of(other)
        seeds = sorted(mine.keys() & theirs.keys())
        if not seeds:
            raise LookupError(f"no seed of both {arm} and {other} in {self.name}")
        return [mine[s]["held_out"][-1][1] - theirs[s]["held_out"][-1][1] for s in seeds]

    def saving(self, arm: str) -> list[float]:
        """How many times less FLOPs an arm needs for the final loss of dense, by seed.

        Below 1 if dense needs less for the final loss of the arm.
        """
        mine, dense = self.of(arm), self.of("dense")
        found = []
        for seed in sorted(mine.keys() & dense.keys()):
            a, b = mine[seed]["held_out"], dense[seed]["held_out"]
            if a[-1][1] <= b[-1][1]:
                found.append(1 / reached(a, b[-1][1]))
            else:
                found.append(reached(b, a[-1][1]))
        return found

    def critical(self) -> dict[str, Any]:
        """Mass in kept cubes by time and layer, mean over seeds; with random and oracle."""
        found = [r["critical"] for r in self.of("VSA").values() if "critical" in r]
        if not found:
            raise LookupError(f"no critical tokens in {NAME}")
        return {
            "times": found[0]["times"],
            "random": found[0]["random"],
            **{kind: _means([f[kind] for f in found]) for kind in ("kept", "oracle")},
        }

    def retrofit(self, way: str) -> list[list[list[float]]]:
        """Curves of one way of going on from a dense model, one for each seed."""
        return [r["curves"][way] for _, r in sorted(self.of("retrofit").items())]


def reached(curve: list[list[float]], loss: float) -> float:
    """The share of the budget at which a curve first is at a loss, between its points in a line."""
    for (x0, y0), (x1, y1) in pairwise(curve):
        if y0 <= loss:
            return x0
        if y1 <= loss:
            return x0 + (x1 - x0) * (y0 - loss) / (y0 - y1)
    return curve[-1][0]


def claims_table() -> str:
    """One row for each claim."""
    from benchmarks.vsa_statements import CLAIMS

    return verdict_table(CLAIMS, Study())


def scale_line(name: str = NAME) -> str:
    """What was trained, on what, in one sentence."""
    document = load(name)
    if document is None:
        return NOT_YET
    first = next(r for r in document["records"] if "held_out" in r)
    s = first["scale"]
    cubes = 1
    for n, side in zip(s["grid"], s["cube"], strict=True):
        cubes *= n // side
    return (
        f"Grid {' × '.join(map(str, s['grid']))} = {_product(s['grid']):,} tokens, cubes of "
        f"{' × '.join(map(str, s['cube']))}, {s['keep']} of {cubes} kept; {s['layers']} layers of "
        f"{s['dim']} with {s['heads']} heads; batches of {s['batch']} clips; the budget of every "
        f"run is that of {s['dense_steps']:,} steps of dense attention, {first['budget']:.2e} "
        f"FLOPs; learning rate {s['lr']:g}, constant after {s['warmup']} steps. Measured on "
        f"{document['machine']} with torch {document['versions']['torch']}."
    )


def trained_line() -> str:
    """What the commands of the page take and reach."""
    path = RESULTS / "train-video.json"
    if not path.is_file():
        return "Not measured yet."
    found = json.loads(path.read_text(encoding="utf-8"))
    (first, begin), (last, end) = found["held_out"][0], found["held_out"][-1]
    threads = {1: "one thread", 2: "two threads"}.get(
        found["threads"], f"{found['threads']} threads"
    )
    text = (
        f"Measured on Big Buck Bunny, {threads}, {found['machine']}: "
        f"{found['steps']} steps in {found['seconds'] / 60:.1f} minutes "
        f"({found['whole_command_seconds'] / 60:.1f} with reading the film and measuring), "
        f"{found['parameters'] / 1e6:.1f} M parameters; held-out loss {begin:.3f} after {first} "
        f"steps, {end:.3f} after {last}."
    )
    if "processor_seconds_a_step" in found:
        each = found["processor_seconds_a_step"]
        text += (
            f" A step takes {each:.2f} s of processor time, all of them together "
            f"{each * found['steps'] / 60:.1f} minutes."
        )
    return text


def arms_table(arms: tuple[str, ...], against: str = "dense", name: str = NAME) -> str:
    """A row for each arm: what it costs, and its loss at the end of the budget."""
    study = Study(name)
    there = [arm for arm in arms if arm in study.arms()]
    if not there or against not in study.arms():
        return NOT_YET
    last = "saving at dense’s loss" if against == "dense" else "steps"
    lines = [
        f"| attention | seeds | attention’s share of FLOPs | held-out loss | against {against} | "
        f"{last} |",
        "|---|---|---|---|---|---|",
    ]
    for arm in there:
        record = next(iter(study.of(arm).values()))
        part = 3.5 * record["attention_flops"]
        share = part / (part + 3 * record["linear_flops"])
        final = study.final(arm)
        cells = [arm, str(len(final)), f"{100 * share:.0f} %", f"{mean(final):.4f} {span(final)}"]
        if arm == against:
            cells += ["", "" if against == "dense" else f"{record['steps']:,}"]
        else:
            above = study.above(arm, against)
            cells.append(f"{signed(mean(above))} {span(above, signed)}")
            saving = study.saving(arm) if against == "dense" else []
            cells.append(
                f"{mean(saving):.2f}× {span(saving, '{:.2f}'.format)}"
                if saving
                else f"{record['steps']:,}"
            )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def sweep_table(name: str = NAME) -> str:
    """Loss by the number of kept cubes."""
    study = Study(name)
    found = [(keep_of(arm, study), arm) for arm in study.arms() if arm == "VSA" or "K=" in arm]
    if len(found) < 2:
        return NOT_YET
    lines = ["| cubes kept | steps | held-out loss |", "|---|---|---|"]
    for keep, arm in sorted(found):
        final = study.final(arm)
        steps = next(iter(study.of(arm).values()))["steps"]
        lines.append(f"| {keep} | {steps:,} | {mean(final):.4f} {span(final)} |")
    return "\n".join(lines)


def keep_of(arm: str, study: Study) -> int:
    """Cubes that an arm keeps."""
    if "K=" in arm:
        return int(arm.rpartition("=")[2])
    return next(iter(study.of(arm).values()))["scale"]["keep"]


def critical_table() -> str:
    """Mass in the kept cubes by level of noise: the mean of layers, the least and the most."""
    try:
        found = Study().critical()
    except LookupError:
        return NOT_YET
    lines = [
        "| noise t | VSA, mean of layers (least – most) | an oracle’s choice | at random |",
        "|---|---|---|---|",
    ]
    for i, time in enumerate(found["times"]):
        kept, oracle = found["kept"][i], found["oracle"][i]
        lines.append(
            f"| {time} | {percent(mean(kept))} ({percent(min(kept))} – {percent(max(kept))}) | "
            f"{percent(mean(oracle))} | {percent(found['random'])} |"
        )
    return "\n".join(lines)


def retrofit_table() -> str:
    """Loss when the dense model is left, at its worst on the way, and at the end."""
    study = Study()
    try:
        records = study.of("retrofit")
    except LookupError:
        return NOT_YET
    ways = list(next(iter(records.values()))["curves"])
    lines = ["| way | first | worst on the way | last |", "|---|---|---|---|"]
    for way in ways:
        curves = study.retrofit(way)
        ends = [[c[0][1] for c in curves], [max(y for _, y in c) for c in curves]]
        ends.append([c[-1][1] for c in curves])
        lines.append(f"| {way} | " + " | ".join(f"{mean(e):.4f} {span(e)}" for e in ends) + " |")
    return "\n".join(lines)


def span(values: list[float], form: Callable[[float], str] = "{:.4f}".format) -> str:
    """The smallest and the largest, in brackets; nothing for a single value."""
    return f"({form(min(values))} – {form(max(values))})" if len(values) > 1 else ""


def signed(value: float) -> str:
    """A difference with its sign."""
    return f"{value:+.4f}".replace("-", "−")


def percent(value: float) -> str:
    """A share in percent, three digits."""
    return f"{100 * value:.3g} %"


def _means(tables: list[list[list[float]]]) -> list[list[float]]:
    return [[mean(cell) for cell in zip(*rows, strict=True)] for rows in zip(*tables, strict=True)]


def _product(numbers: list[int]) -> int:
    total = 1
    for n in numbers:
        total *= n
    return total
