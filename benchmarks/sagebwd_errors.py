"""Measure the errors of 8-bit gradients: python -m benchmarks.sagebwd_errors.

On the reference backend: a sweep over the size of the scores, and one change at a time ("lessons")
on data with offsets as real layers have them, and on the queries, keys, values and gradients of a
real language model (when it is installed). Writes benchmarks/results/sagebwd-errors.json and the
generated parts of the documents.

The one thing to know: a record is (study, row, precision) with the relative L2 errors and cosines
of out, dQ, dK and dV against float64; tables and verdicts are made in `sagebwd_tables.py`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate import SageBwd, attention
from foveate.measure.error import cosine, relative_l2
from foveate.measure.machine import commit, versions

RESULT = Path(__file__).parent / "results" / "sagebwd-errors.json"
SWEEP = (1, 3, 5, 8, 10)
NAMES = ("o", "dq", "dk", "dv")
LAYERS = (0, 6, 12, 18, 24, 29)
TOKENS = 1024
LESSONS = {
    "as published": SageBwd("block"),
    "with the mean term": SageBwd("block", mean_term=True),
    "δ from the products": SageBwd("block", delta="products"),
    "δ from the products, with the mean term": SageBwd("block", "products", mean_term=True),
    "δ from the products, Q smoothed": SageBwd("block", "products", smooth_q=True),
    "static scale of P": SageBwd("block", p_scale="static"),
    "dP in INT8": SageBwd("block", dp="int8"),
    "dP in float16": SageBwd("block", dp="fp16"),
    "E4M3 instead of INT8": SageBwd("block", codes="fp8"),
    "K not smoothed": SageBwd("block", smooth_k=False),
    "scales along an axis": SageBwd("axis", delta="out"),
    "scales along an axis, δ from the products (default)": SageBwd(),
    "default, Q smoothed": SageBwd(smooth_q=True),
}


def drawn(generator: np.random.Generator, size: float = 1.0, length: int = 1024) -> list[Tensor]:
    """q, k, v and dO, float64 `[1, 1, length, 64]`: N(0, size²), N(0, size²), N(0, 1), N(0, 1)."""
    sizes = (size, size, 1.0, 1.0)
    return [torch.from_numpy(s * generator.standard_normal((1, 1, length, 64))) for s in sizes]


def biased(seed: int = 0) -> list[Tensor]:
    """As `drawn`, with offsets that all tokens share: 2σ per channel in q, 8σ in k, and 2 in v."""
    generator = np.random.default_rng(seed)
    q, k, v, dout = drawn(generator)
    shift = [torch.from_numpy(generator.standard_normal((1, 1, 1, 64))) for _ in range(2)]
    return [q + 2 * shift[0], k + 8 * shift[1], v + 2, dout]


def both_ways(tensors: list[Tensor], precision: Any, **options: Any) -> tuple[Tensor, ...]:
    """out and the gradients of q, k and v, on the reference backend."""
    q, k, v = (x.detach().clone().requires_grad_() for x in tensors[:3])
    out = attention(q, k, v, precision=precision, backend="reference", **options)
    return out.detach(), *torch.autograd.grad(out, (q, k, v), tensors[3])


def errors(tensors: list[Tensor], *precisions: SageBwd, **options: Any) -> list[dict[str, Any]]:
    """Relative L2 of out, dQ, dK and dV in float32 against float64, and cosines, per precision."""
    exact = both_ways(tensors, "native", **options)
    found = []
    for precision in precisions:
        got = both_ways([x.float() for x in tensors], precision, **options)
        pairs = list(zip(NAMES, got, exact, strict=True))
        found.append(
            {name: relative_l2(a, b) for name, a, b in pairs}
            | {"cosine": {name: cosine(a, b) for name, a, b in pairs}}
        )
    return found


def records() -> Iterator[dict[str, Any]]:
    """Everything, one record after another."""
    generator = np.random.default_rng(2)
    modes = (SageBwd("block"), SageBwd())
    for size in SWEEP:
        found = errors(drawn(generator, size), *modes)
        for mode, figures in zip(modes, found, strict=True):
            yield {"study": "sweep", "row": size, "precision": str(mode), **figures}
    for name, precision in LESSONS.items():
        yield {
            "study": "offsets",
            "row": name,
            "precision": str(precision),
            **errors(biased(), precision)[0],
        }
    try:
        layers = model_layers()
    except Exception as error:  # no model, no rows: the other studies stand without
        print(f"without a real model: {error}", file=sys.stderr)
        return
    for layer, tensors in layers.items():
        found = errors(tensors, *LESSONS.values(), causal=True)
        for (name, precision), figures in zip(LESSONS.items(), found, strict=True):
            yield {
                "study": "model",
                "row": name,
                "layer": layer,
                "precision": str(precision),
                **figures,
            }


def model_layers() -> dict[int, list[Tensor]]:
    """q, k, v and dO of some layers of SmolLM2 reading a novel, float64, one kv head each.

    Raises:
        MissingAsset, ModuleNotFoundError: The model or transformers is not installed.
    """
    from transformers import AttentionInterface

    from foveate.models import assets
    from foveate.train.language import next_token_loss

    model, tokenizer = assets.load("smollm2-135m", torch.float32)
    kept: dict[int, list[Tensor]] = {}

    def function(module, query, key, value, attention_mask, **others):
        out = attention(query, key, value, precision="native", causal=True)
        if module.layer_idx in LAYERS:
            out.retain_grad()
            kept[module.layer_idx] = [query, key, value, out]
        return out.transpose(1, 2).contiguous(), None

    AttentionInterface.register("kept", function)
    model.set_attn_implementation("kept")
    tokens = torch.tensor([tokenizer.encode(assets.text())[: TOKENS + 1]])
    next_token_loss(model, tokens).backward()
    group = kept[LAYERS[0]][0].shape[1] // kept[LAYERS[0]][1].shape[1]
    return {
        layer: [
            x[:, :heads].detach().double()
            for x, heads in ((q, group), (k, 1), (v, 1), (out.grad, group))
        ]
        for layer, (q, k, v, out) in kept.items()
    }


def main() -> None:
    made = []
    for record in records():
        made.append(record)
        print(f"{record['study']}  {record['row']}  dQ {record['dq']:.4f}", file=sys.stderr)
    document = {
        "kind": "sagebwd-errors",
        "commit": commit(),
        "versions": versions("foveate", "torch"),
        "records": made,
    }
    part = RESULT.with_suffix(".tmp")
    part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    os.replace(part, RESULT)


if __name__ == "__main__":
    main()
