"""What a model keeps under each choice of attention: perplexity and retrieval, by length.

A cell is one sample read in one way. Every way gets the same samples, so differences are paired.

The one thing to know: cells are plain data and are stored as soon as they exist; an evaluation that
was stopped goes on from its state file, and one with more ways, tasks or samples reuses what is
there.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from torch import Tensor

from .comparison import BASELINE, WARMUP, Way
from .recall import ROOM, ask
from .retrieval import sample
from .tasks import prefill_seconds, read

TEXT = "text"
"""The name of perplexity among the tasks."""


class OtherState(ValueError):
    """The state file belongs to another model, text or dtype."""


class State:
    """Cells that are done, kept in a file that is always whole.

    Args:
        path: The file; None keeps the cells in memory only.
        about: What all cells have in common; a file about something else is refused.

    Raises:
        OtherState: The file is about something else, or cannot be read.
    """

    def __init__(self, path: Path | None, about: dict[str, Any]) -> None:
        self.path, self.about, self.cells = path, about, {}
        if path is not None and path.exists():
            try:
                document = json.loads(path.read_text(encoding="utf-8"))
                found, self.cells = document["about"], document["cells"]
            except (ValueError, KeyError, TypeError):
                found = None
            if found != json.loads(json.dumps(about)):
                raise OtherState(
                    f"{path} belongs to another evaluation (model, text or dtype differ) or is "
                    "damaged; remove it or choose another output"
                )

    def put(self, key: str, cell: dict[str, Any]) -> None:
        """Add a cell and write the file."""
        self.cells[key] = cell
        if self.path is not None:
            fresh = self.path.with_name(self.path.name + ".tmp")
            text = json.dumps({"about": self.about, "cells": self.cells})
            fresh.write_text(text, encoding="utf-8")
            os.replace(fresh, self.path)

    def remove(self) -> None:
        """Remove the file; the cells stay in memory."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def plan_cells(
    ways: Sequence[Way], tasks: Sequence[str], lengths: Sequence[int], samples: int, tokens: int
) -> Iterator[tuple[int, str, int, Way]]:
    """(seed, task, length, way) of every cell, one sample of everything before the next.

    Args:
        ways: All ways, the baseline first.
        tasks: Keys of `TASKS`, and `TEXT`.
        lengths: Tokens of a sample.
        samples: Samples of each task and length.
        tokens: Tokens of the text; perplexity takes no token twice, so it may have fewer samples.
    """
    for seed in range(samples):
        for length in lengths:
            for task in tasks:
                if task == TEXT and (seed + 1) * length > tokens:
                    continue
                for way in ways:
                    yield seed, task, length, way


def evaluate(
    model: Any,
    tokenizer: Any,
    text: str,
    ways: Sequence[Way],
    tasks: Sequence[str],
    lengths: Sequence[int],
    samples: int,
    state: State,
    tick: Callable[[str], None] = lambda label: None,
) -> list[dict[str, Any]]:
    """Fill in all cells.

    Args:
        model: A transformers causal language model in eval mode; its attention is set back.
        tokenizer: Its tokenizer.
        text: A long real text: what perplexity is measured on, and the haystack of some tasks.
        ways: The ways besides `BASELINE`.
        tasks: Keys of `TASKS`, and `TEXT` for perplexity.
        lengths: Tokens of a sample; the answer to a question is part of it.
        samples: Samples of each task and length.
        state: Where cells are kept; those in it are not computed again.
        tick: Called before each cell, also one that is there already, with what it is.

    Returns:
        The cells asked for: way (its label), task, length, seed and what was measured.
    """
    ids = tokenizer(text, return_tensors="pt").input_ids
    before, warm, cells = model.config._attn_implementation, set(), []
    try:
        for seed, task, length, way in plan_cells(
            [BASELINE, *ways], tasks, lengths, samples, ids.shape[1]
        ):
            tick(f"{length:,} tokens · {task} · {way.label}")
            key = f"{way.key or way.name}|{task}|{length}|{seed}"
            if key not in state.cells:
                model.set_attn_implementation(way.name)
                if way.name not in warm:
                    prefill_seconds(model, ids[:, :WARMUP])
                    warm.add(way.name)
                if task == TEXT:
                    found = _read(model, ids[:, seed * length : (seed + 1) * length])
                else:
                    question = sample(task, tokenizer, length - ROOM, seed, text)
                    found = asdict(ask(model, tokenizer, question))
                    found |= {"expected": list(question.answers), "question": question.question}
                state.put(key, found)
            cells.append(
                {"way": way.label, "task": task, "length": length, "seed": seed} | state.cells[key]
            )
    finally:
        model.set_attn_implementation(before)
    return cells


def _read(model: Any, tokens: Tensor) -> dict[str, Any]:
    reading = read(model, tokens)
    half = len(reading.losses) // 2
    return {
        "loss": float(reading.losses.double().mean()),
        "late_loss": float(reading.losses[half:].double().mean()),
        "seconds": reading.seconds,
    }


def summary(cells: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means of the cells of each way, task and length, beside the baseline's.

    Returns:
        Records: way, task, length, samples, seconds (median prefill); for text perplexity,
        late_perplexity (second half of each sample) and change (of perplexity, a share); for the
        other tasks recall, ranking and loss. `difference` is that of the loss from the baseline's
        and `error` the standard error of that paired difference (None for one sample).
    """
    groups: dict[tuple[str, str, int], dict[int, dict[str, Any]]] = {}
    for cell in cells:
        key = (cell["way"], cell["task"], cell["length"])
        groups.setdefault(key, {})[cell["seed"]] = cell
    records = []
    for (way, task, length), mine in groups.items():
        base = groups.get((BASELINE.label, task, length), {})
        gaps = [mine[s]["loss"] - base[s]["loss"] for s in mine if s in base]
        seconds = sorted(cell["seconds"] for cell in mine.values())
        record = {
            "way": way,
            "task": task,
            "length": length,
            "samples": len(mine),
            "seconds": seconds[len(seconds) // 2],
            "loss": mean(cell["loss"] for cell in mine.values()),
            "difference": mean(gaps) if gaps else None,
            "error": stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else None,
        }
        if task == TEXT:
            late = mean(cell["late_loss"] for cell in mine.values())
            record |= {
                "perplexity": math.exp(record["loss"]),
                "late_perplexity": math.exp(late),
                "change": math.expm1(record["difference"]) if gaps else None,
            }
        else:
            for name in ("recall", "ranking"):
                record[name] = mean(cell[name] for cell in mine.values())
        records.append(record)
    return records
