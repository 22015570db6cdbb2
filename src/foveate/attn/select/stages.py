"""The two stages of video sparse attention and the sum of them, with any way to attend over blocks.

The one thing to know: `attend` decides whether this has a gradient and in which precision the fine
stage is; the coarse stage is small, exact, and torch's own.
Source: Video Sparse Attention (arXiv 2505.13389), section 2.2; the merge of `correct` is our own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from ..layouts.blocks import BlockLayout

if TYPE_CHECKING:
    from .vsa import VSA

Attend = Callable[[Tensor, Tensor, Tensor, BlockLayout, Tensor | None], tuple[Tensor, Tensor]]
"""Attention over blocks: q, k, v, layout, mask → out, lse."""


def stages(
    select: VSA,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float,
    attend: Attend,
    coarse: Tensor | float,
    fine: Tensor | float,
    layout: BlockLayout | None = None,
) -> tuple[Tensor, Tensor]:
    """Both stages, joined. Differentiable if `attend` is.

    Args:
        select: Grids, cubes and options.
        q: Queries, `[B, Hq, Lq, D]`.
        k: Keys, `[B, Hk, Lk, D]`.
        v: Values, `[B, Hk, Lk, Dv]`.
        scale: Factor of all scores.
        attend: Attention over blocks of slots.
        coarse: G_c, broadcasts to out; the number 0 leaves the stage out.
        fine: G_f, broadcasts to out.
        layout: Cubes to visit instead of choosing.

    Returns:
        out `[B, Hq, Lq, Dv]` and lse of the fine stage `[B, Hq, Lq]`.
    """
    keys = select.keys
    rows = select.arrange(q, k, v)
    means = None
    if layout is None or select.correct or _adds(coarse):
        means = select.means(*rows)
    if layout is None:
        layout = select.choose(means[0].detach(), means[1].detach(), scale)
    filled = None if keys.exact else keys.filled(q.device).view(1, 1, 1, -1)
    out, lse = attend(*rows, layout, filled)
    if select.correct:
        rest = BlockLayout.from_dense(
            ~layout.to_dense(), (layout.block[0], 1), (layout.lengths[0], keys.number)
        )
        bias = keys.sizes(q.device).to(lse.dtype).log().view(1, 1, 1, -1)
        stand_ins = (x.to(q.dtype) for x in means[1:])
        out, lse = _merged(out, lse, *attend(rows[0], *stand_ins, rest, bias))
    out, lse = select.restore(out, lse)
    if isinstance(fine, Tensor) or fine != 1:
        out = (out * fine).to(q.dtype)
    if _adds(coarse):
        bias = select.log_sizes(means[0])
        bias = None if bias is None else bias.unsqueeze(0)
        looked = scaled_dot_product_attention(
            *means, attn_mask=bias, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        out = _add(select, out, coarse, looked.to(out.dtype))
    return out, lse


def _add(select: VSA, out: Tensor, gate: Tensor | float, coarse: Tensor) -> Tensor:
    """out + gate ∘ the coarse output of each token's cube."""
    if torch.is_grad_enabled() and (
        out.requires_grad or coarse.requires_grad or getattr(gate, "requires_grad", False)
    ):
        return out + (gate * select.queries.lift(coarse)).to(out.dtype)
    # without a graph nothing of the size of out is made: a portion of the tokens at a time
    number = select.queries.places(out.device) // select.queries.volume
    by_token = isinstance(gate, Tensor) and gate.dim() > 1 and gate.shape[-2] > 1
    for start in range(0, out.shape[2], 4096):
        rows = slice(start, start + 4096)
        own = gate[..., rows, :] if by_token else gate
        out[:, :, rows] += (own * coarse.index_select(2, number[rows])).to(out.dtype)
    return out


def _adds(gate: Tensor | float) -> bool:
    return isinstance(gate, Tensor) or gate != 0


def _merged(a: Tensor, lse_a: Tensor, b: Tensor, lse_b: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over two sets of keys from that over each; the first is never empty."""
    lse = torch.logaddexp(lse_a, lse_b)
    share = (lse_b - lse).exp().unsqueeze(-1).to(a.dtype)
    return a + share * (b - a), lse
