"""Noise taken out of a picture that was pushed: measured first, then shrunk, scale by scale.

A Laplacian pyramid of one brightness and two colour-difference channels; on each level the local
Wiener gain

    w = max(0, v − s²) / v,    v the local energy of the level, s the noise measured there

as in the wavelet filter of Mıhçak, Kozintsev, Ramchandran and Moulin (IEEE SPL 1999). The noise s
depends on level, channel and brightness, because a push raises it in the shadows most; it is read
off the flattest patches of the picture. Colour noise is taken out more than brightness noise: it is
what the eye dislikes, and it hides less detail.

The one thing to know: `measure` looks at samples of the whole picture once, `apply` then works on
tiles; tiles that overlap by `MARGIN` and begin at multiples of `STEP` meet without seams.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

LEVELS = 5
STEP = 2 ** (LEVELS - 1)
"""Tiles begin at multiples of this many pixels, so that their pyramids agree."""

MARGIN = 128
"""How far a pixel may look, rounded up, in pixels."""

BINS = 6
"""Steps of brightness in which noise is measured."""

COLOUR = 1.4
"""How much more colour noise is taken out than brightness noise."""

_WHITE = (1.0, 0.243, 0.107, 0.052, 0.026)
"""Energy of white noise on each level, as an amplitude relative to the finest one."""

_COARSE = (1.0, 1.5, 2.0, 2.2, 2.2)
"""How much more than white noise a level may hold: demosaicing and JPEG make noise coarse."""

_OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, -1], [-0.5, 1, -0.5]], np.float32)
_BACK = np.linalg.inv(_OPPONENT).astype(np.float32)


@dataclass(frozen=True)
class Noise:
    """Standard deviation of the noise: `[LEVELS, 3, BINS]`, in code values of a picture in [0, 1].

    The channels are brightness (R+G+B)/3, R − B and G − (R+B)/2.
    """

    deviation: np.ndarray

    @property
    def brightness(self) -> float:
        """Noise of the finest level, brightness channel, mean over bins."""
        return float(self.deviation[0, 0].mean())


def measure(samples: Iterable[np.ndarray] | np.ndarray) -> Noise:
    """Read the noise off the flattest patches.

    Args:
        samples: float32 pictures `[h, w, 3]` in [0, 1], each at least 64 pixels wide and high;
            parts of one picture at full resolution, spread over it.

    Returns:
        The noise; zero where nothing could be measured.
    """
    if isinstance(samples, np.ndarray):
        samples = [samples]
    found: list[list[list[np.ndarray]]] = [
        [[] for _ in range(BINS)] for _ in range(LEVELS)
    ]  # arrays [n, 3]
    for sample in samples:
        bands, lows = _pyramid(_opponent(sample))
        for level, band in enumerate(bands):
            side = 8 if level < 3 else 4
            energy = _cells(band * band, side)
            shade = np.clip(_cells(lows[level][..., :1], side)[:, 0], 0, 0.999)
            for number in range(BINS):
                inside = energy[(shade * BINS).astype(int) == number]
                if len(inside):
                    found[level][number].append(inside)
    table = np.full((LEVELS, 3, BINS), np.nan, np.float32)
    for level in range(LEVELS):
        for number in range(BINS):
            energy = [*found[level][number]]
            if sum(map(len, energy)) >= 12:
                table[level, :, number] = _floor(np.concatenate(energy))
    return Noise(_plausible(table))


def apply(
    tile: np.ndarray, noise: Noise, amount: float = 1.0, left: np.ndarray | None = None
) -> np.ndarray:
    """Take the noise out of a picture or a tile of it.

    Args:
        tile: float32 `[h, w, 3]` in [0, 1].
        noise: What `measure` found for the whole picture.
        amount: 0 keeps everything, 1 removes what was measured, up to 2 for smoother.
        left: float32 `[h, w]`, share of the noise that is left where frames were averaged; None
            means all of it.

    Returns:
        float32 `[h, w, 3]`, not clipped.
    """
    if amount <= 0:
        return tile
    bands, lows = _pyramid(_opponent(tile))
    rest = lows[-1]
    for level in range(LEVELS - 1, -1, -1):
        band = bands[level]
        energy = cv2.blur(band * band, (5, 5), borderType=cv2.BORDER_REFLECT_101)
        expected = _expected(lows[level][..., 0], noise.deviation[level])
        expected *= np.array([amount, amount * COLOUR, amount * COLOUR], np.float32)
        if left is not None:
            size = (band.shape[1], band.shape[0])
            expected *= cv2.resize(left, size, interpolation=cv2.INTER_AREA)[..., None]
        expected *= expected
        weight = np.maximum(energy - expected, 0) / np.maximum(energy, 1e-12)
        # where brightness has an edge, colour most likely has one too
        weight[..., 1:] = 1 - (1 - weight[..., 1:]) * (1 - weight[..., :1] ** 2)
        up = cv2.pyrUp(rest, dstsize=(band.shape[1], band.shape[0]))
        rest = up + weight * band
    return rest @ _BACK.T


def _floor(energy: np.ndarray) -> np.ndarray:
    """Deviation of the noise from energies of cells, `[n, 3]`: what even the flattest have.

    Cells of pure noise differ little: a fiftieth of them lies below 0.55 of their mean energy, a
    fifth below 0.8. Texture spreads far more, so whichever quantile says less is believed.
    """
    low, higher = np.quantile(energy, (0.02, 0.2), axis=0)
    return np.sqrt(np.minimum(low / 0.55, higher / 0.8))


def _opponent(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture, np.float32) @ _OPPONENT.T


def _pyramid(picture: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Details of each level, and the smoothed picture under each (the last one is the rest)."""
    bands, lows = [], []
    for _ in range(LEVELS):
        small = cv2.pyrDown(picture)
        up = cv2.pyrUp(small, dstsize=(picture.shape[1], picture.shape[0]))
        bands.append(picture - up)
        lows.append(up)
        picture = small
    return bands, [*lows, picture]


