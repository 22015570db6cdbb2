"""SACC on PhotoPatch-30: every curve against every label-free fixed baseline.

    python -m benchmarks.lowlight_sacc --photos FOLDER --seed 0 --out results/seed0.json
    python -m benchmarks.lowlight_sacc --merge results/seed*.json --out results/lowlight_sacc.json

The one thing to know: one run is one seed; it makes its own crops and noise, trains its own
classifier on clean crops, and then every arm from the same dark training crops. No arm sees a
label of a dark crop; checkpoints are the last ones, so nothing is chosen by test accuracy.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import photopatch
from benchmarks.lowlight_photos import PATCH_PHOTOS, load, pack
from foveate.lowlight import weights
from foveate.lowlight.classical import BASELINES
from foveate.lowlight.sacc.curve import ConcaveCurve
from foveate.lowlight.sacc.ensemble import ALPHAS, CurveFamily, train_curve_ce, vote
from foveate.lowlight.sacc.frozen import Frozen, accuracy, batches, to_unit
from foveate.lowlight.sacc.integral import ev_push
from foveate.lowlight.sacc.plus import adapt_plus
from foveate.lowlight.sacc.pretext import Features, RotatedJigsaw
from foveate.lowlight.sacc.selfalign import pretext_accuracy, train_curve_pt, train_pretext

JOURNAL = CurveFamily(alphas=ALPHAS, means=())
"""Hyperbolas and the identity alone, as in the journal's figure; ours adds three gains."""

