"""Names of the package fastvideo-kernel (0.3), with their signatures and defaults.

Inputs of `video_sparse_attn` are tiled already: one cube after the other, each padded with zeros to
its full volume at its end (`build_vsa_metadata` says how).

What differs: any floating dtype, head size, batch and tile volume runs, on CPUs too, and all of it
is differentiable. Exactly `topk` cubes are kept, ties go to the lower one. As there,
`compress_attn_weight=None` adds the coarse stage with weight 1; pass zeros to leave it out. An int
`block_size` of 64, 128 or 256 is a volume, other ints are the side of a cube (there, 64 is the
side, and its default cannot be called).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from foveate import BlockLayout, attention
from foveate.attn import check
from foveate.attn.layouts.cubes import Cubes, pool
from foveate.attn.select.top_cubes import best, top_cubes

VSA_TILE_SIZE = (4, 4, 4)


def video_sparse_attn(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    variable_block_sizes: Tensor,
    q_variable_block_sizes: Tensor,
    topk: int,
    block_size: int | Sequence[int] = 64,
    compress_attn_weight: Tensor | None = None,
) -> Tensor:
    """Coarse stage, choice of cubes, fine stage, and their sum.

    Args:
        q: Tiled queries, `[B, H, Sq, D]`.
        k, v: Tiled keys and values, `[B, H, Skv, D]`.
        variable_block_sizes: Tokens of each cube of keys, integers `[Skv / volume]`.
        q_variable_block_sizes: Tokens of each cube of queries.
        topk: Cubes of keys kept for each cube of queries.
        block_size: A cube (sides), or a volume.
        compress_attn_weight: Gate of the coarse stage, `[B, H, Sq, D]` tiled; None is 1.

    Returns:
        `[B, H, Sq, D]`, tiled; rows of padding are not to be used.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """
    check.check_tensors(q=q, k=k, v=v)
    check.check_shapes(q.shape, k.shape, v.shape)
    volume = _volume(block_size)
    k_sizes = _sizes("variable_block_sizes", variable_block_sizes, "k", k, volume)
    q_sizes = _sizes("q_variable_block_sizes", q_variable_block_sizes, "q", q, volume)
    number = len(k_sizes)
    if isinstance(topk, bool) or not isinstance(topk, int) or not 1 <= topk <= number:
        raise ValueError(f"topk is {topk!r}; expected an int from 1 to the {number} cubes of k")
    scale = q.shape[3] ** -0.5
    means = pool(q, q_sizes, volume), pool(k, k_sizes, volume), pool(v, k_sizes, volume)
    with torch.no_grad():
        counts, indices = top_cubes(*means[:2], topk, scale)
    layout = BlockLayout(counts, indices, (volume, volume), (q.shape[2], k.shape[2]))
    fine, _ = _attend(q, k, v, layout, k_sizes)
    coarse = scaled_dot_product_attention(
        *means, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
    ).to(q.dtype)
    lifted = coarse.unsqueeze(3).expand(-1, -1, -1, volume, -1).flatten(2, 3)
    return fine + (lifted if compress_attn_weight is None else lifted * compress_attn_weight)


def video_sparse_attn_bshd(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    variable_block_sizes: Tensor,
    q_variable_block_sizes: Tensor,
    topk: int,
    block_size: int | Sequence[int] = 64,
    compress_attn_weight: Tensor | None = None,
) -> Tensor:
    """`video_sparse_attn` for `[B, S, H, D]`; any volume."""
    check.check_tensors(q=q, k=k, v=v)
    gate = None if compress_attn_weight is None else compress_attn_weight.transpose(1, 2)
    out = video_sparse_attn(
        *(x.transpose(1, 2) for x in (q, k, v)),
        variable_block_sizes,
        q_variable_block_sizes,
        topk,
        block_size,
        gate,
    )
    return out.transpose(1, 2)


def block_sparse_attn(
    q: Tensor, k: Tensor, v: Tensor, block_map: Tensor, variable_block_sizes: Tensor
) -> tuple[Tensor, Tensor]:
    """Attention over the blocks of a map.

    Args:
        q: `[B, H, Sq, D]`.
        k, v: `[B, H, Skv, D]`.
        block_map: bool `[B, H, Nq, Nkv]` or `[H, Nq, Nkv]`.
        variable_block_sizes: Tokens of each block of keys, `[Nkv]`.

    Returns:
        out `[B, H, Sq, D]`, and the natural log-sum-exp, float32 `[B, H, Sq]`.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """
    check.check_tensors(q=q, k=k, v=v, block_map=block_map)
    if block_map.dtype != torch.bool or block_map.dim() not in (3, 4):
        raise TypeError(
            f"block_map is {check.short(block_map.dtype)} {list(block_map.shape)}; expected bool "
            "[B, H, Nq, Nkv] or [H, Nq, Nkv]"
        )
    visits = block_map if block_map.dim() == 4 else block_map.unsqueeze(0)
    block = _blocks(q, k, visits.shape[-2], visits.shape[-1])
    layout = BlockLayout.from_dense(visits, block, (q.shape[2], k.shape[2]))
    return _attend(
        q, k, v, layout, _sizes("variable_block_sizes", variable_block_sizes, "k", k, block[1])
    )


def block_sparse_attn_from_indices(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    q2k_idx: Tensor,
    q2k_num: Tensor,
    variable_block_sizes: Tensor,
) -> tuple[Tensor, Tensor]:
    """Attention over listed blocks.

    Args:
        q: `[B, H, Sq, D]`.
        k, v: `[B, H, Skv, D]`.
        q2k_idx: Blocks of keys, integers `[B, H, Nq, M]` in any order; the first `q2k_num` count.
        q2k_num: `[B, H, Nq]`.
        variable_block_sizes: Tokens of each block of keys, `[Nkv]`.

    Returns:
        As `block_sparse_attn`.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """
    check.check_tensors(q=q, k=k, v=v, q2k_idx=q2k_idx, q2k_num=q2k_num)
    number = len(variable_block_sizes)
    block = _blocks(q, k, q2k_idx.shape[-2], number)
    used = torch.arange(q2k_idx.shape[-1], device=q2k_idx.device) < q2k_num.unsqueeze(-1)
    listed = torch.where(used, q2k_idx, number).sort(dim=-1).values[..., :number]
    bad = used & ((q2k_idx < 0) | (q2k_idx >= number))
    if q2k_idx.device.type == "cpu" and bool(bad.any()):
        raise ValueError(f"q2k_idx names blocks outside of 0 to {number - 1}; expected blocks of k")
    layout = BlockLayout(
        q2k_num.int(), listed.clamp(max=number - 1).int(), block, (q.shape[2], k.shape[2])
    )
    return _attend(
        q, k, v, layout, _sizes("variable_block_sizes", variable_block_sizes, "k", k, block[1])
    )


def get_tile_partition_indices(
    dit_seq_shape: Sequence[int], tile_size: Sequence[int], device: Any
) -> Tensor:
    """Row-major numbers of the tokens, cube by cube, int64 `[L]`."""
    return Cubes(tuple(dit_seq_shape), tuple(tile_size)).places(torch.device(device)).argsort()


def get_reverse_tile_partition_indices(
    dit_seq_shape: Sequence[int], tile_size: Sequence[int], device: Any
) -> Tensor:
    """Place of each token in the order of `get_tile_partition_indices`, int64 `[L]`."""
    return get_tile_partition_indices(dit_seq_shape, tile_size, device).argsort()


def construct_variable_block_sizes(
    dit_seq_shape: Sequence[int],
    num_tiles: Sequence[int],
    device: Any,
    tile_size: Sequence[int] = VSA_TILE_SIZE,
) -> Tensor:
    """Tokens of each cube, int64 `[N]`."""
    cubes = Cubes(tuple(dit_seq_shape), tuple(tile_size))
    if tuple(num_tiles) != cubes.parts:
        raise ValueError(
            f"num_tiles is {tuple(num_tiles)}; expected {cubes.parts} for {cubes.grid} in cubes of "
            f"{cubes.cube}"
        )
    return cubes.sizes(torch.device(device)).clone()


def get_non_pad_index(variable_block_sizes: Tensor, max_block_size: int) -> Tensor:
    """Slots that hold a token, int64 `[L]`."""
    slot = torch.arange(max_block_size, device=variable_block_sizes.device)
    return (slot < variable_block_sizes.unsqueeze(1)).flatten().nonzero().flatten()


def build_vsa_metadata(
    dit_seq_shape: Sequence[int], tile_size: Sequence[int] = VSA_TILE_SIZE, device: Any = "cuda"
) -> dict[str, Any]:
    """All of the above for a grid.

    Returns:
        tile_partition_indices, reverse_tile_partition_indices, variable_block_sizes,
        non_pad_index, num_tiles, max_block_size.
    """
    cubes = Cubes(tuple(dit_seq_shape), tuple(tile_size))
    sizes = cubes.sizes(torch.device(device)).clone()
    return {
        "tile_partition_indices": get_tile_partition_indices(cubes.grid, cubes.cube, device),
        "reverse_tile_partition_indices": get_reverse_tile_partition_indices(
            cubes.grid, cubes.cube, device
        ),
        "variable_block_sizes": sizes,
        "non_pad_index": get_non_pad_index(sizes, cubes.volume),
        "num_tiles": cubes.parts,
        "max_block_size": cubes.volume,
    }


def fused_block_mean(x: Tensor, variable_block_sizes: Tensor, block_elements: int) -> Tensor:
    """Mean of the tokens of each cube of tiled `[B, H, S, D]`, in x's dtype."""
    return pool(x, variable_block_sizes, block_elements).to(x.dtype)


