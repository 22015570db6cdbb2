"""How a model is trained, in plain values: `Recipe`; and which share of a batch is whose: `Share`.

The one thing to know: the rate of a step depends on its number alone, so a run that is taken up
again has the rates it would have had.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

DECAYS = ("constant", "cosine", "linear")


@dataclass(frozen=True)
class Recipe:
    """Steps, rates and limits of a training with AdamW.

    Args:
        steps: Steps of the optimiser.
        lr: Learning rate after warm-up.
        warmup: Steps in which it rises from 0 along a line.
        decay: What follows: "constant", "cosine" or "linear", down to `lr · final` at the end.
        final: Share of the rate that is left at the end.
        betas: Of AdamW.
        weight_decay: Of AdamW; on matrices, not on biases, norms and other vectors.
        clip: Gradients longer than this are shortened to it; None leaves them.
        accumulate: Batches whose gradients are averaged for one step.
        amp: None, or "bfloat16": what autocast may compute in.
        seed: Of torch's generators when the training begins.

    Raises:
        ValueError: A field is out of range.
    """

    steps: int
    lr: float = 1e-3
    warmup: int = 0
    decay: str = "cosine"
    final: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.01
    clip: float | None = 1.0
    accumulate: int = 1
    amp: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("warmup", 0), ("accumulate", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"Recipe.{name} is {value!r}; expected an int of at least {least}")
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ValueError(f"Recipe.lr is {self.lr!r}; expected a number above 0, such as 1e-3")
        if self.decay not in DECAYS:
            raise ValueError(f'Recipe.decay is "{self.decay}"; decays are {", ".join(DECAYS)}')
        if not 0 <= self.final <= 1:
            raise ValueError(f"Recipe.final is {self.final!r}; expected a share in [0, 1]")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"Recipe.clip is {self.clip!r}; expected a number above 0, or None")
        if self.amp not in (None, "bfloat16"):
            raise ValueError(f'Recipe.amp is {self.amp!r}; expected None or "bfloat16"')

    def rate(self, step: int) -> float:
        """Learning rate of a step, from 0."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        if self.decay == "constant":
            return self.lr
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        left = 1 - done if self.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.lr * (self.final + (1 - self.final) * left)


@dataclass(frozen=True)
class Share:
    """Which part of each batch this process takes; all of it, if it is alone.

    Args:
        rank: Number of this process.
        world: Number of processes.
    """

    rank: int = 0
    world: int = 1

    def of(self, size: int) -> range:
        """Which samples of a batch of `size` are this process's.

        Raises:
            ValueError: The processes cannot take equal parts.
        """
        if size % self.world:
            raise ValueError(
                f"a batch of {size} cannot be shared by {self.world} processes; expected a multiple"
            )
        part = size // self.world
        return range(self.rank * part, (self.rank + 1) * part)


def generator(seed: int, *numbers: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A generator that depends on these numbers alone: (seed, step, sample), say.

    Batches that draw from it are the same however many processes share them and wherever a run
    was taken up.
    """
    mixed = 0x9E3779B97F4A7C15 ^ seed
    for number in numbers:  # splitmix64: neighbouring numbers give unrelated seeds
        mixed = (mixed + 0x9E3779B97F4A7C15 * (number + 1)) & (2**64 - 1)
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        mixed ^= mixed >> 31
    return torch.Generator(device).manual_seed(mixed)
