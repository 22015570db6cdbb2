"""Measure what each choice of sparse selection is worth: python -m benchmarks.sparse_claims.

Studies on the queries, keys and values of a real language model (six layers of SmolLM2-135M that
reads a novel) and, beyond the 8192 tokens that it can read, on made-up data. Writes
benchmarks/results/sparse.json and its part of docs/claims.md; `--render` only rewrites the text.

The one thing to know: rules are compared at equal density. Each rule gives a curve of (density,
error) over its knob, one value for all heads; the error at a density is read off that curve.
Relative L1 is that of a layer's whole output against exact attention, Σ|O − O'| / Σ|O|, over
sampled rows of every block of queries, and the mean over layers.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import claims
from benchmarks.ablations import write
from benchmarks.number_claims import CLAIMS
from benchmarks.sparse_rules import (
    Rule,
    curve,
    mean_curve,
    sparge_rules,
    summary,
    xattention_rules,
)
from foveate import Hilbert, Sparge, Tiles, plan
from foveate.attn.select.dense import Dense
from foveate.measure.error import relative_l1
from foveate.measure.machine import commit, versions
from foveate.tune.capture import Captured

RESULTS = Path(__file__).parent / "results" / "sparse.json"
LAYERS = (0, 6, 12, 18, 24, 29)  # of 30
LENGTHS = (2048, 4096, 8192)
MAIN = 4096  # the length of the studies that take one
MADE_UP = (8192, 16384, 32768)
GRID = (8, 24, 32)  # frames, rows, columns of the field that orders are tried on

Record = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """Measure and render; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sparse_claims", description=__doc__)
    parser.add_argument("--render", action="store_true", help="only rewrite docs/claims.md")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if not args.render:
        with torch.no_grad():
            records = list(everything())
        document = {
            "kind": "sparse",
            "commit": commit(),
            "versions": versions("torch", "transformers"),
            "records": records,
        }
        write(RESULTS, json.dumps(document, indent=1, allow_nan=False) + "\n")
    numbers = json.loads(claims.ABLATIONS.read_text(encoding="utf-8"))
    write(claims.DOCUMENT, claims.rendered(numbers, CLAIMS))
    return 0


def everything() -> Iterator[Record]:
    """All records of all studies."""
    for length in LENGTHS:
        layers = list(layers_of(length))
        every = length == MAIN
        yield from rules_study("sparge", sparge_rules(), layers, "model", every)
        yield from rules_study("xattention", xattention_rules(), layers, "model", every)
        if every:
            yield from second_filter(layers)
    for length in MADE_UP:
        layers = [made_up(length)]
        yield from rules_study("sparge", sparge_rules(), layers, "made up", False)
        yield from rules_study("xattention", xattention_rules(), layers, "made up", False)
    yield from orders()


LASTING = (  # rules that are followed over all lengths
    *("share", "share, mean correction", "exclusive", "top-k of all", "released: stride 8"),
    *("released: stride 16", "stride 16, share", "stride 16, share, mean correction", "true mass"),
)