def fused_topk_mask(scores: Tensor, topk: int) -> Tensor:
    """Map of the topk highest scores of each row of `[B, H, Nq, Nkv]`, bool; exactly topk."""
    indices, _ = best(scores.nan_to_num(nan=float("-inf"), posinf=None, neginf=None), topk)
    return torch.zeros_like(scores, dtype=torch.bool).scatter(-1, indices.long(), True)


def map_to_index(block_map: Tensor) -> tuple[Tensor, Tensor]:
    """Indices int32 `[B, H, Nq, Nkv]` (those listed first, ascending) and counts int32 of a map."""
    visits = block_map if block_map.dim() == 4 else block_map.unsqueeze(0)
    layout = BlockLayout.from_dense(visits, (1, 1), tuple(visits.shape[-2:]))
    return layout.indices, layout.counts


def _attend(
    q: Tensor, k: Tensor, v: Tensor, layout: BlockLayout, sizes: Tensor
) -> tuple[Tensor, Tensor]:
    """Fine stage, without the padding of keys."""
    volume = layout.block[1]
    filled = (torch.arange(volume, device=q.device) < sizes.unsqueeze(1)).view(1, 1, 1, -1)
    return attention(q, k, v, select=layout, precision="native", mask=filled, return_lse=True)


def _volume(block_size: int | Sequence[int]) -> int:
    """Tokens of a cube."""
    if isinstance(block_size, int) and not isinstance(block_size, bool):
        return block_size if block_size in (64, 128, 256) else block_size**3
    if len(block_size) != 3:
        raise ValueError(f"block_size is {block_size!r}; expected a volume, or (t, h, w)")
    return int(block_size[0]) * int(block_size[1]) * int(block_size[2])


def _sizes(name: str, sizes: Tensor, what: str, x: Tensor, volume: int) -> Tensor:
    """The sizes, once they fit the tensor they speak of."""
    check.check_tensors(**{name: sizes})
    if x.shape[2] % volume:
        raise ValueError(
            f"{what} has {x.shape[2]} slots; expected a multiple of the tile volume {volume}"
        )
    if list(sizes.shape) != [x.shape[2] // volume]:
        raise ValueError(
            f"{name} has shape {list(sizes.shape)}; expected [{x.shape[2] // volume}], one for "
            f"each tile of {what}"
        )
    return sizes.to(x.device)


def _blocks(q: Tensor, k: Tensor, rows: int, columns: int) -> tuple[int, int]:
    """Queries and keys of a block, from the number of blocks."""
    for what, x, number in (("q", q, rows), ("k", k, columns)):
        if number < 1 or x.shape[2] % number:
            raise ValueError(
                f"{what} has {x.shape[2]} slots, which {number} blocks do not divide; expected "
                "blocks of one size"
            )
    return q.shape[2] // rows, k.shape[2] // columns