def _cells(picture: np.ndarray, side: int) -> np.ndarray:
    """Means of squares of `side` pixels: `[n, channels]`."""
    h, w = (n // side * side for n in picture.shape[:2])
    channels = picture.shape[-1]
    cut = picture[:h, :w].reshape(h // side, side, w // side, side, channels)
    return cut.mean(axis=(1, 3)).reshape(-1, channels)


def _plausible(table: np.ndarray) -> np.ndarray:
    """What of the measured floor is noise, and values for bins that hold too few cells.

    Three things tell noise from texture: texture has more on the next coarser level, noise does
    not grow with brightness, and coarse levels hold little of it.
    """
    numbers = np.arange(BINS)
    ratio = table[1, 0] / np.maximum(table[0, 0], 1e-9) / _WHITE[1]
    trust = np.clip((3.0 - np.nan_to_num(ratio, nan=1.0)) / 0.8, 0, 1)
    darker: np.ndarray | None = None  # `[3]` of the finest level, one bin darker
    for number in numbers[np.isfinite(table[0, 0])]:
        own = table[0, :, number].copy()
        rest = np.minimum(own, 0.7 * darker) if darker is not None else np.zeros_like(own)
        held = trust[number] * own + (1 - trust[number]) * rest
        if darker is not None:
            held = np.minimum(held, 1.1 * darker + 1e-4)
        table[:, :, number] *= (held / np.maximum(own, 1e-9)).min()
        table[0, :, number] = held
        darker = held
    for level in range(LEVELS):
        for channel in range(3):
            row = table[level, channel]
            known = np.isfinite(row)
            row[:] = np.interp(numbers, numbers[known], row[known]) if known.any() else 0
    # JPEG leaves no fine colour noise to compare with: equal noise in R, G and B has sqrt(6) times
    # as much in R − B as in brightness
    reference = np.maximum(table[0], table[0, :1] * np.array([[0], [2.45], [2.12]], np.float32))
    for level in range(LEVELS):
        most = reference * (_WHITE[level] * _COARSE[level])
        np.minimum(table[level], most, out=table[level])
    return table


def _expected(shade: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Noise at each pixel, linear between bins: `[h, w]` and `[3, BINS]` to `[h, w, 3]`."""
    centre = np.clip(shade * BINS - 0.5, 0, BINS - 1)
    fine = np.arange(256) / 255 * (BINS - 1)
    tables = np.stack([np.interp(fine, np.arange(BINS), row) for row in deviation], axis=-1)
    index = np.rint(centre * (255 / (BINS - 1))).astype(np.uint8)
    return cv2.LUT(cv2.merge([index] * 3), tables.astype(np.float32)[None])
