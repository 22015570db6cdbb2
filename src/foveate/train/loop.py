"""One small training loop for every room: `fit`.

    for step in …:  batch = batches(number, share);  loss(model, batch).backward();  AdamW step

The one thing to know: a batch is a function of its number. So the position in the data is the step,
a run that was killed and taken up again is the run that was not, bit for bit on a CPU, and several
processes under torchrun train the same curve, each on its share of every batch.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .best import Best
from .checkpoint import NAME, load_checkpoint, read_facts, save_checkpoint
from .log import Journal, ProgressLine, Record
from .processes import agreed, as_the_first, averaged, join_processes, parallel
from .recipe import Recipe, Share
from .stop import stopping

Batches = Callable[[int, Share], Any]
"""The batch of a number (from 0), this process's share of it; always the same for a number."""
Loss = Callable[[nn.Module, Any], "Tensor | dict[str, Tensor]"]
"""Mean loss of a batch; calls the model it is given. May name parts: "loss" is what is minimised,
the others are logged."""

FLUSH = 20
"""Steps between reads of losses from the device: each read waits for it."""


class Diverged(FloatingPointError, RuntimeError):
    """The loss is no longer a number."""


def fit(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    recipe: Recipe,
    *,
    folder: str | Path | None = None,
    save_every: int = 500,
    save_seconds: float = math.inf,
    log_every: int = 1,
    before: Callable[[int], None] | None = None,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    evaluate_every: int = 0,
    keep: str | None = None,
    optimizer: Callable[[list[dict[str, Any]]], torch.optim.Optimizer] | None = None,
    facts: dict[str, Any] | None = None,
    progress: Callable[[int, int, Record | None], None] | None = None,
) -> list[Record]:
    """Train a model, or go on where the folder's checkpoint stopped.

    Ctrl-C and SIGTERM end the step at hand and save before they stop. Under torchrun the model is
    wrapped in DistributedDataParallel (nccl for models on CUDA, else gloo).

    Args:
        model: On the device where it is to be trained; trained in place.
        loss: Mean loss of a batch, or named scalars.
        batches: What gives a batch; it also moves it to the device.
        recipe: Steps and rates.
        folder: Takes `checkpoint.safetensors` and `log.jsonl`; None keeps nothing on disk.
        save_every: Steps between checkpoints, 0 for none; there is always one at the end.
        save_seconds: Seconds between checkpoints, beside those by steps.
        log_every: Steps of a record, which has their means.
        before: Called with each step before it, to change what changes with time.
        evaluate: Measures the model in eval mode, without gradients and with random numbers of
            its own; what it returns joins the step's record.
        evaluate_every: Steps between evaluations; 0 is at the end only.
        keep: Name of an evaluated value: the model ends with the weights where it was lowest (with
            a leading "-": highest), see `best_record`. None ends with the last ones.
        optimizer: Makes one from groups of parameters; None is AdamW.
        facts: Plain values kept in the checkpoint; other facts there are refused.
        progress: Called with steps done, all steps and the last record; None is a line on stderr.

    Returns:
        Records: loss and its parts (means over processes), lr, grad_norm, seconds, and what an
        evaluation found.

    Raises:
        ValueError: The folder holds another training, or `keep` is not evaluated.
        Diverged: The loss is no longer a number; the last checkpoint is still good.
        KeyboardInterrupt: Stopped, and saved if there is a folder.
    """
    if keep is not None and evaluate is None:
        raise ValueError(f'keep is "{keep}", but evaluate is None; expected what measures it')
    if log_every < 1:
        raise ValueError(f"log_every is {log_every}; expected at least 1")
    folder = None if folder is None else Path(folder)
    device = next(model.parameters()).device
    share = join_processes(device)
    maker = optimizer or (lambda groups: torch.optim.AdamW(groups, betas=tuple(recipe.betas)))
    opt, best = maker(_groups(model, recipe)), Best(keep)
    known = json.loads(json.dumps({"recipe": asdict(recipe), "facts": facts or {}}))
    torch.manual_seed(recipe.seed)
    step = 0 if folder is None else _resume(folder, model, opt, known, best)
    journal = Journal(folder if share.rank == 0 else None, step)
    progress = progress or ProgressLine(quiet=share.rank > 0)
    outer = parallel(model, share, device)
    pending: list[Pending] = []
    saved = time.monotonic()

    model.train()
    with stopping() as stop:
        progress(step, recipe.steps, None)
        while step < recipe.steps:
            begin = time.perf_counter()
            if before is not None:
                before(step)
            values, norm = _step(outer, loss, batches, recipe, opt, step, share)
            step += 1
            pending.append((step, values, norm, begin))
            late = time.monotonic() - saved > save_seconds
            stopped, late = agreed([bool(stop), late], share, device)
            last = stopped or step == recipe.steps
            save = last or late or _every(save_every, step)
            due = evaluate is not None and (step == recipe.steps or _every(evaluate_every, step))
            full = (save or len(pending) >= FLUSH) if log_every == 1 else step % log_every == 0
            if last or due or full:
                records = _flush(pending, recipe, share, whole=log_every > 1)
                if due and share.rank == 0:
                    records[-1] |= _evaluated(model, evaluate, recipe)
                    best.see(model, records[-1])
                journal.add(records)
            if save:
                if folder is not None and share.rank == 0:
                    save_checkpoint(folder, model, opt, step, known, best)
                saved = time.monotonic()
            progress(step, recipe.steps, journal.records[-1] if journal.records else None)
            if stopped and step < recipe.steps:
                where = "" if folder is None else f"; the same call goes on from {folder}"
                raise KeyboardInterrupt(f"stopped after step {step} of {recipe.steps}{where}")
    best.give(model)
    as_the_first(model, share)  # what follows may also read what the first process wrote
    return journal.records


