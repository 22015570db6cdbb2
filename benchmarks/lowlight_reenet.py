"""REENet against a plain U-Net of its size, on simulated low light of held-out photographs.

    python -m benchmarks.lowlight_reenet train --photos FOLDER --out runs --seed 0
    python -m benchmarks.lowlight_reenet more runs --photos FOLDER
    python -m benchmarks.lowlight_reenet report runs
    python -m benchmarks.lowlight_reenet ship runs

`train` trains one seed of the network after REENet and of both controls, with equal steps and equal
data, and scores them; run it again after a stop and it goes on. `more` scores the same networks on
RAW, without the ratio, and with a wrong one. `report` joins the seeds into
benchmarks/results/lowlight-reenet.json and prints the tables; `ship` puts the best network into the
package.

The one thing to know: nothing here is a number of the paper, and none may stand beside one.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.lowlight import weights
from foveate.lowlight.metrics import psnr, ssim
from foveate.lowlight.pairs import LowLight, Pair, Source, fixed_crops, join
from foveate.lowlight.reenet.losses import Guide
from foveate.lowlight.reenet.model import REENet
from foveate.lowlight.reenet.network import Config, Guided
from foveate.lowlight.reenet.training import STEPS, fit, fit_plain
from foveate.lowlight.sensor import SensorNoise
from foveate.lowlight.unet import parameters

from .lowlight_reenet_report import RATIOS, report, ship
from .lowlight_split import TEST, TRAIN, VALIDATION, photographs

CONTRASTS = (0.4, 0.6)
TRAINED_ON = LowLight(ratios=(3, 300), contrasts=CONTRASTS)
SETS = {
    "same camera": TRAINED_ON,
    "other sensor": LowLight(noise=SensorNoise("nikon_d850"), contrasts=CONTRASTS),
    "other curve": LowLight(contrasts=(0.2, 0.2)),
    "jpeg 95": LowLight(contrasts=CONTRASTS, jpeg=95),
}
"""Test set → how it was simulated; only the first resembles the training data."""
PATCH, BATCH, CROP, PER_PHOTO = 96, 16, 160, 4

Enhance = Callable[[Pair], Tensor]


def test_sets(photos: Sequence[Tensor], device: Any) -> dict[str, tuple[Pair, list[int]]]:
    """Every crop at every ratio, in each of `SETS`; the photograph of each crop."""
    crops = fixed_crops(photos, CROP, PER_PHOTO)
    owner = [i for i, c in enumerate(crops) for _ in c]
    pictures = torch.cat(crops)
    made = {}
    for number, (name, simulator) in enumerate(SETS.items()):
        generator = torch.Generator().manual_seed(500 + number)  # on the CPU: equal everywhere
        parts = [
            simulator.expose(pictures, generator, ratio=torch.full((len(pictures),), float(ratio)))
            for ratio in RATIOS
        ]
        made[name] = (join(parts).to(device), owner * len(RATIOS))
    return made


def scored(enhance: Enhance, pair: Pair) -> dict[str, list[float]]:
    """PSNR and SSIM of every pair."""
    found: dict[str, list[float]] = {"psnr": [], "ssim": []}
    with torch.no_grad():
        for index in torch.arange(len(pair)).split(32):
            some = pair.at(index.to(pair.ratio.device))
            picture = enhance(some).clamp(0, 1)
            found["psnr"] += [round(v, 4) for v in psnr(picture, some.long).tolist()]
            found["ssim"] += [round(v, 5) for v in ssim(picture, some.long).tolist()]
    return found


def analytic(pair: Pair) -> Tensor:
    """Unprocess, multiply, a median of each plane, render: no learning at all."""
    model = Guided().eval().to(pair.ratio.device)
    raw = model.unprocess(pair.short) * pair.ratio.reshape(-1, 1, 1, 1)
    padded = torch.nn.functional.pad(raw, (1, 1, 1, 1), mode="replicate")
    windows = padded.unfold(2, 3, 1).unfold(3, 3, 1).flatten(-2)
    return model.process.render(windows.median(-1).values)


def train_seed(args: argparse.Namespace) -> None:
    """Train and score one seed; every network is kept, every score written at once."""
    torch.backends.cudnn.benchmark = True
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder = Path(args.out) / f"seed{args.seed}"
    steps = {stage: max(4, round(n * args.scale)) for stage, n in STEPS.items()}
    source = Source(
        photographs(args.photos, TRAIN), TRAINED_ON, PATCH, args.batch, args.seed, device
    )
    held = test_sets(photographs(args.photos, TEST), device)
    validation = test_sets(photographs(args.photos, VALIDATION), device)["same camera"][0]
    told: dict[str, Any] = {
        "seed": args.seed,
        "steps": steps,
        "batch": args.batch,
        "patch": PATCH,
        "machine": _machine(device),
        "sets": {n: {"ratio": p.ratio.tolist(), "photo": o} for n, (p, o) in held.items()},
        "scores": {},
        "parameters": {},
        "seconds": {},
    }

    def keep(name: str, enhance: Enhance, model: torch.nn.Module | None, begin: float) -> None:
        told["seconds"][name] = round(time.monotonic() - begin, 1)
        told["scores"][name] = {n: scored(enhance, pair) for n, (pair, _) in held.items()}
        if model is not None:
            told["parameters"][name] = parameters(model)
            about = {"name": name, "seed": args.seed, "steps": steps, "batch": args.batch}
            if isinstance(model, Guided):
                about["config"] = model.config.parameters()
            weights.save(folder / f"{name}.safetensors", weights.half(model.state_dict()), about)
        weights.write_bytes(folder / "scores.json", json.dumps(told).encode())
        same = told["scores"][name]["same camera"]["psnr"]
        print(f"{name} seed {args.seed}: {sum(same) / len(same):.2f} dB", file=sys.stderr)

    keep("nothing", lambda p: p.short, None, time.monotonic())
    keep("analytic", analytic, None, time.monotonic())

    def check(model: Guided) -> Callable[[int], dict[str, float]]:
        def of(step: int) -> dict[str, float]:
            values = scored(lambda p: model(p.short, p.ratio), validation)["psnr"]
            return {"validation_psnr": sum(values) / len(values)}

        return of

    options = {"quiet": args.quiet, "log_every": 100, "check_every": 1000}
    total = sum(steps.values())
    for name in args.networks.split(","):
        begin = time.monotonic()
        place = folder / name
        if name == "reenet":
            model = fit(source, steps=steps, folder=place, seed=args.seed, check=check, **options)
        elif name.startswith("plain"):
            size = parameters(Guided())
            base = name.partition("-")[2]
            model = fit_plain(source, size, total, base, place, args.seed, **options)
        else:
            model = _ablation(name, source, steps, place, args.seed, {**options, "check": check})
        keep(name, lambda p, m=model: m(p.short, p.ratio), model, begin)


ABLATIONS: dict[str, dict[str, Any]] = {
    "no-guide": {"guide": Guide("none"), "apart": 0.0},
    "noisy-guide": {"guide": Guide("noisy")},
    "linear-loss": {"guide": Guide(linear=True)},
    "no-amplification": {"config": Config(amplify=False)},
    "joint-only": {"apart": 0.0},
    "bridge": {"config": Config(bridge=True)},
    "bridge-together": {"config": Config(bridge=True), "apart": 0.5, "lr": {"joint": 2e-3}},
}
"""Name → what differs from the network after REENet; "apart" is a share of the separate stages'
steps, and what they leave goes to the joint one."""


def _ablation(
    name: str, source: Source, steps: dict[str, int], folder: Path, seed: int, options: dict
) -> Guided:
    if name not in ABLATIONS:
        known = ", ".join(["reenet", "plain-power", "plain-camera", *ABLATIONS])
        raise SystemExit(f'unknown network "{name}"; networks are {known}')
    told = ABLATIONS[name]
    steps = shared(steps, told.get("apart", 1.0))
    config, guide, lr = (told.get(x) for x in ("config", "guide", "lr"))
    return fit(source, config, guide, steps, folder, seed, lr=lr, **options)


def shared(steps: dict[str, int], apart: float) -> dict[str, int]:
    """The same number of steps, with a share of those of the separate stages."""
    fewer = {stage: round(apart * n) for stage, n in steps.items() if stage != "joint"}
    return {**fewer, "joint": sum(steps.values()) - sum(fewer.values())}


def more(args: argparse.Namespace) -> None:
    """Score the trained networks in other uses: without the ratio, with a wrong one, on RAW."""
    held = test_sets(photographs(args.photos, TEST), "cpu")
    for path in sorted(Path(args.runs).glob("seed*/scores.json")):
        told = json.loads(path.read_text())
        model = REENet.load(path.parent / "reenet.safetensors")
        for name, enhance in _uses(model).items():
            sets = {"same camera": held["same camera"]} if args.short else held
            told["scores"][name] = {n: scored(enhance, pair) for n, (pair, _) in sets.items()}
        weights.write_bytes(path, json.dumps(told).encode())
        print(path.parent.name, file=sys.stderr)


def _uses(model: REENet) -> dict[str, Enhance]:
    net = model.network

    def bypass(pair: Pair) -> Tensor:
        raw = pair.short_raw * pair.camera.plane_gains()
        return net.from_raw(raw, pair.ratio)

    return {
        "reenet, RAW": bypass,
        "reenet, auto": lambda p: net(p.short, model.auto_ratio(p.short)),
        "reenet, 1 EV too bright": lambda p: net(p.short, p.ratio * 2),
        "reenet, 1 EV too dark": lambda p: net(p.short, p.ratio / 2),
    }


def _machine(device: str) -> dict[str, str]:
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {"device": device.split(":")[0], "name": name, "torch": torch.__version__}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("train", help="train and score one seed")
    one.add_argument("--photos", required=True, help="unpacked packages, or an npz file")
    one.add_argument("--out", required=True, help="folder for networks, logs and scores")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--scale", type=float, default=1.0, help="times the default steps")
    one.add_argument("--batch", type=int, default=BATCH)
    one.add_argument("--device", help="default: cuda if there is one")
    one.add_argument("--networks", default="reenet,plain-power,plain-camera")
    one.add_argument("--quiet", action="store_true")
    one.set_defaults(run=train_seed)
    two = verbs.add_parser("report", help="join the seeds")
    two.add_argument("runs")
    two.set_defaults(run=report)
    four = verbs.add_parser("more", help="score trained networks in other uses")
    four.add_argument("runs")
    four.add_argument("--photos", required=True)
    four.add_argument("--short", action="store_true", help="the first test set only")
    four.set_defaults(run=more)
    three = verbs.add_parser("ship", help="put the best seed's network into the package")
    three.add_argument("runs")
    three.add_argument("--scale", type=float, default=1.0, help="that of the training")
    three.set_defaults(run=ship)
    args = parser.parse_args()
    try:
        args.run(args)
    except KeyboardInterrupt as stop:
        raise SystemExit(f"\n{stop or 'stopped'}") from None


if __name__ == "__main__":
    main()
