"""A curve for people: learnt from simulated dark pictures whose bright originals are known.

    minimise  |Y(g(I_dark)) − Y(I_bright)| + w · |g(I_dark) − I_bright|  + λ · bend penalty

with Y the luma: the exposure that the photographer chose is the answer that the curve should give.

The one thing to know: this is *not* one of SACC's objectives, which need no reference and serve a
frozen model. It is plain supervision on simulated pairs, ours, for the same curve.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..train import Training, train
from .curve import ConcaveCurve
from .frozen import to_unit
from .integral import apply_curve, bend_penalty, integrate, normalise, thumbnail

LUMA = (0.299, 0.587, 0.114)


def train_curve_pairs(
    curve: ConcaveCurve,
    dark: Tensor,
    bright: Tensor,
    *,
    steps: int = 3000,
    batch: int = 32,
    lr: float = 1e-3,
    colour: float = 0.5,
    penalty: float = 0.0,
    check: Callable[[int], dict[str, float]] | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    quiet: bool = False,
    **options: Any,
) -> Training:
    """Train a curve on pairs, in place.

    Args:
        curve: The curve; its weights change.
        dark: Dark pictures, `[N, 3, H, W]` uint8 or float in [0, 1].
        bright: The same pictures as they should be.
        steps: Steps.
        batch: Pairs per step.
        lr: Highest learning rate.
        colour: Weight w of the difference in R, G and B, beside that in luma.
        penalty: Weight λ of `bend_penalty`, on bends that sum to 1.
        check: As in `foveate.lowlight.train.train`.
        seed: Of batches.
        folder: As in `foveate.lowlight.train.train`.
        quiet: No progress bar.
        **options: Further ones of `foveate.lowlight.train.train`.

    Raises:
        ValueError: The two sets differ in shape.
    """
    if dark.shape != bright.shape:
        raise ValueError(
            f"bright is {list(bright.shape)}; expected the shape of dark, {list(dark.shape)}"
        )
    device = curve.head.weight.device
    luma = torch.tensor(LUMA, device=device).view(3, 1, 1)

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        rows = torch.randint(len(dark), (batch,), generator=generator, device=device)
        rows = rows.to(dark.device)
        x, y = to_unit(dark[rows].to(device)), to_unit(bright[rows].to(device))
        x, y = _varied(x, y, generator)
        bends = curve.bends(thumbnail(x, curve.downsample).clamp(0, 1))
        off = apply_curve(x, normalise(integrate(bends, curve.degree))) - y
        parts = {"luma": (off * luma).sum(1).abs().mean(), "rgb": off.abs().mean()}
        total = parts["luma"] + colour * parts["rgb"]
        if penalty:
            shares = bends / bends.sum(-1, keepdim=True).clamp(min=1e-12)
            total = total + penalty * bend_penalty(shares)
        return {"loss": total, **parts}

    return train(
        curve,
        loss,
        steps,
        lr=lr,
        seed=seed,
        folder=folder,
        check=check,
        settings={"what": "curve from pairs", "batch": batch, "colour": colour}
        | {"penalty": penalty}
        | curve.config,
        label="curve from pairs",
        quiet=quiet,
        **options,
    )


def _varied(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirrored, turned, channels in another order: few photographs go further so."""
    for side in (-1, -2):
        chosen = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) < 0.5
        x, y = (torch.where(chosen, z.flip(side), z) for z in (x, y))
    order = torch.rand(len(x), 3, generator=generator, device=x.device).argsort(1)
    order = order[:, :, None, None].expand_as(x)
    return x.gather(1, order), y.gather(1, order)
