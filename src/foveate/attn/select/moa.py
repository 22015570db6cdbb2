"""MoA: every head has a sliding window of its own, which grows linearly with the length.

A head with the rule (α, β) keeps S(N) = α + β·N keys of a text of N tokens: the first `sink` and
the most recent ones. As in a cache of fixed size,

    C(N) = max(min(int(α + β·N), N), sink + block), rounded up to whole blocks,

and query i, in block a of `block` tokens, sees key j of block b ≤ a when

    rule "blocks"     b < sink/block  or  b > a − (C − sink)/block        (prefill of the original)
    rule "tokens"     j < sink        or  j > i − (C − sink)              (what a ring buffer holds)
    rule "profile"    b < sink/block  or  b > a − max(1, int(α/block + β·N/block))

the last of which counts the sink beside the span; it is how the original estimates a rule's loss.
"blocks" and "profile" need queries that begin a block; others, single ones of decoding above all,
follow "tokens", which never sees less than "blocks". Knobs: the rules (found by `foveate tune
--select moa`), and `length`, the N of a text that is read in parts.

The one thing to know: a row that is padded on the left is attended without its padding, so its
sinks are its first real tokens.
Source: MoA (Fu et al., arXiv 2406.14909v3), §3.1 and §4.4, and its published code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from ..layouts.blocks import Band, BlockLayout
from ..layouts.memory import new_lse, new_output
from ..layouts.windows import band_density, band_layout
from .base import Selection, more_bits
from .fields import each, numbers, one_of, whole

if TYPE_CHECKING:
    from ..backends.base import Backend, Request

RULES = ("blocks", "tokens", "profile")


@dataclass(frozen=True)
class MoA(Selection):
    """Visit a sink and a window of each head's own size.

    Args:
        alpha: Keys of a window for a text of no length; one number, or one for each query head, or
            one for each key head (its query heads then share it).
        beta: Growth of the window per token of the text; the same.
        sink: First keys that stay visible, whole blocks.
        length: N, the length that spans follow; None takes the keys of each call.
        rule: Which pairs exactly, see the top of this file.
        block: Tokens of a block.

    Raises:
        ValueError: A field is out of range, or alpha and beta name different numbers of heads.
    """

    alpha: float | tuple[float, ...]
    beta: float | tuple[float, ...] = 0.0
    sink: int = 64
    length: int | None = None
    rule: str = "blocks"
    block: int = 64
    name: ClassVar[str] = "moa"

    def __post_init__(self) -> None:
        super().__post_init__()
        numbers(self, "alpha")
        numbers(self, "beta")
        whole(self, "block", 1)
        whole(self, "sink", 0)
        one_of(self, "rule", RULES)
        if self.sink % self.block:
            raise ValueError(
                f"MoA.sink is {self.sink}; expected whole blocks, a multiple of {self.block}"
            )
        if self.length is not None:
            whole(self, "length", 1)
        if min(each(self.beta)) < 0:
            raise ValueError(f"MoA.beta is {self.beta}; expected numbers of at least 0")
        sizes = {len(x) for x in (self.alpha, self.beta) if isinstance(x, tuple)}
        if len(sizes) > 1:
            raise ValueError(
                f"MoA.alpha has {len(each(self.alpha))} values and beta {len(each(self.beta))}; "
                "expected the same number, or one number for all heads"
            )

    @property
    def heads(self) -> int | None:
        """How many heads the rules name; None when one rule is for all."""
        sizes = [len(x) for x in (self.alpha, self.beta) if isinstance(x, tuple)]
        return sizes[0] if sizes else None

    def spans(self, length: int) -> tuple[int, ...]:
        """C(N) of each head that the rules name, sink included; one value for one rule.

        Args:
            length: N, tokens that will have been read and written.
        """
        return tuple(
            cache_size(a, b, length, self.sink, self.block)
            for a, b in zip(*self._rules(), strict=True)
        )

    def windows(self, length: int) -> tuple[int, ...]:
        """Blocks of the window of each head under the rule, the query's own block included."""
        if self.rule != "profile":
            return tuple((c - self.sink) // self.block for c in self.spans(length))
        n = length / self.block
        return tuple(
            max(1, int(a // self.block + b * n)) for a, b in zip(*self._rules(), strict=True)
        )

    def fallback(self, request: Request) -> str | None:
        self._of_heads(request)
        if request.band is None or request.band.after != 0:
            return "windows of recent keys need causal=True"
        return None

    def outline(self, causal: bool) -> tuple[tuple[int, int] | None, Band | None]:
        return (self.block, self.block), None

    def density(self, request: Request) -> float | None:
        return band_density(self._pairs(request), _lengths(request), (self.block, self.block))

    def more(self) -> MoA | None:
        alpha, beta = (tuple(map(float, x)) for x in self._rules())
        if min(alpha) >= 0 and min(beta) >= 1:
            return None
        wider = {
            "alpha": tuple(2 * a if a > 0 else min(0.0, a / 2 + self.block) for a in alpha),
            "beta": tuple(min(1.0, 2 * b) if b else 0.125 for b in beta),
        }
        if self.heads is None:
            wider = {name: value[0] for name, value in wider.items()}
        return replace(self, **wider, skip=more_bits(self.skip))

    def layout(
        self, q: Tensor, k: Tensor, request: Request, kernels: Backend
    ) -> BlockLayout | None:
        pairs, lengths = self._pairs(request), _lengths(request)
        if self._by_tokens(request):
            return band_layout(pairs, lengths, (self.block, self.block), q.device)
        return _whole_blocks(pairs, lengths, self.block, q.device)

    def visit(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        layout: BlockLayout | None,
        request: Request,
        kernels: Backend,
        tally: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As the base does, but each row without its padding, and single queries without blocks."""
        if request.mask == "bool" and (pads := left_padding(mask, request)) is not None:
            return self._row_by_row(q, k, v, pads, request, kernels, tally)
        if request.q_length == 1 and request.skip is None and not self.correct:
            # a kernel that reads K and V where they lie needs no blocks, only the rule itself
            request = replace(request, band=self._pairs(request), block=None)
            return kernels.attend(kernels.encode(q, k, v, request), request, None, mask)
        return super().visit(q, k, v, mask, layout, request, kernels, tally)

    def _row_by_row(self, q, k, v, pads, request, kernels, tally) -> tuple[Tensor, Tensor]:
        out, lse = new_output(q, request.v_dim).zero_(), new_lse(q).fill_(float("-inf"))
        for row, pad in enumerate(pads):
            hidden = max(0, pad - (request.k_length - request.q_length))  # queries of padding
            if pad == request.k_length or hidden == request.q_length:
                continue
            part = q[row : row + 1, :, hidden:], *(x[row : row + 1, :, pad:] for x in (k, v))
            own = replace(
                request,
                batch=1,
                mask=None,
                q_length=request.q_length - hidden,
                k_length=request.k_length - pad,
            )
            layout = self.layout(*part[:2], own, kernels)
            part_tally = None if tally is None else tally[row : row + 1]
            mine = self.visit(*part, None, layout, own, kernels, part_tally)
            out[row, :, hidden:], lse[row, :, hidden:] = mine[0][0], mine[1][0]
        return out, lse

    def _by_tokens(self, request: Request) -> bool:
        shift = request.k_length - request.q_length
        return self.rule == "tokens" or bool(shift % self.block) or request.q_length == 1

    def _pairs(self, request: Request) -> Band:
        """The rule on single pairs; under whole blocks, that of each block's first query."""
        n = self.length or request.k_length
        if self._by_tokens(request):
            before = tuple(c - self.sink - 1 for c in self.spans(n))
        else:
            before = tuple((w - 1) * self.block for w in self.windows(n))
        before = self._of_heads(request, before)
        return Band(before=before, after=0, sink=self.sink)

    def _of_heads(self, request: Request, values: tuple[int, ...] = ()) -> tuple | int | None:
        """Values of the heads that the rules name, for each query head."""
        named = self.heads
        if named not in (None, request.q_heads, request.kv_heads):
            raise ValueError(
                f"MoA has rules for {named} heads; expected one rule, one for each head of q, "
                f"{request.q_heads}, or one for each head of k, {request.kv_heads}"
            )
        if not values or named is None:
            return values[0] if values else None
        group = request.q_heads // named
        return tuple(value for value in values for _ in range(group))

    def _rules(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        count = self.heads or 1
        return tuple(x if isinstance(x, tuple) else (x,) * count for x in (self.alpha, self.beta))


def cache_size(alpha: float, beta: float, length: int, sink: int = 64, block: int = 64) -> int:
    """C(N): keys that a head with the rule (α, β) keeps, sink included, whole blocks.

    May exceed a length below sink + block, and by less than a block any other.

    Args:
        alpha: Keys for a text of no length.
        beta: Growth per token.
        length: N.
        sink: First keys.
        block: Tokens of a block.
    """
    kept = max(min(int(alpha + length * beta), length), sink + block)
    return -(-kept // block) * block


def left_padding(mask: Tensor | None, request: Request) -> tuple[int, ...] | None:
    """Padded keys of each row, if a mask hides those and nothing else; None otherwise.

    Args:
        mask: Bool, True = attend; padding is `[B or 1, 1, 1, Lk]`.
        request: The static facts.
    """
    if mask is None or mask.shape[1] != 1 or mask.shape[2] != 1:
        return None
    rows = mask[:, 0, 0].expand(request.batch, request.k_length)
    pads = rows.logical_not().sum(1)
    if not bool((rows == (torch.arange(rows.shape[1], device=rows.device) >= pads[:, None])).all()):
        return None
    return tuple(pads.tolist())


def _lengths(request: Request) -> tuple[int, int]:
    return request.q_length, request.k_length


@lru_cache(maxsize=64)
def _whole_blocks(
    pairs: Band, lengths: tuple[int, int], block: int, device: torch.device
) -> BlockLayout:
    """The blocks that hold a pair of the rule; all of each, as far as it is not ahead."""
    with torch.inference_mode(False):  # cached: must be usable in every later mode
        return replace(band_layout(pairs, lengths, (block, block), device), band=None)
