"""Join the seeds of `benchmarks.lowlight_reenet`, print its tables, ship its best network.

The one thing to know: intervals are over photographs (bootstrap, 95 %), because crops of one
photograph are not independent; seeds are averaged inside.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from pathlib import Path
from typing import Any

from foveate.lowlight import weights
from foveate.lowlight.reenet.model import SHIPPED

from .lowlight_split import TEST, TRAIN, VALIDATION

RESULT = Path(__file__).parent / "results" / "lowlight-reenet.json"
RATIOS = (4, 10, 30, 100, 300)


def joined(folder: Path) -> dict[str, Any]:
    """All seeds as one result: means, differences with intervals, by test set and ratio."""
    runs = [json.loads(p.read_text()) for p in sorted(folder.glob("seed*/scores.json"))]
    if not runs:
        raise SystemExit(f"{folder} holds no seed*/scores.json; run train first")
    first = runs[0]
    result: dict[str, Any] = {
        "what": "simulated low light from held-out photographs; not comparable with any paper",
        "seeds": [r["seed"] for r in runs],
        "steps": first["steps"],
        "batch": first["batch"],
        "patch": first["patch"],
        "machine": first["machine"],
        "parameters": first["parameters"],
        "photos": {"train": TRAIN, "validation": VALIDATION, "test": TEST},
        "crops": len(first["sets"]["same camera"]["photo"]) // len(RATIOS),
        "seconds": [r["seconds"] for r in runs],
        "sets": list(first["sets"]),
        "table": {},
        "gate": {},
        "bridge": {},
    }
    names = [n for n in first["scores"] if all(n in r["scores"] for r in runs)]
    for name in names:
        result["table"][name] = {
            which: {
                metric: {
                    **{str(k): _mean(runs, name, which, metric, k) for k in RATIOS},
                    "all": _mean(runs, name, which, metric, None),
                }
                for metric in ("psnr", "ssim")
            }
            for which in first["scores"][name]  # other uses may have been scored on one set only
        }
    rivals = [n for n in ("plain-power", "plain-camera", "analytic") if n in names]
    for ours, place in (("reenet", "gate"), ("bridge", "bridge")):
        for rival in rivals if ours in names else []:
            result[place][rival] = {
                which: {
                    **{str(k): _difference(runs, ours, rival, which, k) for k in RATIOS},
                    "all": _difference(runs, ours, rival, which, None),
                }
                for which in first["sets"]
            }
    return result


def _picked(run: dict, name: str, which: str, metric: str, ratio: float | None) -> list[float]:
    values, ratios = run["scores"][name][which][metric], run["sets"][which]["ratio"]
    return [v for v, k in zip(values, ratios, strict=True) if ratio is None or k == ratio]


def _mean(runs: list, name: str, which: str, metric: str, ratio: float | None) -> dict[str, float]:
    means = [sum(v) / len(v) for r in runs if (v := _picked(r, name, which, metric, ratio))]
    middle = sum(means) / len(means)
    spread = math.sqrt(sum((m - middle) ** 2 for m in means) / max(1, len(means) - 1))
    return {"mean": round(middle, 4), "seeds": [round(m, 4) for m in means], "sd": round(spread, 4)}


def _difference(
    runs: list, ours: str, rival: str, which: str, ratio: float | None
) -> dict[str, Any]:
    """One network minus another in dB: mean over seeds, 95 % interval over photographs."""
    photos = [
        p
        for p, k in zip(
            runs[0]["sets"][which]["photo"], runs[0]["sets"][which]["ratio"], strict=True
        )
        if ratio is None or k == ratio
    ]
    gaps = [
        [
            a - b
            for a, b in zip(
                _picked(r, ours, which, "psnr", ratio),
                _picked(r, rival, which, "psnr", ratio),
                strict=True,
            )
        ]
        for r in runs
    ]
    by_photo = {
        p: [g[i] for g in gaps for i, q in enumerate(photos) if q == p] for p in set(photos)
    }
    means = [sum(v) / len(v) for v in by_photo.values()]
    rng = random.Random(0)
    drawn = sorted(sum(rng.choices(means, k=len(means))) / len(means) for _ in range(2000))
    return {
        "mean": round(sum(means) / len(means), 3),
        "low": round(drawn[50], 3),
        "high": round(drawn[1949], 3),
        "seeds": [round(sum(g) / len(g), 3) for g in gaps],
        "photos_won": sum(m > 0 for m in means),
        "photos": len(means),
    }


def table(result: dict[str, Any], which: str = "same camera", metric: str = "psnr") -> str:
    """PSNR or SSIM by network and ratio, as Markdown."""
    heads = [f"×{k}" for k in RATIOS] + ["all"]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    digits = 2 if metric == "psnr" else 3
    for name, sets in result["table"].items():
        if which not in sets:
            continue
        cells = [sets[which][metric][k]["mean"] for k in [*map(str, RATIOS), "all"]]
        lines.append(f"| {name} | " + " | ".join(f"{c:.{digits}f}" for c in cells) + " |")
    return "\n".join(lines)


def report(args: argparse.Namespace) -> None:
    """Join the seeds, write the result, print the tables."""
    result = joined(Path(args.runs))
    weights.write_bytes(RESULT, (json.dumps(result, indent=1) + "\n").encode())
    for which in result["sets"]:
        print(f"\nPSNR in dB, {which}\n\n{table(result, which)}")
    for rival, sets in result["gate"].items():
        gaps = sets["same camera"]
        told = ", ".join(
            f"{k} {g['mean']:+.2f} [{g['low']:+.2f}, {g['high']:+.2f}]" for k, g in gaps.items()
        )
        print(f"\nREENet minus {rival}, dB: {told}")


def ship(args: argparse.Namespace) -> None:
    """Put the network of the seed with the best validation into the package."""
    folder = Path(args.runs)
    found = {path: _validation(path) for path in sorted(folder.glob("seed*")) if _trained(path)}
    if not found:
        raise SystemExit(f"{folder} holds no trained network; run train first")
    best = max(found, key=lambda path: found[path])
    tensors, about = weights.load(best / "reenet.safetensors")
    told = json.loads((best / "scores.json").read_text())
    about |= {
        "command": f"python -m benchmarks.lowlight_reenet train --photos FOLDER --out runs "
        f"--seed {about['seed']} --scale {args.scale}",
        "machine": told["machine"],
        "photos": TRAIN,
        "validation_psnr": round(found[best], 3),
    }
    weights.save(SHIPPED, tensors, about)
    weights.write_bytes(SHIPPED.with_name("reenet.md"), card(about, joined(folder)).encode())
    print(f"{SHIPPED.name}: {best.name}, {SHIPPED.stat().st_size:,} bytes")


CARD = """# reenet.safetensors

