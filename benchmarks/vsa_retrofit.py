"""Retrofit: a model trained with dense attention becomes sparse, at once or in steps.

Four ways go on from the same dense model for the same number of steps: dense, VSA at once, VSA with
annealing, and VSA with annealing whose gates begin at random instead of at zero.

The one thing to know: the loss is measured with the attention that the model then has, so a jump
at the switch is what leaving cubes out costs.
Source: Video Sparse Attention (arXiv 2505.13389), section 2.3 and appendix C.5.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.vsa_data import Tokens
from foveate.models.video import GATE, Annealing
from foveate.train import Recipe, fit
from foveate.train.video.flow import flow_loss, held_out_loss

NAME = "retrofit"
WAYS = ("dense", "at once", "annealed", "annealed, random gates")
POINTS = 12


def run(
    scale, seed: int, tokens: Tokens, device: torch.device, until: float, build: Callable, time_up
) -> dict[str, Any]:
    """All ways for one seed."""
    begin = time.monotonic()
    channels = tokens.frames.shape[-1]
    batches = tokens.batches(scale.grid, scale.batch, seed)
    held_out = tokens.held_out(scale.grid, scale.clips)
    amp = "bfloat16" if device.type == "cuda" else None

    def measured(model) -> float:
        model.eval()
        with torch.autocast(device.type, torch.bfloat16, enabled=amp is not None):
            value = held_out_loss(model, held_out)
        model.train()
        return value

    def check(step: int) -> None:
        if time.monotonic() > until:
            raise time_up

    dense = build(scale, "dense", channels, seed).to(device)
    steps = scale.dense_steps
    first = Recipe(steps, lr=scale.lr, warmup=scale.warmup, decay="constant", seed=seed, amp=amp)
    fit(dense, flow_loss, batches, first, before=check)
    more = max(POINTS, steps // 2)
    cubes = scale.select.keys.number
    interval = max(1, more // 16)
    # reaches its target at half the steps, after the hold
    drops = max(1, (more // 2 - interval) // interval)
    schedule = Annealing(
        scale.keep, drop=-(-(cubes - scale.keep) // drops), interval=interval, hold=interval
    )
    curves: dict[str, list[list[float]]] = {}
    for way in WAYS:
        model = build(scale, "dense" if way == "dense" else "VSA", channels, seed).to(device)
        missing = model.load_state_dict(dense.state_dict(), strict=False)
        if missing.unexpected_keys or any(GATE not in name for name in missing.missing_keys):
            raise ValueError(f"the dense model does not fit: {missing}")
        if "random" in way:
            torch.manual_seed(seed)
            for layer in model.sparse_layers():
                torch.nn.init.normal_(layer.get_submodule(GATE).weight, std=0.02)
                torch.nn.init.ones_(layer.get_submodule(GATE).bias)
        curve: list[list[float]] = []
        every = max(1, more // POINTS)

        def before(step: int, model=model, way=way, curve=curve, every=every) -> None:
            if way.startswith("annealed"):
                for layer in model.sparse_layers():
                    layer.keep = schedule.kept(step, cubes)
            if step % every == 0:
                curve.append([step, measured(model)])
            check(step)

        recipe = Recipe(more, lr=scale.lr / 2, decay="constant", seed=seed + 1, amp=amp)
        shifted = _after(batches, steps)
        fit(model, flow_loss, shifted, recipe, before=before)
        for layer in model.sparse_layers():
            if layer.select.kept != scale.keep:
                raise ValueError(f"annealing ended at {layer.select.kept}, not at {scale.keep}")
        curve.append([more, measured(model)])
        curves[way] = curve
    return {
        "study": NAME,
        "arm": NAME,
        "seed": seed,
        "dense_steps": steps,
        "steps": more,
        "keep": scale.keep,
        "cubes": cubes,
        "target_at": schedule.last(cubes),
        "curves": curves,
        "summary": ", ".join(f"{way} {curve[-1][1]:.4f}" for way, curve in curves.items()),
        "seconds": round(time.monotonic() - begin, 2),
    }


def _after(batches: Callable, steps: int) -> Callable:
    """Batches whose numbers go on where the first training ended."""
    return lambda number, share: batches(number + steps, share)
