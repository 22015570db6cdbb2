"""What mean correction, the second filter, reports and reuse do on a real model's Q, K and V.

    python -m benchmarks.sparse_trust [--tokens 4096] [--layers 5] [--write]

The one thing to know: only errors and shares are measured here, no times, so it may run beside
other work. Errors are over all rows, against float32 dense attention; a report's own estimate is
compared with them.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.trust_tables import RESULT
from foveate import Reuse, Sparge, TopK, Window, XAttention, plan
from foveate.attn.correct import skipped_whole
from foveate.attn.layouts.rules import pool_blocks
from foveate.attn.sampling import sample
from foveate.measure.error import relative_l1
from foveate.models import assets
from foveate.tune.capture import Captured, capture

SELECTIONS = {
    "TopK(0.25)": TopK(0.25, (128, 64)),
    "Window(512, 64)": Window(512, 64),
    "Sparge(threshold=0.9)": Sparge(threshold=0.9),
    "Sparge(threshold=0.97)": Sparge(threshold=0.97),
    "XAttention(0.9)": XAttention(threshold=0.9),
    "XAttention(0.97)": XAttention(threshold=0.97),
}
SKIPS = (4.0, 6.0, 8.0, 12.0, 20.0)
WEIGHED = 2048  # tokens of the study of weights, which makes whole maps

Record = dict[str, Any]


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=5, help="how many, evenly spread")
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    asked = parser.parse_args()
    found = measure(asked.tokens, asked.layers)
    print(json.dumps(found, indent=1))
    if asked.write:
        part = RESULT.with_suffix(".part")
        part.write_text(json.dumps(found, indent=1) + "\n")
        os.replace(part, RESULT)


def measure(tokens: int, layers: int) -> Record:
    """All figures, averaged over the layers."""
    model, tokenizer = assets.load("smollm2-135m")
    ids = tokenizer(assets.text(), return_tensors="pt").input_ids[:, :tokens]
    count = model.config.num_hidden_layers
    chosen = {round((i + 0.5) * count / layers) for i in range(layers)}
    rows: list[Record] = []
    pairs: list[Record] = []
    weights: list[dict[str, float]] = []
    last: list[Captured] = []

    def visit(seen: Captured) -> None:
        if seen.layer - 1 in chosen and last:
            pairs.append(neighbours(last[0], seen))
        last[:] = [seen]
        if seen.layer in chosen:
            print(f"layer {seen.layer}", flush=True)
            rows.extend(one_layer(seen))
            weights.extend(weighings(seen))

    capture(model, ids, visit)
    return {
        "model": "SmolLM2-135M",
        "tokens": ids.shape[1],
        "layers": sorted(chosen),
        "selections": averaged(rows),
        "coverage": {
            "intervals": len(rows),
            "that hold the error": sum(row["inside"] for row in rows),
        },
        "neighbouring layers": pairs,
        "weights of a pseudo key": {
            "select": "Sparge(threshold=0.8)",
            "tokens": min(WEIGHED, ids.shape[1]),
            "heads": len(weights),
            "error": {
                name: round(sum(one[name] for one in weights) / len(weights), 5)
                for name in weights[0]
            },
        },
    }


def one_layer(seen: Captured) -> list[Record]:
    """Every selection in every variant, in one layer."""
    exact = scaled_dot_product_attention(
        seen.q, seen.k, seen.v, is_causal=True, scale=seen.scale, enable_gqa=True
    )
    found = []
    for name, select in SELECTIONS.items():
        variants = {"plain": select, "corrected": replace(select, correct=True)}
        if name in ("Sparge(threshold=0.97)", "XAttention(0.97)"):
            variants |= {f"skip {skip:g}": replace(select, skip=skip) for skip in SKIPS}
        for variant, one in variants.items():
            made = plan(
                seen.q,
                seen.k,
                seen.v,
                select=one,
                causal=True,
                scale=seen.scale,
                precision="native",
            )
            out, report = made.run(seen.q, seen.k, seen.v, report=True)
            error = relative_l1(out, exact)
            low, high = report.error_interval
            found.append(
                {
                    "select": name,
                    "variant": variant,
                    "density": report.density,
                    "retained": report.retained,
                    "left_out": report.skipped,
                    "error": error,
                    "estimate": report.error,
                    "inside": low <= error <= high,
                }
            )
    return found


def neighbours(first: Captured, second: Captured) -> Record:
    """The blocks of one layer, used in the next."""
    reuse = Reuse(Sparge(threshold=0.9), drift=1.0)
    made = plan(second.q, second.k, second.v, select=reuse.select, causal=True, precision="native")
    reuse.layout(0, first.q, first.k, causal=True)
    kept = reuse.layout(0, second.q, second.k, causal=True)
    found: Record = {"layers": [first.layer, second.layer], "drift": reuse.drifts[0]}
    for name, one in (("reused", kept), ("renewed", made.layout(second.q, second.k))):
        mass = sample(second.q, second.k, second.v, None, made.request, one).retained
        found[name] = {"density": one.density(), "retained": float(mass.mean())}
    return found


def weighings(seen: Captured) -> list[dict[str, float]]:
    """Relative L1 of each head for several weights of the pseudo keys of mean correction.

    Maps of queries × keys are made, one head at a time.
    """
    q, k, v = (x[:, :, :WEIGHED] for x in (seen.q, seen.k, seen.v))
    select = Sparge(threshold=0.8)
    made = plan(q, k, v, select=select, causal=True, scale=seen.scale, precision="native")
    layout = made.layout(q, k)
    rest = skipped_whole(layout, made.request.band).to_dense()[0]
    rest = rest.repeat_interleave(layout.block[0], 1)[:, : q.shape[2]]
    seen_pairs = layout.to_mask()[0]
    size, groups = layout.block[1], q.shape[1] // k.shape[1]
    keys, values = pool_blocks(k, size)[0], pool_blocks(v, size)[0]
    spread = pool_blocks(k * k, size)[0] - keys * keys
    number = torch.full((k.shape[2],), 1.0).split(size)
    log_n = torch.tensor([float(len(part)) for part in number]).log()
    causal = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril()
    found = []
    for head in range(q.shape[1]):
        g = head // groups
        scores = (q[0, head] @ k[0, g].T * seen.scale).masked_fill(~causal, -torch.inf)
        exact = scores.softmax(-1) @ v[0, g]
        first = q[0, head] @ keys[g].T * seen.scale + log_n
        logits = {
            "none": torch.full_like(first, -torch.inf),
            "mean": first,
            "second order": first + (q[0, head] ** 2 @ spread[g].T) * seen.scale**2 / 2,
            "true mass": torch.stack([x.logsumexp(-1) for x in scores.split(size, 1)], 1),
        }
        kept = scores.masked_fill(~seen_pairs[head], -torch.inf)
        both = torch.cat([v[0, g], values[g]])
        found.append(
            {
                name: relative_l1(
                    torch.cat([kept, logit.masked_fill(~rest[head], -torch.inf)], 1).softmax(-1)
                    @ both,
                    exact,
                )
                for name, logit in logits.items()
            }
        )
    return found


def averaged(rows: list[Record]) -> list[Record]:
    """Means over the layers, in the order in which they came."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in rows:
        groups.setdefault((row["select"], row["variant"]), []).append(row)
    result = []
    for (select, variant), group in groups.items():
        means = {
            name: None
            if group[0][name] is None
            else round(sum(row[name] for row in group) / len(group), 5)
            for name in ("density", "retained", "left_out", "error")
        }
        result.append({"select": select, "variant": variant, **means})
    return result


if __name__ == "__main__":
    main()
