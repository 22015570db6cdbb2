"""Where one head of a model looks, as a small picture in numbers.

The one thing to know: queries and keys are taken after position embedding, from a real pass, and
the map is summed up row group by row group, so nothing as large as queries × keys is kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


@torch.inference_mode()
def attention_map(
    model: Any, tokens: Tensor, layer: int | None = None, cells: int = 64
) -> dict[str, Any]:
    """Look into one layer while a model reads.

    The head shown is the one of the layer that combines looking far (mass on keys that are neither
    the first four nor the nearest 64) with looking at little (few keys hold most of its mass).

    Args:
        model: A transformers model whose attention goes through AttentionInterface.
        tokens: int64 `[1, L]`; L is cut to a multiple of `cells`.
        layer: Number of a layer without a window; None takes one a third of the way up.
        cells: Rows and columns of the map.

    Returns:
        layer, head, tokens, and `mass[row][column]`: the share of its attention that an average
        query of the row's group gives to the column's keys (each row sums to 1); `share95`: the
        mean share of visible keys that hold 95 % of a query's mass in this head, and
        `layer_share95` in all heads.
    """
    layer = full_layer(model, layer)
    length = tokens.shape[1] // cells * cells
    q, k, scale = watch(model, tokens[:, :length], layer)
    maps, far, share = pooled(q, k, scale, cells)
    head = int((far * (1 - share)).argmax())
    return {
        "layer": layer,
        "head": head,
        "tokens": length,
        "mass": [[round(float(x), 5) for x in row] for row in maps[head]],
        "share95": float(share[head]),
        "layer_share95": float(share.mean()),
    }


def full_layer(model: Any, layer: int | None) -> int:
    """A layer whose queries see every earlier key, which is what the map draws."""
    kinds = getattr(model.config, "layer_types", None)
    kinds = kinds or ["full_attention"] * model.config.num_hidden_layers
    full = [number for number, kind in enumerate(kinds) if kind == "full_attention"]
    if layer is None and full:
        return full[len(full) // 3]
    if layer not in full:
        raise ValueError(f"layer is {layer}; expected one without a window, of {full}")
    return layer


def watch(model: Any, tokens: Tensor, layer: int) -> tuple[Tensor, Tensor, float]:
    """q `[Hq, L, D]`, k `[Hk, L, D]` and the scale of one layer, from one pass."""
    from ..tune.capture import capture

    kept: list[tuple[Tensor, Tensor, float]] = []

    def visit(seen: Any) -> None:
        if seen.layer == layer:
            kept.append((seen.q[0], seen.k[0], seen.scale))

    capture(model, tokens, visit)
    if not kept:
        raise ValueError(
            f"layer {layer} of {type(model).__name__} did not call AttentionInterface; "
            "choose a model that takes its attention from there"
        )
    return kept[0]


def pooled(q: Tensor, k: Tensor, scale: float, cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Maps `[Hq, cells, cells]`; each head's far mass and share of keys for 95 %, `[Hq]`."""
    heads, length, _ = q.shape
    group, size = heads // k.shape[0], length // cells
    maps, far, share = torch.zeros(heads, cells, cells), torch.zeros(heads), torch.zeros(heads)
    at = torch.arange(length)
    for head in range(heads):
        for row in range(cells):
            mine = at[row * size : (row + 1) * size, None]
            scores = q[head, row * size : (row + 1) * size] @ k[head // group].T * scale
            p = scores.masked_fill(at > mine, float("-inf")).softmax(-1)  # [size, L]
            maps[head, row] = p.view(size, cells, size).sum(-1).mean(0)
            far[head] += p[:, 4:].masked_fill(at[4:] > mine - 64, 0).sum() / length
            last = p[-1].sort(descending=True).values  # one query of each group is enough here
            needed = int((last.cumsum(0) < 0.95).sum()) + 1
            share[head] += needed / ((row + 1) * size) / cells
    return maps, far, share
