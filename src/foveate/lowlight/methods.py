"""The ways to enhance that people can name, and what each decides about a picture.

A method looks at a thumbnail once and returns a decision: a plain value whose `apply` works on
tiles of the picture, in any order. Frames of a video share decisions, blended over time.

The one thing to know: `auto` and `lift` need no weights. A method that needs some says so in one
line when they are missing; nothing falls back silently.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import cv2
import numpy as np
import torch

from . import tone
from .names import CHANNELS, METHODS


class Decision(Protocol):
    """What a method decided for one picture."""

    @property
    def ev(self) -> float:
        """Push of the dark parts, in stops."""
        ...

    def apply(self, tile: np.ndarray, box: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """float32 `[h, w, 3]` in [0, 1], at `box` = (y, x) of a picture of `size`."""
        ...

    def blended(self, newer: Any, share: float) -> Any:
        """The decision a `share` of the way to a newer one."""
        ...


@dataclass(frozen=True)
class Curve:
    """A tone curve as a decision.

    Attributes:
        table: float32 `[L, 3]`, values in [0, 1] at L ≥ 256 equidistant levels.
        luma: Look luma up and scale R, G, B alike, instead of looking each up.
    """

    table: np.ndarray
    luma: bool = False

    @property
    def ev(self) -> float:
        """Push at the level 16/255, where a dark picture lives, in stops."""
        level = 16 / 255
        at = np.interp(level, np.linspace(0, 1, len(self.table)), self.table.mean(axis=1))
        return float(np.log2(max(at, 1e-6) / level) * 2.2)  # encoded values to light

    def apply(self, tile: np.ndarray, box: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """As `Decision.apply`; linear between levels."""
        if not self.luma:
            return np.stack([_looked_up(tile[..., c], self.table[:, c]) for c in range(3)], -1)
        weights = np.array([0.299, 0.587, 0.114], np.float32)  # luma of encoded values
        before = np.maximum(tile @ weights, 1e-4)
        after = _looked_up(before, self.table.mean(axis=1))
        scaled = tile * (after / before)[..., None]
        most = scaled.max(axis=-1)
        room = np.clip((1 - after) / np.maximum(most - after, 1e-6), 0, 1)
        share = np.where(most > 1, room, 1)[..., None]
        return after[..., None] + share * (scaled - after[..., None])

    def bytes(self, pixels: np.ndarray) -> np.ndarray:
        """The fast way for uint8 `[H, W, 3]`: one look-up a byte, nothing in float."""
        levels = np.linspace(0, len(self.table) - 1, 256)
        known = np.arange(len(self.table))
        codes = [np.interp(levels, known, self.table[:, c]) for c in range(3)]
        codes = np.rint(np.stack(codes, axis=-1) * 255).astype(np.uint8)
        return cv2.LUT(np.ascontiguousarray(pixels), codes.reshape(1, 256, 3))

    def blended(self, newer: Curve, share: float) -> Curve:
        """As `Decision.blended`."""
        return replace(newer, table=(1 - share) * self.table + share * newer.table)


@dataclass(frozen=True)
class Whole:
    """A method that has to see the whole picture: made once, then cut into tiles."""

    work: Callable[[np.ndarray], np.ndarray]
    ev: float = 0.0

    def blended(self, newer: Whole, share: float) -> Whole:
        """The newer one: there is nothing to blend."""
        return newer


Decide = Callable[[np.ndarray], Any]
"""Thumbnail, float32 `[h, w, 3]` in [0, 1], to a decision."""


def method_named(
    name: str, strength: float, channels: str | None, ev: float | None, weights: str | None
) -> Decide:
    """The method of a name, with its options.

    Args:
        name: A key of `METHODS`.
        strength: 0 to 2; 1 is as the method intends.
        channels: One of `CHANNELS`, or None for the method's own.
        ev: Stops to push by, for lift and reenet; None to choose by brightness.
        weights: A file of weights instead of those that ship, for sacc and reenet.

    Raises:
        ValueError: Options that do not fit the method, or weights that are missing.
    """
    if name not in METHODS:
        raise ValueError(f'unknown method "{name}"; methods are {", ".join(METHODS)}')
    name = "lift" if name == "auto" else name
    if channels is not None and channels not in CHANNELS:
        raise ValueError(f'channels is "{channels}"; expected one of {", ".join(CHANNELS)}')
    if channels is not None and name in ("lift", "reenet", "clahe"):
        raise ValueError(f"channels is for curves; {name} keeps hue by itself, leave it out")
    if ev is not None and name not in ("lift", "reenet"):
        raise ValueError(f"ev is for lift and reenet; {name} has no exposure, use strength")
    if weights is not None and name not in ("sacc", "reenet"):
        raise ValueError(f"weights are for sacc and reenet; {name} has none, leave them out")
    if name == "lift":
        return lambda thumbnail: tone.decide(thumbnail, strength, ev)
    if name == "reenet":
        from .reenet_method import Chooser

        return Chooser(strength, ev, weights)
    if name == "clahe":
        return lambda thumbnail: Whole(lambda pixels: _clahe(pixels, strength))
    curve = _sacc(weights) if name == "sacc" else _fixed(name)
    return lambda thumbnail: _curve(curve(thumbnail), strength, channels or "shared")


def _curve(table: np.ndarray, strength: float, channels: str) -> Curve:
    """A table `[L, C]` with a strength: below 1 mixed with the identity, above 1 applied twice."""
    if channels != "rgb":
        table = table.mean(axis=1, keepdims=True)
    levels = np.linspace(0, 1, len(table), dtype=np.float32)[:, None]
    if strength <= 1:
        table = (1 - strength) * levels + strength * table
    else:
        twice = np.stack([np.interp(t, levels[:, 0], t) for t in table.T], axis=-1)
        table = (2 - strength) * table + (strength - 1) * twice
    table = np.broadcast_to(table, (len(table), 3)).astype(np.float32)
    return Curve(np.ascontiguousarray(table), luma=channels == "luma")


def _fixed(name: str) -> Callable[[np.ndarray], np.ndarray]:
    from . import classical

    def table(thumbnail: np.ndarray) -> np.ndarray:
        levels = torch.linspace(0, 1, 1024)
        if name == "equalise":
            return _equalising(thumbnail)
        if name == "mean":
            factor = classical.TARGET_MEAN / max(float(thumbnail.mean()), 1e-6)
            return classical.gain(levels, max(factor, 1.0)).numpy()[:, None]
        return {"gamma": classical.gamma, "hyperbola": classical.hyperbola}[name](levels).numpy()[
            :, None
        ]

    return table


def _equalising(thumbnail: np.ndarray) -> np.ndarray:
    """The curve that makes each channel's histogram flat, `[256, 3]`."""
    codes = np.rint(thumbnail * 255).astype(int).reshape(-1, 3)
    tables = []
    for channel in codes.T:
        total = np.bincount(channel, minlength=256).cumsum()
        first = total[channel.min()]
        tables.append(np.clip((total - first) / max(total[-1] - first, 1), 0, 1))
    return np.stack(tables, axis=-1).astype(np.float32)


