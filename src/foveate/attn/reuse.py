"""Reuse: keep the blocks that were chosen, as long as attention looks at the same places.

From one diffusion step to the next, or between layers that look alike, the chosen blocks change
little; choosing them again is work for nothing. Before a kept layout serves again, a glance at the
new inputs is compared with the glance at those it was made from: 32 queries of each head against
the mean keys of up to 64 parts of the sequence,

    P̂ = softmax over parts of (scale · ⟨q, k̄⟩ + ln n)        drift = max over heads of
                                                             mean over queries of ½ Σ |P̂ − P̂₀|

which is the share of attention that has moved to other parts. It needs no common basis, so layers
can be compared as well as steps.

The one thing to know: the glance reads K once and is blind to what moves inside a part; `every`
bounds how long a layout can live.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

from .api import plan
from .layouts.blocks import BlockLayout
from .layouts.rules import pool_blocks
from .pipeline import Plan
from .precision import Precision
from .sampling import order_of, spread
from .select import Selection, selection_named

_QUERIES = 32
_PARTS = 64


@dataclass
class _Kept:
    """A layout, what it was made from, and how often it has served since."""

    layout: BlockLayout
    request: object
    glance: Tensor
    uses: int = 0


class Reuse:
    """Attention whose blocks are chosen again only when they have to be.

    Args:
        select: Chooses the blocks.
        drift: Largest share of attention that may have moved, 0 … 1; 0 reuses for equal glances
            only.
        every: Choose again after so many reuses at the latest; None never has to.

    Attributes:
        reuses: How often a kept layout served again.
        renewals: How often blocks were chosen, the first time included.
        drifts: The drift last seen, by key.

    Raises:
        TypeError, ValueError: An argument is not of its kind or out of range.
    """

    def __init__(
        self, select: str | Selection, *, drift: float = 0.1, every: int | None = None
    ) -> None:
        self.select = selection_named(select) if isinstance(select, str) else select
        if not isinstance(self.select, Selection):
            raise TypeError(
                f"select is {type(select).__name__}; expected a selection such as Sparge(), or "
                "its name"
            )
        number = isinstance(drift, int | float) and not isinstance(drift, bool)
        if not number or not 0 <= drift <= 1:
            raise ValueError(f"drift is {drift!r}; expected a share of attention, 0 to 1")
        whole = isinstance(every, int) and not isinstance(every, bool)
        if every is not None and (not whole or every < 1):
            raise ValueError(f"every is {every!r}; expected an int of at least 1, or None")
        self.drift, self.every = drift, every
        self.reuses = self.renewals = 0
        self.drifts: dict[Hashable, float] = {}
        self._kept: dict[Hashable, _Kept] = {}

    def __repr__(self) -> str:
        return (
            f"Reuse({self.select}, drift={self.drift}, every={self.every}): {self.reuses} reuses, "
            f"{self.renewals} renewals, {len(self._kept)} layouts kept"
        )

    def attention(
        self,
        key: Hashable,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        precision: str | Precision = "auto",
        causal: bool = False,
        scale: float | None = None,
        mask: Tensor | None = None,
        return_lse: bool = False,
        backend: str = "auto",
    ) -> Tensor | tuple[Tensor, Tensor]:
        """`foveate.attention` over the kept blocks of `key`, or over blocks chosen anew.

        Args:
            key: Whose blocks: the name of a layer, say. Layers that share a key share blocks.
            q, k, v, precision, causal, scale, mask, return_lse, backend: As for
                `foveate.attention`.
        """
        made = self._plan(q, k, v, precision, causal, scale, mask, backend)
        return made.run(q, k, v, mask, return_lse, layout=self._layout(key, made, q, k))

    def layout(
        self,
        key: Hashable,
        q: Tensor,
        k: Tensor,
        *,
        causal: bool = False,
        scale: float | None = None,
        backend: str = "auto",
    ) -> BlockLayout | None:
        """The kept or newly chosen blocks, for `attention(select=…)`; None visits everything.

        Raises:
            ValueError: The selection does more than choose blocks (it puts tokens in another
                order, or corrects); use `Reuse.attention`, which does all of it.
        """
        made = self._plan(q, k, k, "native", causal, scale, None, backend)
        if made.select.correct or order_of(made.select, q, k) is not None:
            raise ValueError(
                f"select is {type(self.select).__name__} with an order or correct=True, which a "
                "layout cannot carry; use Reuse.attention(key, q, k, v)"
            )
        return self._layout(key, made, q, k)

    def forget(self, key: Hashable | None = None) -> None:
        """Drop the layout of one key, or all of them; the counts stay."""
        if key is None:
            self._kept.clear()
        else:
            self._kept.pop(key, None)

    def _plan(self, q, k, v, precision, causal, scale, mask, backend) -> Plan:
        return plan(
            q,
            k,
            v,
            select=self.select,
            precision=precision,
            causal=causal,
            scale=scale,
            mask=mask,
            backend=backend,
        )

    def _layout(self, key: Hashable, made: Plan, q: Tensor, k: Tensor) -> BlockLayout | None:
        """The layout of a key, after the test."""
        request = made.request
        facts = (request.q_length, request.k_length, request.batch, request.q_heads, request.band)
        facts = (*facts, request.device, request.block, request.skip, made.select)
        now = glance(q, k, made)
        kept = self._kept.get(key)
        if kept is not None and kept.request == facts:
            moved = float((now - kept.glance).abs().sum(-1).mean(-1).max()) / 2
            self.drifts[key] = moved
            fresh = self.every is None or kept.uses < self.every
            if moved <= self.drift and fresh:
                kept.uses += 1
                self.reuses += 1
                return kept.layout
        layout = made.layout(q, k)
        if layout is None:
            self._kept.pop(key, None)  # dense: nothing to keep, nothing to save
            return None
        self._kept[key] = _Kept(layout, facts, now)
        self.renewals += 1
        return layout


@torch.no_grad()
def glance(q: Tensor, k: Tensor, made: Plan) -> Tensor:
    """Where a few queries look, part by part of the sequence.

    Args:
        q: Queries, `[B, Hq, Lq, D]`.
        k: Keys, `[B, Hk, Lk, D]`.
        made: The plan of the call.

    Returns:
        Shares of attention, float32 (float64 for float64) `[B, Hq, up to 32, up to 64]`.
    """
    request = made.request
    rows = spread(request.q_heads, request.q_length, _QUERIES, q.device)
    size = -(-request.k_length // _PARTS)
    keys = pool_blocks(k, size).repeat_interleave(request.q_heads // request.kv_heads, 1)
    some = q.gather(2, rows[None, :, :, None].expand(q.shape[0], -1, -1, q.shape[3]))
    first = torch.arange(0, request.k_length, size, device=q.device)
    number = (first + size).clamp(max=request.k_length) - first
    logits = some.to(keys.dtype) @ keys.transpose(-1, -2) * request.scale + number.log()
    if request.band is not None and request.band.after is not None:
        last = rows + (request.k_length - request.q_length + request.band.after)
        logits = logits.masked_fill(first > last.unsqueeze(-1), -torch.inf)
    return logits.softmax(-1).nan_to_num(nan=0.0)
