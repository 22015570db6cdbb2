"""Precision: how Q, K, P and V are written as numbers. One frozen dataclass per system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .recipe import Recipe


@dataclass(frozen=True)
class Precision:
    """Base of all precisions; fields are the knobs, checked on creation."""

    name: ClassVar[str]
    trainable: ClassVar[bool] = False  # whether there is a way back through it

    def recipe(self, head_dim: int) -> Recipe:
        """The numbers behind this choice for heads of size `head_dim`."""
        raise TypeError(f"{type(self).__name__} does not define a recipe")
