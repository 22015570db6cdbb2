"""Exposure enhancement in linear light, after REENet.

A dark picture is unprocessed to an estimate of its RAW data, multiplied by the ratio of exposures,
reconstructed (noise, clipping) and processed to a picture again. RAW data guide the training at
every arrow; enhancing needs the picture and the ratio only.

After: Huang, Yang, Hu, Liu, Duan, "Towards Low Light Enhancement with RAW Images" (TIP 2022). The
three modules, their separate training under RAW guidance, the joint training and the explicit
exposure are the paper's. Layers, loss weights and data are ours: the paper does not give them, or
we could not have them. Numbers measured here say nothing about the paper's.
"""

from __future__ import annotations

from typing import Any

from ...lazy import find

_PLACES = {
    "REENet": "model",
    "Config": "network",
    "Guided": "network",
    "PlainUNet": "control",
    "fit": "training",
    "fit_plain": "training",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    value = find(__name__, name, _PLACES, "foveate[lowlight]")
    globals()[name] = value
    return value
