"""Names of the package `spas_sage_attn` (SpargeAttn), with their signatures and defaults.

| name | numbers | blocks |
|---|---|---|
| `spas_sage2_attn_meansim_topk_cuda` | INT8 Q·Kᵀ, FP8 P·V (`INT8_FP8`) | a share of the blocks |
| `spas_sage_attn_meansim_topk_cuda` | INT8 Q·Kᵀ, FP16 P·V (`INT8_FP16`) | a share of the blocks |
| `spas_sage2_attn_meansim_cuda` | `INT8_FP8` | a share of the mass |
| `spas_sage_attn_meansim_cuda` | `INT8_FP16` | a share of the mass |
| `block_sparse_sage2_attn_cuda` | `INT8_FP8` | the caller's |

What differs, each because the original goes wrong: under `is_causal` no query sees a key of its
future, not even inside a block, the first block and the diagonal are always visited, and queries
are aligned at the end of the keys; a `scale` holds in the choice of blocks, too; a ragged last
block is judged like any other; rows that visit nothing give 0. The second filter looks at groups of
eight rows where the original looks at whole blocks, so it skips more of what `pvthreshd` allows.
Fewer than 128 queries, or up to 128 keys, are attended densely.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from foveate import BlockLayout, Sage, Sage2pp, Sparge, attention, plan
from foveate.attn.layouts.blocks import check_skip
from foveate.attn.layouts.rules import block_regions
from foveate.attn.precision import Precision

from .arguments import as_came, check_output_dtype, heads_first, per_head, refuse

INT8_FP16 = Sage("B")
"""Numbers of the `sage` functions: INT8 Q (a scale for 128 rows) and K (for 64), smoothed K;
float16 P and V, summed in float16 within a block and in float32 beyond."""

INT8_FP8 = Sage2pp(granularity="block")
"""Numbers of the `sage2` functions: the same Q and K, neither Q nor V smoothed; E4M3 P up to 448
and V up to 2.25 per channel, summed in float16 within a block and in float32 beyond."""

BLOCK = (128, 64)
"""Queries and keys per block (the original's on all but compute capability 9.0)."""

_TINY = 1e-9  # a share of 0 visits one block, as in the original


def spas_sage2_attn_meansim_topk_cuda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    smooth_k: bool = True,
    simthreshd1: float | Tensor = -0.1,
    cdfthreshd: float | Tensor | None = None,
    topk: float | Tensor | None = 0.5,
    pvthreshd: float | Tensor = 50,
    attention_sink: bool = False,
    tensor_layout: str = "HND",
    output_dtype: torch.dtype = torch.float16,
    return_sparsity: bool = False,
) -> Tensor | tuple[Tensor, float]:
    """Attend to the best blocks of keys, in INT8 and FP8.

    Args:
        q: Queries, `[B, H, L, D]` or `[B, L, H, D]`.
        k: Keys.
        v: Values.
        attn_mask: Only None.
        dropout_p: Only 0.
        is_causal: Query i sees keys j ≤ i + Lk − Lq.
        scale: Factor of the scores; None is D ** -0.5.
        smooth_k: Subtract the mean key first.
        simthreshd1: Blocks that are no more alike than this are always visited; below 0 none. A
            number, or one for each head.
        cdfthreshd: Share of the mass to visit, by the exclusive rule; instead of topk.
        topk: Share of all key blocks to visit.
        pvthreshd: Leave P·V out where every p is at most 2^−pvthreshd of the largest.
        attention_sink: Always visit the first block of keys.
        tensor_layout: "HND" or "NHD".
        output_dtype: q's dtype; the default stands for that, as in the original.
        return_sparsity: Also return the share of visible blocks that was not visited.

    Returns:
        out, as q came; with return_sparsity also a float.

    Raises:
        TypeError, ValueError: An argument does not fit or is not supported.
    """
    function = "spas_sage2_attn_meansim_topk_cuda"
    return _meansim(function, INT8_FP8, locals())


def spas_sage_attn_meansim_topk_cuda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    smooth_k: bool = True,
    simthreshd1: float | Tensor = -0.1,
    cdfthreshd: float | Tensor | None = None,
    topk: float | Tensor | None = 0.5,
    pvthreshd: float | Tensor = 50,
    attention_sink: bool = False,
    tensor_layout: str = "HND",
    output_dtype: torch.dtype = torch.float16,
    return_sparsity: bool = False,
) -> Tensor | tuple[Tensor, float]:
    """`spas_sage2_attn_meansim_topk_cuda` with P·V in FP16."""
    function = "spas_sage_attn_meansim_topk_cuda"
    return _meansim(function, INT8_FP16, locals())


def spas_sage2_attn_meansim_cuda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    smooth_k: bool = True,
    simthreshd1: float | Tensor = 0.6,
    cdfthreshd: float | Tensor = 0.98,
    pvthreshd: float | Tensor = 50,
    attention_sink: bool = False,
    tensor_layout: str = "HND",
    output_dtype: torch.dtype = torch.float16,
    return_sparsity: bool = False,
) -> Tensor | tuple[Tensor, float]:
    """Attend to the blocks that carry a share of the mass, by the exclusive rule; else as
    `spas_sage2_attn_meansim_topk_cuda`."""
    function = "spas_sage2_attn_meansim_cuda"
    return _meansim(function, INT8_FP8, locals())


