"""SACC+: after the curve, the model itself learns from its own sure answers in the dark.

    dark pictures → trained curve → frozen model → confident answers
    minimise  CE(model(enhanced dark), answer)
              + CE(model(normal), true label) + guard · KL(model before(normal) ‖ model(normal))

The one thing to know: the half in normal light keeps the model good there; for the same reason
statistics of batch normalisation stay as they were, and the result lies half-way between the old
weights and the new ones (`mix`; Wortsman et al., CVPR 2022, on why a mean keeps both skills).

Source: Wang et al., ACM MM 2022, which names the stage; its details are ours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..train import train
from .ensemble import PseudoLabels
from .frozen import Frozen, batches, to_unit


def adapt_plus(
    model: Frozen | nn.Module,
    curve: nn.Module,
    dark: Tensor,
    normal: tuple[Tensor, Tensor],
    *,
    keep: float = 0.5,
    rounds: int = 2,
    steps: int = 1000,
    batch: int = 64,
    lr: float = 2e-4,
    guard: float = 1.0,
    mix: float = 0.5,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    augment_normal: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    quiet: bool = False,
    **options: Any,
) -> Frozen:
    """Fine-tune a copy of the model on enhanced dark pictures and its own answers.

    Args:
        model: The classifier; it is copied, not changed.
        curve: A trained curve; it is not changed.
        dark: Unlabelled dark pictures, `[N, 3, H, W]` uint8 or float in [0, 1].
        normal: Pictures in normal light and their true labels, `[M, 3, H, W]` and int64 `[M]`.
        keep: Share of each predicted class to learn from.
        rounds: Answers are taken anew this often, from the model as it is by then.
        steps: Steps over all rounds together.
        batch: Dark pictures per step, and as many normal ones.
        lr: Highest learning rate; a tenth of the model's own is a good start.
        guard: Weight of the distance from what the model said about normal light before.
        mix: Share of the new weights in the result, in (0, 1]; the rest are the old ones.
        augment: `augment(x, generator)` on the dark half; answers are given without it.
        augment_normal: The same for the half in normal light; what the model was trained with.
        seed: Of batches and augmentation.
        folder: As in `foveate.lowlight.train.train`, one folder below it for each round.
        quiet: No progress bar.
        **options: Further ones of `foveate.lowlight.train.train`.

    Raises:
        ValueError: mix is out of range.

    Returns:
        The adapted model, frozen. It expects what the curve gives: put the curve before it.
    """
    if not 0 < mix <= 1:
        raise ValueError(f"mix is {mix}; expected a share in (0, 1]")
    model = Frozen.of(model)
    tuned = copy.deepcopy(model)
    device = tuned.device
    with torch.no_grad():
        enhanced = torch.cat([_bytes(curve(x)) for x in batches(dark, 256, device)])
    clean, labels = (t.to(device) for t in normal)
    for number in range(1, rounds + 1):
        answers = answer(tuned, enhanced).filtered(keep, agree=1)
        chosen = answers.kept.nonzero()[:, 0]

        def loss(
            step: int,
            generator: torch.Generator,
            chosen: Tensor = chosen,
            answers: PseudoLabels = answers,
        ) -> Tensor:
            dark_rows = chosen[_rows(len(chosen), batch, generator)]
            rows = _rows(len(clean), batch, generator)
            x = to_unit(enhanced[dark_rows])
            if augment is not None:
                x = augment(x, generator)
            y = to_unit(clean[rows])
            if augment_normal is not None:
                y = augment_normal(y, generator)
            said = tuned(y)
            value = F.cross_entropy(tuned(x), answers.labels[dark_rows])
            value = value + F.cross_entropy(said, labels[rows])
            if guard:
                with torch.no_grad():
                    before = model(y).softmax(-1)
                value = value + guard * F.kl_div(
                    said.log_softmax(-1), before, reduction="batchmean"
                )
            return value

        for p in tuned.model.parameters():
            p.requires_grad_(True)
        train(
            tuned,
            loss,
            max(1, steps // rounds),
            lr=lr,
            seed=seed + number,
            folder=Path(folder) / f"plus{number}" if folder else None,
            settings={"what": "SACC+", "round": number, "batch": batch, "keep": keep}
            | {"guard": guard},
            label=f"SACC+, round {number} of {rounds}",
            quiet=quiet,
            **options,
        )
        for p in tuned.model.parameters():
            p.requires_grad_(False)
    with torch.no_grad():
        for new, old in zip(tuned.parameters(), model.parameters(), strict=True):
            new.lerp_(old, 1 - mix)
    return tuned


def answer(model: Frozen, images: Tensor, batch: int = 256) -> PseudoLabels:
    """What a model says about pictures by itself, all of them kept.

    Args:
        model: The classifier.
        images: `[N, 3, H, W]` uint8 or float in [0, 1].
        batch: Pictures at a time.
    """
    with torch.no_grad():
        found = torch.cat([model(x).softmax(-1) for x in batches(images, batch, model.device)])
    confidence, labels = found.max(-1)
    ones = torch.ones_like(labels)
    return PseudoLabels(labels, confidence, ones, ones.bool())


def _bytes(x: Tensor) -> Tensor:
    return (x * 255).round().clamp(0, 255).byte()


def _rows(count: int, batch: int, generator: torch.Generator) -> Tensor:
    return torch.randint(count, (batch,), generator=generator, device=generator.device)
