"""A small video diffusion transformer: `VideoDiT`.

Tokens of a (T, Y, X) grid, a time t in [0, 1] for each sample; blocks of self-attention and MLP
with shift, scale and gate from t (adaLN-zero); RMSNorm on q and k across heads; rotary positions
along the three axes. It predicts a velocity, see `flow`.

The one thing to know: what attends is handed in, one maker for all layers, so dense attention, VSA
and anything that is compared with them share every other part.
Sources: Scalable Diffusion Models with Transformers (arXiv 2212.09748), section 3; Video Sparse
Attention (arXiv 2505.13389), appendix C.1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...attn.select import VSA
from ...models.video import VideoSparseAttention
from .gathered import GatheredAttention

Grid = tuple[int, int, int]
Rotary = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Maker = Callable[[int], nn.Module]
"""Makes the attention of a layer, by its number; it is called as `DenseAttention` is."""


class DenseAttention(nn.Module):
    """Self-attention over all tokens, with torch's own kernel; base of other ways to attend.

    Args:
        dim: Width.
        heads: Heads.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(
                f"dim is {dim}, which {heads} heads do not divide; expected a multiple"
            )
        self.heads = heads
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = (nn.RMSNorm(dim, eps=1e-6) for _ in range(2))

    def forward(self, x: Tensor, rotary: Rotary | None = None) -> Tensor:
        """`[B, L, dim]` to the same."""
        q, k, v = self.norm_q(self.to_q(x)), self.norm_k(self.to_k(x)), self.to_v(x)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        if rotary is not None:
            q, k = rotary(q, k)
        return self.to_out(self.mix(q, k, v, x).transpose(1, 2).flatten(2))

    def mix(self, q: Tensor, k: Tensor, v: Tensor, x: Tensor) -> Tensor:
        """Attention of `[B, H, L, D]`; x are the layer's inputs."""
        return F.scaled_dot_product_attention(q, k, v)


class Positions(nn.Module):
    """Rotary positions of a grid: a third of each head's channels turns with each axis."""

    def __init__(self, grid: Grid, head_dim: int, theta: float = 100.0) -> None:
        super().__init__()
        pairs = head_dim // 2
        share = [pairs - 2 * (pairs // 3), pairs // 3, pairs // 3]
        axes = torch.meshgrid(*(torch.arange(n).float() for n in grid), indexing="ij")
        angles = [
            axis.flatten()[:, None] * theta ** -(torch.arange(n) / max(n, 1))
            for axis, n in zip(axes, share, strict=True)
        ]
        angle = torch.cat(angles, dim=-1)  # [L, D/2]
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """q and k `[B, H, L, D]` with positions in them."""
        return self._turned(q), self._turned(k)

    def _turned(self, x: Tensor) -> Tensor:
        half = self.cos.shape[-1]
        a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        return torch.cat((a * cos - b * sin, a * sin + b * cos, rest), dim=-1)


class Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the time."""

    def __init__(self, dim: int, attention: nn.Module, ratio: int) -> None:
        super().__init__()
        self.attention = attention
        self.mlp = nn.Sequential(
            nn.Linear(dim, ratio * dim), nn.GELU("tanh"), nn.Linear(ratio * dim, dim)
        )
        self.norms = nn.ModuleList(
            nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False) for _ in range(2)
        )
        self.modulate = nn.Linear(dim, 6 * dim)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, time: Tensor, rotary: Rotary) -> Tensor:
        a, b, c, d, e, f = self.modulate(F.silu(time)).unsqueeze(1).chunk(6, dim=-1)
        x = x + c * self.attention(self.norms[0](x) * (1 + b) + a, rotary)
        return x + f * self.mlp(self.norms[1](x) * (1 + e) + d)


class VideoDiT(nn.Module):
    """Predicts the velocity of noisy video tokens.

    Args:
        grid: Tokens along (T, Y, X).
        channels: Numbers of a token.
        dim: Width.
        heads: Heads; the head size must be at least 8 and even.
        layers: Blocks.
        attention: Makes the attention of a layer; None is dense.
        ratio: Width of the MLP over `dim`.

    Raises:
        ValueError: An argument does not fit.
    """

    def __init__(
        self,
        grid: Grid,
        channels: int,
        dim: int = 128,
        heads: int = 4,
        layers: int = 6,
        attention: Maker | None = None,
        ratio: int = 4,
    ) -> None:
        super().__init__()
        if dim % heads or dim // heads < 8 or (dim // heads) % 2:
            raise ValueError(
                f"dim is {dim} and heads {heads}; expected an even head size of at least 8"
            )
        attention = attention or (lambda _: DenseAttention(dim, heads))
        self.grid, self.channels, self.dim = tuple(grid), channels, dim
        self.enter = nn.Linear(channels, dim)
        self.time = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.positions = Positions(self.grid, dim // heads)
        self.blocks = nn.ModuleList(Block(dim, attention(i), ratio) for i in range(layers))
        self.norm = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.modulate = nn.Linear(dim, 2 * dim)
        self.leave = nn.Linear(dim, channels)
        for layer in (self.modulate, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Velocity of tokens `[B, L, channels]` at times `[B]`."""
        embedded = self.time(waves(time, self.dim).to(self.enter.weight.dtype))
        x = self.enter(x)
        for block in self.blocks:
            x = block(x, embedded, self.positions)
        shift, scale = self.modulate(F.silu(embedded)).unsqueeze(1).chunk(2, dim=-1)
        return self.leave(self.norm(x) * (1 + scale) + shift)

    def sparse_layers(self) -> list[VideoSparseAttention]:
        """The attention of the blocks that have VSA; set `keep` on them to anneal."""
        return [b.attention for b in self.blocks if isinstance(b.attention, VideoSparseAttention)]


def sparse(
    dim: int, heads: int, select: VSA, device: str | torch.device = "cpu", **options
) -> Maker:
    """A maker of VSA layers: `VideoSparseAttention`, or on other devices its gathered form.

    Args:
        dim: Width.
        heads: Heads.
        select: Grid, cubes and how many are kept.
        device: Where it is to run. The C++ kernels serve CPUs; elsewhere kept cubes are gathered.
        options: Further arguments of `VideoSparseAttention`.
    """
    kind = VideoSparseAttention if torch.device(device).type == "cpu" else GatheredAttention
    return lambda _: kind(dim, heads, select, **options)


def waves(time: Tensor, dim: int) -> Tensor:
    """Times in [0, 1] as sines and cosines of falling frequency, `[B, dim]`."""
    half = dim // 2
    rates = torch.exp(torch.arange(half, device=time.device) * (-9.21 / max(1, half - 1)))
    angle = 1000 * time.float()[:, None] * rates
    return torch.cat((angle.cos(), angle.sin(), angle.new_zeros(len(time), dim % 2)), dim=-1)