def spas_sage_attn_meansim_cuda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    smooth_k: bool = True,
    simthreshd1: float | Tensor = 0.6,
    cdfthreshd: float | Tensor = 0.98,
    pvthreshd: float | Tensor = 50,
    attention_sink: bool = False,
    tensor_layout: str = "HND",
    output_dtype: torch.dtype = torch.float16,
    return_sparsity: bool = False,
) -> Tensor | tuple[Tensor, float]:
    """`spas_sage2_attn_meansim_cuda` with P·V in FP16."""
    function = "spas_sage_attn_meansim_cuda"
    return _meansim(function, INT8_FP16, locals())


def block_sparse_sage2_attn_cuda(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask_id: Tensor | None = None,
    dropout_p: float = 0.0,
    scale: float | None = None,
    smooth_k: bool = True,
    pvthreshd: float | Tensor = 50,
    attention_sink: bool = False,
    tensor_layout: str = "HND",
    output_dtype: torch.dtype = torch.float16,
    return_sparsity: bool = False,
) -> Tensor | tuple[Tensor, float]:
    """Attend to given blocks of 128 queries and 64 keys, in INT8 and FP8; never causal.

    Args:
        q, k, v: As for `spas_sage2_attn_meansim_topk_cuda`.
        mask_id: 1 = visit, `[B or 1, H or 1, ceil(Lq / 128), ceil(Lk / 64)]`; None visits all.
        dropout_p, scale, smooth_k, pvthreshd, attention_sink, tensor_layout, output_dtype: As
            there.
        return_sparsity: Also return the share of blocks that was not visited.

    Returns:
        out, as q came; with return_sparsity also a float. A row that visits nothing gives 0.

    Raises:
        TypeError, ValueError: An argument does not fit or is not supported.
    """
    function = "block_sparse_sage2_attn_cuda"
    refuse(function, dropout_p=(dropout_p, 0.0, "inference only"))
    q, k, v = heads_first(tensor_layout, q=q, k=k, v=v)
    check_output_dtype(function, output_dtype, q)
    lengths = (q.shape[2], k.shape[2])
    grid = tuple(-(-length // size) for length, size in zip(lengths, BLOCK, strict=True))
    if mask_id is None:
        mask_id = torch.ones(1, 1, *grid, dtype=torch.bool, device=q.device)
    if not isinstance(mask_id, Tensor) or mask_id.dim() != 4 or mask_id.shape[2:] != grid:
        came = list(mask_id.shape) if isinstance(mask_id, Tensor) else type(mask_id).__name__
        raise ValueError(
            f"mask_id is {came}; expected [B, H, {grid[0]}, {grid[1]}], blocks of {BLOCK[0]} "
            f"queries and {BLOCK[1]} keys"
        )
    visits = mask_id != 0
    if attention_sink:
        visits[..., 0] = True
    layout = replace(BlockLayout.from_dense(visits, BLOCK, lengths), skip=_bits(pvthreshd))
    numbers = replace(INT8_FP8, smooth_k=smooth_k)
    out = as_came(attention(q, k, v, select=layout, precision=numbers, scale=scale), tensor_layout)
    return (out, 1 - layout.density()) if return_sparsity else out


def _meansim(
    function: str, numbers: Precision, given: dict[str, Any]
) -> Tensor | tuple[Tensor, float]:
    """The four `meansim` functions: `given` are the arguments of one of them, by name."""
    layout, topk, mass = given["tensor_layout"], given.get("topk"), given["cdfthreshd"]
    refuse(
        function,
        attn_mask=(given["attn_mask"], None, "use foveate.attention, which takes masks"),
        dropout_p=(given["dropout_p"], 0.0, "inference only"),
    )
    if (topk is None) == (mass is None):
        raise ValueError(
            f"{function}: topk is {topk!r} and cdfthreshd is {mass!r}; expected exactly one of them"
        )
    q, k, v = heads_first(layout, q=given["q"], k=given["k"], v=given["v"])
    check_output_dtype(function, given["output_dtype"], q)
    select = Sparge(
        threshold=None if mass is None else per_head("cdfthreshd", mass, 0, 1, _TINY),
        keep=None if topk is None else per_head("topk", topk, 0, 1, _TINY),
        similarity=per_head("simthreshd1", given["simthreshd1"], -1, 1),
        rule="exclusive",
        sink=given["attention_sink"],
        smooth_k=given["smooth_k"],
        block=BLOCK,
        skip=_bits(given["pvthreshd"]),
    )
    numbers = replace(numbers, smooth_k=given["smooth_k"])
    made = plan(
        q, k, v, select=select, precision=numbers, causal=given["is_causal"], scale=given["scale"]
    )
    if not given["return_sparsity"]:
        return as_came(made.run(q, k, v), layout)
    blocks = made.layout(q, k)
    out = as_came(made.run(q, k, v, layout=blocks), layout)
    if blocks is None:
        return out, 0.0
    visible, _ = block_regions(made.request.band, blocks.lengths, BLOCK, q.device)
    total = int(visible.sum()) * q.shape[0] * q.shape[1]
    return out, 1 - int(blocks.counts.sum()) / max(1, total)


def _bits(pvthreshd: Any) -> float | tuple[float, ...] | None:
    """The threshold of the second filter, in bits."""
    if isinstance(pvthreshd, Tensor):
        pvthreshd = pvthreshd.tolist()
    return check_skip("pvthreshd", pvthreshd)
