"""What a span for each head keeps: python -m benchmarks.moa_quality [--minutes 6] [--device cuda].

SmolLM2-135M reads a novel (perplexity) and finds numbers in it (one, or one of six), with dense
attention and at equal densities with three kinds of spans: a MoA plan found on texts of up to 4096
tokens, one window with a sink for all heads (StreamingLLM), and heads that see all or only a short
window (as DuoAttention splits them; which, the same profile says). Writes
benchmarks/results/moa-quality.json and the plans beside it.

The one thing to know: it stops after the minutes it was given and goes on from where it was when
called again; every cell is one pass over prompt and answer, each head with the rule that its ring
buffer would have. On a CPU that is `MoA(rule="tokens")`; elsewhere the same rule as a mask for
torch's SDPA, which is far faster there than our reference backend.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface

from foveate.measure.evaluation import TEXT, State
from foveate.measure.forced import effective_context, forced
from foveate.measure.machine import commit, versions
from foveate.measure.retrieval import sample
from foveate.measure.tasks import read
from foveate.models import accelerate, assets
from foveate.tune.fingerprint import fingerprint
from foveate.tune.moa import pipeline
from foveate.tune.moa.optimise import shared
from foveate.tune.moa.plan import MoAPlan
from foveate.tune.store import Store

RESULTS = Path(__file__).parent / "results"
RESULT = RESULTS / "moa-quality.json"
DENSITIES = (0.75, 0.5, 0.25)
PROFILED = (1024, 2048, 4096)
LENGTHS = (1024, 2048, 4096, 8192)
VALIDATION = 3072  # tokens on which one plan of each front is chosen
TASKS = (TEXT, "needle_text", "multikey")
STREAMING = 256  # tokens of a head that only streams, sink included
MASKED = "spans as masks"
NAMES = {"plan": "MoA", "split": "split"}
ROOM = 16  # an answer takes fewer tokens

Record = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """Evaluate as long as there is time, write, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moa_quality", description=__doc__)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--work", type=Path, default=RESULTS / "moa-quality.state")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args(argv)
    end = time.monotonic() + 60 * args.minutes
    model, tokenizer = assets.load("smollm2-135m", dtype=torch.float32)
    args.work.mkdir(parents=True, exist_ok=True)
    store = Store(args.work / "profile", fingerprint(model))
    plans = ways(model, tokenizer, store, args.out.parent)
    model.to(args.device)
    torch.set_default_device(args.device)  # samples and masks are made where the model is
    state = State(args.work / "cells.json", {"model": "smollm2-135m", "rule": "tokens"})
    whole = evaluate(model, tokenizer, plans, args.samples, state, end)
    document = {
        "kind": "moa-quality",
        "model": "SmolLM2-135M, float32",
        "complete": whole,
        "profiled": PROFILED,
        "lengths": LENGTHS,
        "commit": commit(),
        "versions": versions("torch", "transformers"),
        "device": args.device,
        "records": summary(state.cells, plans),
    }
    part = args.out.with_suffix(".part")
    part.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(args.out)
    for record in document["records"]:
        print(json.dumps(record))
    return 0


def ways(model: Any, tokenizer: Any, store: Store, folder: Path) -> dict[str, MoAPlan | None]:
    """All plans by name, dense attention first; those in the folder are not made anew."""
    known = fingerprint(model)
    layers, kv_heads = known["layers"], known["kv_heads"]
    found: dict[str, MoAPlan | None] = {"dense": None}
    for density in DENSITIES:
        for kind, make in (("plan", _plan), ("split", _split)):
            path = folder / f"moa-{kind}-{density:g}.json"
            if not path.exists():
                make(model, tokenizer, store, density).save(path)
            found[f"{NAMES[kind]} {density:g}"] = MoAPlan.load(path)
        found[f"uniform {density:g}"] = MoAPlan.uniform(layers, kv_heads, density)
    return found


def _settings(density: float) -> pipeline.Settings:
    return pipeline.Settings(
        PROFILED,
        density,
        beyond=LENGTHS[-1:],
        samples=3,
        validation=VALIDATION,
        items=2,
        plans=3,
    )


def _plan(model: Any, tokenizer: Any, store: Store, density: float) -> MoAPlan:
    return pipeline.find(model, tokenizer, assets.text(), _settings(density), store, _say)


def _split(model: Any, tokenizer: Any, store: Store, density: float) -> MoAPlan:
    settings, known = _settings(density), fingerprint(model)
    profile = pipeline.profile(model, tokenizer, assets.text(), settings, store, _say)
    group = known["heads"] // known["kv_heads"]
    loss = shared(profile[PROFILED[-1]][settings.score], group)  # [layers, kv heads, widths]
    return split(loss, density, PROFILED[-1])


