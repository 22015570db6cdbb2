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

from torch.nn.functional import scaled_dot_product_attention

from benchmarks.trust_tables import RESULT
from foveate import Reuse, Sparge, TopK, Window, XAttention, plan
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
    last: list[Captured] = []

    def visit(seen: Captured) -> None:
        if seen.layer - 1 in chosen and last:
            pairs.append(neighbours(last[0], seen))
        last[:] = [seen]
        if seen.layer in chosen:
            print(f"layer {seen.layer}", flush=True)
            rows.extend(one_layer(seen))

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
