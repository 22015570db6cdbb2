"""Plan: everything about a call that follows from sizes, types and choices, and the run of it.

    check → plan → arrange → select → encode → attend → restore

The one thing to know: a plan holds no tensor data of its own, so it is cached and printed;
`plan_of` is the cache, and a call that repeats known sizes costs one look-up before the first
kernel starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from . import check
from .backends import backend_named, choose, fast_int8
from .backends.base import Backend, Request
from .explain import describe
from .layouts.blocks import Band, BlockLayout, Outline
from .layouts.memory import new_lse, new_output
from .precision import Int8, Native, Precision, precision_named
from .select import Dense, Given, Selection, selection_named

INT8_LEAST_QUERIES = 16
"""Up to this many queries, reading K and V once costs less than encoding them first."""

INT8_LEAST_KEYS = 256
"""With fewer keys "auto" keeps the exact numbers: int8 takes as long as native at 64 keys and gains
little up to here (one Zen 4 core, D 64 and 128)."""


@dataclass(frozen=True)
class Plan:
    """A call, decided: which blocks, which numbers, which backend, and why.

    Made by `foveate.plan`. It belongs to the shapes, dtype, device and mask kind it was made for.
    """

    request: Request
    select: Selection
    precision: Precision
    kernels: Backend | None  # None: some size is 0, there is nothing to compute
    reasons: tuple[tuple[str, str], ...]  # (choice, why), for explain()
    refusals: tuple[tuple[str, str], ...]  # (backend, why not)
    given: BlockLayout | None = None  # the caller's layout, if the plan was made with one

    def run(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, return_lse: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend.

        Args:
            q: Queries, `[B, Hq, Lq, D]`.
            k: Keys, `[B, Hk, Lk, D]`.
            v: Values, `[B, Hk, Lk, Dv]`.
            mask: Bool or additive, as the plan was made for.
            return_lse: Also return the log-sum-exp of the scores.

        Returns:
            out `[B, Hq, Lq, Dv]`; with return_lse also lse, float32 `[B, Hq, Lq]`.

        Raises:
            ValueError: The inputs are not those the plan was made for.
        """
        self._check_fits(q, k, v, mask)
        out, lse = self.attend(q, k, v, mask, self.given)
        return (out, lse) if return_lse else out

    def explain(self) -> str:
        """Readable text: each choice, why, the backends passed over, and density if known."""
        return describe(self)

    def attend(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, layout: BlockLayout | None
    ) -> tuple[Tensor, Tensor]:
        """`run` without its checks; `layout` is the caller's own, if select was one."""
        kernels, request = self.kernels, self.request
        if kernels is None:
            return _nothing(q, v)
        # kernels take any strides but the last; a copy is made only where that one is not 1
        order = q
        q, k, v = (x if x.stride(3) == 1 else x.contiguous() for x in (q, k, v))
        if mask is not None and mask.dim() < 4:
            mask = mask[(None,) * (4 - mask.dim())]
        if layout is None:
            out, lse = self.select.run(q, k, v, mask, request, kernels)
        else:
            out, lse = kernels.attend(kernels.encode(q, k, v, request), request, layout, mask)
        return _in_order_of(order, out), lse

    def _check_fits(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> None:
        check.check_tensors(q=q, k=k, v=v)
        check.check_no_grad(q=q, k=k, v=v, mask=mask)
        r = self.request
        expected = {
            "q": [r.batch, r.q_heads, r.q_length, r.head_dim],
            "k": [r.batch, r.kv_heads, r.k_length, r.head_dim],
            "v": [r.batch, r.kv_heads, r.k_length, r.v_dim],
        }
        for name, x in (("q", q), ("k", k), ("v", v)):
            if list(x.shape) != expected[name] or x.dtype != r.dtype or x.device != r.device:
                raise ValueError(
                    f"{name} is {check.short(x.dtype)} {list(x.shape)} on {x.device}; this plan "
                    f"expects {check.short(r.dtype)} {expected[name]} on {r.device}; "
                    "make a new one with foveate.plan"
                )
        kind = mask_kind(None if mask is None else mask.dtype)
        if kind != r.mask:
            raise ValueError(
                f"mask is {kind}; this plan was made for {r.mask}; pass the same kind to "
                "foveate.plan"
            )
        if mask is not None:
            check.check_mask(
                mask.shape, mask.dtype, mask.device, q.shape, k.shape, q.dtype, q.device
            )


@lru_cache(maxsize=1024)
def plan_of(
    q: torch.Size,
    k: torch.Size,
    v: torch.Size,
    dtypes: tuple[torch.dtype, torch.dtype, torch.dtype],
    devices: tuple[torch.device, torch.device, torch.device],
    mask: tuple[torch.Size, torch.dtype, torch.device] | None,
    select: str | Selection | Outline,
    precision: str | Precision,
    causal: bool,
    scale: float | None,
    backend: str,
    generation: int,
) -> Plan:
    """Check the arguments and decide. Cached; `generation` is that of the backends."""
    check.check_shapes(q, k, v)
    check.check_dtypes(*dtypes)
    check.check_devices(*devices)
    scale = check.check_scale(scale, q[3])
    if mask is not None:
        check.check_mask(*mask, q, k, dtypes[0], devices[0])
    chosen = selection_of(select)
    if isinstance(chosen, Given):
        check.check_layout(chosen.given, q, k)
    check.check_name("backend", backend)

    facts = Request(
        recipe=Native().recipe(q[3]),
        batch=q[0],
        q_heads=q[1],
        kv_heads=k[1],
        q_length=q[2],
        k_length=k[2],
        head_dim=q[3],
        v_dim=v[3],
        dtype=dtypes[0],
        device=devices[0],
        scale=scale,
        band=Band(after=0) if causal else None,
        mask=mask_kind(mask[1] if mask else None),
    )
    reasons: list[tuple[str, str]] = []
    if (why := chosen.fallback(facts)) is not None:
        reasons.append(("select", f"served dense instead of {chosen}: {why}"))
        chosen = Dense(skip=chosen.skip)
    block, layout_band = chosen.outline(causal)
    if isinstance(chosen.skip, tuple) and len(chosen.skip) != q[1]:
        raise ValueError(
            f"select has skip for {len(chosen.skip)} heads; expected one value, or one per head "
            f"of q, {q[1]}"
        )
    if chosen.correct and mask is not None:
        raise ValueError(
            "select has correct=True and there is a mask, which cuts blocks in ways that their "
            "means cannot follow; expected one of the two (use correct=False)"
        )
    facts = replace(facts, block=block, layout_band=layout_band, skip=chosen.skip)
    if precision == "auto":
        numbers, why = _auto_precision(backend, facts)
        reasons.append(("precision", why))
    else:
        numbers = precision_of(precision)
    request = replace(facts, recipe=numbers.recipe(q[3]))
    if 0 in (q[0], q[1], q[2], k[2]):
        if backend != "auto":
            backend_named(backend)  # an unknown name is an error even with nothing to compute
        return Plan(request, chosen, numbers, None, (*reasons, ("backend", "no work")), ())
    best = choose(backend, request, numbers.name)
    return Plan(request, chosen, numbers, best.kernels, tuple(reasons), best.refusals)


def plan_with(plan: Plan, layout: BlockLayout | None) -> Plan:
    """The plan together with the caller's layout."""
    return plan if layout is None else replace(plan, given=layout)


def selection_of(select: object) -> Selection:
    """A selection from a name, an instance, or the outline of a layout."""
    if isinstance(select, str):
        return selection_named(select)
    if isinstance(select, Outline):
        return Given(select, skip=select.skip)
    if isinstance(select, Selection):
        return select
    if isinstance(select, type) and issubclass(select, Selection):
        raise TypeError(
            f"select is the class {select.__name__}; expected an instance, {select.__name__}(…)"
        )
    raise TypeError(
        f"select is {type(select).__name__}; expected a name, a selection such as Window(1024), "
        "or a BlockLayout"
    )


def precision_of(precision: object) -> Precision:
    """A precision from a name or an instance."""
    if isinstance(precision, str):
        return precision_named(precision)
    if isinstance(precision, Precision):
        return precision
    if isinstance(precision, type) and issubclass(precision, Precision):
        raise TypeError(
            f"precision is the class {precision.__name__}; expected an instance, "
            f"{precision.__name__}()"
        )
    raise TypeError(
        f"precision is {type(precision).__name__}; expected a name or a precision such as Int8()"
    )


def mask_kind(dtype: torch.dtype | None) -> str | None:
    """What a backend is told about a mask."""
    if dtype is None:
        return None
    return "bool" if dtype == torch.bool else "additive"


def _auto_precision(backend: str, facts: Request) -> tuple[Precision, str]:
    """The fastest precision whose relative L1 error stays below 0.02 on N(0, 1) data, and why."""
    native, int8 = Native(), Int8()
    if facts.dtype == torch.float64:
        return native, "float64 asks for exact numbers"
    if backend == "reference":
        return native, "the reference backend gains nothing from fewer bits"
    if facts.k_length < INT8_LEAST_KEYS:
        return native, f"fewer than {INT8_LEAST_KEYS} keys do not repay encoding"
    if facts.q_length <= INT8_LEAST_QUERIES:
        return native, f"{INT8_LEAST_QUERIES} or fewer queries do not repay encoding (see PackedKV)"
    name = "cpu" if backend == "auto" else backend
    kernels = backend_named(name)
    reason = kernels.refuses(replace(facts, recipe=int8.recipe(facts.head_dim)))
    if reason is not None:
        return native, f"int8 is not possible on {name}: {reason}"
    if not fast_int8(kernels):
        return native, f"{name} has no fast 8-bit products here (AVX-512 VNNI)"
    return int8, "the fastest within relative L1 0.02 on N(0, 1) data"


def _nothing(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Rows that see nothing: out 0, lse −inf."""
    return new_output(q, v.shape[3]).zero_(), new_lse(q).fill_(float("-inf"))


def _in_order_of(q: Tensor, out: Tensor) -> Tensor:
    """`out` in the memory order that `new_output` promises; free when the backend used it."""
    tokens_first = q.stride(1) < q.stride(2)
    if (out.transpose(1, 2) if tokens_first else out).is_contiguous():
        return out
    return new_output(q, out.shape[3]).copy_(out)
