"""HeadwiseLayer: what one layer of a `HeadwiseCache` does with new tokens.

The one thing to know: three cases, told apart by what is there. Nothing yet: attention goes as it
would without a cache. One new token: it is written, then the kernel reads the rings where they lie.
Several after others: what is held is laid out in order, once for each size of ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import CacheLayerMixin

from .masks import RuleMask
from .rings import Rings

_ATTACHED = "_foveate_headwise"


def attached(key: Tensor) -> HeadwiseLayer | None:
    """The layer that handed these keys on, if one did."""
    return getattr(key, _ATTACHED, None)


class HeadwiseLayer(CacheLayerMixin):
    """One layer of a `HeadwiseCache`.

    Args:
        capacity: Tokens that each kv head keeps, sink included.
        sink: First tokens that are never overwritten.
        length: N that the capacities were made for.
        codes: "float" or "int8".
    """

    def __init__(self, capacity: Sequence[int], sink: int, length: int, codes: str) -> None:
        super().__init__()
        self.capacity, self.sink, self.length, self.codes = tuple(capacity), sink, length, codes
        self.rings: Rings | None = None
        self.seen = 0  # tokens handed in, padding included, as masks and positions count them
        self._waiting = False  # new tokens were handed on, and not yet attended to

    @property
    def nbytes(self) -> int:
        return 0 if self.rings is None else self.rings.nbytes

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.rings = Rings(self.capacity, self.sink, self.codes, key_states, value_states)
        self.keys, self.values = self.rings.keys, self.rings.values
        self.dtype, self.device = key_states.dtype, key_states.device
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """The new keys and values as they came; the attention function does the rest."""
        if self._waiting:
            raise RuntimeError(
                "the last keys of a HeadwiseCache never reached foveate's attention; use "
                "foveate.accelerate(model) while the cache is in use"
            )
        if key_states.shape[1] != len(self.capacity):
            raise ValueError(
                f"keys have {key_states.shape[1]} heads; this cache was made for "
                f"{len(self.capacity)}"
            )
        if not self.is_initialized or (self.seen == 0 and not self._fits(key_states)):
            self.lazy_initialization(key_states, value_states)
        if not self._fits(key_states):
            raise ValueError(
                f"keys have {key_states.shape[0]} rows, this cache holds "
                f"{self.rings.tokens.shape[0]}; make a new one, or call reset()"
            )
        self.seen += key_states.shape[2]
        self._waiting = True
        setattr(key_states, _ATTACHED, self)
        return key_states, value_states

    def take_in(self, k: Tensor, v: Tensor) -> None:
        """Hold tokens that some other attention was already given, as for a cache made elsewhere.

        Args:
            k: Keys with their positions in them, `[B, Hk, L, D]`.
            v: Values, `[B, Hk, L, Dv]`.
        """
        self.update(k, v)
        delattr(k, _ATTACHED)  # they are the caller's, who may hand them to a model
        self._waiting = False
        self.rings.write(k, v)

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        select: Any,
        attention: partial[Tensor],
    ) -> Tensor:
        """Attend to what is held and to new tokens, and take these in.

        Args:
            q: New queries, `[B, Hq, L, D]`.
            k: New keys, `[B, Hk, L, D]`.
            v: New values, `[B, Hk, L, Dv]`.
            mask: What transformers made for this step: None or a `RuleMask`.
            select: The selection of this layer.
            attention: `foveate.attention` with precision, scale and backend given by name.

        Returns:
            out `[B, Hq, L, Dv]`.
        """
        from foveate.attn import headwise

        real = self._real(mask, k.shape[2])
        self._waiting = False
        if self.seen == k.shape[2]:  # nothing is held yet: as without a cache
            out = self._first(q, k, v, real, select, attention)
            self.rings.write(k, v, real)
            return out
        if k.shape[2] > 1 or real is not None:
            out = self._further(q, k, v, real, attention)
            self.rings.write(k, v, real)
            return out
        self.rings.write(k, v)
        rings = self.rings
        return headwise.attend(
            q,
            rings.keys,
            rings.values,
            rings.start,
            rings.length,
            scale=attention.keywords["scale"],
            k_scale=rings.k_scale,
            v_scale=rings.v_scale,
            backend=attention.keywords["backend"],
        )[0]

    def _first(self, q, k, v, real, select, attention) -> Tensor:
        from foveate import MoA
        from foveate.attn.layouts.memory import new_output

        if isinstance(select, MoA) and select.length is None:
            select = replace(select, length=self.length)  # the spans of these buffers
        attention = partial(attention, select=select, causal=True)
        if real is None:
            return attention(q, k, v)
        if _at_one_end(real):
            return attention(q, k, v, mask=real[:, None, None, :])
        # windows count places: with padding in between they would be too short
        out = new_output(q, v.shape[3]).zero_()
        for row in range(len(real)):
            new = real[row].nonzero()[:, 0]
            if len(new):
                out[row][:, new] = attention(*(x[row : row + 1, :, new] for x in (q, k, v)))[0]
        return out

    def _further(self, q, k, v, real, attention) -> Tensor:
        """New tokens after others: what is held, in order, and then the new ones.

        Leaving out the middle of a text moves its window next to its sink; distances inside the
        window stay, so the rule "the sink and the last C − sink" is still a window with a sink.
        """
        from foveate import Window
        from foveate.attn.layouts.memory import new_output

        group = q.shape[1] // k.shape[1]
        out = new_output(q, v.shape[3]).zero_()
        for rows in self._alike(real):
            new = slice(None) if real is None else real[rows[0]].nonzero()[:, 0]
            if real is not None and not len(new):
                continue
            for room in dict.fromkeys(self.capacity):
                heads = [h for h, c in enumerate(self.capacity) if c == room]
                asking = [h * group + g for h in heads for g in range(group)]
                held = self.rings.in_order(rows, heads)
                parts = (x[rows][:, heads][:, :, new] for x in (k, v))
                both = [
                    torch.cat([a.to(b.dtype), b], dim=2) for a, b in zip(held, parts, strict=True)
                ]
                found = attention(
                    q[rows][:, asking][:, :, new],
                    *both,
                    select=Window(room - self.sink, self.sink),
                    causal=True,
                )
                for i, row in enumerate(rows):
                    for j, head in enumerate(asking):
                        out[row, head, new] = found[i, j]
        return out

    def _alike(self, real: Tensor | None) -> list[list[int]]:
        """Rows that can be computed together: equally many tokens before, and no padding."""
        counts = self.rings.tokens.tolist()
        if real is not None:
            return [[row] for row in range(len(counts))]
        return [[r for r, n in enumerate(counts) if n == c] for c in dict.fromkeys(counts)]

    def _fits(self, key: Tensor) -> bool:
        return key.shape[0] == self.rings.tokens.shape[0]

    def _real(self, mask: Tensor | None, new: int) -> Tensor | None:
        """Bool `[B, new]`, False for padding; None if there is none."""
        if mask is None:
            return None
        if not isinstance(mask, RuleMask) or not mask.causal or mask.window is not None:
            raise ValueError(
                "a mask of other rules than causality and padding came to a HeadwiseCache; use "
                "another cache for this model or call"
            )
        if mask.padding is None:
            return None
        real = mask.padding[:, self.seen - new : self.seen]
        return None if bool(real.all()) else real

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.seen + query_length, 0

    def get_seq_length(self) -> int:
        return self.seen

    def get_max_length(self) -> int:
        return -1

    def crop(self, tokens_to_remove: int) -> None:
        """Refused: older tokens were overwritten by those that should go."""
        raise ValueError(
            "a HeadwiseCache cannot give tokens back, so assisted generation and crop() do not "
            "work with it; use a dynamic cache"
        )

    def reset(self) -> None:
        self.seen, self._waiting = 0, False
        if self.rings is not None:
            self.rings.clear()

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self.batch_select_indices(beam_idx)

    def batch_repeat_interleave(self, repeats: int) -> None:
        if self.rings is not None:
            rows = torch.arange(self.rings.tokens.shape[0])
            self.batch_select_indices(rows.repeat_interleave(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        if self.rings is not None:
            self.rings.take(indices)
            self.keys, self.values = self.rings.keys, self.rings.values


def _at_one_end(real: Tensor) -> bool:
    """Whether all rows of a bool `[B, L]` have their padding on the left, or all on the right."""
    before, after = real[:, :-1], real[:, 1:]
    return bool((before <= after).all() or (before >= after).all())
