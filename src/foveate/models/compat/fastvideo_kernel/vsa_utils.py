"""Where the tokens of a grid stand once they are tiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from foveate.attn.layouts.cubes import Cubes

VSA_TILE_SIZE = (4, 4, 4)
_VOLUMES = (64, 128, 256)


def get_tile_partition_indices(
    dit_seq_shape: Sequence[int], tile_size: Sequence[int], device: Any
) -> Tensor:
    """Row-major numbers of the tokens, cube by cube, int64 `[L]`."""
    cubes = Cubes(tuple(dit_seq_shape), tuple(tile_size))
    return cubes.places(_canonicalize_device(device)).argsort()


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
    return cubes.sizes(_canonicalize_device(device)).clone()


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

    Raises:
        ValueError: The tile's volume is none that the package's kernels have. (The functions here
            run with any.)
    """
    cubes = Cubes(tuple(dit_seq_shape), tuple(tile_size))
    if cubes.volume not in _VOLUMES:
        raise ValueError(
            f"Unsupported VSA tile volume {cubes.volume} for tile_size {cubes.cube}; expected one "
            f"of {', '.join(map(str, _VOLUMES))}"
        )
    sizes = cubes.sizes(_canonicalize_device(device)).clone()
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


def _canonicalize_device(device: Any) -> torch.device:
    """The device; CUDA without a number is the current one."""
    found = torch.device(device)
    if found.type == "cuda" and found.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return found
