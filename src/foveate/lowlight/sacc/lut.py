"""The fast path: a curve as a look-up table on arrays of files, 8 and 16 bits deep.

The one thing to know: the network sees a thumbnail and the picture meets one table, so 1080p costs
a few milliseconds, and the result on 8 bits is exactly that of the tensor path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .curve import ConcaveCurve

LUMA = (0.299, 0.587, 0.114)


def lut_uint8(curve: Tensor) -> np.ndarray:
    """Tables for 8-bit pictures.

    Args:
        curve: `[C, 256]` from 0 to 1.

    Returns:
        uint8 `[256, C]`.
    """
    table = (curve.detach().float() * 255).round().clamp(0, 255).byte()
    return np.ascontiguousarray(table.cpu().numpy().T)


def lut_uint16(curve: Tensor) -> np.ndarray:
    """Tables for 16-bit pictures: straight lines between the curve's 256 values.

    Args:
        curve: `[C, 256]` from 0 to 1.

    Returns:
        uint16 `[65536, C]`.
    """
    levels = np.arange(65536, dtype=np.float64) / 257  # 257 = 65535 / 255
    knots = np.arange(256)
    rows = [np.interp(levels, knots, row) for row in curve.detach().double().cpu().numpy()]
    return np.rint(np.stack(rows, 1) * 65535).astype(np.uint16)


def apply_lut(picture: np.ndarray, curve: Tensor) -> np.ndarray:
    """Re-expose a picture by its curve.

    Args:
        picture: uint8 or uint16 `[H, W, 3]`.
        curve: `[3, 256]`, or `[1, 256]` for all channels.

    Returns:
        The same shape and dtype.

    Raises:
        TypeError: The picture has another dtype.
        ValueError: The picture has another shape.
    """
    _check(picture)
    if picture.dtype == np.uint8:
        return _lut8(picture, lut_uint8(curve))
    table = lut_uint16(curve)
    if table.shape[1] == 1:
        return table[:, 0].take(picture)
    return np.stack([table[:, c].take(picture[..., c]) for c in range(3)], -1)


def apply_luma(picture: np.ndarray, curve: Tensor) -> np.ndarray:
    """Re-expose by one curve on luma, and scale R, G, B alike: colours keep their ratios.

    Where a channel would pass white it stays white, so bright colours fade a little.

    Args:
        picture: uint8 or uint16 `[H, W, 3]`.
        curve: `[1, 256]`; of `[3, 256]` the mean is taken.

    Returns:
        The same shape and dtype.
    """
    _check(picture)
    top = 255 if picture.dtype == np.uint8 else 65535
    values = curve.detach().float().mean(0).cpu().numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = values[1:] / (np.arange(1, 256, dtype=np.float32) / 255)
    ratio = np.concatenate([ratio[:1], ratio])  # black stays black whatever it is scaled by
    x = picture.astype(np.float32)
    luma = x @ np.asarray(LUMA, np.float32)
    scale = np.interp(luma * (255 / top), np.arange(256), ratio).astype(np.float32)
    return np.rint(np.minimum(x * scale[..., None], top)).astype(picture.dtype)


def curve_of(model: ConcaveCurve, picture: np.ndarray) -> Tensor:
    """The curve that a trained model gives a picture.

    Args:
        model: The model; any mode, any device.
        picture: uint8 or uint16 `[H, W, 3]`.

    Returns:
        float32 `[3 or 1, 256]` on the CPU.
    """
    _check(picture)
    # of a big picture only every n-th row and column is looked at; see `integral.thumbnail`
    top = 255 if picture.dtype == np.uint8 else 65535
    if picture.dtype == np.uint16:
        picture = picture.astype(np.int32)  # torch has few operations on uint16
    image = torch.from_numpy(np.ascontiguousarray(_thin(model, picture)))
    image = image.permute(2, 0, 1)[None].float() / top
    with torch.no_grad():
        return model.curve(image.to(model.head.weight.device))[0].cpu()


def enhance_array(
    model: ConcaveCurve, picture: np.ndarray, strength: float = 1.0, dither: bool = False
) -> np.ndarray:
    """The whole call: predict the curve of a picture and apply it.

    Args:
        model: A trained curve.
        picture: uint8 or uint16 `[H, W, 3]`.
        strength: 0 changes nothing, 1 is the curve, between them a mixture of both.
        dither: Add up to half a level of noise before the look-up, which hides the bands that a
            strong push of 8 bits leaves. The noise is the same for every call.

    Returns:
        The same shape and dtype.
    """
    curve = blend(curve_of(model, picture), strength)
    if not dither or picture.dtype != np.uint8:
        return apply_lut(picture, curve)
    noise = np.random.default_rng(0).integers(-128, 129, picture.shape, dtype=np.int32)
    deep = np.clip(picture.astype(np.int32) * 257 + noise, 0, 65535).astype(np.uint16)
    return np.rint(apply_lut(deep, curve) / 257.0).astype(np.uint8)


def blend(curve: Tensor, strength: float) -> Tensor:
    """Between the identity (0) and a curve (1); up to 2 goes beyond it, as far as white allows.

    Args:
        curve: `[C, 256]` from 0 to 1.
        strength: In [0, 2].
    """
    if not 0 <= strength <= 2:
        raise ValueError(f"strength is {strength}; expected a number from 0 to 2")
    straight = torch.linspace(0, 1, curve.shape[-1])
    if strength <= 1:
        return straight + strength * (curve - straight)
    twice = _through(curve, curve)  # the curve once more on its own result; concave as well
    return curve + (strength - 1) * (twice - curve)


class CurveTracker:
    """Curves over the frames of a video, without flicker.

    A curve is predicted every `every` frames and joins an exponential moving average.

    Args:
        model: A trained curve.
        alpha: Weight of the newest curve; 1 follows every frame at once.
        every: Frames from one prediction to the next.
    """

    def __init__(self, model: ConcaveCurve, alpha: float = 0.2, every: int = 1) -> None:
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha is {alpha}; expected a weight in (0, 1]")
        if every < 1:
            raise ValueError(f"every is {every}; expected at least 1 frame")
        self.model, self.alpha, self.every = model, alpha, every
        self.reset()

    def reset(self) -> None:
        """Forget; to be called at a cut."""
        self.seen = 0
        self.curve: Tensor | None = None

    def step(self, frame: np.ndarray) -> Tensor:
        """The curve for the next frame, `[3 or 1, 256]`."""
        if self.seen % self.every == 0:
            new = curve_of(self.model, frame)
            old = self.curve
            self.curve = new if old is None else old + self.alpha * (new - old)
        self.seen += 1
        return self.curve


def _lut8(picture: np.ndarray, table: np.ndarray) -> np.ndarray:
    try:
        import cv2
    except ModuleNotFoundError:
        if table.shape[1] == 1:
            return table[:, 0].take(picture)
        return np.stack([table[:, c].take(picture[..., c]) for c in range(3)], -1)
    return cv2.LUT(picture, table[None] if table.shape[1] == 3 else table)


def _thin(model: ConcaveCurve, picture: np.ndarray) -> np.ndarray:
    """Fewer pixels before they become floats; the thumbnail of them is the picture's own."""
    if model.downsample == "nearest":
        rows, columns = (np.arange(16) * s // 16 for s in picture.shape[:2])
        return picture[rows][:, columns]
    steps = [max(1, s // 512) for s in picture.shape[:2]]
    return picture[:: steps[0], :: steps[1]]


def _through(outer: Tensor, inner: Tensor) -> Tensor:
    at = inner.clamp(0, 1) * (outer.shape[-1] - 1)
    low = at.floor().long().clamp(max=outer.shape[-1] - 2)
    share = at - low
    return outer.gather(-1, low) * (1 - share) + outer.gather(-1, low + 1) * share


def _check(picture: Any) -> None:
    if not isinstance(picture, np.ndarray) or picture.dtype not in (np.uint8, np.uint16):
        kind = getattr(picture, "dtype", type(picture).__name__)
        raise TypeError(f"picture is {kind}; expected a numpy array of uint8 or uint16")
    if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ValueError(f"picture is {list(picture.shape)}; expected [H, W, 3]")
