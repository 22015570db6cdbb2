"""A benchmark case as a record, and the tensors that belong to it.

The one thing to know: everything about a case is in the record, inputs included (a seed and a
distribution), so that the same record gives the same numbers anywhere.
"""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..attn.layouts.blocks import BlockLayout

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
INPUTS = ("normal", "biased")

BOUNDS = {
    "auto": 0.02,
    "native": 0.01,
    "int8": 0.02,
    "sage": 0.04,
    "sage2": 0.06,
    "sage2(qk_bits=4)": 0.25,
    "sage2++": 0.06,
    "sage3": 0.25,
    "sagebwd": 0.06,
}
"""Largest relative L1 error against float64 on normal inputs: what each precision promises, with
the margin between seeds. A case whose error is larger is not timed."""


@dataclass(frozen=True)
class Case:
    """One measurement.

    Args:
        name: Unique, readable, used in file names and on the command line.
        precision: A precision as text: a name, or a name with arguments, "sage2(qk_bits=4)".
        dtype: Of q, k and v: float32, bfloat16 or float16.
        batch, q_heads, kv_heads, q_length, k_length, head_dim: The shapes.
        causal: Align at the end and hide later keys.
        density: Share of key blocks (128 × 128) that each query block visits, chosen beforehand;
            None is dense.
        select: A selection as text, "sparge(keep=0.25)", which chooses within the call; None is
            dense, or the blocks of `density`.
        packed: Keep K and V encoded between calls (`PackedKV`), as decoding does.
        backward: Forward and backward, as a training step has them; the error is that of the worst
            of the gradients of q, k and v.
        threads: torch threads, and the threads of every peer.
        inputs: "normal": N(0, 1). "biased": K has a large mean in each channel, as in models.
        peers: What to compare with, see `foveate.measure.peers`.
        goals: `(peer, ratio)` pairs: be at least `ratio` times as fast as `peer`.
        estimate_goal: Largest share of the dense call's time that the choice of blocks may take.
        bound: Largest relative L1 error; None takes the precision's own.
    """

    name: str
    precision: str = "int8"
    dtype: str = "float32"
    batch: int = 1
    q_heads: int = 8
    kv_heads: int = 8
    q_length: int = 4096
    k_length: int = 4096
    head_dim: int = 64
    causal: bool = False
    density: float | None = None
    select: str | None = None
    packed: bool = False
    backward: bool = False
    threads: int = 1
    inputs: str = "normal"
    peers: tuple[str, ...] = ("sdpa",)
    goals: tuple[tuple[str, float], ...] = ()
    estimate_goal: float | None = None
    bound: float | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f'dtype is "{self.dtype}"; expected one of {", ".join(DTYPES)}')
        if self.inputs not in INPUTS:
            raise ValueError(f'inputs is "{self.inputs}"; expected one of {", ".join(INPUTS)}')
        if self.density is not None and not 0 < self.density <= 1:
            raise ValueError(f"density is {self.density}; expected a share above 0 and up to 1")
        if self.backward and self.packed:
            raise ValueError("backward and packed are both set; expected at most one of them")
        if self.density is not None and self.select is not None:
            raise ValueError("density and select are both given; expected at most one of them")
        for field in (
            "batch",
            "q_heads",
            "kv_heads",
            "q_length",
            "k_length",
            "head_dim",
            "threads",
        ):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}; expected at least 1")
        if self.q_heads % self.kv_heads:
            raise ValueError(
                f"kv_heads is {self.kv_heads}, which does not divide q_heads {self.q_heads}"
            )

    @property
    def error_bound(self) -> float:
        """Largest relative L1 error against float64 before the case counts as wrong."""
        if self.bound is not None:
            return self.bound
        name = self.precision if self.precision in BOUNDS else self.precision.partition("(")[0]
        return BOUNDS.get(name, 0.25)

    @property
    def operations(self) -> float:
        """Multiplications and additions of the matrix products (2, backward 5 more) over visible,
        visited pairs."""
        pairs = float(self.q_length) * self.k_length
        if self.causal:  # rows see the keys up to their own position, aligned at the end
            first = self.k_length - self.q_length + 1
            pairs = sum(max(0, first + i) for i in range(self.q_length))
        products = 7 if self.backward else 2
        return (
            2 * products * self.batch * self.q_heads * self.head_dim * pairs * (self.density or 1)
        )

    def as_dict(self) -> dict[str, Any]:
        """The record for a result file."""
        return asdict(self)

    def with_(self, **changes: Any) -> Case:
        """The same case with some fields changed."""
        return replace(self, **changes)


def tensors(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """q `[B, Hq, Lq, D]`, k and v `[B, Hk, Lk, D]` of a case; the seed depends on its shapes."""
    key = (case.batch, case.q_heads, case.kv_heads, case.q_length, case.k_length, case.head_dim)
    noise = torch.Generator().manual_seed(zlib.crc32(repr((key, case.inputs)).encode()))

    def normal(heads: int, length: int) -> Tensor:
        return torch.randn(case.batch, heads, length, case.head_dim, generator=noise)

    q = normal(case.q_heads, case.q_length)
    k = normal(case.kv_heads, case.k_length)
    v = normal(case.kv_heads, case.k_length)
    if case.inputs == "biased":
        k = k + 4 * torch.randn(case.batch, case.kv_heads, 1, case.head_dim, generator=noise)
    dtype = DTYPES[case.dtype]
    return q.to(dtype), k.to(dtype), v.to(dtype)


def block_map(case: Case, block: int = 128) -> Tensor | None:
    """Visited blocks bool `[1, Hq, nQ, nK]` of the case's density, or None when it is dense.

    Each row of blocks keeps the block of its own position, and others drawn at random; under a
    causal rule they are drawn from the blocks that are not in the future.
    """
    if case.density is None:
        return None
    n_q, n_k = -(-case.q_length // block), -(-case.k_length // block)
    noise = torch.Generator().manual_seed(0)
    score = torch.rand(case.q_heads, n_q, n_k, generator=noise)
    own = (torch.arange(n_q) + n_k - n_q).clamp(0, n_k - 1)
    score.scatter_(2, own.view(1, n_q, 1).expand(case.q_heads, n_q, 1), 2.0)
    allowed = torch.full((n_q,), n_k)
    if case.causal:
        allowed = own + 1
        score.masked_fill_(torch.arange(n_k) > own.view(n_q, 1), -1.0)
    keep = (allowed * case.density).round().clamp(min=1).long()
    rank = score.argsort(dim=-1, descending=True).argsort(dim=-1)
    return (rank < keep.view(n_q, 1)).unsqueeze(0)


def layout(case: Case, block: int = 128) -> BlockLayout | None:
    """The case's visited blocks as a `BlockLayout`, or None when it is dense."""
    blocks = block_map(case, block)
    if blocks is None:
        return None
    return BlockLayout.from_dense(blocks, (block, block), (case.q_length, case.k_length))
