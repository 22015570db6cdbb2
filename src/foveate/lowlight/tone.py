"""The method `lift`: a dark photograph re-exposed as a careful hand would, without any training.

Everything is decided on a thumbnail of at most 384 pixels, once for a picture; to apply the
decision to a tile takes nothing but the tile and where it lies. So a picture of any size needs
bounded memory, tiles meet without seams, and a video can smooth the decisions over time.

In linear light, for a pixel with luminance Y and a base B (Y without its fine detail):

    out = (in − floor) · exposure · G,      G = gain(B)^0.7 · gain(Y)^0.3,
    gain(y) = k / (1 + (k − 1) y)

`exposure` repeats what the camera should have done (its limit is the white point), `k` opens the
shadows and leaves white where it is, `floor` takes away the light that noise leaves where the
sensor clipped at black. B comes from a guided filter (He, Sun, Tang, TPAMI 2013), so that texture
keeps its contrast and edges get no halo. The rest is ours.

The one thing to know: `strength` moves the mean brightness to be reached, so 0 changes nothing and
a photograph that is bright already stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

THUMBNAIL = 384
"""Longest side of the picture on which everything is decided, in pixels."""

TARGET = 0.40
"""Mean encoded luminance that strength 1 aims at."""

TOWARDS_WHITE, ABOVE = 0.8, 0.08
"""A picture without white gets this share (in stops) of what is missing; this much more mean."""

VIVID = 0.025
"""Saturation added for each stop: noise that was clipped at black has paled the colours."""

MOST_EXPOSURE, MOST_OPENING = 128.0, 14.0
"""Largest linear gains; the second keeps a night a night."""

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Weights of linear R, G, B in luminance (Rec. 709)."""

DETAIL = 0.7
"""Share of the gain that follows the base; the rest follows the pixel and keeps highlights in."""

SHOULDER = 0.8
"""Linear luminance above which highlights are compressed instead of clipped."""


def to_linear(x: np.ndarray) -> np.ndarray:
    """sRGB code values in [0, 1], any shape, to linear light (IEC 61966-2-1)."""
    return np.where(x <= 0.04045, x / 12.92, np.power((x + 0.055) / 1.055, 2.4, dtype=np.float32))


def to_code(y: np.ndarray) -> np.ndarray:
    """Linear light, any shape, to sRGB code values; below 0 is 0, above 1 is 1."""
    y = np.clip(y, 0, 1)
    root = np.power(np.maximum(y, 1e-8), 1 / 2.4, dtype=np.float32)
    return np.where(y <= 0.0031308, y * 12.92, 1.055 * root - 0.055)


