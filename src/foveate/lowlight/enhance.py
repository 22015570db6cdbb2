"""Dark pictures made bright, for people: one object for photographs, tensors and video frames.

    better = Enhancer().picture(read_picture("dark.jpg"))
    write_picture(better.picture, "bright.jpg")

The one thing to know: a picture is decided on as a whole (thumbnail, noise) and then made tile by
tile, so memory grows with the picture only by its 8- or 16-bit pixels.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from . import denoise, tone
from .files import Picture
from .methods import Curve, Whole, method_named
from .tiling import Box, side_by_side, tiles

NOISY_EV = 2.0
"""A push of this many stops is denoised in full, a smaller one in proportion."""


@dataclass(frozen=True)
class Enhanced:
    """A picture that was enhanced, and what was done.

    Attributes:
        picture: The result; depth, alpha and metadata are those of the original.
        facts: Plain values: method, ev (push in stops), denoise, noise, mean, clipped, black and
            histogram before and after, seconds.
    """

    picture: Picture
    facts: dict[str, Any]


class Enhancer:
    """Enhances pictures in one way.

    Args:
        method: A key of `METHODS`.
        strength: 0 changes nothing, 1 is meant for most, 2 is the limit.
        denoise: 0 to 2; None measures how much was pushed and takes out that much.
        channels: "luma", "shared" or "rgb", for curves; None for the method's own.
        ev: Stops to push by, for lift and reenet; None to choose by brightness.
        weights: A file of weights instead of those that ship.

    Raises:
        ValueError: An option is out of range or does not fit the method; weights are missing.
    """

    def __init__(
        self,
        method: str = "auto",
        strength: float = 1.0,
        denoise: float | None = None,
        channels: str | None = None,
        ev: float | None = None,
        weights: str | None = None,
    ) -> None:
        _within("strength", strength, 0, 2)
        _within("denoise", denoise, 0, 2)
        _within("ev", ev, 0, 10)
        self.method, self.strength, self.denoise = method, strength, denoise
        self._decide = method_named(method, strength, channels, ev, weights)

    def file(self, path: str | os.PathLike[str]) -> tuple[Picture, Enhanced]:
        """Read a picture or a camera's RAW file and enhance it.

        Returns:
            The picture as it was, and enhanced. The method `reenet` works on a RAW file's own
            data; any other on what the camera would have made of it.

        Raises:
            BadPicture: The file cannot be read.
            FileNotFoundError: There is none.
        """
        from .files import RAW
        from .sources import read_any

        before = read_any(path)
        if Path(path).suffix.lower() not in RAW or not hasattr(self._decide, "raw"):
            return before, self.picture(before)
        begin = time.perf_counter()
        pixels, ev = self._decide.raw(Path(path))
        decision = Whole(lambda same: same, ev)
        amount = self.amount(decision)
        noise = measured(pixels, decision) if amount > 0 else None
        pixels = rendered(pixels, decision, noise, amount)
        return before, self._enhanced(before, pixels, ev, amount, noise, begin)

    def picture(self, picture: Picture) -> Enhanced:
        """Enhance a picture from a file."""
        begin = time.perf_counter()
        pixels, noise, decision, amount = self._enhance(picture.pixels)
        return self._enhanced(picture, pixels, decision.ev, amount, noise, begin)

    def _enhanced(
        self,
        picture: Picture,
        pixels: np.ndarray,
        ev: float,
        amount: float,
        noise: denoise.Noise | None,
        begin: float,
    ) -> Enhanced:
        seconds = time.perf_counter() - begin
        facts = {
            "method": self.method,
            "strength": self.strength,
            "ev": round(ev, 2),
            "denoise": round(amount, 2),
            "noise": None if noise is None else round(noise.brightness, 4),
            "size": [picture.pixels.shape[1], picture.pixels.shape[0]],
            "bits": 8 * picture.pixels.itemsize,
            "before": statistics(picture.pixels),
            "after": statistics(pixels),
            "seconds": round(seconds, 3),
        }
        return Enhanced(picture.with_pixels(pixels), facts)

    def __call__(self, image: Tensor) -> Tensor:
        """Enhance tensors, each picture of a batch by itself.

        Args:
            image: float `[3, H, W]` or `[B, 3, H, W]` in [0, 1], sRGB.

        Returns:
            The same shape, dtype and device.
        """
        if image.dim() not in (3, 4) or image.shape[-3] != 3 or not image.is_floating_point():
            shape = ", ".join(map(str, image.shape))
            raise ValueError(f"image is {image.dtype} [{shape}]; expected float [B, 3, H, W]")
        if image.dim() == 4:
            return torch.stack([self(one) for one in image]) if len(image) else image.clone()
        codes = image.detach().permute(1, 2, 0).float().clamp(0, 1).mul(65535).round()
        pixels = codes.to(torch.int32).cpu().numpy().astype(np.uint16)
        done = self._enhance(pixels)[0].astype(np.float32) / 65535
        return torch.from_numpy(done).permute(2, 0, 1).to(image).contiguous()

    def decide(self, pixels: np.ndarray) -> Any:
        """What the method decides for a picture, uint8 or uint16 `[H, W, 3]`."""
        return self._decide(thumbnail(pixels))

    def amount(self, decision: Any) -> float:
        """How much of the measured noise is taken out after this decision."""
        if self.denoise is not None:
            return self.denoise
        return float(np.clip(decision.ev / NOISY_EV, 0, 1))

    def _enhance(self, pixels: np.ndarray) -> tuple[np.ndarray, denoise.Noise | None, Any, float]:
        decision = self.decide(pixels)
        if isinstance(decision, Whole):
            pixels = decision.work(pixels)
        amount = self.amount(decision)
        noise = measured(pixels, decision) if amount > 0 else None
        return rendered(pixels, decision, noise, amount), noise, decision, amount


def rendered(
    pixels: np.ndarray, decision: Any, noise: denoise.Noise | None, amount: float
) -> np.ndarray:
    """Carry a decision out, tile by tile.

    Args:
        pixels: uint8 or uint16 `[H, W, 3]`.
        decision: What a method decided for it.
        noise: What was measured after the decision, or None to leave noise in.
        amount: As in `denoise.apply`.

    Returns:
        The same shape and dtype.
    """
    by_table = isinstance(decision, Curve) and not decision.luma and pixels.dtype == np.uint8
    if noise is None and by_table:
        return decision.bytes(pixels)
    out = np.empty_like(pixels)
    top = np.float32(np.iinfo(pixels.dtype).max)
    margin = denoise.MARGIN if noise is not None else getattr(decision, "margin", 0)

    def work(boxes: tuple[Box, Box, Box]) -> None:
        outer, inner, place = boxes
        tile = pixels[outer].astype(np.float32) / top
        if not isinstance(decision, Whole):
            tile = decision.apply(tile, (outer[0].start, outer[1].start), pixels.shape[:2])
        if noise is not None:
            tile = denoise.apply(tile, noise, amount)
        out[place] = np.rint(np.clip(tile[inner], 0, 1) * top).astype(out.dtype)

    own_threads = getattr(decision, "own_threads", False)
    side_by_side(work, tiles(pixels.shape[:2], margin), one_by_one=own_threads)
    return out


def measured(pixels: np.ndarray, decision: Any, side: int = 256, rows: int = 3) -> denoise.Noise:
    """Noise after a decision, from patches of full resolution spread over the picture."""
    top = np.float32(np.iinfo(pixels.dtype).max)
    size = pixels.shape[:2]
    patches = []
    for y in np.linspace(0, max(0, size[0] - side), rows).astype(int):
        for x in np.linspace(0, max(0, size[1] - side), rows).astype(int):
            patch = pixels[y : y + side, x : x + side].astype(np.float32) / top
            if not isinstance(decision, Whole):
                patch = decision.apply(patch, (int(y), int(x)), size)
            patches.append(patch)
    return denoise.measure(patches)


def thumbnail(pixels: np.ndarray, most: int = tone.THUMBNAIL) -> np.ndarray:
    """A picture reduced by area averaging, float32 `[h, w, 3]` in [0, 1], longest side `most`."""
    h, w = pixels.shape[:2]
    scale = min(1.0, most / max(h, w))
    small = (max(1, round(w * scale)), max(1, round(h * scale)))
    while pixels.dtype == np.uint16 and pixels.shape[0] * pixels.shape[1] > 4e7:
        pixels = pixels[::2, ::2]  # OpenCV reduces 16 bits through a float copy of the whole
    reduced = cv2.resize(pixels, small, interpolation=cv2.INTER_AREA)
    return reduced.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def statistics(pixels: np.ndarray, bins: int = 64) -> dict[str, Any]:
    """Mean, clipped share, black share and histogram of the channels, on every 2nd or so pixel.

    Args:
        pixels: uint8 or uint16 `[H, W, 3]`.
        bins: Of the histograms.

    Returns:
        mean in [0, 1]; clipped: share of pixels with a channel at white; black: with all at black;
        histogram `[3][bins]`, shares.
    """
    step = max(1, int(np.sqrt(pixels.shape[0] * pixels.shape[1] / 1e6)))
    some = pixels[::step, ::step].reshape(-1, 3)
    top = int(np.iinfo(pixels.dtype).max)
    codes = (some >> (8 if top > 255 else 0)).astype(np.int32)
    counts = [np.bincount(codes[:, c] * bins // 256, minlength=bins) for c in range(3)]
    return {
        "mean": round(float(some.mean()) / top, 4),
        "clipped": round(float((codes >= 255).any(axis=1).mean()), 5),
        "black": round(float((codes == 0).all(axis=1).mean()), 5),
        "histogram": [[round(float(n) / len(some), 5) for n in row] for row in counts],
    }


def _within(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise ValueError(f"{name} is {value:g}; expected {low:g} to {high:g}")
