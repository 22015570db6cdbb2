"""Adapt your own frozen model to the dark: `adapt(model, dark_images)`.

    adapted = adapt(model, "dark-photos/", mean=IMAGENET_MEAN, std=IMAGENET_STD)
    logits = adapted(batch)              # takes what the model takes
    adapted.curve.save("curve.safetensors")

The one thing to know: only the curve learns. With a classifier the fixed curves vote (SACC-CE);
with any other model (a detector, a segmenter) and some pictures in normal light, its features teach
the curve through a pretext task (SACC-PT).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .curve import ConcaveCurve
from .ensemble import CurveFamily, train_curve_ce
from .frozen import EnhancedModel, Frozen, batches
from .integral import ev_push
from .pretext import Features
from .selfalign import choose_task, default_tasks, pretext_accuracy, train_curve_pt

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

Images = Tensor | str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Diagnosis:
    """What can be said about a curve without any label.

    Attributes:
        objective: "ce" or "pretext".
        pictures: How many dark pictures there were.
        ev: Mean push of the curve in EV.
        ev_band: The 5 and 95 % quantiles over the pictures.
        saturated: Share of values that came out at 0.995 or above.
        dead: Share of channels whose curve died in training and is the identity; 0 is well. Another
            seed or a lower rate helps otherwise.
        facts: Of "ce": share of pictures learnt from, mean entropy of the answers before and after.
            Of "pretext": classes of the task, the head's accuracy in normal light, in the dark and
            behind the curve, and whether the head was good enough to trust (`Pretext.ready`).
    """

    objective: str
    pictures: int
    ev: float
    ev_band: tuple[float, float]
    saturated: float
    dead: float
    facts: dict[str, float]

    def __str__(self) -> str:
        low, high = self.ev_band
        lines = [
            f"objective  SACC-{'CE' if self.objective == 'ce' else 'PT'}, "
            f"{self.pictures} dark pictures",
            f"push       {self.ev:.1f} EV ({low:.1f} to {high:.1f}), "
            f"{100 * self.saturated:.1f} % of values at white",
        ]
        if self.dead:
            lines.append(f"dead       {100 * self.dead:.0f} % of the curves; try another seed")
        return "\n".join(lines + [f"{name:24s} {value:.3f}" for name, value in self.facts.items()])


def adapt(
    model: nn.Module,
    dark_images: Images,
    *,
    normal_images: Images | None = None,
    objective: str = "auto",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    output: Callable[[Any], Tensor] | None = None,
    layer: str | None = None,
    channels: str = "rgb",
    family: CurveFamily | None = None,
    steps: int = 2000,
    batch: int = 32,
    size: int = 224,
    seed: int = 0,
    folder: str | Path | None = None,
    quiet: bool = False,
) -> tuple[EnhancedModel, Diagnosis]:
    """Train a curve for a frozen model from unlabelled dark pictures.

    Args:
        model: Any module that takes `[B, 3, H, W]`. Its weights, statistics and modes are the same
            afterwards.
        dark_images: A folder, files, or a tensor `[N, 3, H, W]` (uint8, or float in [0, 1]).
        normal_images: The same in normal light; needed by objective "pretext" alone.
        objective: "ce" (SACC-CE, for logits `[B, K]`), "pretext" (SACC-PT, for any features), or
            "auto": "ce" if the model gives logits, else "pretext".
        mean: What the model's pictures are normalised with; None if it takes [0, 1].
        std: Likewise.
        output: Takes the logits out of what the model returns; see `Frozen`.
        layer: Module whose map the pretext head looks at; None takes the last suitable one.
        channels: "rgb" or "shared"; see `ConcaveCurve`.
        family: Curves that vote.
        steps: Steps of the curve; the pretext head takes as many.
        batch: Pictures per step.
        size: Files are scaled to this shorter side and cropped to a square in the middle.
        seed: Of weights, batches and augmentation.
        folder: Checkpoints and logs; a stopped call goes on from there.
        quiet: No progress bar.

    Returns:
        The curve before the model, for use in its place (`.curve` is the trained curve), and what
        can be said about it without labels.

    Raises:
        ValueError: No pictures, an unknown objective, or "pretext" without normal_images.
        TypeError: Objective "ce" with a model that gives no logits.
    """
    if objective not in ("auto", "ce", "pretext"):
        raise ValueError(f'objective is "{objective}"; expected auto, ce or pretext')
    dark = load_images("dark_images", dark_images, size)
    normal = None if normal_images is None else load_images("normal_images", normal_images, size)
    frozen = Frozen(model, mean, std, output)
    try:
        if objective == "auto":
            objective = "ce" if _gives_logits(frozen, dark) else "pretext"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            curve = ConcaveCurve(channels).to(frozen.device)
        told: dict[str, Any] = {
            "steps": steps,
            "batch": batch,
            "seed": seed,
            "folder": folder,
            "quiet": quiet,
        }
        if objective == "ce":
            facts = _by_votes(curve, frozen, dark, family, told)
        else:
            facts = _by_pretext(curve, frozen, dark, normal, layer, told)
        found = _diagnose(objective, curve, frozen, dark, facts)
    finally:
        frozen.release()
    return EnhancedModel(model, curve, mean, std).to(frozen.device).eval(), found


def load_images(name: str, source: Images, size: int = 224) -> Tensor:
    """Pictures as one tensor, uint8 `[N, 3, size, size]` from files, else as they are.

    Args:
        name: Of the argument, for errors.
        source: A folder (searched through), files, or a tensor.
        size: Shorter side; a square is cut from the middle.

    Raises:
        ValueError: No picture was found, or a tensor of another shape came.
    """
    if isinstance(source, Tensor):
        if source.dim() != 4 or source.shape[1] != 3 or len(source) == 0:
            raise ValueError(f"{name} is {list(source.shape)}; expected [N, 3, H, W]")
        return source
    if isinstance(source, (str, Path)):
        root = Path(source)
        files = [root] if root.is_file() else sorted(root.rglob("*"))
    else:
        files = [Path(f) for f in source]
    files = [f for f in files if f.suffix.lower() in PICTURES]
    if not files:
        raise ValueError(f"{name}: no picture ({', '.join(PICTURES)}) in {source}")
    return torch.stack([_read(file, size) for file in files])


def _read(path: Path, size: int) -> Tensor:
    try:
        import numpy as np
        from PIL import Image, ImageOps
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f'reading pictures needs {error.name}; pip install "foveate[lowlight]"', name=error.name
        ) from None
    try:
        upright = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except OSError as error:
        raise ValueError(f"{path} is no picture that can be read ({error})") from None
    picture = ImageOps.fit(upright, (size, size))
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)


def _gives_logits(frozen: Frozen, images: Tensor) -> bool:
    try:
        with torch.no_grad():
            frozen(next(batches(images[:1], 1, frozen.device)))
    except TypeError:
        return False
    return True


def _by_votes(
    curve: ConcaveCurve,
    frozen: Frozen,
    dark: Tensor,
    family: CurveFamily | None,
    told: dict[str, Any],
) -> dict[str, float]:
    _, votes = train_curve_ce(curve, frozen, dark, family=family, augment=_flip, **told)
    with torch.no_grad():
        pairs = [(frozen(x), frozen(curve(x))) for x in batches(dark, 64, frozen.device)]
    before, after = (torch.cat(part) for part in zip(*pairs, strict=True))
    same = (before.argmax(-1) == after.argmax(-1)).float().mean()
    return {
        "learnt from": float(votes.kept.float().mean()),
        "entropy before": float(_entropy(before).mean()),
        "entropy after": float(_entropy(after).mean()),
        "same answer": float(same),
    }


def _by_pretext(
    curve: ConcaveCurve,
    frozen: Frozen,
    dark: Tensor,
    normal: Tensor | None,
    layer: str | None,
    told: dict[str, Any],
) -> dict[str, float]:
    if normal is None:
        raise ValueError(
            "normal_images is None; a pretext head learns on pictures in normal light. Pass some, "
            'or use objective="ce" with a model that gives logits'
        )
    folder = told.pop("folder")
    side = min(dark.shape[-2:])
    features = Features(frozen, layer, side)
    try:
        pretext = choose_task(features, normal, default_tasks(side), **told)
        folder = Path(folder) / "curve" if folder else None
        train_curve_pt(curve, pretext, dark, folder=folder, **told)
        solved = [
            pretext_accuracy(features, pretext.head, pretext.task, dark, used, count=256)
            for used in (None, curve)
        ]
    finally:
        features.remove()
    return {
        "classes": float(pretext.task.classes),
        "head, normal light": pretext.accuracy,
        "head, dark": solved[0],
        "head, enhanced": solved[1],
        "head good enough": float(pretext.ready),
    }


def _diagnose(
    objective: str, curve: ConcaveCurve, frozen: Frozen, dark: Tensor, facts: dict[str, float]
) -> Diagnosis:
    push, white, gone = [], [], []
    with torch.no_grad():
        for x in batches(dark, 64, frozen.device):
            gone.append(curve.dead(x).float().mean(1))
            push.append(ev_push(curve.curve(x)).mean(-1))
            white.append((curve(x) >= 0.995).float().mean((1, 2, 3)))
    ev = torch.cat(push)
    band = (float(ev.quantile(0.05)), float(ev.quantile(0.95)))
    clipped = float(torch.cat(white).mean())
    dead = float(torch.cat(gone).mean())
    return Diagnosis(objective, len(dark), float(ev.mean()), band, clipped, dead, facts)


def _flip(x: Tensor, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) < 0.5
    return torch.where(chosen, x.flip(-1), x)


def _entropy(logits: Tensor) -> Tensor:
    log = logits.log_softmax(-1)
    return -(log.exp() * log).sum(-1)