A network after REENet (Huang et al., TIP 2022): a dark sRGB picture and a ratio of exposures in,
the picture at that exposure out. {parameters:,} parameters in float16. Layers, losses and data are
ours; it is not the paper's network, and its numbers are not the paper's.

- **Made with** `{command}`
  (the seed with the best validation of {seeds}), on one {machine}, torch {torch}.
  Another machine rounds otherwise and gives other weights of the same quality.
- **Data**: simulated low light (shot, read, row and quantisation noise of a Sony α7S II, ratios 3
  to 300, tone curves of contrast 0.4 to 0.6) of {count} photographs: {photos}.
  They come from Debian and PyPI packages (`benchmarks/lowlight_photos.py`; CC0, CC-BY, CC-BY-SA,
  LGPL, GPL-2+, BSD, Apache-2.0) and are not part of these weights.
- **Use**: pictures that were one short exposure of a normal scene. A push of 1.6 to 8.2 stops.
- **Limits**: trained on simulation only; grain of strong JPEG, motion blur, hot pixels and mixed
  light were never seen; what noise has destroyed is smoothed, not recovered. Do not take evidence
  from it.
- **Measured** (PSNR in dB, {tested} held-out photographs, mean of seeds {seeds}):

{table}
"""


def card(about: dict[str, Any], result: dict[str, Any]) -> str:
    """What stands beside the weights."""
    return CARD.format(
        parameters=result["parameters"]["reenet"],
        command=about["command"],
        seeds=", ".join(map(str, result["seeds"])),
        machine=about["machine"]["name"],
        torch=about["machine"]["torch"],
        count=len(about["photos"]),
        photos=", ".join(about["photos"]),
        tested=len(TEST),
        table=table(result),
    )


def _trained(path: Path) -> bool:
    return (path / "reenet.safetensors").exists() and bool(_checked(path))


def _checked(path: Path) -> list[float]:
    log = path / "reenet" / "joint" / "log.jsonl"
    rows = [json.loads(row) for row in log.read_text().splitlines()] if log.exists() else []
    return [row["validation_psnr"] for row in rows if "validation_psnr" in row]


def _validation(path: Path) -> float:
    return _checked(path)[-1]
