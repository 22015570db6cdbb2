"""Train the curve for people that ships, and measure it on photographs it has not seen.

    python -m benchmarks.lowlight_people --photos FOLDER --work FOLDER --out sacc_people.safetensors

The one thing to know: pairs are simulated (camera and sensor of the room, ratios from 1 to 100),
the split is by photograph, and the numbers are for simulated low light alone.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.lowlight_photos import MORE_PHOTOS, PATCH_PHOTOS, load
from benchmarks.photopatch import darken
from foveate.lowlight import weights
from foveate.lowlight.classical import BASELINES
from foveate.lowlight.sacc.curve import ConcaveCurve
from foveate.lowlight.sacc.frozen import to_unit
from foveate.lowlight.sacc.integral import ev_push
from foveate.lowlight.sacc.reference import train_curve_pairs

HELD_OUT = (
    *("wine", "picos", "evening", "aloe", "building", "astronaut"),
    *("daisies", "squirrel", "dog", "chelsea", "motorcycle", "ladybird"),
)
CHOOSING = ("friends", "dune", "graffiti", "coffee", "plant", "football", "apple", "twowings")
"""Photographs that choose among the checkpoints; seen neither by the training nor by the test."""

SIDE, KEPT = 192, 96  # pixels a side when noise is added, and of what the training sees
RATIOS = (1.0, 100.0)


def main() -> None:
    """Pairs, training, measurement, weights."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photos", required=True, help="folder of the unpacked packages, or an npz"
    )
    parser.add_argument("--work", type=Path, required=True, help="checkpoints; goes on from there")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, help="JSON of the measurement")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--degree", type=int, default=2)
    parser.add_argument("--penalty", type=float, default=0.0)
    parser.add_argument("--start", default="small", help="weights to begin with: small or he")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    photos = load(args.photos, PATCH_PHOTOS | MORE_PHOTOS)
    seen = [v for k, v in photos.items() if k not in (*HELD_OUT, *CHOOSING)]
    dark, bright = _cached(args.work / "pairs.npz", lambda: pairs(seen, args.pairs, args.seed))
    choosing = pairs([photos[name] for name in CHOOSING], 320, 2)
    held = [photos[name] for name in HELD_OUT]
    tests = {k: pairs(held, 120, 1, (k, k)) for k in (1.0, 3.0, 10.0, 30.0, 100.0)}
    torch.manual_seed(args.seed)
    curve = ConcaveCurve("shared", degree=args.degree).reset(args.start)

    def check(step: int) -> dict[str, float]:
        return {"validation L1": _l1(curve, *choosing)}

    state = train_curve_pairs(
        curve,
        dark,
        bright,
        steps=args.steps,
        penalty=args.penalty,
        check=check,
        check_every=250,
        keep="validation L1",
        seed=args.seed,
        folder=args.work,
    )
    table = {f"{k:g}": measure(curve, *pair) for k, pair in tests.items()}
    card = {
        "objective": "supervised on simulated pairs: L1 in luma and 0.5 L1 in RGB (not SACC-PT/CE)",
        "data": f"{args.pairs} simulated pairs from {len(seen)} photographs, "
        f"exposure ratios 1 to 100",
        "command": f"python -m benchmarks.lowlight_people --photos FOLDER --work FOLDER "
        f"--out FILE --steps {args.steps} --pairs {args.pairs} --degree {args.degree} "
        f"--penalty {args.penalty:g} --start {args.start} --seed {args.seed}",
        "licence": "Apache-2.0",
    }
    weights.save(args.out, weights.half(curve.state_dict()), {"curve": curve.config, "card": card})
    found = {"card": card, "PSNR on held-out photographs": table, "checks": state.best}
    if args.results:
        weights.write_bytes(args.results, (json.dumps(found, indent=1) + "\n").encode())
    print(json.dumps(table, indent=1))


def pairs(
    photos: list[np.ndarray], count: int, seed: int, ratios: tuple[float, float] = RATIOS
) -> tuple[Tensor, Tensor]:
    """Dark and bright crops, uint8 `[N, 3, KEPT, KEPT]` both; noise is added at twice the size."""
    rng = np.random.default_rng(seed)
    crops = []
    for number in range(count):
        photo = photos[number % len(photos)]
        side = int(rng.integers(SIDE // 2, min(photo.shape[:2]) + 1))
        y, x = (int(rng.integers(0, s - side + 1)) for s in photo.shape[:2])
        crop = torch.from_numpy(photo[y : y + side, x : x + side]).permute(2, 0, 1)[None]
        mode = {"size": (SIDE, SIDE), "mode": "bilinear", "antialias": True}
        crops.append(F.interpolate(crop.float(), **mode).round().clamp(0, 255).byte())
    clean = torch.cat(crops)
    dark = darken(clean, seed + 1, ratios, contrasts=(0.0, 0.6))
    return tuple(_half(x) for x in (dark, clean))


def measure(curve: ConcaveCurve, dark: Tensor, bright: Tensor) -> dict[str, Any]:
    """PSNR in dB (mean over pictures) of the curve and of every baseline; EV push of the curve."""
    x, y = to_unit(dark), to_unit(bright)
    with torch.no_grad():
        found = {"curve": _psnr(curve(x), y), "EV push": float(ev_push(curve.curve(x)).mean())}
        found |= {name: _psnr(baseline(x), y) for name, baseline in BASELINES.items()}
        found["best single gain, known original"] = _psnr(_best_gain(x, y), y)
    return {name: round(value, 2) for name, value in found.items()}


def _cached(path: Path, make: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Pairs from a file of an earlier call, so that going on does not begin with making them."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        work = path.with_name(".pairs.npz")
        np.savez(work, *(x.numpy() for x in make()))
        work.replace(path)
    with np.load(path) as held:
        return torch.from_numpy(held["arr_0"]), torch.from_numpy(held["arr_1"])


def _best_gain(x: Tensor, y: Tensor) -> Tensor:
    """Of 60 gains the one nearest to the original, for each picture: a bound for one gain."""
    best = None
    for gain in torch.logspace(0, 2, 60):
        tried = (x * gain).clamp(0, 1)
        off = (tried - y).square().mean((1, 2, 3))
        if best is None:
            best, least = tried, off
        else:
            better = off < least
            best = torch.where(better.view(-1, 1, 1, 1), tried, best)
            least = torch.minimum(off, least)
    return best


def _psnr(x: Tensor, y: Tensor) -> float:
    error = (x - y).square().mean((1, 2, 3)).clamp(min=1e-10)
    return float((-10 * error.log10()).mean()) if math.isfinite(float(error.sum())) else math.nan


def _l1(curve: ConcaveCurve, dark: Tensor, bright: Tensor) -> float:
    return float((curve(to_unit(dark)) - to_unit(bright)).abs().mean())


def _half(x: Tensor) -> Tensor:
    return F.avg_pool2d(x.float(), SIDE // KEPT).round().clamp(0, 255).byte()


if __name__ == "__main__":
    main()
