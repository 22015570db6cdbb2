"""Critical-token accuracy: how much of dense attention falls into the cubes that VSA keeps.

    mean over tokens, heads and clips of Σ over kept cubes of softmax(q kᵀ)

The one thing to know: two bounds stand beside it. Cubes drawn at random keep K/N on average, and
the cubes with the most mass, an oracle's choice, keep the most that K cubes can.
Source: Video Sparse Attention (arXiv 2505.13389), section 3.3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from foveate.train.video.flow import mixed
from foveate.train.video.gathered import chosen
from foveate.train.video.model import VideoDiT

TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)


@torch.no_grad()
def critical_tokens(model: VideoDiT, x: Tensor, times: tuple[float, ...] = TIMES) -> dict:
    """Mass in kept cubes for each time and layer.

    Args:
        model: With `GatheredAttention` in all blocks.
        x: Tokens of clips, `[B, L, channels]`.
        times: Levels of noise.

    Returns:
        times, random (K/N), kept and oracle, both `[times][layers]`.
    """
    layers = model.sparse_layers()
    found: list[tuple[float, float]] = []

    def spy(layer):
        def fine(q, k, v, rows, means):
            found.append(masses(layer.select, *rows[:2], means))
            return type(layer).fine(layer, q, k, v, rows, means)

        return fine

    for layer in layers:
        layer.fine = spy(layer)
    model.eval()
    kept, oracle = [], []
    draw = torch.Generator(x.device).manual_seed(0)
    noise = torch.randn(x.shape, generator=draw, device=x.device)
    try:
        for time in times:
            found.clear()
            level = torch.full((len(x),), time, device=x.device)
            model(*mixed(x, noise, level)[:2])
            kept.append([a for a, _ in found])
            oracle.append([b for _, b in found])
    finally:
        for layer in layers:
            del layer.fine
    select = layers[0].select
    return {
        "times": list(times),
        "random": select.kept / select.keys.number,
        "kept": kept,
        "oracle": oracle,
    }


def masses(select, q: Tensor, k: Tensor, means: tuple[Tensor, ...]) -> tuple[float, float]:
    """Mean mass in the kept cubes, and in those that an oracle would keep."""
    volume, number = select.keys.volume, select.keys.number
    scores = (q.float() @ k.float().mT) * q.shape[-1] ** -0.5
    mass = scores.softmax(-1).unflatten(-1, (number, volume)).sum(-1)  # [B, H, L, N]
    mass = mass.unflatten(2, (number, volume)).mean(3)  # by cube of queries
    cubes = chosen(means[0], means[1], select)
    best = mass.topk(select.kept, dim=-1).values
    return float(mass.gather(-1, cubes).sum(-1).mean()), float(best.sum(-1).mean())
