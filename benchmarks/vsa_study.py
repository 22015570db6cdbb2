"""The study of video sparse attention: equal training FLOPs, one model, many ways to attend.

    python -m benchmarks.vsa_study run --tokens tokens.xz --scale small --seeds 0 1 2 --out DIR
    python -m benchmarks.vsa_study collect DIR… --out benchmarks/results/vsa-study.json

Each job is one arm and one seed and writes one JSON file; jobs that have theirs are left out, so a
study goes on where it stopped, and several processes can share it by seeds. Held-out loss is
measured at equal shares of the budget, on the same clips, noise and times for all arms.

The one thing to know: the budget is FLOPs by `foveate.train.video.flops`, not seconds; an arm that
needs less for a step takes more steps.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import vsa_retrofit
from benchmarks.vsa_arms import arms
from benchmarks.vsa_critical import critical_tokens
from benchmarks.vsa_data import Tokens, unpack
from foveate import VSA
from foveate.train import Recipe, fit
from foveate.train.video.flops import model_flops
from foveate.train.video.flow import flow_loss, held_out_loss
from foveate.train.video.model import VideoDiT

MAIN = (
    "dense", "VSA", "Local", "Spatial-Temporal", "Strided Window", "Compress KV", "Spatial-Full",
)  # fmt: skip
"""Arms of the comparison, those that matter most first."""


@dataclass(frozen=True)
class Scale:
    """How large a study is.

    Args:
        grid: Tokens along (T, Y, X).
        cube: Sides of VSA's cubes.
        keep: Cubes it keeps.
        dim, heads, layers: Of the model.
        batch: Clips in a step.
        dense_steps: Steps of the dense arm; their FLOPs are the budget of all.
        lr, warmup: Of the recipe; the rate is constant after warm-up, as in the paper.
        clips: Held-out clips.
    """

    grid: tuple[int, int, int]
    cube: tuple[int, int, int]
    keep: int
    dim: int
    heads: int
    layers: int
    batch: int
    dense_steps: int
    lr: float = 1e-3
    warmup: int = 40
    clips: int = 64

    @property
    def select(self) -> VSA:
        return VSA(self.grid, self.cube, keep=self.keep)


SCALES = {
    # 256 cubes of which 32 are kept, as in the paper's ablations
    "small": Scale((8, 16, 16), (2, 2, 2), 32, 128, 4, 6, 16, 400),
    "tiny": Scale((4, 8, 8), (2, 2, 2), 4, 64, 2, 4, 8, 150, warmup=20, clips=32),
}
POINTS = 12


class TimeUp(Exception):
    """There is no time left for this job; it leaves nothing behind."""


def build(scale: Scale, arm: str, channels: int, seed: int) -> VideoDiT:
    """The model of an arm; equal parts begin equal for equal seeds as far as they are made in the
    same order."""
    torch.manual_seed(seed)
    maker = arms(scale.dim, scale.heads, scale.select)[arm]
    return VideoDiT(scale.grid, channels, scale.dim, scale.heads, scale.layers, maker)


def run_arm(
    scale: Scale, arm: str, seed: int, tokens: Tokens, device: torch.device, until: float
) -> dict[str, Any]:
    """Train one arm to the budget; what it reached on the way."""
    channels = tokens.frames.shape[-1]
    dense = model_flops(build(scale, "dense", channels, seed)).training
    budget = dense * scale.batch * scale.dense_steps
    model = build(scale, arm, channels, seed).to(device)
    flops = model_flops(model)
    steps = max(1, round(budget / (flops.training * scale.batch)))
    points = {max(1, round(steps * (i + 1) / POINTS)): (i + 1) / POINTS for i in range(POINTS)}
    held_out = tokens.held_out(scale.grid, scale.clips)
    curve: list[list[float]] = []

    def before(step: int) -> None:
        if step in points:
            curve.append([points[step], measured()])
        if time.monotonic() > until:
            raise TimeUp

    def measured() -> float:
        model.eval()
        amp = torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
        with amp:
            value = held_out_loss(model, held_out)
        model.train()
        return value

    recipe = Recipe(
        steps,
        lr=scale.lr,
        warmup=scale.warmup,
        decay="constant",
        seed=seed,
        amp="bfloat16" if device.type == "cuda" else None,
    )
    begin = time.monotonic()
    batches = tokens.batches(scale.grid, scale.batch, seed)
    records = fit(model, flow_loss, batches, recipe, before=before)
    curve.append([1.0, measured()])
    result = {
        "study": "equal FLOPs",
        "arm": arm,
        "seed": seed,
        "steps": steps,
        "batch": scale.batch,
        "budget": budget,
        "attention_flops": flops.attention,
        "linear_flops": flops.linear,
        "held_out": curve,
        "summary": f"{curve[-1][1]:.4f} after {steps} steps",
        "train_tail": sum(r["loss"] for r in records[-50:]) / len(records[-50:]),
        "seconds": round(time.monotonic() - begin, 2),
    }
    if arm == "VSA":
        result["critical"] = critical_tokens(model, tokens.held_out(scale.grid, 4))
    return result


def jobs(which: list[str], seeds: list[int], scale: Scale) -> Iterator[tuple[str, int]]:
    """Arm and seed of each job, the comparison before the sweeps, all arms of a seed together."""
    every = arms(scale.dim, scale.heads, scale.select)
    groups = {
        "main": list(MAIN),
        "sweep": [arm for arm in every if arm not in MAIN],
        "retrofit": [vsa_retrofit.NAME],
    }
    for group in which:
        for seed in seeds:
            for arm in groups[group]:
                yield arm, seed


def run(args: argparse.Namespace) -> None:
    """Run what has not been run, until the time is up."""
    until = time.monotonic() + args.until
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    scale = SCALES[args.scale]
    if args.dense_steps:
        scale = Scale(**{**vars(scale), "dense_steps": args.dense_steps})
    tokens = unpack(args.tokens, device)
    args.out.mkdir(parents=True, exist_ok=True)
    for arm, seed in jobs(args.jobs, args.seeds, scale):
        if args.only and arm not in args.only:
            continue
        path = args.out / f"{arm.replace(' ', '-').replace('=', '')}-{seed}.json"
        if path.exists():
            continue
        try:
            if arm == vsa_retrofit.NAME:
                result = vsa_retrofit.run(scale, seed, tokens, device, until, build, TimeUp)
            else:
                result = run_arm(scale, arm, seed, tokens, device, until)
        except TimeUp:
            print(f"{arm}, seed {seed}: no time left", flush=True)
            return
        except Exception as error:  # one broken arm must not cost the others their time
            print(f"{arm}, seed {seed}: {type(error).__name__}: {error}", flush=True)
            if device.type == "cpu":
                raise
            continue
        finally:
            if device.type == "cuda":
                torch.cuda.empty_cache()
        facts = {
            "scale": {"name": args.scale, **vars(scale)},
            "device": device.type,
            "torch": torch.__version__,
        }
        work = path.with_suffix(".tmp")
        work.write_text(json.dumps({**result, **facts}))
        os.replace(work, path)
        print(f"{arm}, seed {seed}: {result['summary']} in {result['seconds']} s", flush=True)


def calibrate(args: argparse.Namespace) -> None:
    """Print how many steps of the dense arm fit, if all arms of a seed are to take `--seconds`."""
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    scale = SCALES[args.scale]
    tokens = unpack(args.tokens, device)
    total = 0.0
    channels = tokens.frames.shape[-1]
    cost = {}
    for arm in MAIN:
        model = build(scale, arm, channels, 0).to(device)
        cost[arm] = model_flops(model).training
        amp = "bfloat16" if device.type == "cuda" else None
        batches = tokens.batches(scale.grid, scale.batch, 0)
        fit(model, flow_loss, batches, Recipe(2, amp=amp))  # warms up
        begin = time.monotonic()
        fit(model, flow_loss, batches, Recipe(8, amp=amp))
        seconds = (time.monotonic() - begin) / 8
        total += seconds * cost["dense"] / cost[arm]
        print(f"# {arm}: {1e3 * seconds:.1f} ms a step", flush=True)
    print(int(max(20, args.seconds / total)), flush=True)


def collect(args: argparse.Namespace) -> None:
    """All results of some folders as one document."""
    from foveate.measure.machine import commit

    records: dict[tuple[str, int], dict[str, Any]] = {}
    for folder in args.folders:
        for path in sorted(folder.glob("*.json")):
            record = json.loads(path.read_text())
            records[record["arm"], record["seed"]] = record
    found = sorted({r["torch"] for r in records.values() if "torch" in r})
    document = {
        "commit": commit(),
        "versions": {"torch": args.torch or ", ".join(found)},
        "machine": args.machine,
        "records": [records[key] for key in sorted(records)],
    }
    work = args.out.with_suffix(".tmp")
    work.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(work, args.out)
    print(f"{args.out}: {len(records)} records")


def main() -> None:
    """Run, calibrate or collect."""
    parser = argparse.ArgumentParser(description="Study of video sparse attention.")
    verbs = parser.add_subparsers(required=True)
    for name, what in (("run", run), ("calibrate", calibrate)):
        verb = verbs.add_parser(name)
        verb.add_argument("--tokens", type=Path, required=True)
        verb.add_argument("--scale", choices=SCALES, default="tiny")
        verb.add_argument("--device")
        verb.set_defaults(run=what)
        if name == "calibrate":
            verb.add_argument("--seconds", type=float, required=True)
            continue
        verb.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
        verb.add_argument("--jobs", nargs="+", choices=("main", "sweep", "retrofit"),
                          default=["main", "sweep", "retrofit"])  # fmt: skip
        verb.add_argument("--only", nargs="+", metavar="ARM", help="these arms and no others")
        verb.add_argument("--dense-steps", type=int)
        verb.add_argument("--until", type=float, default=1e9, help="seconds from now")
        verb.add_argument("--out", type=Path, required=True)
    verb = verbs.add_parser("collect")
    verb.add_argument("folders", type=Path, nargs="+")
    verb.add_argument("--machine", required=True)
    verb.add_argument("--torch", help="version, for records that do not say theirs")
    verb.add_argument("--out", type=Path, required=True)
    verb.set_defaults(run=collect)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
