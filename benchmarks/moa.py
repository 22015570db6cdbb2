"""Decoding with a span for each head: python -m benchmarks.moa [--batches 1,4,8] [--tokens 8192].

SmolLM2-135M takes single tokens in caches for 8k that are nearly full, with transformers' growing
and static caches and with ring buffers of half the size, as floats and as codes. Writes
benchmarks/results/moa.json: whole steps, the attention part alone, and the bytes of each cache.

The one thing to know: caches are filled with random numbers, equally for all, because speed does
not depend on them and reading 8 × 8k tokens first would take an hour; each round runs every cache
once. Attention alone is called on the stores of all layers in turn, so none stays in the CPU's own
caches between calls.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, StaticCache

import foveate
from foveate.attn import headwise
from foveate.measure.machine import commit, load_average, machine, versions
from foveate.measure.timing import Timings, interleave
from foveate.models import HeadwiseCache, assets
from foveate.tune.moa.plan import MoAPlan

RESULTS = Path(__file__).parent / "results"
PLAN = RESULTS / "moa-8192-moa-0.5.json"  # from benchmarks.moa_quality
STEPS = 256  # room for the steps that are timed
DYNAMIC, STATIC, OURS = "dynamic cache, SDPA", "static cache, SDPA", "static cache, foveate"
UNIFORM, FLOAT, CODES = "uniform spans", "MoA spans", "MoA spans, INT8"

Record = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    """Measure, print a line for each cache, write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moa", description=__doc__)
    parser.add_argument("--tokens", type=int, default=8192, help="of the context")
    parser.add_argument("--batches", default="1,4,8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--plan", type=Path, default=PLAN)
    parser.add_argument("--out", type=Path, default=RESULTS / "moa.json")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    model, _ = assets.load("smollm2-135m", dtype=getattr(torch, args.dtype))
    plan = MoAPlan.load(args.plan) if args.plan.exists() else None
    document = {
        "kind": "moa",
        "model": f"SmolLM2-135M, {args.dtype}",
        "tokens": args.tokens,
        "threads": args.threads,
        "plan": None if plan is None else args.plan.name,
        "machine": machine(),
        "versions": versions("torch", "transformers"),
        "load": load_average(),
        "commit": commit(),
        "records": [],
    }
    for batch in map(int, args.batches.split(",")):
        with torch.no_grad():
            found = measure(model, plan, args.tokens, batch, args.rounds)
        document["records"] += found
        for record in found:
            print(line(record), flush=True)
        part = args.out.with_suffix(".part")
        part.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(args.out)
    return 0


def measure(model: Any, plan: MoAPlan | None, tokens: int, batch: int, rounds: int) -> list[Record]:
    """One record for each cache."""
    caches = filled(model, plan, tokens, batch)
    steps = {
        name: (lambda cache=cache, name=name: step(model, name, cache, batch))
        for name, cache in caches.items()
    }
    print(f"batch {batch}: whole steps", file=sys.stderr, flush=True)
    whole = interleave(steps, rounds, warmup=1, shortest=0.3)
    print(f"batch {batch}: attention", file=sys.stderr, flush=True)
    shape = (model.config.num_attention_heads, model.config.head_dim, model.dtype)
    parts = {n: attention_of(n, c, tokens - STEPS, batch, *shape) for n, c in caches.items()}
    alone = interleave(parts, rounds, warmup=1, shortest=0.3)
    base = dense_bytes(model, tokens, batch)
    records = [record(n, c, batch, whole, alone, base) for n, c in caches.items()]
    caches.clear()
    gc.collect()
    return records


