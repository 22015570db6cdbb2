"""Small, honest training: a loop that can be stopped, and what is trained with it.

`fit` trains any model; `foveate.train.video` has a video diffusion transformer with video sparse
attention, and films to train it on; `foveate.train.language` texts and a small language model, for
attention in 8 bits.

The one thing to know: needs `pip install "foveate[train]"` for checkpoints (safetensors) and films.
"""

from .best import best_record
from .checkpoint import load_weights, read_facts, save_weights
from .log import ProgressLine, Record, read_log
from .loop import Diverged, fit
from .recipe import Recipe, Share, generator

__all__ = [
    "Diverged",
    "ProgressLine",
    "Recipe",
    "Record",
    "Share",
    "best_record",
    "fit",
    "generator",
    "load_weights",
    "read_facts",
    "read_log",
    "save_weights",
]