def _sacc(weights: str | None) -> Callable[[np.ndarray], np.ndarray]:
    from .sacc.curve import ConcaveCurve

    model = ConcaveCurve.load(weights or "people")

    def table(thumbnail: np.ndarray) -> np.ndarray:
        picture = torch.from_numpy(np.ascontiguousarray(thumbnail)).permute(2, 0, 1)[None]
        with torch.no_grad():
            return model.curve(picture)[0].T.numpy()

    return table


def _clahe(pixels: np.ndarray, strength: float) -> np.ndarray:
    """uint8 or uint16 `[H, W, 3]`; 16 bits keep their depth in colour and lightness alike."""
    top = np.iinfo(pixels.dtype).max
    lab = cv2.cvtColor(pixels.astype(np.float32) / np.float32(top), cv2.COLOR_RGB2LAB)
    light = np.rint(lab[..., 0] * (top / 100)).astype(pixels.dtype)
    better = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(light))
    lab[..., 0] += strength * (better.astype(np.float32) * (100 / top) - lab[..., 0])
    back = cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)
    return np.rint(np.clip(back, 0, 1) * top).astype(pixels.dtype)


def _looked_up(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A table at values in [0, 1], linear between its levels."""
    place = np.clip(x, 0, 1) * np.float32(len(table) - 1)
    below = np.minimum(place.astype(np.int32), len(table) - 2)
    part = place - below
    return table[below] * (1 - part) + table[below + 1] * part