def filled(model: Any, plan: MoAPlan | None, tokens: int, batch: int) -> dict[str, Any]:
    """Caches for `tokens` tokens, full but for the steps that are timed."""
    config = model.config
    uniform = MoAPlan.uniform(config.num_hidden_layers, config.num_key_value_heads, 0.5)
    caches: dict[str, Any] = {
        DYNAMIC: DynamicCache(config=config),
        STATIC: StaticCache(config=config, max_cache_len=tokens),
        UNIFORM: HeadwiseCache(model, uniform, tokens),
    }
    caches[OURS] = caches[STATIC]  # the same memory, read by another kernel
    if plan is not None:
        caches[FLOAT] = HeadwiseCache(model, plan, tokens)
        caches[CODES] = HeadwiseCache(model, plan, tokens, codes="int8")
    else:
        caches[CODES] = HeadwiseCache(model, uniform, tokens, codes="int8")
    torch.manual_seed(0)
    shape = (batch, config.num_key_value_heads, tokens - STEPS, config.head_dim)
    k, v = (torch.randn(shape, dtype=model.dtype) for _ in range(2))
    for cache in {id(cache): cache for cache in caches.values()}.values():
        for number in range(config.num_hidden_layers):
            if isinstance(cache, HeadwiseCache):
                cache.layers[number].take_in(k, v)
            else:
                cache.update(k, v, number)
    return caches


def step(model: Any, name: str, cache: Any, batch: int) -> Tensor:
    """One token for every row, as `generate` asks for it; the logits of it."""
    ours = isinstance(cache, HeadwiseCache) or name == OURS
    wanted = "foveate:native" if ours else "sdpa"
    if model.config._attn_implementation != wanted:
        model.set_attn_implementation(wanted)
    ids = torch.randint(model.config.vocab_size, (batch, 1))
    return model(ids, past_key_values=cache, use_cache=True).logits


def attention_of(
    name: str, cache: Any, tokens: int, batch: int, heads: int, dim: int, dtype: torch.dtype
) -> Callable[[], None]:
    """Attention of one query for each head and row over the first tokens of every layer."""
    q = torch.randn(batch, heads, 1, dim, dtype=dtype)

    def run() -> None:
        for layer in cache.layers:
            if isinstance(cache, HeadwiseCache):
                rings = layer.rings
                headwise.attend(
                    q,
                    rings.keys,
                    rings.values,
                    rings.start,
                    rings.length,
                    k_scale=rings.k_scale,
                    v_scale=rings.v_scale,
                )
            else:
                k, v = (x[:, :, :tokens] for x in (layer.keys, layer.values))
                if name == OURS:
                    foveate.attention(q, k, v, precision="native")
                else:
                    # heads that share keys as rows of one head: torch's fastest form, which
                    # transformers does not use (it repeats the keys)
                    rows = q.unflatten(1, (k.shape[1], -1)).squeeze(3)
                    torch.nn.functional.scaled_dot_product_attention(rows, k, v)

    return run


def dense_bytes(model: Any, tokens: int, batch: int) -> int:
    """Bytes of keys and values of all tokens in float32."""
    config = model.config
    width = config.num_key_value_heads * config.head_dim
    return 2 * 4 * config.num_hidden_layers * batch * tokens * width


def record(name: str, cache: Any, batch: int, whole: Timings, alone: Timings, base: int) -> Record:
    """Times, ratios to the two caches of transformers, and memory."""
    if isinstance(cache, HeadwiseCache):
        size = cache.nbytes
    else:
        size = sum(x.numel() * x.element_size() for y in cache.layers for x in (y.keys, y.values))
    return {
        "cache": name,
        "batch": batch,
        "step": whole.summary(name).as_dict(),
        "tokens_per_second": batch / whole.summary(name).median,
        "over_static": whole.ratio(STATIC, name).as_dict(),
        "over_dynamic": whole.ratio(DYNAMIC, name).as_dict(),
        "over_static_of_foveate": whole.ratio(OURS, name).as_dict(),
        "attention": alone.summary(name).as_dict(),
        "attention_over_static": alone.ratio(STATIC, name).as_dict(),
        "attention_over_static_of_foveate": alone.ratio(OURS, name).as_dict(),
        "bytes": size,
        "memory": size / base,
    }


def line(one: Record) -> str:
    """A record in a line."""
    return (
        f"batch {one['batch']}  {one['cache']:24} {1e3 * one['step']['median']:8.1f} ms/step "
        f"{one['over_static']['median']:5.2f}× static  attention "
        f"{1e3 * one['attention']['median']:8.1f} ms {one['attention_over_static']['median']:5.2f}×"
        f"  memory {one['memory']:.3f}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