def split(loss: torch.Tensor, density: float, length: int) -> MoAPlan:
    """Heads that lose most by streaming see everything, as many as the density allows.

    Args:
        loss: Loss of each head for windows of 0 … n blocks of 64 tokens, `[layers, heads, n + 1]`.
        density: Mean density at `length`.
        length: N.
    """
    lost = loss[..., (STREAMING - 64) // 64].flatten()
    thin = STREAMING / length
    full = int(len(lost) * (density - thin) / (1 - thin))
    kept = torch.zeros(len(lost), dtype=torch.bool, device=lost.device)
    kept[lost.argsort(descending=True)[:full]] = True
    rows = kept.view(loss.shape[:2]).tolist()
    return MoAPlan(
        tuple(tuple(0.0 if x else float(STREAMING) for x in row) for row in rows),
        tuple(tuple(1.0 if x else 0.0 for x in row) for row in rows),
    )


def evaluate(
    model: Any,
    tokenizer: Any,
    plans: dict[str, MoAPlan | None],
    samples: int,
    state: State,
    end: float,
) -> bool:
    """Fill in cells, one sample of everything before the next; False if the time was too short."""
    text = assets.text()
    ids = tokenizer(text, return_tensors="pt").input_ids.to(model.device)
    for seed in range(samples):
        for length in LENGTHS:
            for task in TASKS:
                if task == TEXT and (seed + 1) * length > ids.shape[1]:
                    continue
                for name, plan in plans.items():
                    key = f"{name}|{task}|{length}|{seed}"
                    if key in state.cells:
                        continue
                    if time.monotonic() > end:
                        return False
                    with attending(model, plan, length):
                        if task == TEXT:
                            reading = read(model, ids[:, seed * length : (seed + 1) * length])
                            cell = {"loss": float(reading.losses.double().mean())}
                        else:
                            question = sample(task, tokenizer, length - ROOM, seed, text)
                            answer = forced(model, tokenizer, question)
                            cell = {"loss": answer.loss, "right": answer.right}
                    state.put(key, cell)
            _say(f"sample {seed + 1}, {length} tokens")
    return True


@contextmanager
def attending(model: Any, plan: MoAPlan | None, length: int) -> Iterator[None]:
    """The model, each head with the rule of its ring buffer for texts of `length` tokens."""
    if model.device.type == "cpu":
        select = "dense" if plan is None else plan.at(length, rule="tokens")
        with accelerate(model, select=select, precision="native"):
            yield
        return
    before = model.config._attn_implementation
    AttentionInterface.register(MASKED, masked(plan, length))
    AttentionMaskInterface.register(MASKED, lambda *args, **kwargs: None)
    model.set_attn_implementation("sdpa" if plan is None else MASKED)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def masked(plan: MoAPlan | None, length: int) -> Callable[..., tuple[torch.Tensor, None]]:
    """Attention for transformers with the rules written down as masks, for torch's SDPA."""
    sizes = [] if plan is None else plan.cache_sizes(length, 0)
    masks: dict[int, torch.Tensor] = {}

    def rule(room: int, tokens: int, device: torch.device) -> torch.Tensor:
        i, j = torch.arange(tokens, device=device)[:, None], torch.arange(tokens, device=device)
        return (j <= i) & ((j < plan.sink) | (j > i - (room - plan.sink)))

    def forward(module, query, key, value, attention_mask, scaling=None, **kwargs):
        out = torch.empty_like(query)
        group = query.shape[1] // key.shape[1]
        rooms = sizes[module.layer_idx]
        for room in set(rooms):
            if room not in masks:
                masks[room] = rule(room, query.shape[2], query.device)
            heads = [h for h, c in enumerate(rooms) if c == room]
            asking = [h * group + g for h in heads for g in range(group)]
            out[:, asking] = scaled_dot_product_attention(
                query[:, asking],
                *(x[:, heads].repeat_interleave(group, 1) for x in (key, value)),
                attn_mask=masks[room],
                scale=scaling,
            )
        return out.transpose(1, 2).contiguous(), None

    return forward


def summary(cells: dict[str, Record], plans: dict[str, MoAPlan | None]) -> list[Record]:
    """Means of each way, task and length; losses beside those of dense attention, in pairs."""
    records = []
    for name, plan in plans.items():
        for task in TASKS:
            accuracy = {}
            for length in LENGTHS:
                mine = _of(cells, name, task, length)
                base = _of(cells, "dense", task, length)
                pairs = [mine[s]["loss"] - base[s]["loss"] for s in mine if s in base]
                if not pairs:
                    continue
                record: Record = {"way": name, "task": task, "length": length}
                record["samples"] = len(mine)
                record["density"] = 1.0 if plan is None else round(plan.density(length), 4)
                record["loss"] = statistics.mean(cell["loss"] for cell in mine.values())
                record["difference"] = statistics.mean(pairs)
                record["error"] = (
                    statistics.stdev(pairs) / math.sqrt(len(pairs)) if len(pairs) > 1 else None
                )
                if task == TEXT:
                    record["perplexity"] = math.exp(record["loss"])
                else:
                    record["accuracy"] = statistics.mean(c["right"] for c in mine.values())
                    accuracy[length] = record["accuracy"]
                records.append(record)
            if accuracy:
                records.append(
                    {"way": name, "task": task, "effective": effective_context(accuracy)}
                )
    return records


def _of(cells: dict[str, Record], way: str, task: str, length: int) -> dict[int, Record]:
    head = f"{way}|{task}|{length}|"
    return {int(k.removeprefix(head)): cell for k, cell in cells.items() if k.startswith(head)}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
