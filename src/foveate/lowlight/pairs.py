"""Pairs of exposures, simulated from ordinary photographs (`raw_pairs` takes them from RAW files).

A photograph is taken for the *long* exposure: the camera's inverse turns it into clean RAW, the
sensor takes the short exposure of it, and the camera develops both. So all five things are known
that guide a training: both RAWs, both pictures, and the ratio.

The one thing to know: photographs are uint8 tensors `[3, H, W]`; what comes out are batches on the
device of the `Source`, and equal seeds give equal pairs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from .isp import CONTRASTS, Camera
from .response import quantise
from .sensor import SensorNoise


@dataclass(frozen=True, eq=False)
class Pair:
    """A batch of exposure pairs.

    Attributes:
        short_raw: R_s, `[B, 4, h, w]`, noisy.
        long_raw: R_l, `[B, 4, h, w]`, clean, white = 1.
        short: I_s, the 8-bit sRGB of R_s, `[B, 3, 2h, 2w]` in [0, 1].
        long: I_l, the 8-bit sRGB of R_l.
        ratio: k, `[B]`.
        gain: System gain K of the short exposure, `[B]`; NaN when unknown.
        camera: One camera per pair.
    """

    short_raw: Tensor
    long_raw: Tensor
    short: Tensor
    long: Tensor
    ratio: Tensor
    gain: Tensor
    camera: Camera

    def __len__(self) -> int:
        return len(self.ratio)

    def at(self, index: Any) -> Pair:
        """Some pairs of a batch; `index` selects along B."""
        parts = {n: getattr(self, n)[index] for n in self.__dataclass_fields__ if n != "camera"}
        return Pair(**parts, camera=self.camera.at(index))

    def to(self, device: Any) -> Pair:
        """The same pairs elsewhere."""
        parts = {n: getattr(self, n).to(device) for n in self.__dataclass_fields__}
        return Pair(**parts)


@dataclass(frozen=True)
class LowLight:
    """How photographs become pairs: the simulator's parameters, which JSON can hold.

    Args:
        ratios: Range of k, drawn log-uniformly.
        noise: The sensor's noise.
        contrasts: Range of the tone curve's strength.
        base: "srgb" or "power", the encoding below the tone curve.
        jpeg: Quality of the short picture's file; None stores it losslessly.

    Raises:
        ValueError: A range is out of order.
    """

    ratios: tuple[float, float] = (3.0, 300.0)
    noise: SensorNoise = field(default_factory=SensorNoise)
    contrasts: tuple[float, float] = CONTRASTS
    base: str = "srgb"
    jpeg: int | None = None

    def __post_init__(self) -> None:
        low, high = self.ratios
        if not 1 <= low <= high:
            raise ValueError(f"ratios is {self.ratios}; expected 1 <= low <= high")

    def parameters(self) -> dict[str, Any]:
        """All choices as plain values."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_parameters(cls, values: dict[str, Any]) -> LowLight:
        """The simulator that gave `parameters`.

        Raises:
            TypeError: An unknown parameter.
        """
        noise = dict(values.get("noise", {}))
        if noise.get("gains") is not None:
            noise["gains"] = tuple(noise["gains"])
        ranges = {n: tuple(values[n]) for n in ("ratios", "contrasts") if n in values}
        return cls(**{**values, **ranges, "noise": SensorNoise(**noise)})

    def expose(
        self,
        photos: Tensor,
        generator: torch.Generator,
        ratio: Tensor | None = None,
        gain: Tensor | None = None,
        camera: Camera | None = None,
    ) -> Pair:
        """Simulate a batch.

        Args:
            photos: sRGB `[B, 3, H, W]` in [0, 1], even sizes; the long exposures.
            generator: Of everything random, on the photos' device.
            ratio: k `[B]`; None draws it.
            gain: K `[B]`; None draws it.
            camera: One per photo; None draws them.
        """
        count, device = len(photos), photos.device
        if camera is None:
            # drawn on the CPU, whose random numbers are the same on every machine
            seed = torch.randint(1 << 40, (), generator=generator, device=device)
            drawn = torch.Generator().manual_seed(int(seed))
            camera = Camera.draw(count, drawn, self.base, self.contrasts).to(device)
        if ratio is None:
            low, high = (math.log(r) for r in self.ratios)
            share = torch.rand(count, generator=generator, device=device)
            ratio = torch.exp(low + (high - low) * share)
        if gain is None:
            gain = self.noise.draw_gain(count, generator, device)
        long_raw = camera.unprocess(photos, safe=True).clamp(0, 1)
        short_raw = self.noise.expose(long_raw, ratio, gain, generator)
        short = camera.render(short_raw)
        if self.jpeg is not None:
            from .jpeg import compress

            short = compress(short, self.jpeg)
        return Pair(short_raw, long_raw, short, camera.render(long_raw), ratio, gain, camera)


def low_light(
    photo: Tensor, ratio: float, seed: int = 0, simulator: LowLight | None = None
) -> tuple[Pair, dict[str, Any]]:
    """One photograph as if it had been exposed `ratio` times shorter.

    Args:
        photo: sRGB `[3, H, W]`, uint8 or in [0, 1]; an odd last row or column is dropped.
        ratio: k, at least 1.
        seed: Of camera, gain and noise.
        simulator: Its other parameters.

    Returns:
        The pair (B = 1), and everything that made it, as JSON can hold it.

    Raises:
        ValueError: ratio below 1.
    """
    if not ratio >= 1:
        raise ValueError(f"ratio is {ratio}; expected at least 1 (long over short exposure)")
    simulator = simulator or LowLight()
    generator = torch.Generator().manual_seed(seed)
    photo = _even(_unit(photo))[None]
    pair = simulator.expose(photo, generator, ratio=torch.tensor([float(ratio)]))
    told = {
        "simulator": simulator.parameters(),
        "seed": seed,
        "ratio": float(ratio),
        "gain": float(pair.gain),
        "camera": pair.camera.parameters(),
    }
    return pair, told


