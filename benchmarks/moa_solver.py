"""How long plans of large models take to optimise: python -m benchmarks.moa_solver.

Profiles are made up, with the shape that real ones have: losses that fall with the width of a
window, most heads near and a few far, layers of unlike weight. The programs are those of
`foveate tune` at 2048, 4096 and 8192 tokens with a budget at 16384, two rules a layer and a least
density, one for each length. Writes benchmarks/results/moa-solver.json.

The one thing to know: a front is three such programs and up to 48 more like them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.measure.machine import commit, load_average, machine, versions
from foveate.tune.moa.optimise import Problem
from foveate.tune.moa.rules import candidates
from foveate.tune.program import Pool, solve

RESULT = Path(__file__).parent / "results" / "moa-solver.json"
LENGTHS, BEYOND = (2048, 4096, 8192), (16384,)
SIZES = {"1B, 16 × 8": (16, 8), "7B, 32 × 32": (32, 32), "70B, 80 × 64": (80, 64)}


def main(argv: list[str] | None = None) -> int:
    """Solve, print a line for each program, write the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.moa_solver", description=__doc__)
    parser.add_argument("--density", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    document: dict[str, Any] = {
        "kind": "moa-solver",
        "machine": machine(),
        "threads": args.threads,
        "versions": versions("torch", "scipy"),
        "load": load_average(),
        "commit": commit(),
        "records": [],
    }
    rules = candidates(LENGTHS, BEYOND)
    for name, (layers, heads) in SIZES.items():
        problem = Problem(rules, profile(layers, heads), args.density, BEYOND, least=0.9)
        losses, pool = problem.loss, Pool()
        for number, length in enumerate(LENGTHS):
            best = solve(problem.program(losses[number]), seconds=20.0, pool=pool)
            record = {
                "size": name,
                "length": length,
                "rules": len(rules),
                "budgets": 2 * len(problem.lengths),
                "seconds": best.seconds,
                "gap": best.gap,
                "method": best.method,
            }
            document["records"].append(record)
            print(json.dumps(record), flush=True)
        part = args.out.with_suffix(".part")
        part.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(args.out)
    return 0


def profile(layers: int, heads: int, seed: int = 0) -> dict[int, Tensor]:
    """Losses of windows of 0 … n blocks at each length, float64 `[layers, heads, n + 1]`.

    Args:
        layers: Layers of the model.
        heads: Heads of each.
        seed: The same seed gives the same profile.
    """
    draw = torch.Generator().manual_seed(seed)
    near, weight = (torch.rand(layers, heads, 1, generator=draw).double() for _ in range(2))
    of_layer = torch.rand(layers, 1, 1, generator=draw).double()
    reach = 32 * (128.0**near)  # tokens; most heads near, some as far as 4096
    found = {}
    for n in LENGTHS:
        width = 64.0 * torch.arange(n // 64 + 1).double()
        noise = 1 + 0.05 * torch.rand(layers, heads, len(width), generator=draw).double()
        loss = weight**3 * of_layer * torch.exp(-width / reach * (4096 / n) ** 0.3) * noise
        found[n] = (loss - loss[..., -1:]).clamp_(min=0)
    return found


if __name__ == "__main__":
    raise SystemExit(main())
