"""Response curves: how a camera writes linear light as sRGB code values.

    e = sRGB(x) or x^(1/2.2);   y = (1 − c)·e + c·(3e² − 2e³)

with contrast c in [0, 1]: 0 is the bare encoding, 1 the full S-curve that Brooks et al.,
"Unprocessing Images for Learned Raw Denoising" (CVPR 2019) take for a tone curve. The inverse is
exact, by the trigonometric roots of the cubic, so no table bends the darkest codes.

The one thing to know: a pure power (base "power", contrast 0) is the one curve under which scaling
codes equals scaling light. Measurements of what linearity is worth must not use it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BASES = ("srgb", "power")
GAMMA = 2.2


def encode(x: Tensor, contrast: Tensor | float = 0.0, base: str = "srgb") -> Tensor:
    """Linear light to code values.

    Args:
        x: Linear sRGB, any shape; clipped to [0, 1].
        contrast: Strength of the S-curve, broadcast against x.
        base: "srgb" (piecewise) or "power" (2.2).
    """
    x = x.clamp(0, 1)
    if _base(base) == "power":
        e = x.clamp_min(1e-12) ** (1 / GAMMA)
    else:
        e = torch.where(x <= 0.0031308, 12.92 * x, 1.055 * x.clamp_min(1e-12) ** (1 / 2.4) - 0.055)
    return e + contrast * (e * e * (3 - 2 * e) - e)


def decode(y: Tensor, contrast: Tensor | float = 0.0, base: str = "srgb") -> Tensor:
    """Code values to linear light; the inverse of `encode`."""
    y = y.clamp(0, 1)
    if isinstance(contrast, Tensor):
        # no question to the data here: on a GPU that would wait for all work so far
        e = torch.where(contrast > 0, _uncurved(y, contrast.to(y).clamp_min(1e-3)), y)
    else:
        e = y if contrast == 0 else _uncurved(y, max(contrast, 1e-3))
    if _base(base) == "power":
        return e**GAMMA
    return torch.where(e <= 0.04045, e / 12.92, ((e + 0.055) / 1.055) ** 2.4)


def _uncurved(y: Tensor, c: Tensor | float) -> Tensor:
    """The S-curve's inverse, c ≥ 0.001 (below, the curve is under a tenth of an 8-bit step).

    Around (½, ½) the cubic is t³ − p·t + q = 0 with three real roots; the middle one is ours.
    """
    p, q = (1 + c / 2) / (2 * c), (y - 0.5) / (2 * c)
    root = torch.asin((q / 2 * (3 / p) ** 1.5).clamp(-1, 1)) / 3
    return (0.5 + 2 * (p / 3) ** 0.5 * torch.sin(root)).clamp(0, 1)


def quantise(x: Tensor, bits: int = 8) -> Tensor:
    """Round values in [0, 1] to 2^bits codes, and clip."""
    top = 2**bits - 1
    return (x.clamp(0, 1) * top).round() / top


def tau(x: Tensor, mu: float = 100.0) -> Tensor:
    """sign(x)·log(1 + μ|x|) / log(1 + μ): light on a scale where shadows count like highlights."""
    return x.sign() * torch.log1p(mu * x.abs()) / math.log1p(mu)


def _base(base: str) -> str:
    if base not in BASES:
        raise ValueError(f'unknown base "{base}"; bases are {", ".join(BASES)}')
    return base
