"""Rings: the keys and values of one layer, a ring buffer of its own size for each kv head.

With C tokens of room, token t of a sequence (its padding not counted) lies at

    t                                    t < sink
    sink + (t − sink) mod (C − sink)     else

of its head's part, so a head holds the first `sink` tokens and the last C − sink, and a new token
overwrites the oldest one outside the sink. All heads lie behind one another in one store.

The one thing to know: int8 codes of keys are those of K − mean, the mean of the first tokens
written. Softmax does not see a vector that is taken from all keys, and keys have a large common
part, which would eat most of the codes' range.
Source: MoA (arXiv 2406.14909v3), §4.4, and its published code; smoothing as in SageAttention, §4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CODES = ("float", "int8")


class Rings:
    """Ring buffers of one layer.

    Args:
        capacity: C of each kv head, each larger than sink.
        sink: First tokens that are never overwritten.
        codes: "float" keeps the dtype, "int8" writes one byte a number and one scale a token.
        k: Keys whose batch, heads, size, dtype and device the store takes, `[B, Hk, any, D]`.
        v: The same for values, `[B, Hk, any, Dv]`.
    """

    def __init__(self, capacity: Sequence[int], sink: int, codes: str, k: Tensor, v: Tensor):
        batch, device = k.shape[0], k.device
        self.capacity, self.sink, self.codes = tuple(capacity), sink, codes
        total = sum(self.capacity)
        with torch.inference_mode(False):  # must be writable in every later mode
            self.keys, self.values = (
                torch.zeros(
                    batch,
                    total,
                    x.shape[3],
                    dtype=torch.int8 if codes == "int8" else x.dtype,
                    device=device,
                )
                for x in (k, v)
            )
            self.k_scale, self.v_scale = (
                torch.zeros(batch, total, device=device) if codes == "int8" else None
                for _ in range(2)
            )
            self.k_mean: Tensor | None = None  # float32 [B, Hk, 1, D]
            self.tokens = torch.zeros(batch, dtype=torch.int64, device=device)
            self._set_places()

    def _set_places(self) -> None:
        batch, device = self.keys.shape[0], self.keys.device
        room = torch.tensor(self.capacity, device=device)
        self.room = room.expand(batch, -1).contiguous()  # int64 [B, Hk]
        self.start = (room.cumsum(0) - room).expand(batch, -1).contiguous()
        row = torch.arange(batch, device=device)[:, None] * self.keys.shape[1]
        self._first = self.start + row  # first token of each head in the store of all rows

    @property
    def length(self) -> Tensor:
        """Tokens that each head holds, int64 `[B, Hk]`."""
        return torch.minimum(self.tokens[:, None], self.room)

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is kept."""
        kept = (self.keys, self.values, self.k_scale, self.v_scale, self.k_mean, self.tokens)
        return sum(x.numel() * x.element_size() for x in kept if x is not None)

    @torch.no_grad()
    def write(self, k: Tensor, v: Tensor, real: Tensor | None = None) -> None:
        """Take new tokens in.

        Args:
            k: Their keys, `[B, Hk, L, D]`.
            v: Their values, `[B, Hk, L, Dv]`.
            real: Bool `[B, L]`, False for padding, which leaves no trace; None if there is none.
        """
        if self.codes == "int8" and self.k_mean is None:
            self.k_mean = _mean(k, real)
        if real is None and k.shape[2] == 1:
            token = self.tokens[:, None]
            at = self._first + self._slot(token, self.room)
            mean = None if self.k_mean is None else self.k_mean.flatten(0, 2)
            self._put(at.flatten(), k.flatten(0, 2), v.flatten(0, 2), mean)
            self.tokens.add_(1)
            return
        real = k.new_ones(k.shape[0], k.shape[2], dtype=torch.bool) if real is None else real
        number = self.tokens[:, None] + real.cumsum(1) - 1  # of each token in its row
        total = self.tokens + real.sum(1)
        for head, room in enumerate(self.capacity):
            last = number >= (total - (room - self.sink))[:, None]
            kept = real & (last | (number < self.sink))
            at = self._first[:, head, None] + self._slot(number, room)
            rows = kept.nonzero()[:, 0]
            mean = None if self.k_mean is None else self.k_mean[rows, head, 0]
            self._put(at[kept], k[:, head][kept], v[:, head][kept], mean)
        self.tokens.copy_(total)

    def in_order(self, rows: list[int], heads: list[int]) -> tuple[Tensor, Tensor]:
        """What heads of equal room hold, oldest first, as floats.

        Args:
            rows: Rows of the batch that have taken in equally many tokens.
            heads: kv heads with equal room.

        Returns:
            k float `[rows, heads, held, D]`, v `[rows, heads, held, Dv]`; the dtype of the store,
            float32 from codes.
        """
        count, room = int(self.tokens[rows[0]]), self.capacity[heads[0]]
        place = torch.arange(min(count, room), device=self.keys.device)
        if count > room:  # the ring's oldest token lies where the next one would be written
            oldest = (count - self.sink) % (room - self.sink)
            ring = self.sink + (place[self.sink :] - self.sink + oldest) % (room - self.sink)
            place = torch.cat([place[: self.sink], ring])
        at = self.start[0, heads][:, None] + place
        k, v = self.keys[rows][:, at], self.values[rows][:, at]
        if self.codes == "int8":
            k = k * self.k_scale[rows][:, at][..., None] + self.k_mean[rows][:, heads]
            v = v * self.v_scale[rows][:, at][..., None]
        return k, v

    def take(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order; rows may repeat (beams)."""
        with torch.inference_mode(False):
            for name in ("keys", "values", "k_scale", "v_scale", "k_mean", "tokens"):
                if (x := getattr(self, name)) is not None:
                    setattr(self, name, x.index_select(0, rows.to(x.device)))
            self._set_places()

    def clear(self) -> None:
        """Forget everything; the memory stays."""
        self.tokens.zero_()
        self.k_mean = None

    def _slot(self, token: Tensor, room: Tensor | int) -> Tensor:
        """Where token t of a sequence lies in its head's part."""
        ring = self.sink + (token - self.sink).remainder(room - self.sink)
        return torch.where(token < self.sink, token, ring)

    def _put(self, at: Tensor, k: Tensor, v: Tensor, k_mean: Tensor | None) -> None:
        """Write tokens `[n, D]` and `[n, Dv]` into places of the store of all rows."""
        if self.codes == "int8":
            k, k_scale = _encode(k - k_mean)
            v, v_scale = _encode(v)
            self.k_scale.view(-1).index_copy_(0, at, k_scale)
            self.v_scale.view(-1).index_copy_(0, at, v_scale)
        self.keys.flatten(0, 1).index_copy_(0, at, k)
        self.values.flatten(0, 1).index_copy_(0, at, v)


def _mean(k: Tensor, real: Tensor | None) -> Tensor:
    """Mean key of each row and head, float32 `[B, Hk, 1, D]`."""
    if real is None:
        return k.float().mean(2, keepdim=True)
    weight = real[:, None, :, None].float()
    return (k.float() * weight).sum(2, keepdim=True) / weight.sum(2, keepdim=True).clamp(min=1)


def _encode(x: Tensor) -> tuple[Tensor, Tensor]:
    """int8 codes `[n, D]` and one scale for each token, float32 `[n]`."""
    x = x.float()
    scale = x.abs().amax(1) / 127
    codes = x / scale.clamp(min=torch.finfo(torch.float32).tiny)[:, None]
    return codes.round_().to(torch.int8), scale
