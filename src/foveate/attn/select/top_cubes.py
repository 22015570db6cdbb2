"""The best cubes of each row, without a table of all pairs.

The one thing to know: scores are made for some rows at a time and only the choice is kept, so
memory is rows × kept cubes. Ties go to the lower number, whatever the device's sorting does.
"""

from __future__ import annotations

import torch
from torch import Tensor

_AT_ONCE = 1 << 22  # scores that are looked at together


def top_cubes(
    q: Tensor,
    k: Tensor,
    keep: int,
    scale: float,
    *,
    bias: Tensor | None = None,
    own: bool = False,
    mass: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The `keep` cubes of keys with the highest scale · ⟨q, k⟩ + bias for each cube of queries.

    Args:
        q: Means of cubes of queries, `[B, Hq, nQ, D]`.
        k: Means of cubes of keys, `[B, Hk, nK, D]`.
        keep: Cubes of each row, 1 to nK.
        scale: Factor of the scores.
        bias: Added to the scores, `[nK]`.
        own: Cube i is always among those of row i, and counts.
        mass: Take more, while those taken hold less than this share of the row's softmax.

    Returns:
        counts int32 `[B, Hq, nQ]` and ascending indices int32 `[B, Hq, nQ, keep]` of a BlockLayout;
        nK wide with `mass`.
    """
    groups, number = q.shape[1] // k.shape[1], k.shape[2]
    rows = max(1, _AT_ONCE // (q.shape[0] * q.shape[1] * number))
    keys = k.unsqueeze(2).transpose(-1, -2)
    found = []
    for start in range(0, q.shape[2], rows):
        some = q[:, :, start : start + rows]
        scores = (some.unflatten(1, (-1, groups)) @ keys).flatten(1, 2) * scale
        if bias is not None:
            scores = scores + bias
        scores = scores.nan_to_num(nan=float("-inf"))
        ranked = scores
        if own:
            place = torch.arange(start, start + some.shape[2], device=q.device).view(-1, 1)
            ranked = scores.scatter(-1, place.expand(*scores.shape[:-1], 1), float("inf"))
        found.append(best(ranked, keep) if mass is None else _by_mass(ranked, scores, keep, mass))
    indices = torch.cat([x for x, _ in found], 2)
    return torch.cat([n for _, n in found], 2), indices


def best(scores: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """Ascending numbers of the `keep` highest scores of each row, ties to the lower number.

    Args:
        scores: `[B, H, n, nK]`, no NaN.
        keep: 1 to nK.

    Returns:
        indices int32 `[B, H, n, keep]` and counts int32 `[B, H, n]`.
    """
    least = scores.topk(keep, dim=-1, sorted=True).values[..., -1:]
    above, level = scores > least, scores == least
    room = keep - above.sum(-1, keepdim=True)
    taken = above | (level & (level.cumsum(-1) <= room))
    number = torch.arange(scores.shape[-1], device=scores.device, dtype=torch.int32)
    ranked = torch.where(taken, number, scores.shape[-1])
    indices = ranked.topk(keep, dim=-1, largest=False, sorted=True).values
    return indices, torch.full_like(indices[..., 0], keep)


def _by_mass(ranked: Tensor, scores: Tensor, keep: int, mass: float) -> tuple[Tensor, Tensor]:
    """As `best`, and more where those hold less than `mass`; indices are nK wide."""
    order = ranked.sort(dim=-1, descending=True, stable=True).indices
    share = scores.softmax(-1).gather(-1, order)
    before = share.cumsum(-1) - share
    rank = torch.arange(scores.shape[-1], device=scores.device)
    wanted = (rank < keep) | (before < mass - 1e-6)
    taken = torch.zeros_like(wanted).scatter_(-1, order, wanted)
    indices = taken.logical_not().to(torch.uint8).sort(dim=-1, stable=True).indices.int()
    return indices, taken.sum(-1, dtype=torch.int32)