def rules_study(
    study: str, rules: dict[str, Rule], layers: list[Captured], data: str, every: bool
) -> Iterator[Record]:
    """The curve of each rule, as the mean over layers."""
    length = layers[0].q.shape[2]
    rows = max(2, min(8, 8 * MAIN // length))
    print(f"{study}: {length} tokens, {data}", file=sys.stderr)
    chosen = {name: rule for name, rule in rules.items() if every or name in LASTING}
    curves: dict[str, list[Any]] = {name: [] for name in chosen}
    for seen in layers:
        cache: dict[Any, Any] = {}
        # the same evidence serves all rules of a kind: correction last
        for name in sorted(chosen, key=lambda name: chosen[name].select.correct):
            curves[name].append(curve(seen, chosen[name], rows, cache))
    for name in chosen:
        found = summary(mean_curve(curves[name]))
        yield {"study": study, "row": name, "data": data, "length": length, **found}


def second_filter(layers: list[Captured]) -> Iterator[Record]:
    """What each filter skips alone and together; sparsity counts Q·K and P·V as half each."""
    print("second filter", file=sys.stderr)
    first = Sparge(threshold=0.95, at_least=4)
    rows = {"first filter alone": first}
    for bits in (6, 8, 10):
        rows[f"second alone, 2^-{bits}"] = Dense(skip=bits)
        rows[f"both, 2^-{bits}"] = replace(first, skip=bits)
    for name, select in rows.items():
        found = [_filtered(seen, select) for seen in layers]
        yield {
            "study": "filters",
            "row": name,
            "length": layers[0].q.shape[2],
            **{key: sum(one[key] for one in found) / len(found) for key in found[0]},
        }


def _filtered(seen: Captured, select: Any) -> dict[str, float]:
    decided = plan(
        *(seen.q, seen.k, seen.v),
        select=select,
        precision="native",
        causal=seen.causal,
        scale=seen.scale,
    )
    _, report = decided.run(seen.q, seen.k, seen.v, report=True)
    skipped = report.skipped or 0.0
    return {
        "density": report.density,
        "pv_skipped": skipped,
        "sparsity": (1 - report.density) + report.density * skipped / 2,
        "error": report.error,
    }


def orders() -> Iterator[Record]:
    """Orders of the tokens of a smooth field over (time, row, column), not causal."""
    print("orders of tokens", file=sys.stderr)
    q, k, v = smooth_field()
    ways = {
        "row by row": None,
        "tiles 2 × 8 × 8": Tiles(GRID, (2, 8, 8)),
        "Hilbert": Hilbert(GRID),
    }
    exact = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    for name, order in ways.items():
        points = []
        for threshold in (0.5, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.98, 0.99):
            select = Sparge(threshold=threshold, order=order)
            decided = plan(q, k, v, select=select, precision="native")
            layout = decided.layout(q, k)
            out = decided.run(q, k, v, layout=layout)
            points.append(
                {
                    "knob": threshold,
                    "density": layout.density(),
                    "retained": 0.0,
                    "error": float(relative_l1(out, exact)),
                }
            )
        there = order.permutation(q.shape[2]) if order else torch.arange(q.shape[2])
        likeness = [
            float(decided.kernels.block_means(x[:, :, there], rows, None, True)[1].mean())
            for x, rows in ((q, 128), (k - k.mean(2, keepdim=True), 64))
        ]
        yield {
            "study": "orders",
            "row": name,
            "length": q.shape[2],
            "likeness_q": likeness[0],
            "likeness_k": likeness[1],
            **summary(points),
        }


def layers_of(length: int, offset: int = 0) -> Iterator[Captured]:
    """Queries, keys and values of some layers of a real model that reads a novel."""
    from foveate.models import assets
    from foveate.tune.capture import capture

    model, tokenizer = assets.load()
    ids = tokenizer(assets.text(), return_tensors="pt").input_ids
    kept: list[Captured] = []

    def visit(seen: Captured) -> None:
        if seen.layer in LAYERS:
            kept.append(seen)

    model.set_attn_implementation("sdpa")
    capture(model, ids[:, offset : offset + length], visit)
    yield from kept


def made_up(length: int, seed: int = 0, heads: int = 4) -> Captured:
    """Queries and keys with a sink, topics that come back, nearness, and noise."""
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, heads, length, 64, generator=g) for _ in range(3))
    topics = 0.8 * torch.randn(1, heads, 48, 64, generator=g)
    lengths = torch.randint(60, 400, (length // 60 + 1,), generator=g)
    which = torch.randint(0, 48, (len(lengths),), generator=g).repeat_interleave(lengths)[:length]
    q, k = 0.8 * q + topics[:, :, which], 0.8 * k + topics[:, :, which]
    far = torch.arange(length)[:, None] / torch.logspace(1.5, 4.5, 16)  # wavelengths in tokens
    near = torch.cat([far.cos(), far.sin()], -1) * 1.6
    q[..., :32] += near
    k[..., :32] += near
    sink = torch.nn.functional.normalize(torch.randn(64, generator=g), dim=0)
    q, k[:, :, :4] = q + 3.0 * sink, 20.0 * sink
    return Captured(0, q, k, v, 64**-0.5, True)


def smooth_field(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values that change smoothly over a box of tokens, with noise."""
    g = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in GRID), indexing="ij")
    place = torch.stack([axis.flatten() for axis in axes], -1)  # [L, 3]
    waves = torch.randn(3, 96, generator=g) / torch.tensor([4.0, 5.0, 5.0])[:, None]
    turns = place @ waves
    features = torch.cat([turns.cos(), turns.sin()], -1)  # [L, 192]
    mixed = [
        features @ torch.randn(4, 192, 64, generator=g) * 192**-0.5 * strength
        + 0.5 * torch.randn(4, len(place), 64, generator=g)
        for strength in (2.0, 2.0, 1.0)
    ]
    q, k, v = (x[None] for x in mixed)
    return q + 0.8 * k, k, v


if __name__ == "__main__":
    sys.exit(main())