@dataclass(frozen=True)
class Toning:
    """What was decided for one picture.

    Attributes:
        floor: `[3]` linear light taken from each channel.
        exposure: Linear gain of all pixels.
        opening: k, the further gain at black.
        slope, offset: `[h, w]` of the thumbnail: base = slope · luma + offset, in code values.
    """

    floor: np.ndarray
    exposure: float
    opening: float
    slope: np.ndarray
    offset: np.ndarray

    @property
    def ev(self) -> float:
        """Exposure push at black, in stops."""
        return float(np.log2(self.exposure * self.opening))

    @property
    def _shoulder(self) -> float:
        """Where highlights begin to be compressed: nowhere without a push, fully from one stop."""
        return 1 - (1 - SHOULDER) * float(np.clip(self.ev, 0.05, 1))

    def apply(self, tile: np.ndarray, box: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
        """Tone a tile.

        Args:
            tile: float32 `[h, w, 3]` code values in [0, 1].
            box: Its upper left corner (y, x) in the whole picture.
            size: Height and width of the whole picture.

        Returns:
            float32 `[h, w, 3]` code values.
        """
        light = np.maximum(to_linear(tile) - self.floor, 0) * np.float32(self.exposure)
        luminance = light @ LUMA
        slope = _enlarged(self.slope, tile.shape[:2], box, size)
        offset = _enlarged(self.offset, tile.shape[:2], box, size)
        base = to_linear(np.clip(slope * to_code(luminance) + offset, 0, 1))
        vivid = 1 + VIVID * max(0.0, min(self.ev, 6.0))
        if self.ev <= 0:
            return to_code(light)
        return to_code(_toned(light, luminance, base, self.opening, vivid, self._shoulder))

    def blended(self, newer: Toning, share: float) -> Toning:
        """The decision a `share` of the way to a newer one; for videos.

        Gains are blended in stops. The base is the newer one: it must follow what moves.
        """
        mix = lambda a, b: float(2 ** ((1 - share) * np.log2(a) + share * np.log2(b)))  # noqa: E731
        return replace(
            newer,
            floor=(1 - share) * self.floor + share * newer.floor,
            exposure=mix(self.exposure, newer.exposure),
            opening=mix(self.opening, newer.opening),
        )


def decide(thumbnail: np.ndarray, strength: float = 1.0, ev: float | None = None) -> Toning:
    """Choose exposure, opening and base for a picture.

    Args:
        thumbnail: float32 `[h, w, 3]` code values in [0, 1], reduced by area averaging.
        strength: 0 leaves the picture alone, 1 is meant for most, 2 is the limit.
        ev: Stops to push by instead of what brightness asks for.
    """
    linear = to_linear(thumbnail)
    floor = _floor(linear)
    light = np.maximum(linear - floor, 0)
    luminance = light @ LUMA
    white = max(float(np.quantile(light.max(axis=-1), 0.997)), 1e-4)
    limit = min(max(0.95 / white, 1.0), MOST_EXPOSURE)
    if ev is not None:
        exposure = min(2.0**ev, limit)
        opening = max(2.0**ev / exposure, 1.0)
    else:
        before = float(to_code(linear @ LUMA).mean())
        aim = before + strength * max(0.0, TARGET - before)
        few = _representatives(luminance)
        exposure = _solve(aim, lambda gain: to_code(few * gain).mean(), limit)
        if 1 < exposure < limit:  # bright enough, but no white yet: go on towards it
            further = exposure * (limit / exposure) ** (TOWARDS_WHITE * min(strength, 1.0))
            most = _solve(aim + ABOVE, lambda gain: to_code(few * gain).mean(), limit)
            exposure = max(exposure, min(further, most))
        seen = np.minimum(few * exposure, 1)
        opening = _solve(aim, lambda k: to_code(seen * _gain(seen, k)).mean(), MOST_OPENING)
    if exposure * opening < 1.02:  # bright already
        exposure, opening, floor = 1.0, 1.0, np.zeros(3, np.float32)
    code = to_code(np.maximum(linear - floor, 0) * exposure @ LUMA).astype(np.float32)
    slope, offset = _guided(code, radius=max(4, max(code.shape) // 24), smallest=0.03)
    return Toning(floor, float(exposure), float(opening), slope, offset)


def _floor(linear: np.ndarray) -> np.ndarray:
    """Light that noise leaves at black: small, even in every channel; zero for other pictures."""
    darkest = np.quantile(linear.reshape(-1, 3), 0.005, axis=0)
    luminance = linear @ LUMA
    dark = np.clip((0.25 - float(to_code(luminance).mean())) / 0.1, 0, 1)  # fog is no noise
    limit = dark * min(0.004, 0.3 * float(np.median(luminance)))
    return np.minimum(0.9 * darkest, limit).astype(np.float32)


def _representatives(values: np.ndarray, count: int = 4096) -> np.ndarray:
    """Values at evenly spaced ranks: a mean over them is the mean over all, and quicker."""
    if values.size <= count:
        return values
    ranks = ((np.arange(count) + 0.5) * values.size / count).astype(int)
    return np.sort(values, axis=None)[ranks]


def _solve(aim: float, brightness, limit: float) -> float:
    """The gain in [1, limit] at which a rising function reaches `aim`."""
    low, high = 0.0, float(np.log2(limit))
    if brightness(1.0) >= aim:
        return 1.0
    for _ in range(24):
        middle = (low + high) / 2
        low, high = (middle, high) if brightness(2**middle) < aim else (low, middle)
    return float(2**high)


def _gain(y: np.ndarray, opening: float) -> np.ndarray:
    return np.float32(opening) / (1 + np.float32(opening - 1) * y)


def _toned(
    light: np.ndarray,
    y: np.ndarray,
    base: np.ndarray,
    opening: float,
    vivid: float,
    shoulder: float,
) -> np.ndarray:
    """Gain from base and pixel, highlights compressed, hue kept."""
    if opening > 1:
        gain = _gain(base, opening) ** DETAIL * _gain(np.minimum(y, 1), opening) ** (1 - DETAIL)
        light, y = light * gain[..., None], y * gain
    over = np.maximum(y - shoulder, 0)
    pressed = y - over + (1 - shoulder) * (1 - np.exp(-over / (1 - shoulder)))
    light = light * (pressed / np.maximum(y, 1e-6))[..., None]
    light = np.maximum(pressed[..., None] + vivid * (light - pressed[..., None]), 0)
    # a channel above white would change the hue: mix with grey until it fits
    most = np.maximum(np.maximum(light[..., 0], light[..., 1]), light[..., 2])  # quicker than max
    room = np.clip((1 - pressed) / np.maximum(most - pressed, 1e-6), 0, 1)
    share = np.where(most > 1, room, 1)[..., None]
    return pressed[..., None] + share * (light - pressed[..., None])


def _guided(luma: np.ndarray, radius: int, smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the guided filter of a picture by itself.

    Args:
        luma: float32 `[h, w]`.
        radius: Half the window, in pixels.
        smallest: Contrast below which something counts as texture, in code values.
    """
    window = (2 * radius + 1, 2 * radius + 1)
    mean = cv2.blur(luma, window)
    variance = np.maximum(cv2.blur(luma * luma, window) - mean * mean, 0)
    slope = variance / (variance + smallest**2)
    return cv2.blur(slope, window), cv2.blur((1 - slope) * mean, window)


def _enlarged(
    small: np.ndarray, shape: tuple[int, int], box: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """The part of a thumbnail's map that lies over a tile, bilinear, by pixel centres."""
    scale = [small.shape[i] / size[i] for i in (0, 1)]
    across = (np.arange(shape[1], dtype=np.float32) + box[1] + 0.5) * scale[1] - 0.5
    down = (np.arange(shape[0], dtype=np.float32) + box[0] + 0.5) * scale[0] - 0.5
    across, down = (
        np.broadcast_to(across[None], shape).astype(np.float32),
        np.broadcast_to(down[:, None], shape).astype(np.float32),
    )
    return cv2.remap(small, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
