"""Train one enhancer per configuration, and score it.

The one thing to know: all configurations share the pairs, the crops of each step, the network but
for its first convolution, the optimiser, the steps and the seeds.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import weights
from ..metrics import psnr, ssim
from ..pairs import LowLight, Pair, Source, fixed_crops, join
from ..raw_pairs import RawFolder, RawSource
from ..train import train
from ..unet import UNet
from .factors import FACTORS, Factors, build_input, naive_input, untold_input

INPUTS = {"controlled": build_input, "untold": untold_input, "naive": naive_input}
"""Which controls hold (`factors`): all, all but the last, or none but the curve of the pairs."""


@dataclass(frozen=True)
class Budget:
    """How much is trained.

    Args:
        steps: Of each training.
        seeds: Of weights and order; one training each.
        widths: Of the network.
        pairs: Crops that are simulated once and trained on.
        patch: Edge of a crop.
        batch: Crops per step.
        lr: Highest learning rate.
    """

    steps: int = 2000
    seeds: tuple[int, ...] = (0, 1, 2)
    widths: tuple[int, ...] = (16, 32, 64)
    pairs: int = 4096
    patch: int = 64
    batch: int = 32
    lr: float = 2e-3


@dataclass(frozen=True, eq=False)
class Data:
    """The pairs of a benchmark: to train on, and to score, with the photograph of each."""

    train: Pair
    test: Pair
    photo: list[int]
    gain: float  # geometric mean of the training ratios


def default_configs() -> list[Factors]:
    """None, all, each alone, all but each, and L with T: 17."""
    everything = frozenset(FACTORS)
    found = [Factors(), Factors(everything)]
    found += [Factors(frozenset(c)) for c in FACTORS]
    found += [Factors(everything - {c}) for c in FACTORS]
    return [*found, Factors.of("LT")]


def make_data(
    photos: Sequence[Tensor],
    test_photos: Sequence[Tensor],
    simulator: LowLight,
    budget: Budget,
    ratios: Sequence[float],
    per_photo: int = 6,
    device: Any = "cpu",
) -> Data:
    """Simulate all pairs of a benchmark once.

    Args:
        photos: uint8 `[3, H, W]`, to train on.
        test_photos: Others, to score.
        simulator: How they become pairs.
        budget: Numbers and sizes.
        ratios: k of the test pairs; every test crop is taken at each of them.
        per_photo: Test crops of each photograph.
        device: Where the pairs lie.
    """
    source = Source(photos, simulator, budget.patch, 1, 0, device)
    parts = [source.make(min(512, budget.pairs - n), 17 + n) for n in range(0, budget.pairs, 512)]
    crops = fixed_crops(test_photos, 2 * budget.patch, per_photo)
    photo = [i for i, c in enumerate(crops) for _ in c] * len(ratios)
    pictures = torch.cat(crops).to(device)
    generator = torch.Generator(device=device).manual_seed(99)
    test = [
        simulator.expose(
            pictures, generator, ratio=torch.full((len(pictures),), float(k), device=device)
        )
        for k in ratios
    ]
    low, high = simulator.ratios
    return Data(join(parts), join(test), photo, math.sqrt(low * high))


def raw_data(
    folder: RawFolder, test: Sequence[int], budget: Budget, per_pair: int = 8, device: Any = "cpu"
) -> Data:
    """A benchmark on a user's own RAW pairs.

    Args:
        folder: The pairs.
        test: Indices of those to score; all others are trained on.
        budget: Numbers and sizes.
        per_pair: Test crops of each pair.
        device: Where crops lie.

    Raises:
        ValueError: Nothing is left to train on, or nothing to score.
    """
    rest = [i for i in range(len(folder)) if i not in set(test)]
    if not rest or not test:
        raise ValueError(f"{len(folder)} pairs, {len(test)} of them to score; expected both kinds")
    trained = RawSource(folder, rest, budget.patch, 1, 0, device).make(budget.pairs, 17)
    parts = [RawSource(folder, [i], 2 * budget.patch, 1, 0, device).make(per_pair, i) for i in test]
    photo = [n for n in range(len(test)) for _ in range(per_pair)]
    return Data(trained, join(parts), photo, float(trained.ratio.log().mean().exp()))


class Enhancer(nn.Module):
    """The network of the benchmark: a U-Net at half resolution, a residual at full."""

    def __init__(self, channels: int, widths: Sequence[int], zero: bool = True) -> None:
        super().__init__()
        self.body = UNet(channels, 12, widths, zero=zero)

    def forward(self, seen: Tensor, base: Tensor) -> Tensor:
        """`[B, C, h, w]` and `[B, 3, 2h, 2w]` to `[B, 3, 2h, 2w]`."""
        return base + nn.functional.pixel_shuffle(self.body(seen), 2)


def score(
    factors: Factors,
    seed: int,
    data: Data,
    budget: Budget,
    inputs: str = "controlled",
    **options: Any,
) -> dict[str, Any]:
    """One training and its scores on every test pair.

    Returns:
        factors, seed, psnr and ssim per test pair, seconds.
    """
    build, naive = INPUTS[inputs], inputs == "naive"
    begin = time.monotonic()
    seen, base = _built(data.train, factors, data.gain, build)
    device = seen.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 + seed)
        model = Enhancer(seen.shape[1], budget.widths, zero=not naive).to(device)

    def loss(step: int, generator: torch.Generator) -> Tensor:
        index = torch.randint(len(seen), (budget.batch,), generator=generator, device=device)
        return (model(seen[index], base[index]) - data.train.long[index]).abs().mean()

    train(
        model,
        loss,
        budget.steps,
        lr=budget.lr,
        warmup=min(50, budget.steps // 4),
        clip=1.0,
        seed=seed,
        label=f"{factors} seed {seed}",
        **options,
    )
    found = {"factors": str(factors), "seed": seed, "psnr": [], "ssim": []}
    for part in torch.arange(len(data.test), device=device).split(64):
        pair = data.test.at(part)
        with torch.no_grad():
            picture = model(*build(pair, factors, data.gain)).clamp(0, 1)
        found["psnr"] += psnr(picture, pair.long).tolist()
        found["ssim"] += ssim(picture, pair.long).tolist()
    return {**found, "seconds": time.monotonic() - begin}


def _built(pair: Pair, factors: Factors, gain: float, build: Callable) -> tuple[Tensor, Tensor]:
    """All inputs of a configuration, in pieces that fit into memory."""
    parts = [
        build(pair.at(i), factors, gain)
        for i in torch.arange(len(pair), device=pair.ratio.device).split(512)
    ]
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def run(
    configs: Sequence[Factors],
    data: Data,
    budget: Budget,
    path: str | Path | None = None,
    inputs: str = "controlled",
    until: float | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train and score configurations, seed by seed, and go on where a file left off.

    Args:
        configs: Which.
        data: The pairs (`make_data`).
        budget: How much is trained.
        path: JSON file that holds what was scored, rewritten after each; None keeps nothing.
        inputs: A key of `INPUTS`.
        until: `time.monotonic()` after which no training begins.
        options: For `train`.

    Returns:
        budget, and scores: one entry per training (`score`), with ratio and photo of test pairs.

    Raises:
        ValueError: The file belongs to another budget, or the inputs are unknown.
    """
    if inputs not in INPUTS:
        raise ValueError(f'unknown inputs "{inputs}"; inputs are {", ".join(INPUTS)}')
    told: dict[str, Any] = {
        "budget": json.loads(json.dumps(asdict(budget))),
        "inputs": inputs,
        "ratio": [round(float(k), 4) for k in data.test.ratio],
        "gain": [round(float(k), 4) for k in data.test.gain],
        "photo": data.photo,
        "scores": [],
    }
    if path is not None and Path(path).exists():
        held = json.loads(Path(path).read_text())
        if held["budget"] != told["budget"] or held["inputs"] != inputs:
            raise ValueError(f"{path} holds scores of another budget; use another file")
        told["scores"] = held["scores"]
    done = {(s["factors"], s["seed"]) for s in told["scores"]}
    for seed in budget.seeds:
        for factors in configs:
            if (str(factors), seed) in done:
                continue
            if until is not None and time.monotonic() > until:
                return told
            told["scores"].append(score(factors, seed, data, budget, inputs, **options))
            if path is not None:
                weights.write_bytes(path, json.dumps(told).encode())
    return told
