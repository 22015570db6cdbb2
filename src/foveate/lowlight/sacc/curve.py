"""The concave illumination curve: one monotone, concave tone curve per image and channel.

A small network looks at a 16 × 16 thumbnail and says how strongly the curve bends at each of 255
levels; two running sums turn the bends into a curve g with g(0) = 0 and g(1) = 1. With
q = ReLU(net(I)) ≥ 0 the negative second differences,

    s_i = Σ_{j ≥ i} q_j        slopes, falling with brightness
    c_k = Σ_{i < k} s_i        the curve before scaling, c_0 = 0
    g_k = c_k / c_255          so  g_k = Σ_j w_j · min(k / (j + 1), 1),  w_j ∝ q_j (j + 1)

The last form says what the curve is: a mixture of exposure gains 255 / (j + 1), each clipped at
white. So it never darkens (g_k ≥ k / 255), and the mixture weights are an answer to "by how many EV
was this picture pushed?" (`ev_mixture`).

The one thing to know: gradients reach the network through the curve's values alone; where a pixel
looks the curve up is not differentiated, unless the look-up interpolates between levels.

Source: Wang, Xu, Huang, Liu, "Self-Aligned Concave Curve", ACM MM 2022 (arXiv 2210.03792), section
on the deep concave curve. Shared channels, area down-sampling, interpolation and the guard against
dead channels are ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import weights
from .integral import DEAD, LEVELS, apply_curve, ev_mixture, integrate, normalise, thumbnail

DATA = Path(__file__).parents[2] / "data" / "lowlight"
SHIPPED = {"people": DATA / "sacc_people.safetensors"}
"""Trained curves that ship with the package."""


class ConcaveCurve(nn.Module):
    """Predicts a concave curve from a picture and applies it (158,061 parameters by default).

    Args:
        channels: "rgb" predicts one curve per channel (as published; for machines), "shared" one
            for all three, which cannot tint a picture (for people).
        degree: 2 is the method; 1 and 3 as in `integration_matrix`.
        width: Channels of the first layers.
        downsample: As `mode` of `thumbnail`.
        lookup: As in `apply_curve`.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        channels: str = "rgb",
        degree: int = 2,
        width: int = 24,
        downsample: str = "area",
        lookup: str = "linear",
    ) -> None:
        super().__init__()
        _one_of("channels", channels, ("rgb", "shared"))
        _one_of("degree", degree, (1, 2, 3))
        _one_of("downsample", downsample, ("area", "nearest"))
        _one_of("lookup", lookup, ("linear", "floor"))
        if width < 1:
            raise ValueError(f"width is {width}; expected at least 1 channel")
        self.config: dict[str, Any] = {
            "channels": channels,
            "degree": degree,
            "width": width,
            "downsample": downsample,
            "lookup": lookup,
        }
        self.card: dict[str, Any] = {}
        self.curves = 3 if channels == "rgb" else 1
        self.degree, self.downsample, self.lookup = degree, downsample, lookup
        w = width
        self.e1 = nn.Conv2d(3, w, 3, padding=1)
        self.e2 = nn.Conv2d(w, w, 3, padding=1)
        self.e3 = nn.Conv2d(w, w, 3, padding=1)
        self.e4 = nn.Conv2d(2 * w, w, 3, padding=1)
        self.e5 = nn.Conv2d(2 * w, w, 3, padding=1)
        self.d1 = nn.Conv2d(w, 2 * w, 3, stride=2, padding=1)
        self.d2 = nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1)
        self.head = nn.Linear(4 * w, self.curves * (LEVELS - 1))
        self.reset()

    def reset(self, start: str = "small") -> ConcaveCurve:
        """Draw the weights anew.

        Args:
            start: "small" is N(0, 0.02²), as published: all pictures begin with nearly the same
                curve, and it takes steps to tell them apart. "he" (He et al., 2015) tells them
                apart from the first step, and learns by heart: on simulated pairs of 43 photographs
                the L1 in training fell from 0.075 to 0.042, that on others rose from 0.077 to
                0.083 (1500 steps).
        """
        _one_of("start", start, ("small", "he"))
        for layer in self.children():
            if start == "small":
                nn.init.normal_(layer.weight, std=0.02)
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        return self

    def bends(self, small: Tensor) -> Tensor:
        """Negative second differences q of the curves.

        Args:
            small: A thumbnail, `[B, 3, 16, 16]`.

        Returns:
            Non-negative, float32 `[B, curves, 255]` with curves 3 or 1.
        """
        x1 = F.relu(self.e1(small))
        x2 = F.relu(self.e2(x1))
        x3 = F.relu(self.e3(x2))
        x4 = F.relu(self.e4(torch.cat([x2, x3], 1)))
        x5 = F.relu(self.e5(torch.cat([x1, x4], 1)))
        pooled = self.d2(self.d1(x5)).mean((2, 3))
        # the 765 values run level by level, the channels of one level side by side
        q = F.relu(self.head(pooled)).view(-1, LEVELS - 1, self.curves)
        return q.transpose(1, 2)

    def curve(self, image: Tensor) -> Tensor:
        """The curves of a batch.

        A channel whose bends are all zero has no curve; it gets the identity.

        Args:
            image: `[B, 3, H, W]` in [0, 1].

        Returns:
            float32 `[B, 3 or 1, 256]`, from 0 to 1.
        """
        return normalise(integrate(self.bends(self._look(image)), self.degree))

    def forward(self, image: Tensor) -> Tensor:
        """The picture, re-exposed.

        Args:
            image: `[B, 3, H, W]` or `[3, H, W]` in [0, 1].

        Returns:
            The same shape and dtype.
        """
        if image.dim() == 3:
            return self(image[None])[0]
        return apply_curve(image, self.curve(image), self.lookup)

    def forward_clip(self, clip: Tensor) -> Tensor:
        """Frames that belong together, re-exposed by one curve: a video clip, a stereo pair.

        The frames are stacked into one tall picture before the thumbnail is taken.

        Args:
            clip: `[B, T, 3, H, W]` in [0, 1].

        Returns:
            The same shape and dtype.
        """
        if clip.dim() != 5 or clip.shape[2] != 3:
            raise ValueError(f"clip is {_shape(clip)}; expected [B, T, 3, H, W]")
        tall = clip.transpose(1, 2).flatten(2, 3)  # [B, 3, T·H, W]
        out = apply_curve(tall, self.curve(tall), self.lookup)
        return out.unflatten(2, clip.shape[1::2][:2]).transpose(1, 2)

    def dead(self, image: Tensor) -> Tensor:
        """Which channels of which pictures fell back to the identity, bool `[B, curves]`."""
        c = integrate(self.bends(self._look(image)), self.degree)
        return c[..., -1] < DEAD

    def ev_mixture(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The curve as a mixture of exposure gains.

        Args:
            image: `[B, 3, H, W]` in [0, 1].

        Returns:
            EV of each component, `[255]`, falling from log2(255) to 0; and their weights,
            `[B, curves, 255]`, which sum to 1.

        Raises:
            ValueError: The curve is of degree 1, which need not be concave.
        """
        if self.degree == 1:
            raise ValueError(
                "ev_mixture needs a concave curve; this one has degree 1, expected 2 or 3"
            )
        return ev_mixture(self.curve(image))

    def save(self, path: str | Path, card: dict[str, Any] | None = None) -> None:
        """Write weights and options as one safetensors file, all or nothing.

        Args:
            path: The file.
            card: Further facts for its header (what it was trained on, the command).
        """
        weights.save(path, self.state_dict(), {"curve": self.config, "card": dict(card or {})})

    @classmethod
    def load(cls, name: str | Path = "people") -> ConcaveCurve:
        """A trained curve, ready to run.

        Args:
            name: A name of `SHIPPED`, or a file that `save` wrote.

        Raises:
            ValueError: No weights have this name, or the file is something else.
            ModuleNotFoundError: safetensors is not installed.
        """
        path = SHIPPED.get(str(name), Path(name))
        if not path.exists():
            raise ValueError(
                f'no curve "{name}"; expected one of {", ".join(SHIPPED)}, or a file of weights'
            )
        state, about = weights.load(path)
        if "curve" not in about:
            raise ValueError(f"{path} holds other weights; expected a curve that was saved by SACC")
        model = cls(**about["curve"])
        model.load_state_dict({key: value.float() for key, value in state.items()})
        model.card = about.get("card", {})
        return model.eval()

    def _look(self, image: Tensor) -> Tensor:
        if image.dim() != 4 or image.shape[1] != 3 or 0 in image.shape:
            raise ValueError(f"image is {_shape(image)}; expected [B, 3, H, W] in [0, 1]")
        small = thumbnail(image, self.downsample)
        return small.to(self.e1.weight.dtype).clamp(0, 1)


def _one_of(name: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(str, known))}")


def _shape(x: Tensor) -> str:
    return "[" + ", ".join(map(str, x.shape)) + "]"
