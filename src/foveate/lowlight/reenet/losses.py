"""What each module is trained for, given pairs of exposures.

    L_U = |τ(k·U(I_s)) − τ(k·R_s)| + |τ(U(I_l)) − τ(R_l)|
    L_E = |τ(R̂_l(k·R_s)) − τ(R_l)|,  from true RAW
    L_P = |P(R_l) − I_l|
    L_joint = λ₁·L_U + λ₂·|τ(R̂_l) − τ(R_l)| + λ₃·|Î_l − I_l| + λ₄·(1 − SSIM)
            + λ₅·|P(R̂_l(k·R_s)) − I_l|,  from true RAW, on half of the batch

The last term keeps E and P fit for RAW files, which pass U by. It is ours, and so are all weights.

The one thing to know: L_U is scaled by k, because otherwise a dark picture's RAW (around 0.001)
would make no loss at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..metrics import ssim
from ..pairs import Pair
from ..response import tau
from .network import HIGH, LOW, Guided

GUIDES = ("clean", "noisy", "none")


@dataclass(frozen=True)
class Guide:
    """Which RAW guides, and how strongly.

    Args:
        kind: "clean" (R_l / k), "noisy" (R_s as it was), or "none" (only the last picture counts).
        weights: λ₁ to λ₅ of the joint loss.
        linear: Compare RAW without τ, for the ablation.

    Raises:
        ValueError: An unknown kind.
    """

    kind: str = "clean"
    weights: tuple[float, float, float, float, float] = (0.5, 0.5, 1.0, 0.1, 0.25)
    linear: bool = False

    def __post_init__(self) -> None:
        if self.kind not in GUIDES:
            raise ValueError(f'unknown guide "{self.kind}"; guides are {", ".join(GUIDES)}')

    def distance(self, found: Tensor, true: Tensor) -> Tensor:
        """Mean distance of RAW."""
        if self.linear:
            return (found - true).abs().mean()
        return (tau(found) - tau(true)).abs().mean()


def raws(pair: Pair, kind: str) -> tuple[Tensor, Tensor]:
    """Short and long RAW after gains; the short one clean or as it was."""
    gains = pair.camera.plane_gains()
    true = (pair.long_raw * gains).clamp(max=1)
    short = pair.short_raw * gains
    return (true / pair.ratio.reshape(-1, 1, 1, 1) if kind == "clean" else short), true


def jittered(level: Tensor, generator: torch.Generator) -> Tensor:
    """Light levels as if the crop came from a darker or brighter picture."""
    stops = torch.rand(level.shape, generator=generator, device=level.device) * 3 - 1.5
    return level * 2**stops


def unprocess_loss(
    model: Guided, pair: Pair, guide: Guide, generator: torch.Generator
) -> dict[str, Tensor]:
    """L_U."""
    target, true = raws(pair, guide.kind)
    k = pair.ratio.reshape(-1, 1, 1, 1)
    u = model.unprocess
    dark = u(pair.short, jittered(u.level(pair.short), generator))
    bright = u(pair.long, jittered(u.level(pair.long), generator))
    parts = {"dark": guide.distance(k * dark, k * target), "bright": guide.distance(bright, true)}
    return {"loss": parts["dark"] + parts["bright"], **parts}


def reconstruct_loss(
    model: Guided, pair: Pair, guide: Guide, generator: torch.Generator
) -> dict[str, Tensor]:
    """L_E, from true RAW."""
    noisy, true = raws(pair, "noisy")
    return {"loss": guide.distance(model.expose(noisy, pair.ratio), true)}


def process_loss(
    model: Guided, pair: Pair, guide: Guide, generator: torch.Generator
) -> dict[str, Tensor]:
    """L_P, with a little noise on RAW, as reconstructions will have errors."""
    _, true = raws(pair, "noisy")
    scale = 0.02 * torch.rand(len(pair), 1, 1, 1, generator=generator, device=true.device)
    noise = torch.randn(true.shape, generator=generator, device=true.device)
    found = model.process(true + scale * noise, pair.short, pair.ratio)
    return {"loss": (found - pair.long).abs().mean()}


def joint_loss(
    model: Guided, pair: Pair, guide: Guide, generator: torch.Generator
) -> dict[str, Tensor]:
    """L_joint."""
    target, true = raws(pair, guide.kind)
    k = pair.ratio.reshape(-1, 1, 1, 1)
    u = model.unprocess
    raw = u(pair.short, jittered(u.level(pair.short), generator))
    exposed = model.expose(raw, pair.ratio)
    found = model.process(exposed, pair.short, pair.ratio)
    parts = {"picture": (found - pair.long).abs().mean()}
    first, second, third, fourth, fifth = guide.weights
    loss = third * parts["picture"]
    if guide.kind != "none":
        # beyond white nothing was recorded, so nothing is asked for there
        parts["unprocess"] = guide.distance(
            (k * raw).clamp(LOW, HIGH), (k * target).clamp(LOW, HIGH)
        )
        parts["reconstruct"] = guide.distance(exposed, true)
        loss = loss + first * parts["unprocess"] + second * parts["reconstruct"]
    if guide.kind != "none" and fifth:
        some = pair.at(slice(0, (len(pair) + 1) // 2))
        direct = model.from_raw(raws(some, "noisy")[0], some.ratio)
        parts["bypass"] = (direct - some.long).abs().mean()
        loss = loss + fifth * parts["bypass"]
    if fourth:
        parts["ssim"] = ssim(found.clamp(0, 1), pair.long).mean()
        loss = loss + fourth * (1 - parts["ssim"])
    return {"loss": loss, **parts}


def plain_loss(model: torch.nn.Module, pair: Pair, fourth: float = 0.1) -> dict[str, Tensor]:
    """The control's loss: the parts of L_joint that see only pictures."""
    found = model(pair.short, pair.ratio)
    likeness = ssim(found.clamp(0, 1), pair.long).mean()
    picture = (found - pair.long).abs().mean()
    return {"loss": picture + fourth * (1 - likeness), "picture": picture, "ssim": likeness}
