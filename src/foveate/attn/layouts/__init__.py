"""Layouts: which blocks are visited, and how other libraries write that."""

from .blocks import Band, BlockLayout, Outline
from .memory import new_lse, new_output
from .orders import Hilbert, Tiles
from .windows import band_layout

__all__ = [
    "Band",
    "BlockLayout",
    "Hilbert",
    "Outline",
    "Tiles",
    "band_layout",
    "new_lse",
    "new_output",
]
