"""Names of the package fastvideo-kernel (0.3), with their signatures, defaults and submodules.

Inputs of `video_sparse_attn` are tiled already: one cube after the other, each padded with zeros to
its full volume at its end (`build_vsa_metadata` says how).

What differs: any floating dtype, head size, batch and tile volume runs, on CPUs too, and all of it
is differentiable. Exactly `topk` cubes are kept, ties go to the lower one. As there,
`compress_attn_weight=None` adds the coarse stage with weight 1; pass zeros to leave it out. An int
`block_size` of 64, 128 or 256 is a volume, other ints are the side of a cube (there, 64 is the
side, and its default cannot be called). Submodules keep their names, so those that speak of Triton
or of a block size hold the same functions as the others.
"""

# a function has the name of the submodule it lives in: the submodules come first, or importing one
# of them later would put the module in the function's place
from . import block_sparse_attn as _block_sparse_attn
from . import block_sparse_attn_256, triton_kernels, vsa_utils
from . import block_sparse_attn_varlen as _block_sparse_attn_varlen
from .ops import video_sparse_attn, video_sparse_attn_bshd
from .triton_kernels.fused_compress_topk import fused_block_mean, fused_topk_mask
from .triton_kernels.index import map_to_index
from .vsa_utils import (
    VSA_TILE_SIZE,
    build_vsa_metadata,
    construct_variable_block_sizes,
    get_non_pad_index,
    get_reverse_tile_partition_indices,
    get_tile_partition_indices,
)

block_sparse_attn = _block_sparse_attn.block_sparse_attn
block_sparse_attn_from_indices = _block_sparse_attn.block_sparse_attn_from_indices
block_sparse_attn_varlen = _block_sparse_attn_varlen.block_sparse_attn_varlen

__all__ = [
    "video_sparse_attn",
    "video_sparse_attn_bshd",
    "block_sparse_attn",
    "block_sparse_attn_from_indices",
    "block_sparse_attn_varlen",
    "VSA_TILE_SIZE",
    "build_vsa_metadata",
    "construct_variable_block_sizes",
    "get_non_pad_index",
    "get_reverse_tile_partition_indices",
    "get_tile_partition_indices",
    "fused_block_mean",
    "fused_topk_mask",
    "map_to_index",
    "block_sparse_attn_256",
    "triton_kernels",
    "vsa_utils",
]
