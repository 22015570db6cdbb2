"""The one training loop of the room: progress, logs, checkpoints, and going on after a stop.

A step's randomness follows from (seed, step) alone. So a training that was stopped with Ctrl-C or
killed, and is started again with the same call, ends with the numbers of one that ran through
(bit for bit on a CPU).

The one thing to know: `train` owns the optimiser, the schedule and the files; what is learnt is a
function that returns the loss of one step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..cli.console import Progress
from .train_files import Stop, Training, TrainingFiles

Loss = Callable[[int, torch.Generator], "Tensor | dict[str, Tensor]"]
Check = Callable[[int], Mapping[str, float]]


def train(
    model: nn.Module,
    loss: Loss,
    steps: int,
    *,
    lr: float = 2e-3,
    final_lr: float = 0.0,
    warmup: int = 0,
    weight_decay: float = 0.0,
    betas: tuple[float, float] = (0.9, 0.999),
    clip: float | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    check: Check | None = None,
    check_every: int = 500,
    keep: str | None = None,
    log_every: int = 50,
    save_every: float = 60.0,
    label: str = "training",
    quiet: bool = False,
) -> Training:
    """Minimise a loss with Adam under a cosine schedule.

    The learning rate rises linearly over `warmup` steps to `lr` and falls along half a cosine to
    `final_lr`. With a folder, the loop keeps there `run.json` (settings), `log.jsonl`,
    `checkpoint.safetensors` (weights, moments, step), at the end `model.safetensors` and, where
    matplotlib is installed, `loss.png`; calling again goes on from the checkpoint.

    Args:
        model: Its parameters that require grad are trained, in place.
        loss: `loss(step, generator)` → a scalar, or named scalars of which "loss" is minimised and
            the others are logged. The generator lies on the model's device and is seeded anew for
            each step, as torch's global one is.
        steps: Steps in total.
        lr: Highest learning rate.
        final_lr: Learning rate after the last step.
        warmup: Steps of linear rise.
        weight_decay: Decoupled decay (AdamW); 0 is Adam.
        betas: Decay of Adam's moments.
        clip: Largest norm of the whole gradient; None does not clip.
        seed: Of every step's randomness. The model's initial weights are the caller's.
        folder: Where files go; None keeps nothing.
        settings: Plain values that say what is trained. A folder holding other settings is refused.
        check: `check(step)` → named numbers, called every `check_every` steps and after the last,
            in evaluation mode and without gradients.
        check_every: See check.
        keep: Name of a checked value; the weights where it is lowest (with a leading "-": highest)
            are the model's at the end.
        log_every: Steps between entries of the log.
        save_every: Seconds between checkpoints.
        label: Stands before the progress bar.
        quiet: No progress bar.

    Raises:
        ValueError: Nothing to train, an argument out of range, or a folder of another training.
        FloatingPointError: The loss is not finite.
        KeyboardInterrupt: Ctrl-C; the step was finished and saved first.
    """
    _refuse(model, steps, lr, warmup, keep, check)
    told = {
        **dict(settings or {}),
        "steps": steps,
        "lr": lr,
        "final_lr": final_lr,
        "warmup": warmup,
        "weight_decay": weight_decay,
        "betas": list(betas),
        "clip": clip,
        "seed": seed,
    }
    trained = [p for p in model.parameters() if p.requires_grad]
    device = trained[0].device
    optimiser = torch.optim.AdamW(trained, lr=lr, betas=betas, weight_decay=weight_decay)
    files = TrainingFiles(folder, told)
    state = files.resume(model, optimiser)
    first = state.steps
    generator = torch.Generator(device=device)
    begin = saved = time.monotonic()
    sums: dict[str, Tensor] = {}
    counted = 0
    # forked, so that seeding every step leaves the caller's own random numbers alone
    devices = [device] if device.type == "cuda" else []
    with (
        torch.random.fork_rng(devices=devices),
        Stop() as stop,
        Progress(steps, label, quiet) as bar,
    ):
        bar.step(advance=state.steps)
        model.train()
        for step in range(first, steps):
            number = (seed * 1_000_003 + step) % (1 << 62)
            torch.manual_seed(number)
            generator.manual_seed(number)
            rate = _rate(step, steps, lr, final_lr, warmup)
            for group in optimiser.param_groups:
                group["lr"] = rate
            parts = loss(step, generator)
            parts = {"loss": parts} if isinstance(parts, Tensor) else parts
            optimiser.zero_grad(set_to_none=True)
            parts["loss"].backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(trained, clip)
            optimiser.step()
            state.steps = step + 1
            counted += 1
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + value.detach()  # no wait for the device
            checks = check is not None and (state.steps % check_every == 0 or state.steps == steps)
            if checks or state.steps % log_every == 0 or state.steps == steps or stop.asked:
                entry = {name: float(total) / counted for name, total in sums.items()}
                if not math.isfinite(entry["loss"]):
                    raise FloatingPointError(
                        f"the loss is {entry['loss']} near step {state.steps}; "
                        f"a lower lr (now {lr:g}) or clip=1.0 may help"
                    )
                entry = {"step": state.steps, **entry, "lr": rate}
                if checks:
                    entry |= _checked(model, check, state.steps)
                    if keep is not None:
                        files.keep_best(model, state, entry, keep)
                state.log.append(entry)
                files.add(entry)
                sums, counted = {}, 0
                bar.step(f"loss {entry['loss']:.4g}", advance=0)
            bar.step(f"loss {state.log[-1]['loss']:.4g}" if state.log else "")
            if stop.asked or time.monotonic() - saved > save_every:
                files.save(model, optimiser, state)
                saved = time.monotonic()
            if stop.asked:
                where = f"; the same call goes on from {files.folder}" if files.folder else ""
                raise KeyboardInterrupt(f"stopped after step {state.steps} of {steps}{where}")
    files.finish(model, optimiser, state, keep, first < steps)
    model.eval()
    state.seconds = time.monotonic() - begin
    return state


def _rate(step: int, steps: int, lr: float, final: float, warmup: int) -> float:
    if step < warmup:
        return lr * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)
    return final + (lr - final) * 0.5 * (1 + math.cos(math.pi * share))


def _checked(model: nn.Module, check: Check, step: int) -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        values = {name: float(value) for name, value in check(step).items()}
    model.train()
    return values


def _refuse(model: nn.Module, steps: int, lr: float, warmup: int, keep: Any, check: Any) -> None:
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(
            f"model ({type(model).__name__}) has no parameter that requires grad; "
            "unfreeze what should be trained"
        )
    if steps < 1 or not 0 <= warmup < steps:
        raise ValueError(
            f"steps is {steps} and warmup {warmup}; expected steps >= 1 and 0 <= warmup < steps"
        )
    if not lr > 0:
        raise ValueError(f"lr is {lr}; expected a positive number")
    if keep is not None and check is None:
        raise ValueError(f'keep is "{keep}", but there is no check that could return it')
