"""Measure what each choice of the number formats is worth: python -m benchmarks.ablations.

Seven small studies on the reference backend, on the inputs of `golden.py` and on the queries, keys
and values of a real language model (when it is installed). Writes benchmarks/results/ablations.json
and the generated parts of docs/claims.md; `--render` only rewrites the document.

The one thing to know: a record is (study, row, column) with its errors against float64; tables and
verdicts are made from records alone, in `claims.py`.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks import claims
from benchmarks.golden import (
    E5M2,
    EXACT,
    HALF,
    STATIC,
    V_OFFSET,
    biased,
    exact,
    fp4,
    fp8,
    gaussian,
    long,
    pv,
    run,
    scores,
    sink,
)
from benchmarks.number_claims import CLAIMS
from foveate.attn.formats import FP4, FP8, Integer, Unsigned
from foveate.attn.layouts.blocks import Band
from foveate.attn.precision.recipe import Recipe
from foveate.measure.error import cosine, relative_l1, relative_l2
from foveate.measure.machine import commit, versions

RESULTS = Path(__file__).parent / "results" / "ablations.json"
DRAWS = range(8)  # of D2, whose errors hang on the draw; the median is reported
LAYERS = (0, 6, 12, 18, 24, 29)  # of 30
TOKENS = 1024
TILE = {"p": Unsigned(255, "tile"), "v": Integer(8, "channel+tile")}
NVFP4, DIRECT, MXFP4 = FP4("nvfp4", True), FP4("nvfp4", False), FP4("mxfp4", False)

Case = tuple[Tensor, Tensor, Tensor, Tensor, float, bool]  # q, k, v, reference, offset, causal
Record = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """Measure and render; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=__doc__)
    parser.add_argument("--render", action="store_true", help="only rewrite docs/claims.md")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    if not args.render:
        records = []
        for study in (smoothing, granularity, pv_formats, lengths, ranges, smooth_v, fp4_choices):
            print(f"{study.__doc__.splitlines()[0]}", file=sys.stderr)
            records += [{"study": study.__name__, **record} for record in study()]
        document = {
            "kind": "ablations",
            "commit": commit(),
            "versions": versions("torch", "transformers"),
            "records": records,
        }
        write(RESULTS, json.dumps(document, indent=1, allow_nan=False) + "\n")
    document = json.loads(RESULTS.read_text(encoding="utf-8"))
    write(claims.DOCUMENT, claims.rendered(document, CLAIMS))
    return 0


