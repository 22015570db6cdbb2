"""Video sparse attention written out: every pair of tokens, in the inputs' own precision."""

from __future__ import annotations

import torch
from torch import Tensor

from foveate import VSA


def places(select: VSA) -> tuple[Tensor, Tensor]:
    """Number of the cube of each query and of each key."""
    return tuple(cubes.places() // cubes.volume for cubes in (select.queries, select.keys))


def chosen(select: VSA, q: Tensor, k: Tensor) -> Tensor:
    """Cubes that are kept, bool `[B, Hq, nQ, nK]`, by a plain sort of the coarse scores."""
    scores = coarse_scores(select, q, k)
    order = scores.sort(dim=-1, descending=True, stable=True).indices[..., : select.kept]
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, order, True)


def coarse_scores(select: VSA, q: Tensor, k: Tensor) -> Tensor:
    rows, columns = places(select)
    means = means_of(q, rows), means_of(k, columns).repeat_interleave(q.shape[1] // k.shape[1], 1)
    return means[0] @ means[1].transpose(-1, -2) * q.shape[-1] ** -0.5


def means_of(x: Tensor, numbers: Tensor) -> Tensor:
    member = torch.nn.functional.one_hot(numbers).to(x.dtype)
    return (member / member.sum(0)).T @ x


def written_out(select: VSA, q, k, v, coarse=0.0, fine=1.0, visits: Tensor | None = None) -> Tensor:
    """coarse ∘ O_c + fine ∘ O_f from dense matrices."""
    rows, columns = places(select)
    visits = chosen(select, q, k) if visits is None else visits
    scores = coarse_scores(select, q, k)
    group = q.shape[1] // k.shape[1]
    values = means_of(v, columns).repeat_interleave(group, 1)
    k, v = (x.repeat_interleave(group, 1) for x in (k, v))
    near = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    near = near.masked_fill(~visits[:, :, rows][..., columns], -torch.inf)
    return coarse * (scores.softmax(-1) @ values)[:, :, rows] + fine * (near.softmax(-1) @ v)


def video(select: VSA, heads=(4, 2, 2), dim=16, v_dim=16, batch=2, seed=0, dtype=torch.float32):
    """q, k, v and two gates, all of which require grad."""
    generator = torch.Generator().manual_seed(seed)
    lq, lk = select.queries.tokens, select.keys.tokens
    shapes = [
        (batch, heads[0], lq, dim),
        (batch, heads[1], lk, dim),
        (batch, heads[2], lk, v_dim),
        *[(batch, heads[0], lq, v_dim)] * 2,
    ]
    return [
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes
    ]