TASKS: dict[str, Callable[[int], RotatedJigsaw]] = {
    "rotation": lambda s: RotatedJigsaw(1, 1, s, s * 7 // 8),
    "jigsaw 2x2": lambda s: RotatedJigsaw(2, 24, s // 2, s * 7 // 16, rotation="none"),
    "jigsaw 3x3": lambda s: RotatedJigsaw(3, 30, s // 3, s // 4, rotation="none"),
    "rotated jigsaw": lambda s: RotatedJigsaw(3, 30, s // 3, s // 4),
    "rotated jigsaw, global": lambda s: RotatedJigsaw(3, 30, s // 3, s // 4, rotation="global"),
}


def main() -> None:
    """One seed, or the table of several."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", help="folder of the unpacked packages, or a packed npz")
    parser.add_argument("--pack", metavar="NPZ", help="only write the photographs into one file")
    parser.add_argument("--merge", nargs="+", metavar="JSON", help="join the results of seeds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4000, help="of each curve")
    parser.add_argument("--share", type=float, default=1.0, help="of crops; small for a trial")
    parser.add_argument("--width", type=int, default=32, help="of the classifier")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--arms", default="ce,plus,pt,ablations", help="which groups to run")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    if args.merge:
        _write(args.out, merge([json.loads(Path(p).read_text()) for p in args.merge]))
        return
    if args.pack:
        pack(load(args.photos, PATCH_PHOTOS, 480), args.pack)
        return
    Bench(args).run()


class Bench:
    """One seed: data, classifier, arms; the file is written anew after every arm."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.device, self.steps = args, args.device, args.steps
        self.begin = time.monotonic()
        photos = load(args.photos, PATCH_PHOTOS, 480)
        self.crops = photopatch.build(photos, args.seed, args.share)
        self.model = photopatch.train_classifier(
            self.crops["train"],
            args.seed,
            steps=max(20, args.steps),
            width=args.width,
            device=self.device,
        )
        self.dark = self.crops["unlabelled"].dark.to(self.device)
        self.result: dict[str, Any] = {
            "seed": args.seed,
            "steps": args.steps,
            "machine": _machine(self.device),
            "test crops": len(self.crops["test"].labels),
            "arms": {},
        }

    def run(self) -> None:
        """Every group that was asked for."""
        test = self.crops["test"]
        self.note("clean", accuracy(self.model, test.clean, test.labels))
        for name, baseline in BASELINES.items():
            try:
                self.note(name, self.test(baseline))
            except ModuleNotFoundError:  # CLAHE, where OpenCV is not installed
                continue
        asked = self.args.arms.split(",")
        if "ce" in asked or "plus" in asked:
            main = self.ce("SACC-CE", channels="shared")
            if "plus" in asked:
                self.plus(main)
        if "ce" in asked:
            self.ce("SACC-CE, rgb", channels="rgb")
            self.ce("SACC-CE, rgb, balanced", {"balance": 0.5}, channels="rgb")
        for name in TASKS:
            if "pt" in asked or name in asked:
                self.pt(name)
        if "ablations" in asked:
            self.ce("SACC-CE, hyperbolas vote", {"family": JOURNAL}, channels="shared")
            self.ce("SACC-CE, nearest", channels="shared", downsample="nearest")
            self.ce("SACC-CE, degree 1", channels="shared", degree=1)
            self.ce("SACC-CE, degree 3", channels="shared", degree=3)
            self.ce("SACC-CE, one round", {"rounds": 1}, channels="shared")
            self.ce("SACC-CE, lr 3e-4", {"lr": 3e-4}, channels="shared")

    def ce(self, name: str, training: dict[str, Any] | None = None, **options: Any) -> ConcaveCurve:
        """Train one curve from votes and note how well the model does behind it.

        Args:
            name: Of the arm.
            training: Options of `train_curve_ce` that differ from the main arm's.
            **options: Of `ConcaveCurve`.
        """
        torch.manual_seed(self.args.seed)
        curve = ConcaveCurve(**options)
        _, votes = train_curve_ce(
            curve,
            self.model,
            self.dark,
            **{"steps": self.steps, "batch": 128, "seed": self.args.seed}
            | {"augment": photopatch.flips}
            | (training or {}),
        )
        true = self.crops["unlabelled"].labels.to(votes.labels.device)
        right = votes.labels == true
        facts = {
            "kept": float(votes.kept.float().mean()),
            "votes right, all": float(right.float().mean()),
            "votes right, kept": float(right[votes.kept].float().mean()),
        }
        self.note(name, self.test(curve), **facts, **diagnose(self.model, curve, self.crops))
        if name == "SACC-CE":
            path = self.args.out.with_suffix(".safetensors")
            weights.save(path, weights.half(curve.state_dict()), {"curve": curve.config})
            family_only = vote(self.model, self.crops["test"].dark.to(self.device))
            labels = self.crops["test"].labels.to(self.device)
            self.note("votes themselves", float((family_only.labels == labels).float().mean()))
        return curve

    def pt(self, name: str) -> None:
        """Head on clean crops, curve on dark ones, with one pretext task."""
        torch.manual_seed(self.args.seed)
        task = TASKS[name](photopatch.SIDE)
        features = Features(self.model, size=photopatch.SIDE)
        pretext = train_pretext(
            features, task, self.crops["train"].clean, steps=self.steps // 2, seed=self.args.seed
        )
        curve = ConcaveCurve("shared")
        train_curve_pt(curve, pretext, self.dark, steps=self.steps // 2, seed=self.args.seed)
        dark = self.crops["test"].dark
        facts = {
            "classes": task.classes,
            "head, learnt from": pretext.plateau,
            "head, normal light": pretext.accuracy,
            "head, dark": pretext_accuracy(features, pretext.head, task, dark),
            "head, enhanced": pretext_accuracy(features, pretext.head, task, dark, curve),
            "ready": pretext.ready,
            "dead": float(curve.dead(to_unit(dark.to(self.device))).float().mean()),
        }
        self.note(f"SACC-PT, {name}", self.test(curve), **facts)

    def plus(self, curve: ConcaveCurve) -> None:
        """Adapt the classifier behind the curve; how it then does in the dark and in the light."""
        train, test = self.crops["train"], self.crops["test"]
        tuned = adapt_plus(
            self.model,
            curve,
            self.dark,
            (train.clean, train.labels),
            steps=self.steps // 2,
            batch=64,
            mix=1.0,
            augment=_strong,
            augment_normal=photopatch.usual,
            seed=self.args.seed,
        )
        old = dict(self.model.named_parameters())
        new = {name: p.clone() for name, p in tuned.named_parameters()}
        for mix in (1.0, 0.75, 0.5, 0.25):
            with torch.no_grad():
                for name, p in tuned.named_parameters():
                    p.copy_(torch.lerp(old[name], new[name], mix))
            clean = accuracy(tuned, test.clean, test.labels)
            value = accuracy(tuned, test.dark, test.labels, curve)
            self.note(f"SACC+, mix {mix:g}", value, clean=clean)

    def test(self, enhance: Callable[[Tensor], Tensor]) -> float:
        """Accuracy of the frozen classifier on dark test crops behind an enhancement."""
        dark = self.crops["test"]
        return accuracy(self.model, dark.dark, dark.labels, enhance)

    def note(self, name: str, value: float, **facts: Any) -> None:
        """Take down one arm, print it and write the file."""
        self.result["arms"][name] = {"accuracy": value, **facts}
        self.result["seconds"] = round(time.monotonic() - self.begin)
        print(f"seed {self.args.seed}  {name:28s} {100 * value:5.1f} %", flush=True)
        _write(self.args.out, self.result)


def diagnose(
    model: Frozen, curve: ConcaveCurve, crops: dict[str, photopatch.Crops]
) -> dict[str, Any]:
    """Label-free facts about a curve: EV push, saturation, entropy of the model's answers."""
    device = model.device
    push, white, before, after = [], [], [], []
    with torch.no_grad():
        for x in batches(crops["test"].dark, 256, device):
            table = curve.curve(x)
            push.append(ev_push(table).mean(-1))
            out = curve(x)
            white.append((out >= 0.995).float().mean((1, 2, 3)))
            before.append(_entropy(model(x)))
            after.append(_entropy(model(out)))
    ev = torch.cat(push)
    band = [float(ev.quantile(q)) for q in (0.05, 0.95)]
    return {
        "EV push": float(ev.mean()),
        "EV push, 5 to 95 %": band,
        "saturated": float(torch.cat(white).mean()),
        "entropy, dark": float(torch.cat(before).mean()),
        "entropy, enhanced": float(torch.cat(after).mean()),
    }


def merge(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, deviation and 95 % Wilson interval (all test crops together) of every arm."""
    arms = {}
    for name in dict.fromkeys(name for s in seeds for name in s["arms"]):
        having = [s for s in seeds if name in s["arms"]]  # a stopped run lacks its last arms
        values = [s["arms"][name]["accuracy"] for s in having]
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1))
        arms[name] = {
            "mean": mean,
            "deviation": spread,
            "interval": wilson(mean, sum(s["test crops"] for s in having)),
            "seeds": {str(s["seed"]): v for s, v in zip(having, values, strict=True)},
        }
    return {"benchmark": "PhotoPatch-30", "seeds": seeds, "summary": arms}


def wilson(share: float, count: int, z: float = 1.96) -> list[float]:
    """The 95 % interval of a share that was measured on `count` crops."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count)
    half *= math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return [middle - half, middle + half]


def _strong(x: Tensor, generator: torch.Generator) -> Tensor:
    x = photopatch.flips(x, generator)
    level = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device)
    noise = torch.randn(x.shape, generator=generator, device=x.device)
    return (x * (0.7 + 0.6 * level) + 0.03 * noise).clamp(0, 1)


def _entropy(logits: Tensor) -> Tensor:
    log = nn.functional.log_softmax(logits, -1)
    return -(log.exp() * log).sum(-1)


def _machine(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else platform.machine()


def _write(path: Path, value: Any) -> None:
    weights.write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