def write(path: Path, text: str) -> None:
    """Replace a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".tmp")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)


def errors(recipe: Recipe, cases: list[Case]) -> Record:
    """Median errors over the cases, and the worst cosine."""
    found = []
    for q, k, v, reference, offset, causal in cases:
        out, _ = run(q, k, v, recipe, band=Band(after=0) if causal else None)
        found.append((cosine(out - offset, reference), relative_l1(out - offset, reference)))
    if not all(map(math.isfinite, itertools.chain(*found))):
        return {"cosine": None, "relative_l1": None, "worst": None}  # overflow
    cosines, l1 = zip(*found, strict=True)
    return {"cosine": median(cosines), "relative_l1": median(l1), "worst": min(cosines)}


def case(q: Tensor, k: Tensor, v: Tensor, offset: float = 0.0, causal: bool = False) -> Case:
    """Inputs with their float64 output; both outputs lose `offset` before they are compared."""
    seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril() if causal else None
    return q, k, v, exact(q, k, v, seen)[0] - offset, offset, causal


def d2() -> list[Case]:
    """D2 on 256 queries, for several draws."""
    draws = [biased(seed) for seed in DRAWS]
    return [case(q[:, :, :256], k, v, V_OFFSET) for q, k, v in draws]


_MODEL: list[Case] = []


def model() -> list[Case]:
    """Queries, keys and values of some layers of SmolLM2-135M on a novel; empty without it."""
    if not _MODEL:
        _MODEL.extend(_captured())
    return _MODEL


def _captured() -> list[Case]:
    from foveate.models import assets

    try:
        language_model, tokenizer = assets.load(dtype=torch.float32)
    except (assets.MissingAsset, ModuleNotFoundError) as missing:
        print(f"without a real model: {missing}", file=sys.stderr)
        return []
    taken, original = [], torch.nn.functional.scaled_dot_product_attention

    def recording(q: Tensor, k: Tensor, v: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        group = 1 if kwargs.get("enable_gqa") else q.shape[1] // 3  # 3 kv heads, maybe repeated
        taken.append((q.clone(), k[:, ::group].clone(), v[:, ::group].clone()))
        return original(q, k, v, *args, **kwargs)

    language_model.set_attn_implementation("sdpa")
    ids = tokenizer(assets.text()[: 8 * TOKENS], return_tensors="pt").input_ids[:, :TOKENS]
    torch.nn.functional.scaled_dot_product_attention = recording
    try:
        with torch.no_grad():
            language_model(ids, use_cache=False, logits_to_keep=1)
    finally:
        torch.nn.functional.scaled_dot_product_attention = original
    return [case(*taken[layer], causal=True) for layer in LAYERS]


def table(rows: dict[str, Recipe], columns: dict[str, list[Case]]) -> Iterator[Record]:
    """One record for each row and column."""
    for name, recipe in rows.items():
        for column, cases in columns.items():
            if cases:
                yield {"row": name, "column": column, **errors(recipe, cases)}


def smoothing() -> Iterator[Record]:
    """1. Which means to subtract: nothing, K, Q or both; exact P·V."""
    kinds = {
        "INT8": lambda s: scores(8, smooth=s, p=EXACT, v=EXACT),
        "INT4": lambda s: scores(4, smooth=s, p=EXACT, v=EXACT),
        "NVFP4": lambda s: fp4(only="qk", smooth=s),
    }
    names = {"": "none", "k": "K", "q": "Q", "qk": "Q and K"}
    rows = {f"{n}, {names[s]}": make(s) for n, make in kinds.items() for s in names}
    yield from table(rows, {"D1": [case(*gaussian())], "D2": d2(), "model": model()})


def granularity() -> Iterator[Record]:
    """2. How many rows share a scale; Q and K smoothed, exact P·V."""
    for bits in (8, 4):
        rows = {
            f"INT{bits}, {name}": scores(bits, name, "qk", EXACT, EXACT)
            for name in ("tensor", "block", "warp", "thread", "token")
        }
        yield from table(rows, {"D1": [case(*gaussian())], "D2": d2(), "model": model()})


def pv_formats() -> Iterator[Record]:
    """3. P and V under a sink of growing strength; exact scores."""
    rows = {
        "float16": pv(HALF, HALF),
        "E4M3": fp8(pv(EXACT, EXACT)),
        "E5M2": replace(pv(E5M2, E5M2), accumulate="fp22+fp32", chain=32),
        "INT8, static P": pv(**STATIC),
        "INT8, P by row and tile": pv(**TILE, tile=128),
        "NVFP4, direct P": pv(DIRECT, DIRECT, 128),
        "NVFP4, two-level P": pv(NVFP4, DIRECT, 128),
    }
    columns = {f"T={t}": [case(*sink(t, seed)) for seed in range(3)] for t in (4, 8, 10)}
    yield from table(rows, {"D1": [case(*gaussian())], **columns, "model": model()})


def lengths() -> Iterator[Record]:
    """4. What a 22-bit accumulator loses with length, against float32 sums of the same codes."""
    recipe = scores(8, smooth="k", p=FP8(), v=FP8())
    for length in (1024, 4096, 16384, 65536):
        q, k, v = long(length)
        wide, _ = run(q, k, v, fp8(recipe, "fp32"))
        for column, mode in (("one level", "fp22"), ("two levels", "fp22+fp32")):
            out, _ = run(q, k, v, fp8(recipe, mode))
            error = relative_l2(out, wide)
            yield {"row": f"{length} keys", "column": column, "relative_l2": error}


def ranges() -> Iterator[Record]:
    """5. FP8 sums in float16: ranges of P and V, and how many keys share a float16 sum."""
    columns = {"D1": [case(*gaussian())], "T=10": [case(*sink(10, seed)) for seed in range(3)]}
    columns["worst case"] = [case(*_flat())]
    base = scores(8, smooth="k")
    rows = {"448 / 448, fp22+fp32": fp8(base)}
    for p, v in ((448, 2.25), (224, 4.5), (112, 9)):
        for keys in (32, 64, 128):
            recipe = replace(fp8(base, "fp16+fp32", p, v), tile=keys)
            rows[f"{p} / {v}, {keys} keys"] = recipe
    yield from table(rows, columns)


def _flat() -> tuple[Tensor, Tensor, Tensor]:
    """Equal probabilities and the largest V everywhere: the largest sums there can be."""
    q, k, v = gaussian(length=256, dim=64)
    return torch.zeros_like(q), k, torch.ones_like(v)


def smooth_v() -> Iterator[Record]:
    """6. Subtracting the mean value when V has a common offset; INT8 scores by thread."""
    kinds = {
        "float16": scores(8, smooth="k"),
        "E4M3": fp8(scores(8, smooth="k")),
        "E5M2": scores(8, smooth="k", p=E5M2, v=E5M2),
        "INT8, static P": scores(8, smooth="k", **STATIC),
        "INT8, P by row and tile": replace(scores(8, smooth="k", **TILE), tile=128),
        "NVFP4": replace(scores(8, smooth="k", p=NVFP4, v=NVFP4), tile=128),
    }
    q, k, v = gaussian(dim=64)
    columns = {"8.5 + 0.5·N": [case(q, k, V_OFFSET + 0.5 * v, V_OFFSET)], "model": model()}
    for name, recipe in kinds.items():
        rows = {
            f"{name}, off": recipe,
            f"{name}, off, divided by Σ P̂": replace(recipe, denominator="quantized"),
            f"{name}, on": replace(recipe, smooth_v=True),
        }
        yield from table(rows, columns)


def fp4_choices() -> Iterator[Record]:
    """7. NVFP4 or MXFP4, direct or two-level P, with or without a scale per head."""
    rows = {}
    for p_name, p in (("direct P", DIRECT), ("two-level P", NVFP4)):
        for name, fmt in (("no scale per head", DIRECT), ("scale per head", NVFP4)):
            recipe = Recipe(q=fmt, k=fmt, p=p, v=fmt, smooth_q=True, smooth_k=True)
            rows[f"NVFP4, {p_name}, {name}"] = recipe
    rows["MXFP4"] = Recipe(q=MXFP4, k=MXFP4, p=MXFP4, v=MXFP4, smooth_q=True, smooth_k=True)
    q, k, v = gaussian(dim=64)
    columns = {
        "D1": [case(q, k, v)],
        "T=8": [case(*sink(8, seed)) for seed in range(3)],
        "V · 1e−3": [case(q, k, v * 1e-3)],
        "model": model(),
    }
    yield from table(rows, columns)


if __name__ == "__main__":
    sys.exit(main())
