"""Cases of the contract: shapes, rules and memory orders that every backend must serve."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from foveate.attn.backends import BACKENDS, backend_named
from foveate.attn.backends.base import Request
from foveate.attn.layouts import Band
from foveate.attn.layouts.bands import band_mask
from foveate.attn.precision import Native, Precision


@dataclass(frozen=True)
class Shape:
    """Sizes of one call; `order` says how q, k and v lie in memory."""

    batch: int = 1
    q_heads: int = 2
    kv_heads: int = 2
    q_length: int = 64
    k_length: int = 64
    dim: int = 64
    v_dim: int | None = None
    order: str = "heads"  # heads | tokens (a transposed [B, L, H, D]) | offset (a slice of more)

    def __str__(self) -> str:
        v_dim = f"-Dv{self.v_dim}" if self.v_dim else ""
        return (
            f"B{self.batch}-Hq{self.q_heads}-Hk{self.kv_heads}-Lq{self.q_length}-Lk{self.k_length}"
            f"-D{self.dim}{v_dim}-{self.order}"
        )

    def tensors(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
        """N(0, 1) data with a bias on some channels of K, as real models have."""
        q = _lay(torch.randn(self.batch, self.q_heads, self.q_length, self.dim), self.order, dtype)
        k = torch.randn(self.batch, self.kv_heads, self.k_length, self.dim)
        k[..., : self.dim // 8] += 2
        v = torch.randn(self.batch, self.kv_heads, self.k_length, self.v_dim or self.dim)
        return q, _lay(k, self.order, dtype), _lay(v, self.order, dtype)


def _lay(x: Tensor, order: str, dtype: torch.dtype) -> Tensor:
    """The same values in another memory order."""
    x = x.to(dtype)
    batch, heads, length, dim = x.shape
    if order == "tokens":
        return x.transpose(1, 2).contiguous().transpose(1, 2)
    if order == "offset":  # every stride is larger than it need be, and nothing starts at 0
        room = torch.full((batch, heads + 1, length + 3, dim + 5), float("nan"), dtype=dtype)
        room[:, 1:, 2 : 2 + length, 3 : 3 + dim] = x
        return room[:, 1:, 2 : 2 + length, 3 : 3 + dim]
    return x


HEADS = Shape(batch=2, q_heads=4, kv_heads=4, q_length=111, k_length=111)
SHAPES = [
    HEADS,
    Shape(batch=2, q_heads=8, kv_heads=2, q_length=111, k_length=129, dim=64),
    Shape(q_heads=6, kv_heads=1, q_length=63, k_length=300, dim=64),
    Shape(q_length=1, k_length=1, dim=8),
    Shape(q_length=1, k_length=300, dim=128),
    Shape(q_length=5, k_length=63, dim=40),
    Shape(q_length=300, k_length=129, dim=96),
    Shape(q_length=129, k_length=257, dim=128),
    Shape(q_length=65, k_length=130, dim=256),
    Shape(q_length=70, k_length=129, dim=64, v_dim=40),
    Shape(q_length=70, k_length=129, dim=40, v_dim=128),
    Shape(q_length=33, k_length=66, dim=72, v_dim=1),
    Shape(batch=2, q_heads=4, kv_heads=2, q_length=129, k_length=129, order="tokens"),
    Shape(batch=2, q_heads=4, kv_heads=2, q_length=111, k_length=63, order="offset"),
]


def backends(precision: Precision | None = None, dtype: torch.dtype = torch.float32) -> list[str]:
    """The backends that can run a small call of this precision here."""
    recipe = (precision or Native()).recipe(64)
    cpu = torch.device("cpu")
    request = Request(recipe, 1, 1, 1, 64, 64, 64, 64, dtype, cpu, 0.125, None, None)
    return [name for name in BACKENDS if backend_named(name).refuses(request) is None]


def dense(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    causal: bool = False,
    scale: float | None = None,
    mask: Tensor | None = None,
    pairs: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Attention in float64, written as plainly as can be: the judge of all others.

    Args:
        q, k, v: As for `foveate.attention`.
        causal, scale, mask: The same.
        pairs: Visible pairs, bool, broadcastable to `[B, Hq, Lq, Lk]`.

    Returns:
        out `[B, Hq, Lq, Dv]` and lse `[B, Hq, Lq]`, float64.
    """
    groups = q.shape[1] // k.shape[1]
    q, k, v = q.double(), *(x.double().repeat_interleave(groups, 1) for x in (k, v))
    scores = (q @ k.transpose(-1, -2)) * (q.shape[-1] ** -0.5 if scale is None else scale)
    visible = torch.ones(1, 1, q.shape[2], k.shape[2], dtype=torch.bool)
    if causal:
        visible = visible & band_mask(Band(after=0), (q.shape[2], k.shape[2]))
    if pairs is not None:
        visible = visible & pairs
    if mask is not None and mask.dtype == torch.bool:
        visible = visible & mask
    elif mask is not None:
        scores = scores + mask
    scores = scores.masked_fill(~visible, float("-inf"))
    lse = scores.logsumexp(-1)
    empty = lse.isinf() & (lse < 0)
    weights = (scores - lse.masked_fill(empty, 0).unsqueeze(-1)).exp()
    return weights @ v, lse


def check_native(out: Tensor, exact: Tensor, low: Tensor, floor: float = 2e-6) -> None:
    """|out − exact| ≤ 2 · |what torch makes in the same dtype − exact| + floor, by the largest."""
    error, allowed = (out.double() - exact).abs().max(), (low.double() - exact).abs().max()
    assert error <= 2 * allowed + floor, f"off by {error:.2e}; torch is off by {allowed:.2e}"


def relative_l1(out: Tensor, exact: Tensor) -> float:
    return float((out.double() - exact).abs().sum() / exact.abs().sum().clamp(min=1e-30))


def cosine(out: Tensor, exact: Tensor) -> float:
    a, b = out.double().flatten(), exact.flatten()
    return float(a @ b / (a.norm() * b.norm()).clamp(min=1e-30))
