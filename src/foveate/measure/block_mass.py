"""What a selection keeps of what one head looks at: true block mass beside visited blocks.

The one thing to know: the mass is exact, from the queries and keys of a real pass; a selection is
asked for its blocks on the same queries and keys, as it would be in the model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .attention_map import full_layer, pooled, watch

CELL = 64  # tokens along a side of a cell: every block size of ours is a multiple


@torch.inference_mode()
def block_mass(
    model: Any, tokens: Tensor, ways: dict[str, Any], layer: int | None = None
) -> dict[str, Any]:
    """Look at one head, and at what each selection would visit in it.

    The head shown is the one of the layer that combines looking far with looking at little, as in
    `attention_map`.

    Args:
        model: A transformers model whose attention goes through AttentionInterface.
        tokens: int64 `[1, L]`; L is cut to a multiple of 128.
        ways: Label → selection, or a tuple with one for each layer (None there is dense).
        layer: Number of a layer without a window; None takes one a third of the way up.

    Returns:
        layer, head, tokens, `mass[row][column]` (cells of 64 × 64 tokens, rows sum to 1), and
        `ways`: label, `visits` (a text of 0 and 1 for each row), `density` (visited ÷ visible
        cells) and `retained` (mean mass of the visited ones) of the head, and the means over the
        layer's heads as `layer_density` and `layer_retained`.
    """
    from foveate import plan

    layer = full_layer(model, layer)
    length = tokens.shape[1] // 128 * 128
    q, k, scale = watch(model, tokens[:, :length], layer)
    cells = length // CELL
    mass, far, share = pooled(q, k, scale, cells)
    head = int((far * (1 - share)).argmax())
    seen = torch.ones(cells, cells, dtype=torch.bool).tril()
    records = []
    for label, select in ways.items():
        select = select[layer] if isinstance(select, tuple) else select
        decided = plan(
            q[None],
            k[None],
            k[None],
            select="dense" if select is None else select,
            precision="native",
            causal=True,
            scale=scale,
        )
        visits = _cells(decided.layout(q[None], k[None]), cells, q.shape[0]) & seen
        density = visits.sum((1, 2)) / seen.sum()
        retained = (mass * visits).sum((1, 2)) / cells
        records.append(
            {
                "label": label,
                "visits": ["".join("01"[int(x)] for x in row) for row in visits[head]],
                "density": float(density[head]),
                "retained": float(retained[head]),
                "layer_density": float(density.mean()),
                "layer_retained": float(retained.mean()),
            }
        )
    return {
        "layer": layer,
        "head": head,
        "tokens": length,
        "mass": [[round(float(x), 6) for x in row] for row in mass[head]],
        "ways": records,
    }


def _cells(layout: Any, cells: int, heads: int) -> Tensor:
    """Visited cells, bool `[Hq, cells, cells]`."""
    if layout is None:
        return torch.ones(heads, cells, cells, dtype=torch.bool)
    visits = layout.to_dense()[0]
    for dim, size in zip((1, 2), layout.block, strict=True):
        if size % CELL:
            raise ValueError(
                f"a selection has blocks of {layout.block}; expected multiples of {CELL}"
            )
        visits = visits.repeat_interleave(size // CELL, dim)
    return visits[:, :cells, :cells].expand(heads, -1, -1)
