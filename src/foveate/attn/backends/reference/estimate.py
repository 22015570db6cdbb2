"""Estimates: what selections ask before they choose, written plainly.

The one thing to know: nothing here is as large as queries × keys. Inputs are converted to float32
(or stay float64) before anything is summed, so float16 sums cannot overflow.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

CELLS = 1 << 24
"""Cells of the strided map that are held at once (64 MiB in float32)."""


def block_means(
    x: Tensor, rows: int, mean: Tensor | None = None, likeness: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Mean of each block of rows, and how alike its rows are; see `Backend.block_means`.

    likeness(X) = |1/n · Σ xₐ/|xₐ||² = 1/n² · Σ_ab ⟨xₐ/|xₐ|, x_b/|x_b|⟩: the mean cosine of all
    pairs without making the pairs. Source: SpargeAttn (arXiv 2502.18137), section 3.2.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    if mean is not None:
        x = x.to(dtype) - mean.to(dtype)
    means = _mean_of_blocks(x, rows).to(dtype)
    if not likeness:
        return means, None
    x = x.to(dtype)
    length = x.norm(dim=-1, keepdim=True)
    directions = (x / length).masked_fill(length == 0, 0)
    return means, _mean_of_blocks(directions, rows).square().sum(-1).to(dtype)


def _mean_of_blocks(x: Tensor, rows: int) -> Tensor:
    """`[B, H, L, D]` to float64 `[B, H, n, D]`; the last block is averaged over what it has."""
    whole = x.shape[2] // rows * rows
    parts = [x[:, :, :whole].unflatten(2, (-1, rows)).mean(3, dtype=torch.float64)]
    if whole < x.shape[2]:
        parts.append(x[:, :, whole:].mean(2, keepdim=True, dtype=torch.float64))
    return torch.cat(parts, dim=2)


def antidiagonal(
    q: Tensor, k: Tensor, *, factor: float, stride: int, block: int, causal: bool
) -> Tensor:
    """Softmax mass of each pair of blocks from strided antidiagonals; see `Backend.antidiagonal`.

    A row of groups of queries is the S tokens of the group, last first, side by side; a row of
    groups of keys is its S tokens in order. Their product sums the antidiagonal of the cell.
    Source: XAttention (arXiv 2503.16428), section 2.1 and algorithm 1.
    """
    dtype = torch.promote_types(q.dtype, torch.float32)
    (batch, q_heads, q_length), (kv_heads, k_length) = q.shape[:3], k.shape[1:3]
    offset = k_length - q_length
    first = offset // stride  # the group of the first query; groups begin at multiples of stride
    ahead = offset - first * stride
    queries, has_query = _groups(q.to(dtype), stride, ahead)
    keys, has_key = _groups(k.to(dtype), stride, 0)
    queries, has_query = queries.flip(3), has_query.flip(1)
    rows, columns = len(has_query), len(has_key)

    q_sums = _RowSums(q_length, block, stride, ahead, q.device)
    mass = queries.new_zeros(batch, q_heads, len(q_sums), -(-k_length // block))
    keys = keys.flatten(3).transpose(-1, -2).unsqueeze(2)  # [B, Hk, 1, S·D, columns]
    queries = queries.flatten(3).unflatten(1, (kv_heads, -1))  # [B, Hk, G, rows, S·D]
    step = max(1, CELLS // max(1, batch * q_heads * columns))
    for top in range(0, rows, step):
        part = slice(top, top + step)
        pairs = has_query[part].to(dtype) @ has_key.to(dtype).t()  # pairs that exist in each cell
        logits = (queries[:, :, :, part] @ keys) * (factor / pairs.clamp(min=1))
        hidden = pairs == 0
        if causal:
            group = torch.arange(first + top, first + top + len(pairs), device=q.device)
            hidden = hidden | (torch.arange(columns, device=q.device) > group.unsqueeze(1))
        share = logits.masked_fill_(hidden, float("-inf")).softmax(-1)
        share = share.masked_fill(hidden.all(-1, keepdim=True), 0)  # no key in sight: no mass
        share = pad(share, (0, -columns % (block // stride)))
        q_sums.add(mass, share.unflatten(-1, (-1, block // stride)).sum(-1).flatten(1, 2), top)
    return mass


def _groups(x: Tensor, stride: int, ahead: int) -> tuple[Tensor, Tensor]:
    """Tokens in groups of `stride`, `ahead` places of the first group being empty.

    Returns:
        Values with zeros where no token is, `[B, H, n, S, D]`, and where a token is, `[n, S]`.
    """
    length = x.shape[2]
    behind = -(ahead + length) % stride
    there = torch.ones(length, dtype=torch.bool, device=x.device)
    return (
        pad(x, (0, 0, ahead, behind)).unflatten(2, (-1, stride)),
        pad(there, (ahead, behind)).unflatten(0, (-1, stride)),
    )


class _RowSums:
    """Adds rows of groups to the blocks of queries that have a token in them.

    A group that lies across the border of two blocks counts in both (only where Lk − Lq is not a
    multiple of the stride).
    """

    def __init__(self, length: int, block: int, stride: int, ahead: int, device) -> None:
        start = torch.arange(0, length, block, device=device)
        last = (start + block).clamp(max=length) - 1
        self.first, self.last = (start + ahead) // stride, (last + ahead) // stride

    def __len__(self) -> int:
        return len(self.first)

    def add(self, mass: Tensor, share: Tensor, top: int) -> None:
        """Add rows top, top + 1, … of shares `[B, H, n, nK]` to mass `[B, H, nQ, nK]`."""
        group = torch.arange(top, top + share.shape[2], device=share.device)
        inside = (group >= self.first.unsqueeze(1)) & (group <= self.last.unsqueeze(1))
        mass += inside.to(share.dtype) @ share
