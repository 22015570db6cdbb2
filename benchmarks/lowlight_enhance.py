"""What people get: every method of `foveate enhance` on photographs taken as if in the dark.

    python -m benchmarks.lowlight_enhance --photos FOLDER

Held-out photographs are darkened by the room's camera and sensor (`low_light`, simulated low light)
and saved as 8-bit sRGB; each method then enhances them without being told the ratio. PSNR and SSIM
compare with the photograph as the simulated camera develops it in full light.

The one thing to know: nobody knows from a dark picture alone how bright its scene was meant to be,
so much of the PSNR is a question of luck with brightness. The column "one gain allowed" takes that
out: it is the PSNR after the best single gain in linear light.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.lowlight_enhance_tables import RESULTS, table
from benchmarks.lowlight_photos import MORE_PHOTOS, PATCH_PHOTOS, load
from benchmarks.lowlight_split import TEST
from foveate.lowlight import Enhancer, Picture, tone
from foveate.lowlight.metrics import psnr, ssim
from foveate.lowlight.names import METHODS
from foveate.lowlight.pairs import low_light
from foveate.measure.machine import commit, version

TUNED = ("coffee", "chelsea", "path")
"""Of the held-out photographs of REENet, those that the constants of `lift` were chosen on."""

PHOTOS = [name for name in TEST if name not in TUNED]
RATIOS = (10.0, 30.0, 100.0)
SIDE = 384


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", required=True, help="folder of the unpacked packages")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--methods", nargs="*", default=[m for m in METHODS if m != "auto"])
    parser.add_argument("--side", type=int, default=SIDE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    photos = load(args.photos, {n: {**PATCH_PHOTOS, **MORE_PHOTOS}[n] for n in PHOTOS}, args.side)
    arms = {"none": None} | {name: _enhancer(name) for name in args.methods}
    arms = {name: arm for name, arm in arms.items() if arm is not False}
    rows = []
    for number, (name, pixels) in enumerate(photos.items()):
        photo = torch.from_numpy(pixels).permute(2, 0, 1)
        for ratio in RATIOS:
            pair, told = low_light(photo, ratio, seed=1000 + number)
            rows += [
                {"photo": name, "ratio": ratio, "gain": told["gain"], "method": method}
                | _measure(arm, pair.short[0], pair.long[0])
                for method, arm in arms.items()
            ]
        print(name, flush=True)
    result = {
        "photos": PHOTOS,
        "side": args.side,
        "rows": rows,
        "summary": summary(rows),
        "versions": {"foveate": version("foveate"), "torch": torch.__version__},
        "commit": commit(),
    }
    handle, work = tempfile.mkstemp(prefix=".results-", dir=args.out.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
    os.chmod(work, 0o644)
    os.replace(work, args.out)
    print(table(result))


def _enhancer(name: str) -> Any:
    """The method, or False with a word about what is missing."""
    try:
        return Enhancer(name)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"without {name}: {error}", flush=True)
        return False


def _measure(arm: Any, short: torch.Tensor, long: torch.Tensor) -> dict[str, float]:
    dark = short.mul(255).round().byte().permute(1, 2, 0).numpy()
    done = dark if arm is None else arm.picture(Picture(dark)).picture.pixels
    out = torch.from_numpy(done.astype(np.float32) / 255).permute(2, 0, 1)[None]
    return {
        "psnr": float(psnr(out, long[None])),
        "ssim": float(ssim(out, long[None])),
        "matched": float(psnr(_matched(out, long[None]), long[None])),
    }


def _matched(out: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """The result under the single gain in linear light that brings it closest, in PSNR."""
    light = tone.to_linear(out.numpy())
    best, most = out, -1.0
    for gain in 2 ** np.linspace(-3, 3, 25):
        moved = torch.from_numpy(tone.to_code(light * np.float32(gain)).astype(np.float32))
        value = float(psnr(moved, true))
        if value > most:
            best, most = moved, value
    return best


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Means over photographs: method → ratio → measures."""
    found: dict[str, dict[str, Any]] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        for ratio in RATIOS:
            some = [r for r in rows if r["method"] == method and r["ratio"] == ratio]
            found.setdefault(method, {})[f"{ratio:g}"] = {
                key: float(np.mean([row[key] for row in some]))
                for key in ("psnr", "ssim", "matched")
            }
    return found


if __name__ == "__main__":
    main()
