"""PhotoPatch-30: which of 30 photographs is a 64-pixel crop from? Also in simulated low light.

Classes are photographs; train, validation and test crops come from disjoint parts of each (60, 15
and 25 % along its longer side). It is a task of texture and colour, not of objects. The unlabelled
dark crops are others than the classifier learnt from: half of them from its part of the photograph
at new places, half from the validation part, which it has never seen.

The one thing to know: dark crops are made by the room's own camera: unprocess, divide the light by
a ratio drawn log-uniformly from RATIOS, add the sensor's noise, render to 8 bits. Everything
follows from the photographs and one seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foveate.lowlight.isp import Camera
from foveate.lowlight.sacc.frozen import Frozen, to_unit
from foveate.lowlight.sensor import SensorNoise
from foveate.lowlight.train import train

SIDE = 64
RATIOS = (20.0, 80.0)
GAINS = (0.1, 3.0)
PARTS = {"train": (0.0, 0.6), "validation": (0.6, 0.75), "test": (0.75, 1.0)}
COUNTS = {"train": 200, "validation": 150, "unlabelled": 150, "test": 40}  # of each photograph


@dataclass(frozen=True)
class Crops:
    """Clean crops and the same crops in the dark.

    Attributes:
        clean: uint8 `[N, 3, SIDE, SIDE]`.
        dark: The same in simulated low light, uint8.
        labels: Number of the photograph, int64 `[N]`.
    """

    clean: Tensor
    dark: Tensor
    labels: Tensor


def build(photos: dict[str, np.ndarray], seed: int, share: float = 1.0) -> dict[str, Crops]:
    """Crops "train", "test" and "unlabelled" (whose labels are for diagnosis alone).

    Args:
        photos: uint8 `[H, W, 3]` each; their order numbers the classes.
        seed: Of places and of noise.
        share: Of COUNTS, for a small run.
    """
    found = {}
    for number, part in enumerate(COUNTS):
        rng = np.random.default_rng([seed, number])
        count = max(2, round(COUNTS[part] * share))
        where = PARTS["train" if part == "unlabelled" else part]
        crops = [crop for photo in photos.values() for crop in cut(photo, where, count, rng)]
        clean = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).contiguous()
        labels = torch.arange(len(photos)).repeat_interleave(count)
        found[part] = Crops(clean, darken(clean, seed=seed * 10 + number), labels)
    both = [found.pop(part) for part in ("unlabelled", "validation")]
    found["unlabelled"] = Crops(
        torch.cat([crops.clean for crops in both]),
        torch.cat([crops.dark for crops in both]),
        torch.cat([crops.labels for crops in both]),
    )
    return found


def cut(
    photo: np.ndarray, part: tuple[float, float], count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Crops from one part of a photograph, at random places."""
    axis = int(np.argmax(photo.shape[:2]))
    low, high = (round(share * photo.shape[axis]) for share in part)
    region = photo[low:high] if axis == 0 else photo[:, low:high]
    room = [s - SIDE + 1 for s in region.shape[:2]]
    at = rng.integers([0, 0], room, (count, 2))
    return [region[y : y + SIDE, x : x + SIDE] for y, x in at]


def darken(
    clean: Tensor,
    seed: int,
    ratios: tuple[float, float] = RATIOS,
    gains: tuple[float, float] = GAINS,
    contrasts: tuple[float, float] = (0.0, 0.0),
    batch: int = 256,
) -> Tensor:
    """Pictures in simulated low light, each with a camera, ratio and gain of its own.

    Args:
        clean: uint8 `[N, 3, H, W]`, even sizes.
        seed: Of everything random.
        ratios: Range of exposure ratios.
        gains: Range of system gains K, in DN per electron at 14 bits.
        contrasts: Range of the strength of the camera's tone curve, above x^(1/2.2).
        batch: Pictures at a time.

    Returns:
        uint8 of the same shape, on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = SensorNoise(gains=gains)
    low, high = np.log(ratios)
    done = []
    for start in range(0, len(clean), batch):
        x = to_unit(clean[start : start + batch])
        camera = Camera.draw(len(x), generator, base="power", contrasts=contrasts)
        ratio = torch.exp(low + (high - low) * torch.rand(len(x), generator=generator))
        gain = noise.draw_gain(len(x), generator)
        short = noise.expose(camera.unprocess(x, safe=True), ratio, gain, generator)
        done.append((camera.render(short) * 255).round().clamp(0, 255).byte())
    return torch.cat(done)


class PatchNet(nn.Module):
    """The classifier that is frozen afterwards: residual, 1.2 M parameters.

    Args:
        classes: Photographs.
        width: Channels of the first stage.
    """

    def __init__(self, classes: int = 30, width: int = 32) -> None:
        super().__init__()
        self.stem = _conv(3, width, 2)
        stages = []
        for i in range(3):
            wide = width << i
            stages += [_conv(wide, 2 * wide, 2), _Residual(2 * wide)]
        self.stages = nn.Sequential(*stages)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(width << 3, classes)

    def forward(self, image: Tensor) -> Tensor:
        """Logits `[B, classes]` of `[B, 3, H, W]` in [0, 1]."""
        x = self.stages(self.stem((image - 0.45) / 0.25))
        return self.head(self.drop(x.mean((2, 3))))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = _conv(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def _conv(inside: int, outside: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


def flips(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror half of the pictures `[B, 3, H, W]` left to right."""
    chosen = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) < 0.5
    return torch.where(chosen, x.flip(-1), x)


def train_classifier(
    crops: Crops,
    seed: int,
    steps: int = 3000,
    batch: int = 128,
    width: int = 32,
    device: str = "cpu",
    folder: Path | None = None,
    quiet: bool = False,
) -> Frozen:
    """PatchNet trained on clean crops, then frozen. It never sees a dark one."""
    torch.manual_seed(seed)
    net = PatchNet(int(crops.labels.max()) + 1, width).to(device)
    images, labels = crops.clean.to(device), crops.labels.to(device)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(images), (batch,), generator=generator, device=images.device)
        x = usual(to_unit(images[rows]), generator)
        return F.cross_entropy(net(x), labels[rows], label_smoothing=0.05)

    train(
        net,
        loss,
        steps,
        lr=2e-3,
        warmup=min(100, steps - 1),
        weight_decay=1e-2,
        seed=seed,
        folder=folder,
        settings={"what": "PatchNet", "batch": batch, "width": width},
        label="classifier on clean crops",
        quiet=quiet,
    )
    return Frozen(net)


def usual(x: Tensor, generator: torch.Generator) -> Tensor:
    """Flips, and brightness and contrast by 0.7 to 1.3: what classifiers are trained with."""
    x = flips(x, generator)
    draw = torch.rand(2, len(x), 1, 1, 1, generator=generator, device=x.device) * 0.6 + 0.7
    mean = x.mean((1, 2, 3), keepdim=True)
    return (((x - mean) * draw[0] + mean) * draw[1]).clamp(0, 1)