class Source:
    """Endless random crops of photographs as simulated pairs, a function of the step alone.

    Pairs are simulated for many steps at once, because a batch of them costs little more than one.

    Args:
        photos: uint8 `[3, H, W]` each, at least `patch` in both directions.
        simulator: How they become pairs.
        patch: Edge of a crop in pixels, even.
        batch: Crops per step.
        seed: Of everything random.
        device: Where pairs are made.
        ahead: Steps simulated at once.

    Raises:
        ValueError: No photographs, or one that is smaller than the patch.
    """

    def __init__(
        self,
        photos: Sequence[Tensor],
        simulator: LowLight | None = None,
        patch: int = 96,
        batch: int = 16,
        seed: int = 0,
        device: Any = "cpu",
        ahead: int = 16,
    ) -> None:
        if not photos:
            raise ValueError("photos is empty; expected at least one photograph")
        small = [p for p in photos if min(p.shape[-2:]) < patch]
        if small or patch % 2:
            sizes = [f"{p.shape[-2]} × {p.shape[-1]}" for p in small][:3]
            raise ValueError(f"patch is {patch}; expected even, and no photograph smaller: {sizes}")
        self.photos = [p.to(device) for p in photos]
        self.simulator = simulator or LowLight()
        self.patch, self.batch, self.seed, self.ahead = patch, batch, seed, ahead
        self.device = torch.device(device)
        self._held: tuple[int, Pair] | None = None

    def __call__(self, step: int) -> Pair:
        """The pairs of one step."""
        chunk, place = divmod(step, self.ahead)
        if self._held is None or self._held[0] != chunk:
            self._held = (chunk, self.make(self.batch * self.ahead, self.seed * 7_368_787 + chunk))
        return self._held[1].at(slice(place * self.batch, (place + 1) * self.batch))

    def parameters(self) -> dict[str, Any]:
        """What decides the pairs, but for the photographs and the seed, as plain values."""
        told = self.simulator.parameters()
        return {"simulator": told, "patch": self.patch, "batch": self.batch}

    def crops(self, count: int, generator: torch.Generator) -> Tensor:
        """Random crops, flipped and transposed at random, `[count, 3, patch, patch]` in [0, 1]."""
        size = self.patch
        areas = torch.tensor([float(p.shape[-2] * p.shape[-1]) for p in self.photos])
        # by the root of the area: large photographs show more, but must not drown the others
        chosen = torch.multinomial(areas.sqrt(), count, replacement=True, generator=generator)
        places = torch.rand(count, 2, generator=generator)
        turns = torch.randint(8, (count,), generator=generator).tolist()
        made = []
        for number, place, turn in zip(chosen.tolist(), places.tolist(), turns, strict=True):
            photo = self.photos[number]
            top = int(place[0] * (photo.shape[-2] - size + 1))
            left = int(place[1] * (photo.shape[-1] - size + 1))
            crop = torch.rot90(photo[:, top : top + size, left : left + size], turn % 4, (-2, -1))
            made.append(crop.flip(-1) if turn >= 4 else crop)
        return torch.stack(made).float() / 255

    def make(self, count: int, seed: int) -> Pair:
        """Simulated pairs of random crops; equal seeds give equal pairs on one kind of device."""
        crops = self.crops(count, torch.Generator().manual_seed(seed))
        generator = torch.Generator(device=self.device).manual_seed(seed)
        return self.simulator.expose(crops, generator)


def fixed_crops(photos: Sequence[Tensor], patch: int, most: int = 4) -> list[Tensor]:
    """The same few crops of every photograph, spread over a grid: for tests.

    Returns:
        One `[n, 3, patch, patch]` in [0, 1] per photograph, n at most `most`.
    """
    found = []
    for photo in photos:
        height, width = photo.shape[-2:]
        rows, columns = height // patch, width // patch
        places = [(r, c) for r in range(rows) for c in range(columns)]
        step = max(1, math.ceil(len(places) / most))
        top, left = (height - rows * patch) // 2, (width - columns * patch) // 2
        crops = [
            photo[:, top + r * patch : top + (r + 1) * patch, left + c * patch :][..., :patch]
            for r, c in places[step // 2 :: step]
        ]
        found.append(torch.stack(crops).float() / 255)
    return found


def join(parts: Sequence[Pair]) -> Pair:
    """Batches of pairs as one."""
    names = [n for n in Pair.__dataclass_fields__ if n != "camera"]
    held = {n: torch.cat([getattr(p, n) for p in parts]) for n in names}
    cameras = [p.camera for p in parts]
    one = cameras[0]
    joined = {
        n: torch.cat([getattr(c, n) for c in cameras]) for n in ("wb", "ccm", "gain", "contrast")
    }
    return Pair(**held, camera=type(one)(**joined, base=one.base))


def _unit(photo: Tensor) -> Tensor:
    return photo.float() / 255 if photo.dtype == torch.uint8 else quantise(photo, 16)


def _even(photo: Tensor) -> Tensor:
    height, width = (size // 2 * 2 for size in photo.shape[-2:])
    return photo[..., :height, :width]
