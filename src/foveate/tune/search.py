"""The search: a model reads calibration text, and every head gets its own knobs.

    calibration  each layer's q, k, v → density and error of every candidate of every head
    allocation   one candidate for each head, under one budget for all
    held out     other text: the same measures, and the real engine with the knobs that were chosen

The one thing to know: the loss of a layer is the relative L1 of its attention output before the
output projection, Σ|out − exact| / Σ|exact| over all heads, and what is bounded or minimised is its
mean over layers and samples. So a head counts as much as its output weighs in its layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from foveate import attention, plan
from foveate.attn.layouts.rules import block_regions
from foveate.attn.select import Selection

from .allocate import Allocation, allocate
from .candidates import Grid, density_of, judge
from .capture import Captured, capture
from .store import Store

Tick = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Table:
    """Every candidate of every head, mean over samples. Items are heads, layer after layer.

    Args:
        layers: Numbers of the layers.
        density: Visited ÷ visible blocks, `[C, items]`.
        retained: Mean mass on visited blocks, `[C, items]`.
        loss: Part in the relative L1 of the layer times heads, `[C, items]`.
        relative: The head's own relative L1, `[C, items]`.
    """

    layers: tuple[int, ...]
    density: Tensor
    retained: Tensor
    loss: Tensor
    relative: Tensor

    def of(self, choice: Sequence[int]) -> dict[str, float]:
        """Means over all heads for one candidate each."""
        at = torch.as_tensor(choice)[None]
        return {
            name: float(table.gather(0, at).mean())
            for name, table in (
                ("density", self.density),
                ("l1", self.loss),
                ("l1_of_heads", self.relative),
                ("retained", self.retained),
            )
        }

    def fixed(self, candidates: Sequence[int], density: float) -> dict[str, float]:
        """What one threshold for all heads gives at a density, between the two nearest ones.

        Args:
            candidates: Those that differ in the threshold alone, by rising density.
            density: The density to compare at.
        """
        curve = self.density[list(candidates)].mean(1)
        upper = int((curve < density).sum().clamp(1, len(curve) - 1))
        low, high = float(curve[upper - 1]), float(curve[upper])
        part = min(1.0, max(0.0, (density - low) / max(high - low, 1e-12)))
        a, b = (self.of([candidates[x]] * self.density.shape[1]) for x in (upper - 1, upper))
        return (
            {name: a[name] + part * (b[name] - a[name]) for name in a}
            | {"part": part}
            | {
                "below": float(candidates[upper - 1]),
                "above": float(candidates[upper]),
            }
        )


def samples(tokens: Tensor, lengths: Sequence[int], each: int, begin: float, end: float) -> list:
    """Pieces of a text: `each` pieces of each length, spread over a part of it.

    Args:
        tokens: The whole text, int64 `[N]`.
        lengths: Tokens of a piece.
        each: Pieces of each length.
        begin: Where the part begins, 0 … 1.
        end: Where it ends.

    Returns:
        Pairs (number of the first token, tokens `[1, length]`).

    Raises:
        ValueError: The part is shorter than a piece.
    """
    first, last = int(begin * len(tokens)), int(end * len(tokens))
    found = []
    for length in lengths:
        room = last - first - length
        if room < 0:
            raise ValueError(
                f"the text has {len(tokens)} tokens, of which {last - first} may be used here; "
                f"expected at least {length}, the longest length"
            )
        for number in range(each):
            start = first + (room * number // max(1, each - 1) if each > 1 else room // 2)
            found.append((start, tokens[start : start + length][None]))
    return found


def calibrate(
    model: Any, pieces: list, grid: Grid, rows: int, store: Store, tick: Tick, backend: str = "auto"
) -> Table:
    """Measure every candidate of a grid on pieces of text.

    Args:
        model: A transformers model.
        pieces: From `samples`.
        grid: What to try.
        rows: Sampled rows of each block of queries.
        store: Where results are kept.
        tick: Called with a short text after each layer.
        backend: Who makes the block scores.
    """

    def work(seen: Captured) -> dict[str, Tensor]:
        return _judged(seen, grid, rows, backend)

    return _table(_passes(model, pieces, "calibration", store, tick, work))


def hold_out(
    model: Any,
    pieces: list,
    grid: Grid,
    chosen: dict[int, Selection],
    rows: int,
    store: Store,
    tick: Tick,
    backend: str = "auto",
) -> tuple[Table, dict[str, float]]:
    """The same on other text, and what the engine itself does there with the chosen knobs.

    Returns:
        The table, and density and l1 of the engine over all rows.
    """

    def work(seen: Captured) -> dict[str, Tensor]:
        return _judged(seen, grid, rows, backend) | _engine(seen, chosen[seen.layer], backend)

    tag = f"held out {hash_of(chosen)}"
    found = _passes(model, pieces, tag, store, tick, work)
    engine = {
        name: float(torch.stack([one[f"engine_{name}"] for _, one in found]).mean())
        for name in ("density", "l1")
    }
    return _table(found), engine


def spend(table: Table, *, density: float | None = None, l1: float | None = None) -> Allocation:
    """One candidate for each head, for a density or for an error.

    Args:
        table: From `calibrate`.
        density: Mean density of all heads, at most; the loss is minimised.
        l1: Mean relative L1 of the layers, at most; the density is minimised.

    Returns:
        The allocation; its cost and loss are sums over heads, and with `l1` they change places.

    Raises:
        ValueError: Not exactly one target is given, or no choice reaches it.
    """
    if (density is None) == (l1 is None):
        raise ValueError("expected exactly one of density and l1")
    items = table.density.shape[1]
    if density is not None:
        return allocate(table.density.T, table.loss.T, density * items)
    return allocate(table.loss.T, table.density.T, l1 * items)


def selections(grid: Grid, table: Table, choice: Sequence[int]) -> dict[int, Selection]:
    """The selection of each layer for one candidate of each head."""
    heads = len(choice) // len(table.layers)
    return {
        layer: grid.mixed(choice[number * heads : (number + 1) * heads])
        for number, layer in enumerate(table.layers)
    }


def hash_of(chosen: dict[int, Selection]) -> str:
    """A short name for what was chosen; equal choices share it."""
    import hashlib

    text = repr([(layer, repr(one), one.correct) for layer, one in sorted(chosen.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _passes(
    model: Any,
    pieces: list,
    tag: str,
    store: Store,
    tick: Tick,
    work: Callable[[Captured], dict[str, Tensor]],
) -> list[tuple[int, dict[str, Tensor]]]:
    """Work on every layer of every piece, but what the store has already: (layer, result)."""
    results = []
    for start, tokens in pieces:
        name = f"{tag}/{tokens.shape[1]} from {start}"
        done = store.get(f"{name}/layers")
        if done is None:
            layers: list[int] = []

            def visit(seen: Captured, name: str = name, layers: list[int] = layers) -> None:
                key = f"{name}/{seen.layer}"
                if store.get(key) is None:
                    store.put(key, work(seen))
                layers.append(seen.layer)
                tick(f"{name}, layer {seen.layer}")

            capture(model, tokens, visit)
            store.put(f"{name}/layers", {"layers": torch.tensor(layers)})
            done = store.get(f"{name}/layers")
        else:
            for layer in done["layers"].tolist():
                tick(f"{name}, layer {layer}")
        results += [(layer, store.get(f"{name}/{layer}")) for layer in done["layers"].tolist()]
    return results


def _judged(seen: Captured, grid: Grid, rows: int, backend: str) -> dict[str, Tensor]:
    found = judge(seen, grid, rows, backend)
    return {
        "density": found.density.float(),
        "retained": found.retained.float(),
        "loss": found.share.float(),
        "relative": found.relative.float(),
    }


def _engine(seen: Captured, select: Selection, backend: str) -> dict[str, Tensor]:
    """Density and relative L1 of a whole layer, attended for real, in the exact numbers."""
    options = {"select": select, "precision": "native", "causal": seen.causal, "scale": seen.scale}
    out = attention(seen.q, seen.k, seen.v, **options, backend=backend)
    exact = F.scaled_dot_product_attention(
        seen.q, seen.k, seen.v, is_causal=seen.causal, scale=seen.scale, enable_gqa=True
    )
    decided = plan(seen.q, seen.k, seen.v, **options, backend=backend)
    lengths = (seen.q.shape[2], seen.k.shape[2])
    density = torch.ones(())
    if type(decided.select) is type(select):
        layout = select.layout(seen.q, seen.k, decided.request, decided.kernels)
        allowed, _ = block_regions(decided.request.band, lengths, layout.block, seen.q.device)
        density = density_of(layout.to_dense(), allowed).mean()
    error = (out - exact).abs().sum() / exact.abs().sum()
    return {"engine_density": density, "engine_l1": error}


def _table(found: list[tuple[int, dict[str, Tensor]]]) -> Table:
    layers = tuple(sorted({layer for layer, _ in found}))
    joined = {
        name: torch.cat(
            [
                torch.stack([one[name] for layer, one in found if layer == number]).double().mean(0)
                for number in layers
            ],
            dim=1,
        )
        for name in ("density", "retained", "loss", "relative")
    }
    return Table(layers, **joined)
