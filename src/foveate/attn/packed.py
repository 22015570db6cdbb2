"""PackedKV: keys and values that stay encoded between calls, as decoding needs them.

Encoding reads all keys; for one new query that would cost as much as attending. A `PackedKV`
encodes once, takes new tokens at the end, and re-encodes only the last, partly filled tile.

The one thing to know: means (smoothing) are those of the first tokens it was given. Any constant
vector is exact there, so appended tokens lose nothing but a little of smoothing's benefit; while
fewer than `SETTLE` tokens are held, everything is encoded afresh.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import check
from .backends import choose, generation
from .backends.base import Request
from .choices import precision_of
from .formats import FP4, FP8, Float, Integer
from .layouts.blocks import Band
from .layouts.memory import new_lse, new_output
from .pipeline import mask_kind, plan_of
from .precision import Precision
from .precision.recipe import Recipe
from .select import Dense, Selection, Window, selection_named

SETTLE = 512
"""Tokens whose statistics (means) are good enough to keep for ever."""


class PackedKV:
    """Encoded keys and values; attend to them many times, append at the end.

    Args:
        k: Keys, `[B, Hk, Lk, D]`, Lk ≥ 1.
        v: Values, `[B, Hk, Lk, Dv]`.
        precision: A name or an instance, as for `foveate.attention`. "auto" is int8
            where bytes multiply fast. Appending needs scales that belong to single tiles: native
            or int8.
        backend: "auto", "cpu" or "reference". The reference backend keeps K and V as they came.

    Raises:
        TypeError, ValueError: An argument does not fit.
        BackendError: No backend, or not the one that was named, can run this.

    Example:
        >>> kv = PackedKV(k, v, precision="int8")
        >>> out = kv.attend(q, causal=True)        # [B, Hq, Lq, Dv]
        >>> kv.append(k_new, v_new)
    """

    def __init__(
        self, k: Tensor, v: Tensor, *, precision: str | Precision = "auto", backend: str = "auto"
    ) -> None:
        check.check_tensors(k=k, v=v)
        check.check_no_grad(k=k, v=v)
        for name, x, letters in (("k", k, "[B, Hk, Lk, D]"), ("v", v, "[B, Hk, Lk, Dv]")):
            if x.dim() != 4:
                raise ValueError(
                    f"{name} has {x.dim()} dimensions, {list(x.shape)}; expected 4, {letters}"
                )
        # one query row of k's own heads stands for those to come: sizes and dtypes are checked by
        # it, and "auto" decides for a length that repays encoding
        stand_in = [
            (*x.shape[:2], length, x.shape[3])
            for x, length in ((k, 1), (k, max(k.shape[-2], 256)), (v, max(v.shape[-2], 256)))
        ]
        plan = plan_of(
            *map(torch.Size, stand_in),
            (k.dtype, k.dtype, v.dtype),
            (k.device, k.device, v.device),
            None,
            "dense",
            precision,
            False,
            None,
            backend,
            generation(),
        )
        if plan.kernels is None or k.shape[2] == 0 or k.shape[2] != v.shape[2]:
            raise ValueError(
                f"k {list(k.shape)} and v {list(v.shape)}; expected one length, at least one token"
            )
        self.precision = precision_of(plan.precision)
        self._kernels = plan.kernels
        self._recipe: Recipe = plan.request.recipe
        self._dtype, self._device = k.dtype, k.device
        self._heads, self._dims = k.shape[:2], (k.shape[3], v.shape[3])
        self._packed = None
        self._keep = _rows(k).clone(), _rows(v).clone()
        self._encode(0)

    def __repr__(self) -> str:
        batch, heads = self._heads
        return (
            f"PackedKV({self.precision.name}, {batch} × {heads} heads, {self.length} tokens, "
            f"D {self._dims[0]}, Dv {self._dims[1]}, {self.nbytes / 2**20:.1f} MiB, "
            f'backend="{self._kernels.name}")'
        )

    @property
    def length(self) -> int:
        """Tokens held."""
        return self._length

    @property
    def nbytes(self) -> int:
        """Memory of the codes, scales and tokens kept as they came, in bytes."""
        raw = sum(x.numel() * x.element_size() for x in self._keep)
        return raw + (self._packed.nbytes if self._packed is not None else 0)

    def append(self, k: Tensor, v: Tensor) -> None:
        """Add tokens at the end.

        Args:
            k: Keys, `[B, Hk, L, D]`, dtype and device as before.
            v: Values, `[B, Hk, L, Dv]`.

        Raises:
            TypeError, ValueError: A size does not fit, or the precision's scales span all tokens.
        """
        check.check_tensors(k=k, v=v)
        check.check_no_grad(k=k, v=v)
        length = k.shape[2] if k.dim() == 4 else 0
        for name, x, dim in (("k", k, self._dims[0]), ("v", v, self._dims[1])):
            want = [*self._heads, length, dim]
            if list(x.shape) != want or x.dtype != self._dtype or x.device != self._device:
                raise ValueError(
                    f"{name} is {check.short(x.dtype)} {list(x.shape)} on {x.device}; this "
                    f"PackedKV expects {check.short(self._dtype)} {[*self._heads, 'L', dim]} on "
                    f"{self._device}"
                )
        if self._packed is not None and not appendable(self._recipe):
            raise ValueError(
                f'precision "{self.precision.name}" has scales that span all tokens; a PackedKV '
                'that grows needs "native" or "int8" (or make a new one from all tokens)'
            )
        if length == 0:
            return
        start = self._length - self._keep[0].shape[2]
        self._keep = tuple(
            torch.cat((old, new), 2) for old, new in zip(self._keep, (k, v), strict=True)
        )
        self._encode(start)

    def attend(
        self,
        q: Tensor,
        *,
        select: str | Window = "dense",
        causal: bool = False,
        scale: float | None = None,
        mask: Tensor | None = None,
        return_lse: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend to all tokens held.

        Args:
            q: Queries, `[B, Hq, Lq, D]`; Hk divides Hq.
            select: "dense" or `Window(span, sink)`.
            causal: Aligned at the end: the last query sees all tokens.
            scale: Factor of the scores; None is D ** -0.5.
            mask: Bool or additive, broadcasts to `[B, Hq, Lq, length]`.
            return_lse: Also return the log-sum-exp.

        Returns:
            out `[B, Hq, Lq, Dv]`; with return_lse also lse, float32 `[B, Hq, Lq]`.
        """
        request = self._request(q, causal, scale, mask, _band(select, causal))
        if q.stride(3) != 1:
            q = q.contiguous()
        if mask is not None and mask.dim() < 4:
            mask = mask[(None,) * (4 - mask.dim())]
        if self._packed is None:
            k, v = self._keep
            operands = self._kernels.encode(q, k, v, request)
            out, lse = self._kernels.attend(operands, request, None, mask)
        else:
            from .backends.cpu.backend import attend_packed

            out, lse = new_output(q, self._dims[1]), new_lse(q) if return_lse else None
            attend_packed(self._packed, q, request.scale, request.band, None, mask, out, lse)
        return (out, lse) if return_lse else out

    def _encode(self, start: int) -> None:
        """Encode the kept tokens, the first being number `start`; let go of whole tiles."""
        k, v = self._keep
        self._length = start + k.shape[2]
        if self._kernels.name != "cpu":
            return
        from .backends.cpu import native

        tile, threads = self._recipe.tile, torch.get_num_threads()
        if start == 0:
            module, _ = native.load()
            formats = native.formats(self._recipe, self._dtype)
            self._packed = module.KV(formats, native.tensor(k), native.tensor(v), threads)
        else:
            self._packed.write(native.tensor(k), native.tensor(v), start // tile, threads)
        if self._length >= SETTLE:
            first = self._length // tile * tile - start
            self._keep = k[:, :, first:].clone(), v[:, :, first:].clone()

    def _request(self, q, causal, scale, mask, band) -> Request:
        check.check_tensors(q=q)
        check.check_no_grad(q=q, mask=mask)
        check.check_causal(causal)
        k = torch.Size((*self._heads, self._length, self._dims[0]))
        v = torch.Size((*self._heads, self._length, self._dims[1]))
        check.check_shapes(q.shape, k, v)
        check.check_dtypes(q.dtype, self._dtype, self._dtype)
        check.check_devices(q.device, self._device, self._device)
        if mask is not None:
            check.check_tensors(mask=mask)
            check.check_mask(mask.shape, mask.dtype, mask.device, q.shape, k, q.dtype, q.device)
        request = Request(
            self._recipe,
            q.shape[0],
            q.shape[1],
            k[1],
            q.shape[2],
            k[2],
            k[3],
            v[3],
            q.dtype,
            q.device,
            check.check_scale(scale, k[3]),
            band,
            mask_kind(None if mask is None else mask.dtype),
        )
        choose(self._kernels.name, request, self.precision.name)
        return request


def appendable(recipe: Recipe) -> bool:
    """Whether scales of K and V belong to single tiles: more tokens then change none of them."""
    k_local = isinstance(recipe.k, Float) or (
        isinstance(recipe.k, Integer) and recipe.k.granularity != "tensor"
    )
    v_local = (isinstance(recipe.v, Float) and recipe.v.dtype == "input") or (
        isinstance(recipe.v, Integer) and recipe.v.granularity == "channel+tile"
    )
    return k_local and v_local and not isinstance(recipe.p, (FP8, FP4))


def _band(select: str | Window, causal: bool) -> Band | None:
    if isinstance(select, str):
        select = selection_named(select)
    if isinstance(select, Selection) and (select.skip is not None or select.correct):
        raise ValueError(
            f"select is {type(select).__name__} with skip={select.skip} and "
            f"correct={select.correct}; PackedKV.attend takes neither, foveate.attention does"
        )
    if isinstance(select, Window):
        return select.band(causal)
    if not isinstance(select, Dense):
        kind = ValueError if isinstance(select, Selection) else TypeError
        raise kind(
            f'select is {select}; PackedKV.attend takes "dense" or Window(span, sink), '
            "foveate.attention takes every selection"
        )
    return Band(after=0) if causal else None


def _rows(x: Tensor) -> Tensor:
    return x if x.stride(-1) == 1 else x.contiguous()
