"""Decoder: a small language model whose attention is foveate's.

    x ← x + W_o · attention(rope(norm q), rope(norm k), v)      x ← x + W_2 (silu(W_1 x) ∘ W_3 x)

with RMS norms before each, and, if `qk_norm` is set, one on every query and key as well. That one
bounds the scores: without it they grow while a model trains, and 8-bit scores lose what is small
beside them. Embedding and output share their weights.

Sources: Llama (arXiv 2302.13971) for the layout; QK-norm as in SageBwd (arXiv 2603.02170).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm, silu

from ... import attention

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""q `[B, H, L, D]`, k, v `[B, Hk, L, D]` to out `[B, H, L, D]`; causal."""


@dataclass(frozen=True)
class DecoderSize:
    """Sizes of a `Decoder`.

    Args:
        vocabulary: Tokens.
        layers: Blocks.
        width: Channels.
        heads: Query heads; width is a multiple of it.
        kv_heads: Key and value heads; None is as many. It divides heads.
        hidden: Channels inside the feed-forward part; None is 3 · width.
        qk_norm: Norm of every query and key.

    Raises:
        ValueError: Sizes do not fit.
    """

    vocabulary: int = 256
    layers: int = 6
    width: int = 256
    heads: int = 4
    kv_heads: int | None = None
    hidden: int | None = None
    qk_norm: bool = True

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(
                f"DecoderSize.width is {self.width} for {self.heads} heads; expected a multiple "
                "that leaves an even number of channels for each"
            )
        if self.heads % (self.kv_heads or self.heads):
            raise ValueError(
                f"DecoderSize.kv_heads is {self.kv_heads}; expected a divisor of heads, "
                f"{self.heads}"
            )


class Decoder(nn.Module):
    """A causal language model, tokens `[B, L]` to logits `[B, L, vocabulary]`.

    Args:
        size: Its sizes.
        precision: Of `foveate.attention`: "native", "sagebwd" or an instance.
        attend: Another attention; None is `foveate.attention` with this precision.
    """

    def __init__(
        self, size: DecoderSize, precision: Any = "native", attend: Attend | None = None
    ) -> None:
        super().__init__()
        self.size = size
        self.attend = attend or (
            lambda q, k, v: attention(q, k, v, precision=precision, causal=True)
        )
        self.embedding = nn.Embedding(size.vocabulary, size.width)
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.layers))
        self.norm = nn.Parameter(torch.ones(size.width))
        self.apply(self._start)

    def _start(self, module: nn.Module) -> None:
        if isinstance(module, nn.Embedding | nn.Linear):
            last = getattr(module, "ends_branch", False)  # the sum of branches should not grow
            std = 0.02 / (2 * self.size.layers) ** 0.5 if last else 0.02
            nn.init.normal_(module.weight, std=std)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        turn = _turn(tokens.shape[1], self.size.width // self.size.heads, tokens.device)
        for block in self.blocks:
            x = block(x, turn, self.attend)
        return _norm(x, self.norm) @ self.embedding.weight.T

    @torch.no_grad()
    def score_sizes(self, tokens: Tensor) -> list[float]:
        """Standard deviation of the scores q·k / √D of each layer: what 8 bits have to hold."""
        found: list[float] = []

        def noting(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            group = q.shape[1] // k.shape[1]
            smooth = (k - k.mean(2, keepdim=True)).float().repeat_interleave(group, 1)
            s = q.float() @ smooth.transpose(-1, -2) * q.shape[-1] ** -0.5
            seen = torch.ones(s.shape[-2:], dtype=torch.bool, device=s.device).tril()
            found.append(float(s[..., seen].std()))
            return self_attend(q, k, v)

        self_attend, self.attend = self.attend, noting
        try:
            self(tokens)
        finally:
            self.attend = self_attend
        return found


class _Block(nn.Module):
    """Attention and a feed-forward part, each added to its input."""

    def __init__(self, size: DecoderSize) -> None:
        super().__init__()
        self.heads, self.kv_heads = size.heads, size.kv_heads or size.heads
        self.dim = size.width // size.heads
        hidden = size.hidden or 3 * size.width
        rows = (self.heads + 2 * self.kv_heads) * self.dim
        self.before = nn.Parameter(torch.ones(size.width))
        self.between = nn.Parameter(torch.ones(size.width))
        self.inward = nn.Linear(size.width, rows, bias=False)
        self.outward = nn.Linear(size.width, size.width, bias=False)
        self.widen = nn.Linear(size.width, 2 * hidden, bias=False)
        self.narrow = nn.Linear(hidden, size.width, bias=False)
        self.outward.ends_branch = self.narrow.ends_branch = True
        self.q_norm = self.k_norm = None
        if size.qk_norm:
            self.q_norm = nn.Parameter(torch.ones(self.dim))
            self.k_norm = nn.Parameter(torch.ones(self.dim))

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        heads = self.inward(_norm(x, self.before)).unflatten(2, (-1, self.dim)).transpose(1, 2)
        q, k, v = heads.split([self.heads, self.kv_heads, self.kv_heads], 1)
        if self.q_norm is not None:
            q, k = _norm(q, self.q_norm), _norm(k, self.k_norm)
        q, k = (_turned(part, turn).to(v.dtype) for part in (q, k))
        x = x + self.outward(attend(q, k, v).transpose(1, 2).flatten(2))
        gate, up = self.widen(_norm(x, self.between)).chunk(2, -1)
        return x + self.narrow(silu(gate) * up)


def _norm(x: Tensor, weight: Tensor) -> Tensor:
    return rms_norm(x, weight.shape, weight.to(x.dtype), 1e-6)


def _turn(length: int, dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin of rotary embeddings, `[L, D / 2]`."""
    rates = 10000.0 ** (-torch.arange(0, dim, 2, device=device) / dim)
    angles = torch.arange(length, device=device)[:, None] * rates
    return angles.cos(), angles.sin()


def _turned(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    first, second = x.float().chunk(2, -1)
    cos, sin = turn
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
