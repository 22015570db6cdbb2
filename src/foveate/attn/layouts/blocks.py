"""BlockLayout: which blocks of keys each block of queries visits.

The same idea as FlexAttention's BlockMask and FlashAttention's count and index pairs: a count and
an ascending list of key blocks for each block of queries. Edges inside a block are described by a
`Band`, a rule on single (query, key) pairs that every kernel knows how to apply.

The one thing to know: a layout that lives on a CPU is checked completely when it is made, because
kernels follow its indices without looking. On other devices only shapes and types are checked,
`check_values` reads the rest (and waits for the device).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


@dataclass(frozen=True)
class Band:
    """Which keys a query sees, by distance. Query i stands at position i' = i + Lk − Lq.

    Key j is visible when −after ≤ i' − j ≤ before, or when j < sink and i' − j ≥ −after.
    None means unlimited. A tuple gives one value per query head. Causal attention is Band(after=0).
    """

    before: int | tuple[int, ...] | None = None
    after: int | None = None
    sink: int | tuple[int, ...] = 0

    def __post_init__(self) -> None:
        for name in ("before", "sink"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, value := tuple(value))
            for one in value if isinstance(value, tuple) else (value,):
                if not (_is_int(one) or (one is None and name == "before")):
                    raise TypeError(
                        f"Band.{name} is {value!r}; expected an int or one int per query head"
                    )
                if name == "sink" and one < 0:
                    raise ValueError(f"Band.sink is {value!r}; expected 0 or more keys")
        if self.after is not None and not _is_int(self.after):
            raise TypeError(f"Band.after is {self.after!r}; expected an int, or None for no limit")

    @property
    def heads(self) -> int | None:
        """How many query heads the rule names, None when it is one rule for all."""
        sizes = {len(x) for x in (self.before, self.sink) if isinstance(x, tuple)}
        if len(sizes) > 1:
            raise ValueError(
                f"Band names {' and '.join(map(str, sorted(sizes)))} heads; expected one number"
            )
        return sizes.pop() if sizes else None


@dataclass(frozen=True)
class Outline:
    """What is known of a BlockLayout without its tensors; plans are cached by it."""

    batch: int
    heads: int
    block: tuple[int, int]
    lengths: tuple[int, int]
    band: Band | None
    skip: float | tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class BlockLayout:
    """Visited key blocks.

    Args:
        counts: Number of visited key blocks, int32 `[B or 1, Hq or 1, nQ]`.
        indices: Their numbers, ascending, int32 `[B or 1, Hq or 1, nQ, nK]`; entries from `counts`
            on are ignored but must be in range. The last dimension may be shorter than nK, if no
            row visits more.
        block: Queries and keys per block, `(bq, bk)`.
        lengths: `(Lq, Lk)`; nQ = ceil(Lq / bq), nK = ceil(Lk / bk).
        band: A rule for single pairs, applied inside visited blocks; None applies none.
        skip: The second filter, see `Selection.skip`; None applies none.

    Raises:
        TypeError: A part has the wrong type.
        ValueError: A part has the wrong size, or (on a CPU) an index is out of range or out of
            order.
    """

    counts: Tensor
    indices: Tensor
    block: tuple[int, int]
    lengths: tuple[int, int]
    band: Band | None = None
    skip: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "skip", check_skip("skip", self.skip))
        object.__setattr__(self, "block", _pair("block", self.block, least=1))
        object.__setattr__(self, "lengths", _pair("lengths", self.lengths, least=0))
        self._check_outside()
        if (
            self.counts.device.type == "cpu"
            and not torch.compiler.is_compiling()
            and _is_plain(self.counts)
        ):
            self.check_values()

    @property
    def grid(self) -> tuple[int, int]:
        """Number of query blocks and key blocks, `(nQ, nK)`."""
        return tuple(
            -(-length // size) for length, size in zip(self.lengths, self.block, strict=True)
        )

    @property
    def device(self) -> torch.device:
        return self.counts.device

    @property
    def outline(self) -> Outline:
        """The static facts, hashable."""
        known = self.__dict__.get("_outline")
        if known is None:  # made once: attention() asks on every call
            batch, heads, _ = self.counts.shape
            known = Outline(int(batch), int(heads), self.block, self.lengths, self.band, self.skip)
            object.__setattr__(self, "_outline", known)
        return known

    def density(self) -> float:
        """Visited blocks ÷ all blocks (nQ · nK), over batch and heads; 0 for an empty grid."""
        total = self.counts.numel() * self.grid[1]
        return float(self.counts.sum(dtype=torch.int64)) / total if total else 0.0

    def to(self, device: torch.device | str) -> BlockLayout:
        """The same layout on another device."""
        if torch.device(device) == self.device:
            return self
        return replace(self, counts=self.counts.to(device), indices=self.indices.to(device))

    def check_values(self) -> None:
        """Read every count and index; raise ValueError when a kernel would go astray."""
        nk = self.grid[1]
        if self.counts.numel() == 0:
            return
        low, high = (int(x) for x in self.counts.aminmax())
        width = self.indices.shape[3]
        if low < 0 or high > width:
            what = "nK" if width == nk else "the width of indices"
            raise ValueError(f"counts go from {low} to {high}; expected 0 to {what} = {width}")
        if self.indices.numel() == 0:
            return
        low, high = (int(x) for x in self.indices.aminmax())
        if low < 0 or high >= nk:
            raise ValueError(
                f"indices go from {low} to {high}; expected 0 to nK − 1 = {nk - 1}, "
                "the ignored entries too"
            )
        used = torch.arange(1, width, device=self.device) < self.counts.unsqueeze(-1)
        if bool((used & (self.indices[..., 1:] <= self.indices[..., :-1])).any()):
            raise ValueError(
                "indices are not ascending within counts; expected each key block once, in order "
                "(BlockLayout.from_dense makes them so)"
            )

    def _check_outside(self) -> None:
        for name, rank in (("counts", 3), ("indices", 4)):
            x = getattr(self, name)
            if not isinstance(x, Tensor):
                raise TypeError(f"{name} is {type(x).__name__}; expected an int32 tensor")
            if x.dtype != torch.int32:
                raise TypeError(f"{name} has dtype {_short(x.dtype)}; expected int32 (use .int())")
            if x.dim() != rank:
                raise ValueError(
                    f"{name} has shape {list(x.shape)}; expected {rank} dimensions "
                    f"{'[B, H, nQ, nK]' if rank == 4 else '[B, H, nQ]'}"
                )
        if self.counts.device != self.indices.device:
            raise ValueError(
                f"counts are on {self.counts.device}, indices on {self.indices.device}; "
                "expected one device"
            )
        nq, nk = self.grid
        want = [*self.counts.shape[:2], nq, nk]
        width = self.indices.shape[3]
        fits = width == nk or 0 < width < nk
        same = list(self.counts.shape) == list(self.indices.shape[:3]) == want[:3]
        if not (fits and same):
            raise ValueError(
                f"counts {list(self.counts.shape)} and indices {list(self.indices.shape)} do "
                "not fit lengths "
                f"{self.lengths} in blocks of {self.block}; expected counts {want[:3]}, "
                f"indices {want} or narrower"
            )
        if self.band is not None:
            if not isinstance(self.band, Band):
                raise TypeError(f"band is {type(self.band).__name__}; expected a Band or None")
            named = self.band.heads
            if named is not None and self.counts.shape[1] not in (1, named):
                raise ValueError(f"band names {named} heads, counts have {self.counts.shape[1]}")

    def __repr__(self) -> str:
        batch, heads, _ = self.counts.shape
        fill = f", density={self.density():.3f}" if self.counts.device.type == "cpu" else ""
        band = f", band={self.band}" if self.band is not None else ""
        return (
            f"BlockLayout(B={batch}, H={heads}, lengths={self.lengths}, block={self.block}, "
            f"grid={self.grid}{fill}{band})"
        )

    # Conversions; the work is in convert.py.

    @classmethod
    def from_dense(
        cls,
        visits: Tensor,
        block: tuple[int, int],
        lengths: tuple[int, int],
        band: Band | None = None,
    ) -> BlockLayout:
        """Make a layout of a map of blocks, bool `[B or 1, Hq or 1, nQ, nK]`, True = visit."""
        from . import convert

        return convert.from_dense(visits, block, lengths, band)

    def to_dense(self) -> Tensor:
        """The map of visited blocks, bool `[B or 1, Hq or 1, nQ, nK]`; the band is not in it."""
        from . import convert

        return convert.to_dense(self)

    def to_mask(self) -> Tensor:
        """Every visible pair, bool `[B or 1, Hq or 1, Lq, Lk]`, band included. Quadratic."""
        from . import convert

        return convert.to_mask(self)

    @classmethod
    def from_block_mask(cls, mask: BlockMask) -> BlockLayout:
        """Read a FlexAttention BlockMask; its mask_mod must be a full, causal or band rule."""
        from . import flex

        return flex.from_block_mask(mask)

    def to_block_mask(self) -> BlockMask:
        """Write a FlexAttention BlockMask that means the same, compiled and in eager mode."""
        from . import flex

        return flex.to_block_mask(self)

    @classmethod
    def from_bsr(
        cls,
        indptr: Tensor,
        indices: Tensor,
        block: tuple[int, int],
        lengths: tuple[int, int],
        band: Band | None = None,
    ) -> BlockLayout:
        """Read block-sparse rows, indptr `[nQ + 1]`, indices `[nnz]`; one map for all heads."""
        from . import convert

        return convert.from_bsr(indptr, indices, block, lengths, band)

    def to_bsr(self, batch: int = 0, head: int = 0) -> tuple[Tensor, Tensor]:
        """Block-sparse rows of one head: indptr int32 `[nQ + 1]`, indices int32 `[nnz]`."""
        from . import convert

        return convert.to_bsr(self, batch, head)


def check_skip(name: str, value: object) -> float | tuple[float, ...] | None:
    """A threshold of the second filter: a number above 0, one for each query head, or None."""
    if value is None:
        return None
    if isinstance(value, list):
        value = tuple(value)
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, bool) or not isinstance(one, int | float) or not one > 0:
            raise ValueError(
                f"{name} is {value!r}; expected a number above 0 (20 leaves out what is below "
                "2^-20 of the maximum), one for each query head, or None"
            )
    return tuple(map(float, value)) if isinstance(value, tuple) else float(value)


def _pair(name: str, value: object, least: int) -> tuple[int, int]:
    ok = isinstance(value, tuple | list) and len(value) == 2 and all(_is_int(x) for x in value)
    if not ok:
        raise TypeError(f"{name} is {value!r}; expected two ints, (queries, keys)")
    if min(value) < least:
        raise ValueError(f"{name} is {tuple(value)}; expected at least {least} each")
    return int(value[0]), int(value[1])


def _is_int(x: object) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)


def _is_plain(x: Tensor) -> bool:
    return type(x) in (Tensor, torch.nn.Parameter)  # a fake tensor has no values to read


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
