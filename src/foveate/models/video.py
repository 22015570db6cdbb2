"""Video sparse attention as a layer, and in models that exist already.

`VideoSparseAttention` is the self-attention of a video transformer with VSA inside; `retrofit` puts
the same into a transformer of diffusers.

The one thing to know: the gate of the coarse stage starts at zero. A layer whose `keep` is every
cube is then dense attention, exactly, and the gate learns from the first step.
Source: Video Sparse Attention (arXiv 2505.13389), sections 2.2, 2.3 and appendix C.5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from ..attn.gates import gated_attention
from ..attn.precision import Precision
from ..attn.select import VSA
from .annealing import Annealing

if TYPE_CHECKING:
    from .wan import Retrofit, load_gates, retrofit

__all__ = ["Annealing", "Retrofit", "VideoSparseAttention", "load_gates", "retrofit"]

GATE = "to_gate_compress"
"""Name of the projection of the coarse gate in checkpoints."""


def zero_gate(dim: int, out: int, like: Tensor | None = None) -> nn.Linear:
    """A projection that gives zero and learns, on the device and in the dtype of `like`."""
    where = {} if like is None else {"device": like.device, "dtype": like.dtype}
    gate = nn.Linear(dim, out, **where)
    nn.init.zeros_(gate.weight)
    nn.init.zeros_(gate.bias)
    return gate


def check_gates(gates: object) -> None:
    """Raise ValueError unless this says how many gates a layer has."""
    if gates not in ("channel", "head"):
        raise ValueError(
            f'gates is {gates!r}; expected "channel" (a gate for each channel, as in the paper) or '
            '"head" (one for each head, fewer parameters)'
        )


def gate_of(projection: nn.Linear, x: Tensor, heads: int) -> Tensor:
    """The gate of hidden states `[B, L, dim]`: `[B, H, L, D]` or, one per head, `[B, H, L, 1]`."""
    return projection(x).unflatten(-1, (heads, -1)).transpose(1, 2)


class VideoSparseAttention(nn.Module):
    """Self-attention over the tokens of a video: projections, VSA, gates.

    q, k: RMSNorm across heads, then `rotary` if given. Parameters are named as in checkpoints of
    video transformers: `to_q`, `to_k`, `to_v`, `norm_q`, `norm_k`, `to_gate_compress`, `to_out`.

    Args:
        dim: Width of the hidden states; also heads × head size.
        heads: Number of heads.
        select: Grid, cubes, and how many are kept. Change it between steps with `keep`.
        gates: "channel" or "head": gates for each channel, or one for each head.
        fine_gate: The fine stage has a gate, too (starts at one); the released models have none.
        qk_norm: RMSNorm on q and k across all heads.
        eps: Of that norm.
        precision: Of the fine stage, see `foveate.attention`.
        backend: See `foveate.attention`.

    Raises:
        TypeError, ValueError: An argument does not fit.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        select: VSA,
        *,
        gates: str = "channel",
        fine_gate: bool = False,
        qk_norm: bool = True,
        eps: float = 1e-6,
        precision: str | Precision = "auto",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(
                f"dim is {dim}, which {heads} heads do not divide; expected a multiple"
            )
        if not isinstance(select, VSA):
            raise TypeError(
                f"select is {type(select).__name__}; expected a VSA, e.g. VSA((8, 16, 16))"
            )
        check_gates(gates)
        self.heads, self.select = heads, select
        self.precision, self.backend = precision, backend
        self.to_q, self.to_k, self.to_v, self.to_out = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = (
            nn.RMSNorm(dim, eps=eps) if qk_norm else nn.Identity() for _ in range(2)
        )
        width = dim if gates == "channel" else heads
        self.add_module(GATE, zero_gate(dim, width))
        self.to_gate_fine = zero_gate(dim, width) if fine_gate else None
        if fine_gate:
            nn.init.ones_(self.to_gate_fine.bias)

    @property
    def keep(self) -> int | float:
        """Cubes that are kept; assign to it to anneal."""
        return self.select.keep

    @keep.setter
    def keep(self, keep: int | float) -> None:
        self.select = replace(self.select, keep=keep)

    def forward(
        self,
        x: Tensor,
        rotary: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> Tensor:
        """Attend.

        Args:
            x: Hidden states, `[B, L, dim]`, tokens in row-major order of the grid.
            rotary: Called with q and k, `[B, H, L, D]`, returns them with positions in them.

        Returns:
            `[B, L, dim]`.
        """
        q, k, v = self.norm_q(self.to_q(x)), self.norm_k(self.to_k(x)), self.to_v(x)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        if rotary is not None:
            q, k = rotary(q, k)
        fine = 1.0 if self.to_gate_fine is None else gate_of(self.to_gate_fine, x, self.heads)
        out = gated_attention(
            q,
            k,
            v,
            select=self.select,
            coarse=gate_of(self.get_submodule(GATE), x, self.heads),
            fine=fine,
            precision=self.precision,
            backend=self.backend,
        )
        return self.to_out(out.transpose(1, 2).flatten(2))

    def extra_repr(self) -> str:
        return f"heads={self.heads}, select={self.select}"


def __getattr__(name: str) -> Any:
    if name in ("Retrofit", "load_gates", "retrofit"):
        from . import wan

        return getattr(wan, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
