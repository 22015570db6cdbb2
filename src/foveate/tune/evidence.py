"""Evidence: the exact output of any choice of blocks, without running attention again.

For sampled query rows r, each key block J leaves two things: its mass and its contribution,

    mass[r, J] = Σ_{j in J} p_rj,    parts[r, J] = Σ_{j in J} p_rj v_j,

with p the softmax over everything that r may see. Visiting the blocks M then gives exactly

    out[r] = Σ_{J in M} parts[r, J] / Σ_{J in M} mass[r, J],

so thousands of choices are judged with one product each. With mean correction a block J of n keys
that is skipped, but wholly visible, adds n · exp(scale · ⟨q_r, k̄_J⟩) of mass at v̄_J to both sums.

The one thing to know: rows are a sample (`rows` of each block of queries), but for those rows
nothing is approximated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from foveate import Band
from foveate.attn.correct import whole_blocks
from foveate.attn.layouts.rules import pool_blocks

from .capture import Captured

_AT_ONCE = 64  # choices judged together


@dataclass(frozen=True, eq=False)
class Evidence:
    """Masses and contributions of key blocks for sampled rows of one layer.

    Args:
        mass: `[Hq, R, nK]`, each row sums to 1.
        parts: `[Hq, R, nK, Dv]`.
        block_of: Block of queries of each row, int64 `[R]`.
        block: Queries and keys per block.
        spare: Mass that the mean of each skipped block would add, `[Hq, R, nK]`; None without
            correction.
        means: Mean value of each key block, `[Hq, nK, Dv]`; None without correction.
    """

    mass: Tensor
    parts: Tensor
    block_of: Tensor
    block: tuple[int, int]
    spare: Tensor | None = None
    means: Tensor | None = None

    @cached_property
    def exact(self) -> Tensor:
        """Output of dense attention, `[Hq, R, Dv]`."""
        return self.parts.sum(2)

    @property
    def size(self) -> Tensor:
        """Σ |out| of each head over the sampled rows, `[Hq]`."""
        return self.exact.abs().sum((1, 2))

    def block_mass(self) -> Tensor:
        """Mean mass of the sampled rows of each block of queries, `[Hq, nQ, nK]`."""
        blocks = int(self.block_of.max()) + 1
        summed = self.mass.new_zeros(self.mass.shape[0], blocks, self.mass.shape[2])
        summed.index_add_(1, self.block_of, self.mass)
        return summed / self.block_of.bincount(minlength=blocks)[:, None]

    def judge(self, visits: Tensor) -> tuple[Tensor, Tensor]:
        """How good choices of blocks are.

        Args:
            visits: Bool `[C, Hq, nQ, nK]`, C choices.

        Returns:
            Retained mass (mean over rows) and Σ |out − exact| (over rows), both `[C, Hq]`.
        """
        columns, offset = self._columns
        exact, retained, error = self.exact, [], []
        for head in range(self.mass.shape[0]):  # one head's numbers stay in the cache
            kept, lost = [], []
            for some in visits[:, head].split(_AT_ONCE):
                weights = some.to(self.mass.dtype).transpose(0, 1)[self.block_of]  # [R, c, nK]
                sums = weights @ columns[head] + offset[head].unsqueeze(1)  # [R, c, Dv + 2]
                # a row that visits nothing gives 0, as the engine does
                total = sums[..., -2:-1].clamp(min=torch.finfo(sums.dtype).tiny)
                out = sums[..., :-2] / total
                lost.append((out - exact[head].unsqueeze(1)).abs().sum((0, 2)))
                kept.append(sums[..., -1].mean(0))
            retained.append(torch.cat(kept))
            error.append(torch.cat(lost))
        return torch.stack(retained, 1), torch.stack(error, 1)

    @cached_property
    def _columns(self) -> tuple[Tensor, Tensor]:
        """What a visit adds to Σ p v, Σ p and the retained mass, `[Hq, R, nK, Dv + 2]`, and what is
        there without any, `[Hq, R, Dv + 2]`."""
        mass = self.mass.unsqueeze(-1)
        columns = torch.cat([self.parts, mass, mass], -1)
        if self.spare is None:
            return columns, columns.new_zeros(*columns.shape[:2], columns.shape[3])
        spare = self.spare.unsqueeze(-1)
        means = self.means.unsqueeze(1)  # [Hq, 1, nK, Dv]
        stand = torch.cat([spare * means, spare, torch.zeros_like(spare)], -1)
        return columns - stand, stand.sum(2)


def gather(
    seen: Captured, block: tuple[int, int], rows: int = 8, correct: bool = False
) -> Evidence:
    """Attend exactly for a few rows of each block of queries.

    Args:
        seen: Queries, keys and values of a layer.
        block: Queries and keys per block.
        rows: Sampled rows of each block of queries; `block[0]` or more takes all of them.
        correct: Also gather what mean correction needs.

    Returns:
        The evidence, in the dtype of the captured tensors. Memory: Hq · R · nK · Dv.
    """
    q, k, v = seen.q[0], seen.k[0], seen.v[0]
    group = q.shape[0] // k.shape[0]
    at, block_of = sample_rows(q.shape[1], block[0], rows)
    ahead = k.shape[1] - q.shape[1]
    hidden = torch.arange(k.shape[1]) > (at + ahead)[:, None]  # [R, Lk]
    pad = -k.shape[1] % block[1]
    mass, parts, spare = [], [], []
    k_means, v_means = (pool_blocks(x[None], block[1])[0] for x in (k, v))
    lengths = (q.shape[1], k.shape[1])
    band = Band(after=0) if seen.causal else None
    whole = whole_blocks(band, lengths, block)[0, 0, block_of]  # [R, nK]
    keys = torch.arange(0, lengths[1], block[1]).sub(lengths[1]).neg().clamp(max=block[1])
    for head in range(q.shape[0]):
        scores = q[head, at] @ k[head // group].T * seen.scale
        if seen.causal:
            scores = scores.masked_fill(hidden, float("-inf"))
        p = F.pad(scores.softmax(-1), (0, pad)).unflatten(1, (-1, block[1]))  # [R, nK, bk]
        values = F.pad(v[head // group], (0, 0, 0, pad)).unflatten(0, (-1, block[1]))
        mass.append(p.sum(-1))
        if correct:
            logits = q[head, at] @ k_means[head // group].T * seen.scale + keys.log()
            total = scores.logsumexp(-1, keepdim=True)
            spare.append((logits - total).exp().masked_fill(~whole, 0.0))
        parts.append((p.transpose(0, 1) @ values).transpose(0, 1))  # [R, nK, Dv]
    found = Evidence(torch.stack(mass), torch.stack(parts), block_of, block)
    if not correct:
        return found
    return replace(found, spare=torch.stack(spare), means=v_means.repeat_interleave(group, 0))


def sample_rows(length: int, block: int, rows: int) -> tuple[Tensor, Tensor]:
    """Rows spread over each block, at places that differ from block to block.

    Args:
        length: Number of queries.
        block: Queries per block.
        rows: Rows of each block.

    Returns:
        Row numbers and their blocks, both int64 `[R]`, ascending.
    """
    if rows >= block:
        at = torch.arange(length)
        return at, at // block
    blocks = torch.arange(-(-length // block))
    # the golden ratio spreads the first place evenly over any number of blocks
    first = (blocks * 0.6180339887498949) % 1.0
    inside = (torch.arange(rows)[None] + first[:, None]) * (block / rows)
    at = (blocks[:, None] * block + inside.long().clamp(max=block - 1)).flatten()
    at = torch.unique(at.clamp(max=length - 1))
    return at, at // block
