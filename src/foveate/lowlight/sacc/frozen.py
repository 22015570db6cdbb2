"""The user's own model, held still: what goes in, what comes out, and the curve put before it.

The one thing to know: pictures are [0, 1] sRGB everywhere in this room; a model that wants them
normalised says so once, with `mean` and `std`, and gets them as it wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .curve import ConcaveCurve


class Frozen(nn.Module):
    """A model whose weights, statistics and modes stay as they are.

    Gradients pass through it to its input, and to nothing of its own.

    Args:
        model: Any module that takes `[B, 3, H, W]`.
        mean: Subtracted per channel after [0, 1] is given; None subtracts nothing.
        std: Divided by; None divides by nothing.
        output: Takes the logits `[B, K]` out of what the model returns; None takes a tensor as it
            is, and `.logits` of an object that has one.

    Raises:
        ValueError: mean or std has not three numbers.
    """

    def __init__(
        self,
        model: nn.Module,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        output: Callable[[Any], Tensor] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("std", std)):
            if value is not None and len(value) != 3:
                raise ValueError(f"{name} has {len(value)} numbers; expected 3, one per channel")
        self.model = model
        self.output = output
        self.register_buffer("mean", torch.tensor(mean or (0.0,) * 3).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std or (1.0,) * 3).view(3, 1, 1))
        self.needed = [(p, p.requires_grad) for p in model.parameters()]
        self.modes = [(m, m.training) for m in model.modules()]
        for p in model.parameters():
            p.requires_grad_(False)
        self.to(self.device)
        self.eval()

    @classmethod
    def of(cls, model: nn.Module) -> Frozen:
        """The model itself if it is frozen already, else frozen with its inputs in [0, 1]."""
        return model if isinstance(model, Frozen) else cls(model)

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))

    def train(self, mode: bool = True) -> Frozen:
        """Stays in evaluation mode: batch statistics of dark pictures must not leak in."""
        return super().train(False)

    def release(self) -> nn.Module:
        """The model with the modes and `requires_grad` flags it came with."""
        for p, flag in self.needed:
            p.requires_grad_(flag)
        for m, mode in self.modes:
            m.training = mode
        return self.model

    def normalised(self, image: Tensor) -> Tensor:
        """[0, 1] as the model wants it."""
        return (image - self.mean) / self.std

    def forward(self, image: Tensor) -> Tensor:
        """Logits `[B, K]` of `[B, 3, H, W]` in [0, 1]."""
        found = self.model(self.normalised(image))
        if self.output is not None:
            return self.output(found)
        found = getattr(found, "logits", found)
        if not isinstance(found, Tensor) or found.dim() != 2:
            kind = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise TypeError(
                f"the model returns {kind}; expected logits [B, K]. Pass output=… to take them "
                'out, or adapt with objective="pretext", which needs features only'
            )
        return found


class EnhancedModel(nn.Module):
    """A curve before a model, for use in the model's place.

    Takes what the model takes: normalised pictures are brought to [0, 1], re-exposed, and
    normalised again.

    Args:
        model: The user's model.
        curve: A trained curve.
        mean: As in `Frozen`; None if the model takes [0, 1].
        std: As in `Frozen`.
    """

    def __init__(
        self,
        model: nn.Module,
        curve: ConcaveCurve,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.curve = model, curve
        self.register_buffer("mean", torch.tensor(mean or (0.0,) * 3).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std or (1.0,) * 3).view(3, 1, 1))

    def forward(self, image: Tensor, *args: Any, **kwargs: Any) -> Any:
        """What the model says about the re-exposed picture `[B, 3, H, W]`."""
        unit = (image * self.std + self.mean).clamp(0, 1)
        return self.model((self.curve(unit) - self.mean) / self.std, *args, **kwargs)


def to_unit(images: Tensor) -> Tensor:
    """uint8 pictures as float32 in [0, 1]; floats as they are."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def batches(images: Tensor, batch: int, device: torch.device) -> Iterator[Tensor]:
    """`[N, 3, H, W]` in pieces, float in [0, 1], on a device."""
    for start in range(0, len(images), batch):
        yield to_unit(images[start : start + batch].to(device))


def accuracy(
    model: Frozen,
    images: Tensor,
    labels: Tensor,
    enhance: Callable[[Tensor], Tensor] | None = None,
    batch: int = 256,
) -> float:
    """Share of pictures whose highest logit is the label, in [0, 1]."""
    right = 0
    labels = labels.to(model.device)
    with torch.no_grad():
        for start, x in zip(
            range(0, len(images), batch), batches(images, batch, model.device), strict=True
        ):
            logits = model(enhance(x) if enhance is not None else x)
            right += int((logits.argmax(-1) == labels[start : start + batch]).sum())
    return right / max(1, len(images))
