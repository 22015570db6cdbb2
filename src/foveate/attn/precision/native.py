"""Native: no quantisation.

Idea: attention in the input dtype, as everybody computes it. Q·Kᵀ and all sums are in float32
(float64 for float64 inputs); P is rounded to the input dtype before P·V when that is bfloat16 or
float16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import Precision
from .recipe import Recipe


@dataclass(frozen=True)
class Native(Precision):
    """The input dtype throughout, with float32 sums."""

    name: ClassVar[str] = "native"
    trainable: ClassVar[bool] = True

    def recipe(self, head_dim: int) -> Recipe:
        return Recipe()
