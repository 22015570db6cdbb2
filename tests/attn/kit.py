"""What the tests of the reference backend share: precisions, inputs, and the causal rule."""

from __future__ import annotations

import torch

from foveate.attn.precision import Int8, Native, Sage, Sage2, Sage2pp, Sage3, SageBwd

PRECISIONS = {
    "native": Native(),
    "int8": Int8(),
    "sage-B": Sage(),
    "sage-T": Sage("T"),
    "sage-vB": Sage("vB"),
    "sage-vT": Sage("vT"),
    "sage2": Sage2(),
    "sage2-int4": Sage2(qk_bits=4),
    "sage2-e5m2-v": Sage2(pv="e5m2", smooth_v=True),
    "sage2++": Sage2pp(),
    "sage3": Sage3(),
    "sage3-mxfp4": Sage3("mxfp4"),
    "sagebwd": SageBwd(),
    "sagebwd-block": SageBwd("block"),
}
COSINE = {"sage2-int4": 0.93, "sage3": 0.93, "sage3-mxfp4": 0.9, "sage2-e5m2-v": 0.99}


def name_of(precision) -> str:
    """The name of a precision in `PRECISIONS`."""
    return next(name for name, one in PRECISIONS.items() if one == precision)


def cosine_floor(precision) -> float:
    """Below these a precision is broken; what it really reaches is in test_golden.py."""
    return COSINE.get(name_of(precision), 0.995)


def inputs(batch=1, q_heads=2, kv_heads=1, q_length=100, k_length=150, dim=32, v_dim=24, seed=0):
    """q, k, v in float32 with a channel bias in k."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    q = normal(batch, q_heads, q_length, dim)
    k = normal(batch, kv_heads, k_length, dim) + normal(batch, kv_heads, 1, dim)
    return q, k, normal(batch, kv_heads, k_length, v_dim)


def causal_mask(q_length: int, k_length: int) -> torch.Tensor:
    return torch.ones(q_length, k_length, dtype=torch.bool).tril(k_length - q_length)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    """Standard normal numbers of one seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def waves(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries and keys of the golden vectors, float64 `[1, 1, length, 8]` (4 columns and 4 zeros).

    q[n, j] = 2 sin(0.05 n j + 0.9 j), k[n, j] = 2 cos(0.03 n j + 0.7 j) for n = 1 …, j = 1 … 4.
    """
    n = torch.arange(1, length + 1, dtype=torch.float64).unsqueeze(1)
    j = torch.arange(1, 5, dtype=torch.float64)
    q, k = 2 * torch.sin(0.05 * n * j + 0.9 * j), 2 * torch.cos(0.03 * n * j + 0.7 * j)
    none = torch.zeros(length, 4, dtype=torch.float64)
    return torch.cat((q, none), 1)[None, None], torch.cat((k, none), 1)[None, None]


def visited(select, q, k, *, causal=False, scale=None, backend="reference"):
    """What a selection chooses, past its fallback: bool `[B, Hq, nQ, nK]`."""
    from foveate import plan

    made = plan(q, k, k, select="dense", causal=causal, scale=scale, backend=backend)
    return select.layout(q, k, made.request, made.kernels).to_dense()


def rows_of(visits: torch.Tensor) -> list[str]:
    """A map `[nQ, nK]` as text, one row each: ["1100", "0011"]."""
    return ["".join("01"[int(x)] for x in row) for row in visits]
