"""Training in this room: `foveate.train.fit` for what is learnt from randomness alone.

A step's randomness follows from (seed, step) alone. So a training that was stopped with Ctrl-C or
killed, and is started again with the same call, ends with the numbers of one that ran through
(bit for bit on a CPU).

The one thing to know: what is learnt is a function that returns the loss of one step; loop,
checkpoints and log are those of `foveate.train`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..train import ProgressLine, Recipe, best_record, fit
from .train_files import write_end, write_start

Loss = Callable[[int, torch.Generator], "Tensor | dict[str, Tensor]"]
Check = Callable[[int], Mapping[str, float]]


@dataclass
class Training:
    """What came out of a training.

    Attributes:
        steps: Steps done, those of earlier calls included.
        log: One entry per logged step: step, loss and its parts (means since the last entry), lr,
            grad_norm, seconds, and what `check` returned.
        seconds: Time spent in this call.
        best: The entry whose checked value was best; None without `keep`.
    """

    steps: int
    log: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    best: dict[str, float] | None = None


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
        weight_decay: Decoupled decay (AdamW) of all parameters; 0 is Adam.
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
        label: Stands before the progress line.
        quiet: No progress line.

    Raises:
        ValueError: Nothing to train, an argument out of range, or a folder of another training.
        FloatingPointError: The loss is not finite.
        KeyboardInterrupt: Ctrl-C; the step was finished and saved first.
    """
    _refuse(model, steps, lr, warmup, keep, check)
    trained = [p for p in model.parameters() if p.requires_grad]
    device = trained[0].device
    recipe = Recipe(
        steps,
        lr=lr,
        warmup=warmup,
        final=final_lr / lr,
        betas=tuple(betas),
        weight_decay=weight_decay,
        clip=clip,
        seed=seed,
    )
    begin, now = time.monotonic(), 0
    generator = torch.Generator(device=device)

    def part(_: nn.Module, step: int) -> Tensor | dict[str, Tensor]:
        nonlocal now
        now = step + 1
        number = (seed * 1_000_003 + step) % (1 << 62)
        torch.manual_seed(number)
        generator.manual_seed(number)
        return loss(step, generator)

    told = {**dict(settings or {}), **asdict(recipe), "lr": lr, "final_lr": final_lr}
    write_start(folder, told)
    # forked, so that seeding every step leaves the caller's own random numbers alone
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        log = fit(
            model,
            part,
            lambda number, share: number,
            recipe,
            folder=folder,
            save_every=0,
            save_seconds=save_every,
            log_every=log_every,
            evaluate=None if check is None else lambda _: dict(check(now)),
            evaluate_every=check_every,
            keep=keep,
            optimizer=lambda _: torch.optim.AdamW(
                trained, lr=lr, betas=betas, weight_decay=weight_decay
            ),
            facts={"settings": dict(settings or {})},
            progress=ProgressLine(label, quiet),
        )
    model.eval()
    best = None if keep is None else best_record(log, keep)
    write_end(folder, model, told, log, best, steps, trained=now > 0)
    return Training(steps, log, time.monotonic() - begin, best)


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
