"""One small training loop for every room: `fit`.

    for step in …:  batch = batches(number, share);  loss(model, batch).backward();  AdamW step

The one thing to know: a batch is a function of its number. So the position in the data is the step,
a run that was killed and taken up again is the run that was not, bit for bit on a CPU, and several
processes under torchrun train the same curve, each on its share of every batch.
"""

from __future__ import annotations

import atexit
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .checkpoint import NAME, load_checkpoint, read_facts, save_checkpoint
from .log import Journal, ProgressLine, Record
from .recipe import Recipe, Share

Batches = Callable[[int, Share], Any]
"""The batch of a number (from 0), this process's share of it; always the same for a number."""
Loss = Callable[[nn.Module, Any], Tensor]
"""Mean loss of a batch; calls the model it is given."""

FLUSH = 20
"""Steps between reads of losses from the device: each read waits for it."""


def fit(
    model: nn.Module,
    loss: Loss,
    batches: Batches,
    recipe: Recipe,
    *,
    folder: str | Path | None = None,
    save_every: int = 500,
    before: Callable[[int], None] | None = None,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    evaluate_every: int = 0,
    optimizer: Callable[[list[dict[str, Any]]], torch.optim.Optimizer] | None = None,
    facts: dict[str, Any] | None = None,
    progress: Callable[[int, int, Record | None], None] | None = None,
) -> list[Record]:
    """Train a model, or go on where the folder's checkpoint stopped.

    Ctrl-C and SIGTERM end the step at hand and save before they stop. Under torchrun the model is
    wrapped in DistributedDataParallel (nccl for models on CUDA, else gloo).

    Args:
        model: On the device where it is to be trained; trained in place.
        loss: Mean loss of a batch.
        batches: What gives a batch; it also moves it to the device.
        recipe: Steps and rates.
        folder: Takes `checkpoint.safetensors` and `log.jsonl`; None keeps nothing on disk.
        save_every: Steps between checkpoints; there is always one at the end.
        before: Called with each step before it, to change what changes with time.
        evaluate: Measures the model in eval mode, without gradients and with random numbers of
            its own; what it returns joins the log.
        evaluate_every: Steps between evaluations; 0 is at the end only.
        optimizer: Makes one from groups of parameters; None is AdamW.
        facts: Plain values kept in the checkpoint; other facts there are refused.
        progress: Called with steps done, all steps and the last record; None is a line on stderr.

    Returns:
        Records: for each step its loss (mean over processes), lr, grad_norm and seconds, and for
        each evaluation what it found.

    Raises:
        ValueError: The folder holds another training.
        RuntimeError: The loss is no longer a number; the last checkpoint is still good.
        KeyboardInterrupt: Stopped, and saved if there is a folder.
    """
    folder = None if folder is None else Path(folder)
    device = next(model.parameters()).device
    share = join_processes(device)
    maker = optimizer or (lambda groups: torch.optim.AdamW(groups, betas=tuple(recipe.betas)))
    opt = maker(_groups(model, recipe))
    known = {"recipe": _plain(recipe), "facts": facts or {}}
    torch.manual_seed(recipe.seed)
    step = 0 if folder is None else _resume(folder, model, opt, known)
    journal = Journal(folder if share.rank == 0 else None, step)
    progress = progress or ProgressLine(quiet=share.rank > 0)
    outer = _parallel(model, device) if share.world > 1 else model
    pending: list[tuple[int, Tensor, Tensor, float]] = []

    def save() -> None:
        if folder is not None and share.rank == 0:
            save_checkpoint(folder, model, opt, step, known)

    model.train()
    with _stopping() as stop:
        progress(step, recipe.steps, None)
        while step < recipe.steps:
            begin = time.perf_counter()
            if before is not None:
                before(step)
            value, norm = _step(outer, loss, batches, recipe, opt, step, share)
            pending.append((step + 1, value, norm, begin))
            step += 1
            stopped = _any(stop, share, device)
            last = stopped or step == recipe.steps
            due = bool(evaluate) and (
                step == recipe.steps or (evaluate_every and step % evaluate_every == 0)
            )
            if last or due or len(pending) >= FLUSH or step % save_every == 0:
                journal.add(_flush(pending, recipe, share))
            if due and share.rank == 0:
                journal.add([{"step": step, **_evaluated(model, evaluate, recipe)}])
            if last or step % save_every == 0:
                save()
            progress(step, recipe.steps, journal.records[-1] if journal.records else None)
            if stopped and step < recipe.steps:
                raise KeyboardInterrupt
    if share.world > 1:
        dist.barrier()  # what follows may read what the first process wrote
    return journal.records


