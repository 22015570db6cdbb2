"""Floating-point operations of training: what "at equal training FLOPs" means here.

    forward, each layer:  4 · pairs · dim      pairs of a query and a key that meet
                          2 · weights          for each token that passes a linear layer
    training:             3.5 × attention (5 products on the way back to 2 on the way there)
                          3 × linear layers

The one thing to know: only what mathematics asks for is counted, not what an implementation adds
(recomputation, padding of tiles), so the numbers do not depend on the device.
Source: Video Sparse Attention (arXiv 2505.13389), section 3.1. The paper's coefficient of attention
cannot be read from its text; 14 = 4 × 3.5 gives its 2.53.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ...attn.select import VSA
from ...models.video import VideoSparseAttention
from .model import VideoDiT

ATTENTION, LINEAR = 3.5, 3.0
"""Training over forward."""


@dataclass(frozen=True)
class Flops:
    """Forward operations of one sample.

    Args:
        attention: Of the products inside attention.
        linear: Of linear layers, gates included.
    """

    attention: float
    linear: float

    @property
    def forward(self) -> float:
        """All of a forward pass."""
        return self.attention + self.linear

    @property
    def training(self) -> float:
        """Forward and backward of one sample."""
        return ATTENTION * self.attention + LINEAR * self.linear


def vsa_pairs(select: VSA) -> tuple[float, float]:
    """Pairs of tokens in the fine stage and of cubes in the coarse stage of VSA.

    A cube at the edge counts with the slots it has, as if it were full.
    """
    return float(select.queries.tokens * select.kept * select.keys.volume), float(
        select.queries.number * select.keys.number
    )


def attention_pairs(layer: nn.Module, tokens: int) -> float:
    """Pairs that meet in a layer's attention, both stages of VSA together.

    Args:
        layer: A `VideoSparseAttention`, or any layer; one with a method `pairs(tokens)` is asked.
        tokens: Length of the sequence.
    """
    if hasattr(layer, "pairs"):
        return float(layer.pairs(tokens))
    if isinstance(layer, VideoSparseAttention):
        return sum(vsa_pairs(layer.select))
    return float(tokens) ** 2


def model_flops(model: VideoDiT) -> Flops:
    """Operations of a `VideoDiT` for one sample.

    A linear layer passes every token, those of the time pass once, and one with an attribute
    `passes` as often as that says.
    """
    tokens = model.grid[0] * model.grid[1] * model.grid[2]
    attention = sum(
        4.0 * attention_pairs(block.attention, tokens) * model.dim for block in model.blocks
    )
    once = {id(m) for m in [*model.time, model.modulate, *(b.modulate for b in model.blocks)]}
    linear = 0.0
    for module in model.modules():
        if isinstance(module, nn.Linear):
            usual = 1 if id(module) in once else tokens
            linear += 2.0 * module.weight.numel() * getattr(module, "passes", usual)
    return Flops(attention, linear)


def transformer_flops(
    parameters: float,
    tokens: int,
    dim: int,
    layers: int,
    density: float = 1.0,
    cube: int | None = None,
    coefficient: float = 14.0,
) -> float:
    """Training operations for each token of a transformer, by its size alone.

    6 · parameters + coefficient · tokens · dim · layers · (density + 1 / cube²)

    Args:
        parameters: Weights that every token passes.
        tokens: Length of the sequence.
        dim: Heads × head size.
        layers: Layers.
        density: Share of pairs that the fine stage visits.
        cube: Tokens of a cube; None has no coarse stage.
        coefficient: Of attention; 14 is 4 forward times 3.5.
    """
    coarse = 0.0 if cube is None else cube**-2
    return 6 * parameters + coefficient * tokens * dim * layers * (density + coarse)