Pending = tuple[int, "dict[str, Tensor]", Tensor, float]
"""A step, its losses and its gradient's length, still on the device, and when it began."""


def _every(interval: int, step: int) -> bool:
    return interval > 0 and step % interval == 0


def _step(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    recipe: Recipe,
    opt: torch.optim.Optimizer,
    step: int,
    share: Share,
) -> tuple[dict[str, Tensor], Tensor]:
    """One step of the optimiser; mean losses and length of the gradient, still on the device."""
    for group in opt.param_groups:
        group["lr"] = recipe.rate(step)
    opt.zero_grad(set_to_none=True)
    total: dict[str, Tensor] = {}
    for part in range(recipe.accumulate):
        batch = batches(step * recipe.accumulate + part, share)
        shared = isinstance(model, DistributedDataParallel)
        quiet = model.no_sync() if shared and part < recipe.accumulate - 1 else nullcontext()
        with quiet:
            with _amp(model, recipe):
                found = loss(model, batch)
            found = {"loss": found} if isinstance(found, Tensor) else found
            (found["loss"] / recipe.accumulate).backward()
        for name, value in found.items():
            total[name] = total.get(name, 0.0) + value.detach().float() / recipe.accumulate
    parameters = [p for group in opt.param_groups for p in group["params"]]
    limit = float("inf") if recipe.clip is None else recipe.clip
    norm = nn.utils.clip_grad_norm_(parameters, limit)
    opt.step()
    return total, norm.detach().float()


def _amp(model: nn.Module, recipe: Recipe):
    if recipe.amp is None:
        return nullcontext()
    return torch.autocast(next(model.parameters()).device.type, getattr(torch, recipe.amp))


def _groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Matrices with weight decay, vectors without."""
    trained = [p for p in model.parameters() if p.requires_grad]
    if not trained:
        raise ValueError("model has no parameter that requires grad; expected at least one")
    groups = (
        ([p for p in trained if p.dim() > 1], recipe.weight_decay),
        ([p for p in trained if p.dim() <= 1], 0.0),
    )
    return [{"params": p, "lr": recipe.lr, "weight_decay": d} for p, d in groups if p]


def _flush(pending: list[Pending], recipe: Recipe, share: Share, whole: bool) -> list[Record]:
    """Records of the steps since the last flush, or one of them all; one wait for the device."""
    parts = [torch.stack([*values.values(), norm]) for _, values, norm, _ in pending]
    numbers = iter(averaged(torch.cat(parts), share).tolist())
    ends = [begin for *_, begin in pending[1:]] + [time.perf_counter()]
    records = [
        {
            "step": step,
            **{name: next(numbers) for name in values},
            "lr": recipe.rate(step - 1),
            "grad_norm": next(numbers),
            "seconds": round(end - begin, 4),
        }
        for (step, values, _, begin), end in zip(pending, ends, strict=True)
    ]
    pending.clear()
    for record in records:
        if not math.isfinite(record["loss"]):
            raise Diverged(
                f"the loss is {record['loss']} at step {record['step']}; a lower lr or clip may "
                "help, or go on from the last checkpoint"
            )
    return [_mean(records)] if whole else records


def _mean(records: list[Record]) -> Record:
    """One record of several steps: means, the last step's number and rate, seconds of all."""
    found = dict(records[-1])
    for name in found.keys() - {"step", "lr", "seconds"}:
        values = [r[name] for r in records if name in r]
        found[name] = sum(values) / len(values)
    found["seconds"] = round(sum(r["seconds"] for r in records), 4)
    return found


def _evaluated(model: nn.Module, evaluate, recipe: Recipe) -> dict[str, float]:
    devices = [p.device for p in model.parameters()][:1]
    training = model.training
    model.eval()
    try:
        cuda = [d for d in devices if d.type == "cuda"]
        with torch.no_grad(), torch.random.fork_rng(cuda), _amp(model, recipe):
            return {key: float(x) for key, x in evaluate(model).items()}
    finally:
        model.train(training)


def _resume(
    folder: Path, model: nn.Module, opt: torch.optim.Optimizer, known: dict[str, Any], best: Best
) -> int:
    """Steps done in the folder's checkpoint; 0 without one."""
    path = folder / NAME
    if not path.exists():
        return 0
    before, now = _flat(read_facts(path)), _flat(known)  # first: what differs in words, not shapes
    for place in sorted(before.keys() | now.keys()):
        if place != ("recipe", "steps") and before.get(place) != now.get(place):
            raise ValueError(
                f"{folder} holds a training with {place[-1]} {before.get(place)!r}, this one has "
                f"{now.get(place)!r}; expected the same, or another folder"
            )
    return load_checkpoint(folder, model, opt, best)[0]


def _flat(facts: dict[str, Any], place: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Facts without levels, by the names that lead to them."""
    found: dict[tuple[str, ...], Any] = {}
    for name, value in facts.items():
        here = (*place, name)
        found |= _flat(value, here) if isinstance(value, dict) else {here: value}
    return found
