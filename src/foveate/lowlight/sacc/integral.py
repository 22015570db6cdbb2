"""Bends, curves and pictures: the fixed arithmetic around the network, all of it differentiable.

The one thing to know: a curve is a table of 256 values; everything here is linear in the bends but
for the scaling to 1 and the look-up. Formulae: see `curve.py`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 256
THUMBNAIL = 16  # pixels a side that the network sees
DEAD = 1e-6  # a curve that ends lower than this before scaling says nothing
_SAMPLES = 512  # pixels a side that are averaged at most; more only cost time


def integration_matrix(degree: int = 2, levels: int = LEVELS) -> Tensor:
    """The fixed linear map from bends to a curve: suffix sums, then one prefix sum.

    For degree 2 it is A[k, j] = min(k, j + 1).

    Args:
        degree: 1 gives curves that rise, 2 that are concave as well, 3 whose slope is convex too.
        levels: Values of the curve.

    Returns:
        float32 `[levels, levels - 1]`.
    """
    n = levels - 1
    prefix = torch.ones(levels, n, dtype=torch.float64).tril(-1)  # c_k = Σ_{i < k}
    suffix = torch.ones(n, n, dtype=torch.float64).triu()
    matrix = prefix
    for _ in range(degree - 1):
        matrix = matrix @ suffix
    return matrix.float()


def integrate(bends: Tensor, degree: int = 2) -> Tensor:
    """Curves before scaling, by running sums; the same as `bends @ integration_matrix(degree).T`.

    Args:
        bends: Non-negative, `[..., levels - 1]`; summed in float32 (float16 would overflow).
        degree: As in `integration_matrix`.

    Returns:
        `[..., levels]`, the first value 0.
    """
    slopes = bends if bends.dtype == torch.float64 else bends.float()
    for _ in range(degree - 1):
        slopes = slopes.flip(-1).cumsum(-1).flip(-1)
    return F.pad(slopes.cumsum(-1), (1, 0))


def normalise(curve: Tensor) -> Tensor:
    """Scale curves to end at 1; one that is zero everywhere becomes the identity.

    Args:
        curve: From `integrate`, `[..., levels]`.
    """
    straight = torch.linspace(0, 1, curve.shape[-1], device=curve.device, dtype=curve.dtype)
    last = curve[..., -1:]
    return torch.where(last >= DEAD, curve / last.clamp(min=DEAD), straight)


def thumbnail(image: Tensor, mode: str = "area", size: int = THUMBNAIL) -> Tensor:
    """What the network sees of a picture of any size, at a cost that does not grow with it.

    Args:
        image: `[B, 3, H, W]` in [0, 1].
        mode: "nearest" takes one pixel for each (as published), "area" averages up to 32 × 32
            pixels for each, which noise disturbs less.
        size: Pixels a side.

    Returns:
        `[B, 3, size, size]`.
    """
    if mode == "nearest":
        return F.interpolate(image, (size, size), mode="nearest")
    steps = [max(1, side // _SAMPLES) for side in image.shape[-2:]]
    return F.adaptive_avg_pool2d(image[..., :: steps[0], :: steps[1]], size)


def apply_curve(image: Tensor, curve: Tensor, lookup: str = "linear") -> Tensor:
    """Look every pixel up in its picture's curve.

    Args:
        image: `[B, C, H, W]`; values outside [0, 1] are clamped.
        curve: `[B, C, levels]`, or `[B, 1, levels]` for one curve on all channels.
        lookup: "linear" between levels (also lets gradients through to the image), or "floor", the
            level below, as published. Both agree on values k / (levels - 1).

    Returns:
        `[B, C, H, W]` in the image's dtype.
    """
    top = curve.shape[-1] - 1
    at = image.float().clamp(0, 1) * top
    # k / 255 * 255 may fall a rounding error short of k, and must still find level k
    index = (at.detach() + 1e-3).floor().long().clamp_(max=top)
    table = curve.float().expand(-1, image.shape[1], -1)
    low = table.gather(2, index.flatten(2)).view_as(at)
    if lookup == "floor":
        return low.to(image.dtype)
    share = at - index
    share = share * (share > 1e-3)
    high = table.gather(2, (index + 1).clamp_(max=top).flatten(2)).view_as(at)
    return (low + share * (high - low)).to(image.dtype)


def ev_mixture(curve: Tensor) -> tuple[Tensor, Tensor]:
    """Any concave curve as a mixture of clipped exposure gains.

    Args:
        curve: From 0 to 1, `[..., levels]`.

    Returns:
        EV of each component, log2(top / (j + 1)), `[levels - 1]`, and weights `[..., levels - 1]`.
    """
    top = curve.shape[-1] - 1
    slopes = curve.diff(dim=-1)
    bends = torch.cat([slopes[..., :-1] - slopes[..., 1:], slopes[..., -1:]], -1)
    j = torch.arange(1, top + 1, device=curve.device, dtype=curve.dtype)
    mixture = (bends * j).clamp(min=0)
    return (top / j).log2(), mixture / mixture.sum(-1, keepdim=True)


def ev_push(curve: Tensor) -> Tensor:
    """By how many EV a curve pushes, on average over its mixture; `[...]` of `[..., levels]`."""
    ev, mixture = ev_mixture(curve)
    return (mixture * ev).sum(-1)


def bend_penalty(bends: Tensor) -> Tensor:
    """Mean of max(0, q_{j+1} − q_j): asks the bending to fade with brightness.

    Args:
        bends: `[..., levels - 1]`.
    """
    return F.relu(bends.diff(dim=-1)).mean()
