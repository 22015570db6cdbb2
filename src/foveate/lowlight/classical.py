"""Label-free fixed enhancements: what every learnt curve has to beat.

All but `equalise` and `clahe` are tone curves of one number, so they are given as curves too
(`[B, C, 256]`) and share the fast path of SACC. `mean_scaling` is the strong one: one gain per
picture, so that its mean becomes 0.45.

The one thing to know: all of them act on encoded sRGB values, as a program that meets a dark JPEG
would.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

TARGET_MEAN = 0.45
MAX_GAIN = 255.0


def gamma(image: Tensor, power: float = 2.2) -> Tensor:
    """x^(1 / power).

    Args:
        image: `[B, 3, H, W]` in [0, 1].
        power: At least 1 to brighten.
    """
    return image.clamp(0, 1) ** (1 / power)


def hyperbola(image: Tensor, a: float = 0.1) -> Tensor:
    """(1 + a) x / (x + a): slope (1 + a) / a at black, 1 at white; small a brightens more.

    Args:
        image: `[B, 3, H, W]` in [0, 1].
        a: Positive.
    """
    x = image.clamp(0, 1)
    return (1 + a) * x / (x + a)


def gain(image: Tensor, factor: float | Tensor) -> Tensor:
    """min(factor · x, 1).

    Args:
        image: `[B, 3, H, W]` in [0, 1].
        factor: A number, or a tensor that broadcasts, e.g. `[B, 1, 1, 1]`.
    """
    return (image * factor).clamp(0, 1)


def mean_scaling(image: Tensor, target: float = TARGET_MEAN) -> Tensor:
    """One gain per picture that brings its mean to `target` (before clipping at white).

    Args:
        image: `[B, 3, H, W]` in [0, 1].
        target: The mean aimed at; never darkens.
    """
    return gain(image, _factor(image.mean((1, 2, 3), keepdim=True), target))


def channel_scaling(image: Tensor, target: float = TARGET_MEAN) -> Tensor:
    """As `mean_scaling`, each channel by itself: removes casts of colour, and real colour too.

    Args:
        image: `[B, 3, H, W]` in [0, 1].
        target: The mean aimed at in every channel.
    """
    return gain(image, _factor(image.mean((2, 3), keepdim=True), target))


def equalise(image: Tensor, levels: int = 256) -> Tensor:
    """Histogram equalisation of each channel.

    Args:
        image: `[B, 3, H, W]` in [0, 1].
        levels: Bins of the histogram.
    """
    b, c = image.shape[:2]
    codes = (image.clamp(0, 1) * (levels - 1)).round().long().flatten(2)
    rows = codes + levels * torch.arange(b * c, device=image.device).view(b, c, 1)
    counts = torch.bincount(rows.flatten(), minlength=b * c * levels).view(b, c, levels)
    total = counts.cumsum(-1).to(image.dtype)
    first = total.gather(2, codes.amin(-1, keepdim=True))  # the darkest level goes to 0
    table = (total - first) / (total[..., -1:] - first).clamp(min=1)
    return table.clamp(0, 1).gather(2, codes).view_as(image)


def clahe(image: Tensor, limit: float = 2.0, tiles: int = 8) -> Tensor:
    """Contrast-limited adaptive equalisation of the lightness (OpenCV's, in CIE Lab).

    Args:
        image: `[B, 3, H, W]` in [0, 1].
        limit: OpenCV's clipLimit.
        tiles: Tiles a side.

    Raises:
        ModuleNotFoundError: OpenCV is not installed.
    """
    import cv2
    import numpy as np

    worker = cv2.createCLAHE(limit, (tiles, tiles))
    done = []
    codes = (image.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    for picture in codes:
        lab = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2LAB)
        lab[..., 0] = worker.apply(np.ascontiguousarray(lab[..., 0]))
        done.append(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))
    stack = torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2)
    return (stack.to(image.dtype) / 255).to(image.device)


def tone_curve(kind: str, amount: float, levels: int = 256) -> Tensor:
    """A fixed curve as a table: "gamma", "hyperbola" or "gain"; `[levels]` from 0 to 1."""
    x = torch.linspace(0, 1, levels)
    match kind:
        case "gamma":
            return gamma(x, amount)
        case "hyperbola":
            return hyperbola(x, amount)
        case "gain":
            return gain(x, amount)
    raise ValueError(f'kind is "{kind}"; expected gamma, hyperbola or gain')


BASELINES: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "gamma 1.5": lambda x: gamma(x, 1.5),
    "gamma 2": lambda x: gamma(x, 2.0),
    "gamma 2.2": lambda x: gamma(x, 2.2),
    "gamma 3": lambda x: gamma(x, 3.0),
    "gamma 4": lambda x: gamma(x, 4.0),
    "hyperbola 0.03": lambda x: hyperbola(x, 0.03),
    "hyperbola 0.1": lambda x: hyperbola(x, 0.1),
    "hyperbola 0.3": lambda x: hyperbola(x, 0.3),
    "mean scaling": mean_scaling,
    "channel scaling": channel_scaling,
    "equalisation": equalise,
    "CLAHE": clahe,
}
"""Every arm that a learnt curve is compared with; each takes and returns `[B, 3, H, W]`."""


def _factor(mean: Tensor, target: float) -> Tensor:
    return (target / mean.clamp(min=1e-6)).clamp(1.0, MAX_GAIN)
