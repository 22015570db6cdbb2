"""SACC-CE: many fixed curves vote, and the concave curve learns what most of them agree on.

Every dark picture goes through a family of fixed curves and the frozen model; the mean of the
model's probabilities is a better answer than that of any single exposure. The confident half of
these answers, taken evenly over the classes, becomes the labels from which the curve learns:

    p̄(I) = mean_i softmax(model(f_i(I))),   ŷ = argmax p̄
    minimise  CE(model(g(I)), ŷ)  over the curve's weights alone

The one thing to know: nothing of the model changes, and no true label is looked at.

Source: Wang, Luo, Yang, Liu, IEEE TPAMI 2024 (curve ensemble). The family's formula, how answers
are combined and which are kept is ours: hyperbolas and exposure gains, mean of probabilities, the
share `keep` of every predicted class with at least `agree` curves of the same opinion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import classical
from ..train import Training, train
from .curve import ConcaveCurve
from .frozen import Frozen, batches, to_unit

ALPHAS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.3, 0.6, 1.2, 2.0)


@dataclass(frozen=True)
class CurveFamily:
    """The fixed curves that vote.

    Args:
        alphas: Constants a of the hyperbolas (1 + a) x / (x + a); small brightens more.
        means: Exposure gains that bring a picture's mean here, one for each.
        identity: Let the picture as it is vote too.

    Raises:
        ValueError: A constant is not positive, or nobody votes.
    """

    alphas: tuple[float, ...] = ALPHAS
    means: tuple[float, ...] = (0.3, 0.45, 0.6)
    identity: bool = True

    def __post_init__(self) -> None:
        if len(self) == 0:
            raise ValueError("CurveFamily has no curve; expected alphas, means or identity=True")
        for name, values in (("alphas", self.alphas), ("means", self.means)):
            for value in values:
                if not value > 0:
                    raise ValueError(f"CurveFamily.{name} has {value}; expected positive numbers")

    def __len__(self) -> int:
        return len(self.alphas) + len(self.means) + self.identity

    def curves(self) -> list[Callable[[Tensor], Tensor]]:
        """The members, each from `[B, 3, H, W]` to the same shape."""
        members: list[Callable[[Tensor], Tensor]] = [lambda x: x] if self.identity else []
        members += [lambda x, a=a: classical.hyperbola(x, a) for a in self.alphas]
        members += [lambda x, m=m: classical.mean_scaling(x, m) for m in self.means]
        return members


@dataclass(frozen=True)
class PseudoLabels:
    """What the votes said about N pictures.

    Attributes:
        labels: The class with the highest mean probability, int64 `[N]`.
        confidence: That probability, `[N]`.
        agreement: How many curves would have said the same alone, int64 `[N]`.
        kept: Which pictures are sure enough to learn from, bool `[N]`.
    """

    labels: Tensor
    confidence: Tensor
    agreement: Tensor
    kept: Tensor

    def filtered(self, keep: float = 0.5, agree: int = 3) -> PseudoLabels:
        """Keep the most confident share of every predicted class, if enough curves agree.

        Args:
            keep: Share of each class, in (0, 1]; at least one picture of each.
            agree: Fewest curves of the same opinion.
        """
        if not 0 < keep <= 1:
            raise ValueError(f"keep is {keep}; expected a share in (0, 1]")
        kept = torch.zeros_like(self.kept)
        for label in self.labels.unique():
            members = (self.labels == label).nonzero()[:, 0]
            count = max(1, round(keep * len(members)))
            kept[members[self.confidence[members].topk(count).indices]] = True
        return replace(self, kept=kept & (self.agreement >= agree))


def vote(
    model: Frozen,
    images: Tensor,
    family: CurveFamily | None = None,
    extra: Callable[[Tensor], Tensor] | None = None,
    batch: int = 256,
) -> PseudoLabels:
    """Ask the frozen model about every picture under every curve.

    Args:
        model: From `[B, 3, H, W]` in [0, 1] to logits `[B, K]`.
        images: Dark pictures, `[N, 3, H, W]` uint8, or float in [0, 1].
        family: The curves; None is `CurveFamily()`.
        extra: One more enhancement, counted as strongly as the whole family (a trained curve).
        batch: Pictures at a time.

    Returns:
        Labels of all pictures, all of them kept; see `PseudoLabels.filtered`.
    """
    curves = (family or CurveFamily()).curves()
    labels, confidence, agreement = [], [], []
    with torch.no_grad():
        for x in batches(images, batch, model.device):
            single = torch.stack([model(curve(x)).softmax(-1) for curve in curves])
            mean = single.mean(0)
            if extra is not None:
                mean = (mean + model(extra(x)).softmax(-1)) / 2
            best, label = mean.max(-1)
            labels.append(label)
            confidence.append(best)
            agreement.append((single.argmax(-1) == label).sum(0))
    found = torch.cat(labels)
    return PseudoLabels(
        found, torch.cat(confidence), torch.cat(agreement), torch.ones_like(found, dtype=torch.bool)
    )


def train_curve_ce(
    curve: ConcaveCurve,
    model: Frozen | nn.Module,
    images: Tensor,
    *,
    family: CurveFamily | None = None,
    keep: float = 0.5,
    agree: int = 3,
    rounds: int = 2,
    steps: int = 3000,
    batch: int = 64,
    lr: float = 1e-3,
    balance: float = 0.0,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    quiet: bool = False,
    **options: Any,
) -> tuple[Training, PseudoLabels]:
    """Train a curve from votes (SACC-CE), in place.

    Args:
        curve: The curve; its weights change.
        model: A classifier: `[B, 3, H, W]` in [0, 1] → logits `[B, K]`; it is left as it is.
        images: Unlabelled dark pictures, `[N, 3, H, W]` uint8, or float in [0, 1].
        family: The curves that vote; None is `CurveFamily()`.
        keep: Share of each predicted class to learn from.
        agree: Fewest curves of the same opinion.
        rounds: Labels are voted anew this often; from the second round on the trained curve votes
            as strongly as the family.
        steps: Steps over all rounds together.
        batch: Pictures per step.
        balance: Weight of the entropy of a batch's mean answer, which is maximised: keeps the
            answers from gathering in few classes. Only for pictures spread evenly over the classes.
        lr: Highest learning rate; every round falls to zero along half a cosine.
        augment: `augment(x, generator)` on a batch, e.g. flips.
        seed: Of initialisation-independent randomness: batches, augmentation.
        folder: Checkpoints and logs go to `folder/round1`, …; a stopped training goes on.
        quiet: No progress bar.
        **options: Further ones of `foveate.lowlight.train.train`.

    Returns:
        What the last round's training logged, and the labels it used.
    """
    model = Frozen.of(model)
    device = model.device
    curve.to(device)
    data = images.to(device) if images.numel() <= _ON_DEVICE else images
    outcome: Training | None = None
    for number in range(1, rounds + 1):
        trained = curve.eval() if number > 1 else None
        votes = vote(model, data, family, trained).filtered(keep, agree)
        chosen = votes.kept.nonzero()[:, 0]
        if len(chosen) == 0:
            raise ValueError(
                f"no picture of {len(data)} is sure enough (keep={keep}, agree={agree}); "
                "lower agree, or use SACC-PT, which needs no outputs"
            )

        outcome = train(
            curve,
            _agreement(curve, model, data, chosen, votes.labels, batch, balance, augment),
            max(1, steps // rounds),
            lr=lr,
            seed=seed + number,
            folder=Path(folder) / f"round{number}" if folder else None,
            settings={"what": "SACC-CE", "round": number, "batch": batch, "balance": balance}
            | curve.config,
            label=f"SACC-CE, round {number} of {rounds}",
            quiet=quiet,
            **options,
        )
    return outcome, votes


def _agreement(
    curve: ConcaveCurve,
    model: Frozen,
    data: Tensor,
    chosen: Tensor,
    labels: Tensor,
    batch: int,
    balance: float,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None,
) -> Callable[[int, torch.Generator], Tensor]:
    """The loss of one step: cross-entropy of the model behind the curve with what was voted."""

    def loss(step: int, generator: torch.Generator) -> Tensor:
        drawn = torch.randint(len(chosen), (batch,), generator=generator, device=chosen.device)
        rows = chosen[drawn]
        x = to_unit(data[rows.to(data.device)].to(model.device))
        if augment is not None:
            x = augment(x, generator)
        logits = model(curve(x))
        value = F.cross_entropy(logits, labels[rows])
        if balance:
            mean = logits.softmax(-1).mean(0)
            value = value + balance * (mean * mean.clamp(min=1e-8).log()).sum()
        return value

    return loss


_ON_DEVICE = 2 << 30  # elements: larger sets stay where they are
