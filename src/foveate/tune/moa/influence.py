"""Influence: how much the loss would change if a head could not see some of its keys.

For one head and one text, with A = softmax(S), O = A·V, g_ij = ∂L/∂A_ij = dO_i·v_j and
δ_i = Σ_n A_in g_in = dO_i·O_i, hiding key j from query i and letting the rest of the row take over
its mass changes the loss, to first order in O, by

    E_ij = A_ij / (1 − A_ij) · (δ_i − g_ij)

and hiding everything but a set of keys K by

    ΔL_i(K) = Σ_K A_ij g_ij / Σ_K A_ij − δ_i,

which is no sum of E_ij: hidden keys share one renormalisation.

The one thing to know: everything is formed for one block of queries at a time, so memory is linear
in the length, and for as many heads at once as fit into `_ROOM`.
Source: MoA (arXiv 2406.14909v3), §4.1, Eq. 3 and 4; the joint form is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SCORES = ("abs", "signed", "joint", "joint_signed")
"""What is summed over pairs or rows: |E|, E, |ΔL_i| of a window, ΔL_i of a window."""
_ROOM = 1 << 23  # numbers in a block of queries × keys × heads; a dozen such tensors live at once


@dataclass(frozen=True, eq=False)
class Influence:
    """One layer's influence, in blocks.

    Args:
        abs: Σ |E| over each pair of blocks, `[Hq, n, n]` (queries × keys).
        signed: Σ E, the same.
        joint: Σ |ΔL_i| over the rows of each block of queries for windows of 1 … n blocks, beside
            the sink, `[Hq, n, n]` (queries × widths).
        joint_signed: Σ ΔL_i, the same.
        sink: Blocks of the sink.
    """

    abs: Tensor
    signed: Tensor
    joint: Tensor
    joint_signed: Tensor
    sink: int

    def windows(self, score: str) -> Tensor:
        """Loss of every width of the window, `[Hq, n + 1]`: entry w is for w blocks.

        Args:
            score: One of `SCORES`.

        Raises:
            ValueError: score is none of them.
        """
        if score not in SCORES:
            raise ValueError(f'score is "{score}"; expected one of {", ".join(SCORES)}')
        table = getattr(self, score)
        if score.startswith("joint"):
            return F.pad(table.sum(1), (1, 0))  # a window of no blocks is never asked for
        return window_losses(table, self.sink)


def influence(
    q: Tensor, k: Tensor, v: Tensor, d_out: Tensor, scale: float, block: int = 64, sink: int = 1
) -> Influence:
    """Influence of one causal layer.

    Args:
        q: Queries, `[Hq, L, D]`.
        k: Keys, `[Hk, L, D]`.
        v: Values, `[Hk, L, Dv]`.
        d_out: ∂L/∂O, `[Hq, L, Dv]`.
        scale: Factor of the scores.
        block: Rows and columns of a block; the last one may be shorter.
        sink: First blocks that stay visible.
    """
    heads, length = q.shape[:2]
    kv_heads, group, n = k.shape[0], heads // k.shape[0], -(-length // block)
    found = {name: q.new_zeros(heads, n, n) for name in SCORES}
    several = max(1, _ROOM // (group * block * length))
    for first in range(0, kv_heads, several):
        ours = slice(first, min(first + several, kv_heads))
        mine = slice(first * group, ours.stop * group)
        for row in range(n):
            rows = slice(row * block, min((row + 1) * block, length))
            keys = slice(0, rows.stop)
            mass = _mass(_grouped(q[mine, rows], group), k[ours, None, keys], scale)
            grads = _grouped(d_out[mine, rows], group) @ v[ours, None, keys].mT
            mass, grads = mass.flatten(0, 1), grads.flatten(0, 1)  # [heads, rows, keys]
            lost = mass * grads
            delta = lost.sum(-1, keepdim=True)
            gains = _single(mass, grads, delta, first=row == 0)
            found["signed"][mine, row, : row + 1] = _by_block(gains, block).sum(1)
            found["abs"][mine, row, : row + 1] = _by_block(gains.abs_(), block).sum(1)
            parts = _by_block(mass, block), _by_block(lost, block)
            change = _joint(*parts, delta, sink)
            if change is not None:
                widths = change.shape[-1]
                found["joint_signed"][mine, row, :widths] = change.sum(1)
                found["joint"][mine, row, :widths] = change.abs_().sum(1)
    return Influence(**found, sink=sink)


def window_losses(blocks: Tensor, sink: int = 1) -> Tensor:
    """What windows of 0 … n blocks hide, summed: `[..., n, n]` → `[..., n + 1]`.

    A query block i with a window of w blocks sees the blocks i − w < j ≤ i and the first `sink`.

    Args:
        blocks: Influence of pairs of blocks, queries × keys; nothing ahead of the diagonal counts.
        sink: First blocks that stay visible.
    """
    n = blocks.shape[-1]
    hidden = blocks.clone()
    hidden[..., :sink] = 0
    apart = torch.stack(
        [hidden.diagonal(-d, -2, -1).sum(-1) for d in range(n)], dim=-1
    )  # by distance in blocks, [..., n]
    return F.pad(apart.flip(-1).cumsum(-1).flip(-1), (0, 1))


def _grouped(x: Tensor, group: int) -> Tensor:
    """Query heads beside those that share their keys: `[heads, ...]` → `[heads / G, G, ...]`."""
    return x.unflatten(0, (-1, group))


def _mass(q: Tensor, k: Tensor, scale: float) -> Tensor:
    """A of the last queries of some keys, `[..., rows, keys]`."""
    scores = (q @ k.mT).mul_(scale)
    rows = q.shape[-2]
    ahead = torch.ones(rows, rows, dtype=torch.bool, device=q.device).triu_(1)
    scores[..., -rows:].masked_fill_(ahead, float("-inf"))
    return scores.softmax(-1)


def _single(mass: Tensor, grads: Tensor, delta: Tensor, first: bool) -> Tensor:
    """E of single pairs; the first row has one key, and loses all it has: −A·g."""
    rest = (1 - mass).clamp_(min=torch.finfo(mass.dtype).eps)
    gains = (delta - grads).mul_(mass).div_(rest)
    if first:
        gains[:, 0] = -(grads[:, 0] * mass[:, 0])
    return gains


def _joint(mass: Tensor, lost: Tensor, delta: Tensor, sink: int) -> Tensor | None:
    """ΔL_i of windows of 1, 2, … blocks that hide something, `[G, rows, widths]`.

    Args:
        mass: Σ A over each block of keys, `[G, rows, blocks so far]`.
        lost: Σ A·g, the same.
        delta: Σ A·g over all keys, `[G, rows, 1]`.
        sink: First blocks, always visible.
    """
    if mass.shape[-1] <= sink + 1:
        return None  # the narrowest window and the sink are all there is

    def kept(x: Tensor) -> Tensor:
        window = x[..., sink + 1 :].flip(-1).cumsum(-1)
        return window + x[..., :sink].sum(-1, keepdim=True)

    return kept(lost) / kept(mass).clamp_(min=torch.finfo(mass.dtype).tiny) - delta


def _by_block(x: Tensor, block: int) -> Tensor:
    """Sums over blocks of keys, `[G, rows, keys]` → `[G, rows, blocks]`."""
    x = F.pad(x, (0, -x.shape[-1] % block))
    return x.unflatten(-1, (-1, block)).sum(-1)
