"""Errors of an output against a reference, as the papers define them.

The one thing to know: everything is computed in float64 over the flattened tensors, and for data
with a large common offset of V it is honest to subtract that offset from both first: a raw cosine
hides errors.
Source: SageAttention (arXiv 2410.02367), section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Errors:
    """Cosine similarity, relative L1, root mean square error and relative L2 of one output."""

    cosine: float
    relative_l1: float
    rmse: float
    relative_l2: float


def errors(out: Tensor, reference: Tensor) -> Errors:
    """All four figures of `out` against `reference` (same shape)."""
    return Errors(
        cosine(out, reference),
        relative_l1(out, reference),
        rmse(out, reference),
        relative_l2(out, reference),
    )


def cosine(out: Tensor, reference: Tensor) -> float:
    """Σ O·R / (√ΣO² · √ΣR²); 1 if both are zero, 0 if one is."""
    a, b = _pair(out, reference)
    sizes = a.norm(), b.norm()
    if 0 in sizes:
        return float(sizes[0] == sizes[1])
    return ((a / sizes[0]) @ (b / sizes[1])).item()


def relative_l1(out: Tensor, reference: Tensor) -> float:
    """Σ |O − R| / Σ |R|; 0 if both are zero, infinite if only R is."""
    a, b = _pair(out, reference)
    return _ratio((a - b).abs().sum(), b.abs().sum())


def rmse(out: Tensor, reference: Tensor) -> float:
    """√(mean (O − R)²)."""
    a, b = _pair(out, reference)
    return (a - b).square().mean().sqrt().item()


def relative_l2(out: Tensor, reference: Tensor) -> float:
    """‖O − R‖₂ / ‖R‖₂; 0 if both are zero, infinite if only R is."""
    a, b = _pair(out, reference)
    return _ratio((a - b).norm(), b.norm())


def _pair(out: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    if out.shape != reference.shape:
        raise ValueError(
            f"out has shape {list(out.shape)}; expected that of reference, {list(reference.shape)}"
        )
    a, b = (x.detach().to(torch.float64).flatten() for x in (out, reference))
    return a, b


def _ratio(above: Tensor, below: Tensor) -> float:
    if below == 0:
        return 0.0 if above == 0 else torch.inf
    return (above / below).item()
