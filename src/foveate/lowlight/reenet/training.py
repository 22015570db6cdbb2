"""Train U, E and P apart, each under RAW guidance, then together.

The one thing to know: every stage is a call of the room's training loop with a folder of its own,
so a stopped training goes on in the stage where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..pairs import Source
from ..raw_pairs import RawSource
from ..train import train
from . import losses
from .control import PlainUNet
from .losses import Guide
from .network import Config, Guided

STAGES: dict[str, tuple[str | None, Callable[..., dict]]] = {
    "unprocess": ("unprocess", losses.unprocess_loss),
    "reconstruct": ("reconstruct", losses.reconstruct_loss),
    "process": ("process", losses.process_loss),
    "joint": (None, losses.joint_loss),
}
"""Stage → the module it trains (None: all), and its loss."""

STEPS = {"unprocess": 2000, "reconstruct": 3000, "process": 1000, "joint": 6000}
LR = {"unprocess": 2e-3, "reconstruct": 2e-3, "process": 2e-3, "joint": 1e-3}


def fit(
    source: Source | RawSource,
    config: Config | None = None,
    guide: Guide | None = None,
    steps: Mapping[str, int] | None = None,
    folder: str | Path | None = None,
    seed: int = 0,
    check: Callable[[nn.Module], Callable[[int], Mapping[str, float]]] | None = None,
    lr: Mapping[str, float] | None = None,
    **options: Any,
) -> Guided:
    """Train a network after REENet.

    Args:
        source: Pairs, by step.
        config: Sizes and switches.
        guide: Which RAW guides.
        steps: Stage → steps, 0 leaves a stage out; None takes `STEPS`.
        folder: Where each stage keeps its files, in a folder of its name; None keeps nothing.
        seed: Of weights and steps; the data have their own, in `source`.
        check: Model → the `check` of the joint stage (see `train`).
        lr: Stage → highest learning rate, where it is not that of `LR`.
        options: For every call of `train` (log_every, quiet, …).

    Returns:
        The network in evaluation mode, on the source's device.

    Raises:
        ValueError: An unknown stage, or whatever `train` refuses.
    """
    guide, steps = guide or Guide(), dict(STEPS if steps is None else steps)
    for name in steps:
        if name not in STAGES:
            raise ValueError(f'unknown stage "{name}"; stages are {", ".join(STAGES)}')
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Guided(config)
    model.to(source.device)
    ran = 0
    for number, (stage, (part, loss)) in enumerate(STAGES.items()):
        todo = steps.get(stage, 0)
        if not todo:
            continue
        model.requires_grad_(part is None)
        if part is not None:
            getattr(model, part).requires_grad_(True)
        begin = ran  # every stage sees data of its own
        ran += todo
        train(
            model,
            lambda step, g, loss=loss, begin=begin: loss(model, source(begin + step), guide, g),
            todo,
            lr={**LR, **(lr or {})}[stage],
            warmup=min(50, todo // 4),
            clip=1.0,
            seed=seed * 10 + number,
            folder=None if folder is None else Path(folder) / stage,
            settings={
                "stage": stage,
                "guide": guide.kind,
                "config": model.config.parameters(),
                "data": source.parameters(),
                "before": begin,
            },
            check=check(model) if check is not None and stage == "joint" else None,
            label=stage,
            **options,
        )
    return model.requires_grad_(True).eval()


def fit_plain(
    source: Source | RawSource,
    size: int,
    steps: int,
    base: str = "power",
    folder: str | Path | None = None,
    seed: int = 0,
    **options: Any,
) -> PlainUNet:
    """Train the control: as many steps, the same data, the same loop.

    Args:
        source: Pairs, by step.
        size: Parameters of the network that it is compared with.
        steps: All steps of the other one's stages together.
        base: See `PlainUNet`.
        folder: As in `fit`.
        seed: As in `fit`.
        options: For `train`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PlainUNet(size, base)
    model.to(source.device)
    train(
        model,
        lambda step, g: losses.plain_loss(model, source(step)),
        steps,
        lr=2e-3,
        warmup=min(50, steps // 4),
        clip=1.0,
        seed=seed,
        folder=folder,
        settings={"stage": "plain", "base": base, "widths": list(model.widths)},
        label=f"plain {base}",
        **options,
    )
    return model.eval()