def _step(model, loss, batches, recipe: Recipe, opt, step: int, share: Share):
    """One step of the optimiser; mean loss and length of the gradient, still on the device."""
    for group in opt.param_groups:
        group["lr"] = recipe.rate(step)
    opt.zero_grad(set_to_none=True)
    total = 0.0
    for part in range(recipe.accumulate):
        batch = batches(step * recipe.accumulate + part, share)
        parallel = isinstance(model, DistributedDataParallel)
        quiet = model.no_sync() if parallel and part < recipe.accumulate - 1 else nullcontext()
        with quiet:
            with _amp(model, recipe):
                value = loss(model, batch)
            (value / recipe.accumulate).backward()
        total = total + value.detach().float() / recipe.accumulate
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


def _flush(pending, recipe: Recipe, share: Share) -> list[Record]:
    """Records of the steps since the last flush; one wait for the device."""
    if not pending:
        return []
    values = torch.stack([torch.stack((value, norm)) for _, value, norm, _ in pending])
    if share.world > 1:
        dist.all_reduce(values)
        values /= share.world
    losses, norms = values.T.tolist()
    ends = [begin for *_, begin in pending[1:]] + [time.perf_counter()]
    records = [
        {
            "step": step,
            "loss": value,
            "lr": recipe.rate(step - 1),
            "grad_norm": norm,
            "seconds": round(end - begin, 4),
        }
        for (step, _, _, begin), end, value, norm in zip(pending, ends, losses, norms, strict=True)
    ]
    pending.clear()
    for record in records:
        if record["loss"] - record["loss"] != 0:  # nan or infinite
            raise RuntimeError(
                f"the loss is {record['loss']} at step {record['step']}; lower Recipe.lr or clip, "
                "or go on from the last checkpoint"
            )
    return records


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


def _resume(folder: Path, model: nn.Module, opt: torch.optim.Optimizer, known: dict) -> int:
    """Steps done in the folder's checkpoint; 0 without one."""
    path = folder / NAME
    if not path.exists():
        return 0
    before, now = _flat(read_facts(path)), _flat(known)  # first: what differs in words, not shapes
    for name in sorted(before.keys() | now.keys()):
        if name != "steps" and before.get(name) != now.get(name):
            raise ValueError(
                f"{folder} holds a training with {name} {before.get(name)!r}, this one has "
                f"{now.get(name)!r}; expected the same, or another folder"
            )
    return load_checkpoint(folder, model, opt)[0]


def _flat(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without levels: the innermost names alone."""
    found: dict[str, Any] = {}
    for name, value in facts.items():
        found |= _flat(value) if isinstance(value, dict) else {name: value}
    return found


def _plain(recipe: Recipe) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(recipe).items()}


def join_processes(device: torch.device) -> Share:
    """This process's place among those of torchrun; joins their group on the first call."""
    if not dist.is_available():
        return Share()
    if not dist.is_initialized():
        if not dist.is_torchelastic_launched():
            return Share()
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave)
    return Share(dist.get_rank(), dist.get_world_size())


def _leave() -> None:
    """Leave the group before the interpreter goes: threads of gloo would abort it."""
    if dist.is_initialized():
        dist.destroy_process_group()


def _parallel(model: nn.Module, device: torch.device) -> DistributedDataParallel:
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def _any(stop: list[float], share: Share, device: torch.device) -> bool:
    """Whether any process was told to stop: all must end at the same step."""
    if share.world == 1:
        return bool(stop)
    told = torch.tensor(float(bool(stop)), device=device)
    dist.all_reduce(told)
    return told.item() > 0


@contextmanager
def _stopping() -> Iterator[list[float]]:
    """A list that is no longer empty once Ctrl-C or SIGTERM came; a second Ctrl-C stops at once."""
    told: list[float] = []
    if threading.current_thread() is not threading.main_thread():
        yield told  # only the main thread may handle signals
        return
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        # torchrun passes on the Ctrl-C that a terminal sent to us as well: that is still the first
        if told and number == signal.SIGINT and time.monotonic() - told[0] > 1:
            raise KeyboardInterrupt
        told.append(time.monotonic())

    for number in before:
        signal.signal(number, note)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
