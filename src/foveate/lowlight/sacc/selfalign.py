"""SACC-PT: the head learns on normal light, then the curve learns in the dark from the frozen head.

    stage 1   minimise  CE(head(F(T(I_normal; y))), y)          over the head
    stage 2   minimise  CE(head(F(curve(T(I_dark; y)))), y)     over the curve

The one thing to know: stage 2 is only worth starting with a head that knows its task, so
`train_pretext` measures it on pictures it has not seen, and `choose_task` steps down to an easier
task until a head does.

Source: Wang et al., ACM MM 2022, asymmetric cross-domain self-supervised training. Optimisers,
steps and the rule for stepping down are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..train import Training, train
from .curve import ConcaveCurve
from .frozen import to_unit
from .pretext import Features, PretextHead, RotatedJigsaw


@dataclass(frozen=True)
class Pretext:
    """A task and the head that learnt it.

    Attributes:
        task: The task.
        features: The frozen model up to the layer the head looks at.
        head: The trained head.
        accuracy: Of the head on unseen pictures in normal light.
        plateau: Of the head on the pictures it learnt from.
    """

    task: RotatedJigsaw
    features: Features
    head: PretextHead
    accuracy: float
    plateau: float

    @property
    def ready(self) -> bool:
        """Whether the head is good enough to teach a curve.

        It must reach three times chance (or 60 %, where that is less) and half of what it reaches
        on its own training pictures.
        """
        return self.accuracy >= max(min(3 / self.task.classes, 0.6), 0.5 * self.plateau)


def train_pretext(
    features: Features,
    task: RotatedJigsaw,
    normal: Tensor,
    *,
    held_out: float = 0.15,
    steps: int = 2000,
    batch: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
    folder: str | Path | None = None,
    quiet: bool = False,
) -> Pretext:
    """Stage 1: train a head on pictures in normal light.

    Args:
        features: The frozen model.
        task: What the head learns.
        normal: Pictures in normal light, `[N, 3, H, W]` uint8 or float in [0, 1].
        held_out: Share of them, chosen at random, on which the head is measured.
        steps: Steps.
        batch: Puzzles per step.
        lr: Highest learning rate.
        seed: Of weights, batches and puzzles.
        folder: As in `foveate.lowlight.train.train`.
        quiet: No progress bar.
    """
    device = features.model.device
    order = torch.randperm(len(normal), generator=torch.Generator().manual_seed(seed))
    normal = normal[order.to(normal.device)].to(device)
    kept = max(1, round(len(normal) * (1 - held_out)))
    seen, unseen = normal[:kept], normal[kept:] if kept < len(normal) else normal
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        with torch.no_grad():
            probe = features(torch.rand(1, 3, task.size, task.size, device=device))
        head = PretextHead(probe.shape[1], task.classes, tuple(probe.shape[2:])).to(device)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        x, y = _puzzles(seen, task, batch, generator)
        return F.cross_entropy(head(features(x)), y)

    train(
        head,
        loss,
        steps,
        lr=lr,
        seed=seed,
        folder=folder,
        settings={"what": "pretext head", "classes": task.classes, "batch": batch},
        label=f"head of {task.classes} classes",
        quiet=quiet,
    )
    for p in head.parameters():
        p.requires_grad_(False)
    return Pretext(
        task,
        features,
        head,
        pretext_accuracy(features, head, task, unseen),
        pretext_accuracy(features, head, task, seen),
    )


def choose_task(
    features: Features, normal: Tensor, tasks: Sequence[RotatedJigsaw], **options: Any
) -> Pretext:
    """The first task whose head is `ready`; the last one if none is.

    Args:
        features: The frozen model.
        normal: As in `train_pretext`.
        tasks: From hard to easy; see `default_tasks`.
        **options: Of `train_pretext`.
    """
    if not tasks:
        raise ValueError("tasks is empty; expected at least one, e.g. RotatedJigsaw(grid=1)")
    found = None
    for task in tasks:
        found = train_pretext(features, task, normal, **options)
        if found.ready:
            break
    return found


def default_tasks(size: int) -> list[RotatedJigsaw]:
    """Rotated jigsaw, jigsaw of 2 × 2, rotation, for pictures of `size` pixels a side."""
    third, half = size // 3, size // 2
    return [
        RotatedJigsaw(3, 30, third, max(1, third * 3 // 4)),
        RotatedJigsaw(2, 24, half, max(1, half * 7 // 8), rotation="none"),
        RotatedJigsaw(1, 1, size, max(1, size * 7 // 8)),
    ]


def train_curve_pt(
    curve: ConcaveCurve,
    pretext: Pretext,
    dark: Tensor,
    *,
    steps: int = 3000,
    batch: int = 64,
    lr: float = 1e-3,
    seed: int = 0,
    folder: str | Path | None = None,
    quiet: bool = False,
    **options: Any,
) -> Training:
    """Stage 2: train the curve on dark pictures, in place; model and head stay as they are.

    The puzzle is made of the dark picture first, and the curve sees the puzzle.

    Args:
        curve: The curve; its weights change.
        pretext: From `train_pretext` or `choose_task`.
        dark: Unlabelled dark pictures, `[N, 3, H, W]` uint8 or float in [0, 1].
        steps: Steps.
        batch: Puzzles per step.
        lr: Highest learning rate.
        seed: Of batches and puzzles.
        folder: As in `foveate.lowlight.train.train`.
        quiet: No progress bar.
        **options: Further ones of `foveate.lowlight.train.train`.
    """
    device = pretext.features.model.device
    dark = dark.to(device)
    curve.to(device)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        x, y = _puzzles(dark, pretext.task, batch, generator)
        return F.cross_entropy(pretext.head(pretext.features(curve(x))), y)

    return train(
        curve,
        loss,
        steps,
        lr=lr,
        seed=seed,
        folder=folder,
        settings={"what": "SACC-PT", "classes": pretext.task.classes, "batch": batch}
        | curve.config,
        label="SACC-PT",
        quiet=quiet,
        **options,
    )


def pretext_accuracy(
    features: Features,
    head: PretextHead,
    task: RotatedJigsaw,
    images: Tensor,
    curve: ConcaveCurve | None = None,
    count: int = 1024,
    batch: int = 128,
    seed: int = 1,
) -> float:
    """Share of puzzles that the head solves, with a curve before the model or without.

    Args:
        features: The frozen model.
        head: The head.
        task: Its task.
        images: `[N, 3, H, W]` uint8 or float in [0, 1].
        curve: Applied to the puzzles.
        count: Puzzles to make.
        batch: Puzzles at a time.
        seed: Of the puzzles; the same for every curve.
    """
    device = features.model.device
    generator = torch.Generator(device=device).manual_seed(seed)
    right = done = 0
    with torch.no_grad():
        while done < count:
            x, y = _puzzles(images.to(device), task, batch, generator)
            logits = head(features(curve(x) if curve is not None else x))
            right += int((logits.argmax(-1) == y).sum())
            done += batch
    return right / done


def _puzzles(
    images: Tensor, task: RotatedJigsaw, batch: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    rows = torch.randint(len(images), (batch,), generator=generator, device=generator.device)
    y = task.labels(batch, generator)
    return task(to_unit(images[rows]), y, generator), y
