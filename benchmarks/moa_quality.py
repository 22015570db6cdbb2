"""What a span for each head keeps: python -m benchmarks.moa_quality [--minutes 6] [--device cuda].

SmolLM2-135M reads a novel (perplexity) and finds numbers in it (one, or one of six), with dense
attention and at equal densities with the kinds of spans that benchmarks/moa_plans.py lists. Writes
benchmarks/results/moa-quality.json and the plans beside it.

The one thing to know: it stops after the minutes it was given and goes on from where it was when
called again; every cell is one pass over prompt and answer, each head with the rule that its ring
buffer would have. `--only profile`, `--only fronts` and `--only plans` stop after that step.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import moa_plans
from benchmarks.moa_masks import attending
from benchmarks.moa_plans import WAYS
from foveate.measure.evaluation import TEXT, State
from foveate.measure.forced import effective_context, forced_together
from foveate.measure.machine import commit, versions
from foveate.measure.retrieval import sample
from foveate.measure.tasks import read
from foveate.models import assets
from foveate.tune.fingerprint import fingerprint
from foveate.tune.moa.plan import MoAPlan
from foveate.tune.store import Store

RESULTS = Path(__file__).parent / "results"
RESULT = RESULTS / "moa-quality.json"
LENGTHS = (1024, 2048, 4096, 8192)
TASKS = (TEXT, "needle_text", "multikey")
ASKED = tuple((task, length) for task in TASKS for length in LENGTHS)
STEPS = ("profile", "fronts", "plans")
ROOM = 16  # an answer takes fewer tokens
TOGETHER = 16384  # tokens of a batch
ROUND = 4  # samples of everything before the next ones
TEXTS = 8  # samples of perplexity, whose means differ little, at most

Record = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """Evaluate as long as there is time, write, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moa_quality", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=6.0)
    add("--samples", type=int, default=40)
    add("--device", default="cpu")
    add("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the evaluation")
    add("--merge", metavar="DEVICE", help="read nothing, put cells*.json that it filled together")
    add("--only", choices=STEPS, help="stop after this step")
    add("--share", default="1/1", help="take the I-th of N parts of the samples, as I/N")
    add("--ways", default=",".join(WAYS), help="some of them, to share the work")
    add("--work", type=Path, default=RESULTS / "moa-quality.state")
    add("--out", type=Path, default=RESULT)
    args = parser.parse_args(argv)
    end = time.monotonic() + 60 * args.minutes
    names = [way.strip() for way in args.ways.split(",")]
    if unknown := set(names) - set(WAYS):
        parser.error(f"--ways has {', '.join(sorted(unknown))}; ways are {', '.join(WAYS)}")
    device = torch.cuda.get_device_name() if args.device == "cuda" else args.device
    share = _share(parser, args.share)
    fronts = args.work / "fronts"
    fronts.mkdir(parents=True, exist_ok=True)
    dtype = torch.float32 if args.only == "profile" else getattr(torch, args.dtype)
    model, tokenizer = assets.load("smollm2-135m", dtype=dtype)
    model.to(args.device)
    store = Store(args.work / "profile", fingerprint(model))
    if args.only == "profile":
        moa_plans.profile(model, tokenizer, store, _say)
        return 0
    if args.only == "fronts":
        for way in names:
            if way.startswith("MoA"):
                moa_plans.front(model, tokenizer, store, way, fronts, _say)
        return 0
    plans = {
        way: moa_plans.plan_of(
            model, tokenizer, store, way, args.out.parent, fronts, attending, _say
        )
        for way in names
    }
    if args.only == "plans":
        return 0
    about = {"model": "smollm2-135m", "rule": "tokens", "dtype": args.dtype}
    state = State(args.work / "cells.json", about)
    if args.merge is None:
        whole = evaluate(model, tokenizer, plans, args.samples, state, end, share)
    else:
        whole = all(len(_of(cells_of(args.work, about), w, t, n)) for w in names for t, n in ASKED)
    document = {
        "kind": "moa-quality",
        "model": f"SmolLM2-135M, {args.dtype}",
        "complete": whole,
        "profiled": moa_plans.SEARCHES["MoA"].lengths,
        "lengths": LENGTHS,
        "commit": commit(),
        "versions": None if args.merge else versions("torch", "transformers"),
        "device": args.merge or device,
        "records": summary(cells_of(args.work, about), plans),
    }
    part = args.out.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(args.out)
    for record in document["records"]:
        print(json.dumps(record))
    return 0


