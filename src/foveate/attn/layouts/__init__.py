"""Layouts: which blocks are visited, and how other libraries write that."""

from .blocks import Band, BlockLayout, Outline
from .memory import new_lse, new_output
from .windows import band_layout

__all__ = ["Band", "BlockLayout", "Outline", "band_layout", "new_lse", "new_output"]
