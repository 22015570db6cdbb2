"""The sensor in the dark: what a short exposure of a known scene would have looked like.

    y = S·R_long/k;   z = K·Poisson(y/K) + read + row;   R_short = round(z)/S

in digital numbers (DN) of 14 bits with full scale S; K is the system gain, k the ratio of
exposures. Rounding is the quantisation noise of the model. Negative values stay, down to −black/S,
as they do in a RAW file.

Noise model and constants (natural logarithms, `log σ = a·log K + b + N(0, s)`): Wei et al., "A
Physics-based Noise Formation Model for Extreme Low-light Raw Denoising" (CVPR 2020), as released
with its code under the MIT licence.

The one thing to know: this is *simulated* low light. It has shot, read, row and quantisation noise
of real sensors, and neither hot pixels, nor pattern noise, nor motion.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Constants:
    """Measured noise of one sensor: range of gains, and (a, b, s) of each kind of noise."""

    gains: tuple[float, float]
    gaussian: tuple[float, float, float]
    tukey: tuple[float, float, float]
    row: tuple[float, float, float]
    black: int = 512
    white: int = 16383


SENSORS = {
    "sony_a7s2": Constants(
        (0.0939, 6.011),
        (0.5407, 1.2182, 0.2675),
        (0.4621, 0.5657, 0.2634),
        (0.5275, -0.5917, 0.2943),
    ),
    "nikon_d850": Constants(
        (0.4150, 26.56),
        (0.5635, 0.7994, 0.2141),
        (0.4774, -0.0904, 0.2392),
        (0.4483, -1.7977, 0.2322),
    ),
    "canon_5d4": Constants(
        (0.2182, 13.96),
        (0.6771, 1.5122, 0.2464),
        (0.6559, 1.0927, 0.2860),
        (0.4713, -0.8079, 0.2436),
    ),
    "canon_70d": Constants(
        (0.4075, 26.08),
        (0.5681, 1.9983, 0.2487),
        (0.4868, 1.4643, 0.3820),
        (0.7292, -0.9371, 0.2502),
    ),
    "canon_700d": Constants(
        (0.4476, 28.65),
        (0.6525, 2.0799, 0.2578),
        (0.5982, 1.5370, 0.3889),
        (0.6221, -0.7757, 0.2485),
    ),
}
"""Sensor → constants of the release, at 14 bits; the black level is Sony's for all of them."""


@dataclass(frozen=True)
class SensorNoise:
    """The noise of one sensor.

    Args:
        sensor: A key of `SENSORS`.
        read: "gaussian", or "tukey" (a Tukey-lambda distribution, with heavier tails).
        shape: λ of the Tukey-lambda distribution; 0 is the logistic one.
        gains: Range of K to draw from; None takes all that was measured.

    Raises:
        ValueError: An unknown name, or a range out of order.
    """

    sensor: str = "sony_a7s2"
    read: str = "gaussian"
    shape: float = 0.0
    gains: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.sensor not in SENSORS:
            raise ValueError(f'unknown sensor "{self.sensor}"; sensors are {", ".join(SENSORS)}')
        if self.read not in ("gaussian", "tukey"):
            raise ValueError(f'read is "{self.read}"; expected "gaussian" or "tukey"')
        if self.gains is not None:
            low, high = self.gains
            if not 0 < low <= high:
                raise ValueError(f"gains is {self.gains}; expected 0 < low <= high")
            object.__setattr__(self, "gains", (float(low), float(high)))

    @property
    def constants(self) -> Constants:
        """The measured constants."""
        return SENSORS[self.sensor]

    def parameters(self) -> dict[str, Any]:
        """All choices, as JSON can hold them; `SensorNoise(**parameters)` is the same noise."""
        return asdict(self)

    def draw_gain(self, count: int, generator: torch.Generator, device: Any = None) -> Tensor:
        """System gains K, log-uniform over the range, `[count]`."""
        low, high = self.gains or self.constants.gains
        share = torch.rand(count, generator=generator, device=device)
        return torch.exp(math.log(low) + share * math.log(high / low))

    def deviations(self, gain: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Scales of read and row noise in DN, `[B]` each, drawn around their lines over log K."""
        lines = self.constants.gaussian if self.read == "gaussian" else self.constants.tukey
        drawn = []
        for a, b, s in (lines, self.constants.row):
            spread = torch.randn(gain.shape, generator=generator, device=gain.device)
            drawn.append(torch.exp(a * gain.log() + b + s * spread))
        return drawn[0], drawn[1]

    def expose(
        self, long_raw: Tensor, ratio: Tensor, gain: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Take the short exposure.

        Args:
            long_raw: Clean packed RAW of the long exposure, `[B, 4, h, w]`, white = 1.
            ratio: k, long over short exposure time, `[B]`.
            gain: K in DN per electron, `[B]`.
            generator: Of everything random, on the device of `long_raw`.

        Returns:
            The short exposure's packed RAW, `[B, 4, h, w]`; multiples of 1/(white − black).
        """
        told = self.constants
        full = told.white - told.black
        read, row = (scale.reshape(-1, 1, 1, 1) for scale in self.deviations(gain, generator))
        k, big = ratio.reshape(-1, 1, 1, 1), gain.reshape(-1, 1, 1, 1)
        light = (full * long_raw / k).clamp_min(0)
        value = big * torch.poisson(light / big, generator=generator)
        value = value + read * self._standard(long_raw, generator)
        # one value per line of the sensor: R and Gr share theirs, Gb and B the next
        batch, _, height, _ = long_raw.shape
        lines = torch.randn(batch, 2, height, 1, generator=generator, device=long_raw.device)
        value = value + row * lines.repeat_interleave(2, dim=1)
        return value.round().clamp(-told.black, full) / full

    def _standard(self, like: Tensor, generator: torch.Generator) -> Tensor:
        if self.read == "gaussian":
            return torch.randn(like.shape, generator=generator, device=like.device)
        u = torch.rand(like.shape, generator=generator, device=like.device).clamp(1e-7, 1 - 1e-7)
        if self.shape == 0:
            return torch.log(u / (1 - u))
        return (u**self.shape - (1 - u) ** self.shape) / self.shape
