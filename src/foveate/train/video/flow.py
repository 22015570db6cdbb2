"""Flow matching: noisy tokens and the velocity to predict, the loss, and samples.

    x_t = (1 − t) · x + t · ε        v = ε − x        loss = mean (model(x_t, t) − v)²

t is logit-normal(0, 1): most of the time is spent between noise and picture. A sample goes from
t = 1 to 0 along the model's velocity.

The one thing to know: noise and t of a sample follow from (seed, number of the batch, number of the
sample), so they are the same in every run and however a batch is shared.
Sources: Flow Matching (arXiv 2210.02747); the distribution of t: arXiv 2403.03206, section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..recipe import generator

Noisy = tuple[Tensor, Tensor, Tensor]
"""Noisy tokens `[B, L, C]`, times `[B]`, velocities `[B, L, C]`."""


def noisy(x: Tensor, seed: int, number: int, samples: range) -> Noisy:
    """Noise for the samples of a batch.

    Args:
        x: Tokens of these samples, `[B, L, C]`.
        seed: Of the training.
        number: Of the batch.
        samples: Which of its samples these are.
    """
    times, noise = [], []
    for sample in samples:
        draw = generator(seed, number, sample, 1, device=x.device)
        times.append(torch.randn((), generator=draw, device=x.device).sigmoid())
        noise.append(torch.randn(x.shape[1:], generator=draw, device=x.device))
    return mixed(x, torch.stack(noise), torch.stack(times))


def mixed(x: Tensor, noise: Tensor, times: Tensor) -> Noisy:
    """Tokens and noise `[B, L, C]`, mixed at times `[B]`."""
    t = times.view(-1, 1, 1)
    return (1 - t) * x + t * noise, times, noise - x


def flow_loss(model: nn.Module, batch: Noisy) -> Tensor:
    """Mean squared error of the velocity."""
    x, times, velocity = batch
    return (model(x, times).float() - velocity).square().mean()


@torch.no_grad()
def held_out_loss(model: nn.Module, x: Tensor, seed: int = 0, part: int = 16) -> float:
    """Loss on given tokens `[B, L, C]`, with times spread evenly over their distribution."""
    count = len(x)
    levels = (torch.arange(count, device=x.device) + 0.5) / count
    times = (2**0.5 * torch.erfinv(2 * levels - 1)).sigmoid()
    draw = generator(seed, count, device=x.device)
    noise = torch.randn(x.shape, generator=draw, device=x.device)
    total = 0.0
    for low in range(0, count, part):
        own = slice(low, low + part)
        total += float(flow_loss(model, mixed(x[own], noise[own], times[own]))) * len(x[own])
    return total / count


@torch.no_grad()
def sample(
    model: nn.Module,
    noise: Tensor,
    steps: int = 30,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Tokens that the model makes from noise `[B, L, C]`, by Heun's method.

    Args:
        model: Predicts velocities.
        noise: N(0, 1); the same noise gives the same sample.
        steps: Steps from t = 1 to 0; each asks the model twice, the last once.
        progress: Called with steps done and all steps.

    Returns:
        `[B, L, C]`, float32.
    """
    x = noise.float()
    times = torch.linspace(1, 0, steps + 1, device=noise.device)
    for i in range(steps):
        now, then = times[i].expand(len(x)), times[i + 1].expand(len(x))
        delta = times[i + 1] - times[i]
        first = model(x, now).float()
        step = x + delta * first
        if i + 1 < steps:
            step = x + delta * (first + model(step, then).float()) / 2
        x = step
        if progress is not None:
            progress(i + 1, steps)
    return x