def evaluate(
    model: Any,
    tokenizer: Any,
    plans: dict[str, MoAPlan | None],
    samples: int,
    state: State,
    end: float,
    share: tuple[int, int] = (0, 1),
) -> bool:
    """Fill in cells, a round of samples of everything before the next; False if time was short.

    Of several machines that share the work, each takes every `share[1]`-th round from `share[0]`.
    """
    text = moa_plans.texts()[1]
    ids = tokenizer(text, return_tensors="pt").input_ids.to(model.device)
    for first in range(share[0] * ROUND, samples, share[1] * ROUND):
        seeds = range(first, min(first + ROUND, samples))
        for length in LENGTHS:
            for names, batch in _batches(tokenizer, text, ids, seeds, length):
                missing = [way for way in plans if f"{way}|{names[-1]}" not in state.cells]
                for way in missing:
                    if time.monotonic() > end:
                        return False
                    with attending(model, plans[way], length):
                        cells = _read(model, tokenizer, batch)
                    state.cells |= {f"{way}|{n}": c for n, c in zip(names, cells, strict=True)}
                if missing:
                    state.put(f"{missing[-1]}|{names[-1]}", cells[-1])  # writes the file
            _say(f"samples up to {seeds[-1] + 1}, {length} tokens")
    return True


def _batches(
    tokenizer: Any, text: str, ids: torch.Tensor, seeds: range, length: int
) -> Iterator[tuple[list[str], list[Any]]]:
    """Names and samples (pieces of text, or questions) that are read together."""
    for seed in seeds:
        if seed < TEXTS and (seed + 1) * length <= ids.shape[1]:
            yield [f"{TEXT}|{length}|{seed}"], [ids[:, seed * length : (seed + 1) * length]]
    wanted = [(task, seed) for task in TASKS if task != TEXT for seed in seeds]
    size = max(1, TOGETHER // length)
    for first in range(0, len(wanted), size):
        some = wanted[first : first + size]
        made = [sample(task, tokenizer, length - ROOM, seed, text) for task, seed in some]
        yield [f"{task}|{length}|{seed}" for task, seed in some], made


def _read(model: Any, tokenizer: Any, batch: list[Any]) -> list[Record]:
    """The cells of a batch."""
    if isinstance(batch[0], torch.Tensor):
        return [{"loss": float(read(model, tokens).losses.double().mean())} for tokens in batch]
    found = forced_together(model, tokenizer, batch)
    return [{"loss": one.loss, "right": one.right} for one in found]


def cells_of(work: Path, about: Record) -> dict[str, Record]:
    """The cells of all files of one evaluation; machines that shared the work wrote one each."""
    found: dict[str, Record] = {}
    for path in sorted(work.glob("cells*.json")):
        found |= State(path, about).cells
    return found


def summary(cells: dict[str, Record], plans: dict[str, MoAPlan | None]) -> list[Record]:
    """Means of each way, task and length, and beside dense attention; effective contexts.

    Differences are means over pairs (the same sample read by both), with their standard errors.
    """
    records = []
    for name, plan in plans.items():
        for task in TASKS:
            accuracy = {}
            for length in LENGTHS:
                mine = _of(cells, name, task, length)
                base = _of(cells, "dense", task, length)
                if not (both := mine.keys() & base.keys()):
                    continue
                density = 1.0 if plan is None else round(plan.density(length), 4)
                record: Record = {"way": name, "task": task, "length": length}
                record |= {"samples": len(both), "density": density}
                record["loss"] = statistics.mean(mine[s]["loss"] for s in both)
                record["difference"], record["error"] = _mean(
                    [mine[s]["loss"] - base[s]["loss"] for s in both]
                )
                if task == TEXT:
                    record["perplexity"] = math.exp(record["loss"])
                else:
                    record["accuracy"], record["accuracy_error"] = _mean(
                        [float(mine[s]["right"]) for s in both]
                    )
                    record["lost"], record["lost_error"] = _mean(
                        [float(base[s]["right"]) - mine[s]["right"] for s in both]
                    )
                    accuracy[length] = record["accuracy"]
                records.append(record)
            if accuracy:
                records.append(
                    {"way": name, "task": task, "effective": effective_context(accuracy)}
                )
    return records


def _mean(values: list[float]) -> tuple[float, float | None]:
    """Mean and its standard error."""
    if len(values) < 2:
        return values[0], None
    return statistics.mean(values), statistics.stdev(values) / math.sqrt(len(values))


def _of(cells: dict[str, Record], way: str, task: str, length: int) -> dict[int, Record]:
    head = f"{way}|{task}|{length}|"
    return {int(k.removeprefix(head)): cell for k, cell in cells.items() if k.startswith(head)}


def _share(parser: argparse.ArgumentParser, text: str) -> tuple[int, int]:
    """(which part, of how many) from "I/N", I from 1."""
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        parser.error(f"--share is {text}; expected I/N with I from 1 to N, 2/3 for example")
    return int(part) - 1, int(parts)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
