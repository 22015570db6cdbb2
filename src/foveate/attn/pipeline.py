"""Plan: everything about a call that follows from sizes, types and choices, and the run of it.

    check → plan → arrange → select → encode → attend → restore

The one thing to know: a plan holds no tensor data of its own, so it is cached and printed;
`plan_of` is the cache, and a call that repeats known sizes costs one look-up before the first
kernel starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from . import check
from .backends import backend_named, choose
from .backends.base import Backend, Request
from .choices import auto_precision, precision_of, selection_of
from .explain import describe
from .layouts.blocks import Band, BlockLayout, Outline
from .layouts.memory import new_lse, new_output
from .precision import Native, Precision
from .select import Dense, Given, Selection

if TYPE_CHECKING:
    from .report import Bound


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
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None = None,
        return_lse: bool = False,
        *,
        layout: BlockLayout | None = None,
        report: bool = False,
        bound: Bound | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """Attend.

        Args:
            q: Queries, `[B, Hq, Lq, D]`.
            k: Keys, `[B, Hk, Lk, D]`.
            v: Values, `[B, Hk, Lk, Dv]`.
            mask: Bool or additive, as the plan was made for.
            return_lse: Also return the log-sum-exp of the scores.
            layout: Visit these blocks instead of choosing anew; what `layout` gave for earlier
                inputs of the same sizes.
            report: Also return a `Report`: density, retained mass, error, from a few exact rows.
            bound: What the result must reach, and what to do if it does not; implies `report`.

        Returns:
            out `[B, Hq, Lq, Dv]`; with return_lse also lse, float32 `[B, Hq, Lq]`; with report
            also the report, last.

        Raises:
            ValueError: The inputs are not those the plan was made for.
        """
        self._check_fits(mask, q=q, k=k, v=v)
        layout = self._own(layout)
        if not report and bound is None:
            out, lse = self.attend(q, k, v, mask, layout)
            return (out, lse) if return_lse else out
        from .certify import certified  # most programs never ask

        out, lse, found = certified(self, q, k, v, mask, layout, bound)
        return (out, lse, found) if return_lse else (out, found)

    def layout(self, q: Tensor, k: Tensor) -> BlockLayout | None:
        """The blocks that `run` would visit, None for all.

        They are those of the tokens in the selection's own order (`Sparge.order`), so give them
        back to `run` of this plan.

        Args:
            q: Queries, `[B, Hq, Lq, D]`.
            k: Keys, `[B, Hk, Lk, D]`.
        """
        if self.given is not None or self.kernels is None:
            return self.given
        self._check_fits(q=q, k=k)
        q, k = unit_rows(q, k)
        found = self.select.layout(*self.select.arrange(q, k, k)[:2], self.request, self.kernels)
        return found if found is None else replace(found, skip=self.request.skip)

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
        order = q
        q, k, v = unit_rows(q, k, v)
        mask = with_four(mask)
        if layout is None:
            out, lse = self.select.run(q, k, v, mask, request, kernels)
        else:
            out, lse = self.select.over(layout, q, k, v, mask, request, kernels)
        return in_order_of(order, out), lse

    def _own(self, layout: BlockLayout | None) -> BlockLayout | None:
        """The layout to use instead of choosing: one that was passed, checked, or the plan's."""
        if layout is None:
            return self.given
        if not isinstance(layout, BlockLayout):
            raise TypeError(f"layout is {type(layout).__name__}; expected a BlockLayout or None")
        r = self.request
        check.check_layout(
            layout.outline,
            torch.Size((r.batch, r.q_heads, r.q_length, r.head_dim)),
            torch.Size((r.batch, r.kv_heads, r.k_length, r.head_dim)),
        )
        made_for = (r.block, r.layout_band, r.skip, r.device)
        if (layout.block, layout.band, layout.skip, layout.device) != made_for:
            raise ValueError(
                f"layout has blocks of {layout.block}, band {layout.band}, skip {layout.skip} on "
                f"{layout.device}; this plan expects {r.block}, {r.layout_band}, {r.skip} on "
                f"{r.device}; use what its own layout(q, k) gave, or pass the layout as select"
            )
        return layout

    def _check_fits(self, mask: Tensor | None = None, **tensors: Tensor) -> None:
        """q, k, v (or some of them) and the mask are those this plan was made for."""
        check.check_tensors(**tensors)
        check.check_no_grad(**tensors, mask=mask)
        r = self.request
        expected = {
            "q": [r.batch, r.q_heads, r.q_length, r.head_dim],
            "k": [r.batch, r.kv_heads, r.k_length, r.head_dim],
            "v": [r.batch, r.kv_heads, r.k_length, r.v_dim],
        }
        for name, x in tensors.items():
            if list(x.shape) != expected[name] or x.dtype != r.dtype or x.device != r.device:
                raise ValueError(
                    f"{name} is {check.short(x.dtype)} {list(x.shape)} on {x.device}; this plan "
                    f"expects {check.short(r.dtype)} {expected[name]} on {r.device}; "
                    "make a new one with foveate.plan"
                )
        if "v" not in tensors:
            return  # choosing blocks needs no mask
        kind = mask_kind(None if mask is None else mask.dtype)
        if kind != r.mask:
            raise ValueError(
                f"mask is {kind}; this plan was made for {r.mask}; pass the same kind to "
                "foveate.plan"
            )
        if mask is not None:
            q, k = tensors["q"], tensors["k"]
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
        numbers, why = auto_precision(backend, facts)
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


def mask_kind(dtype: torch.dtype | None) -> str | None:
    """What a backend is told about a mask."""
    if dtype is None:
        return None
    return "bool" if dtype == torch.bool else "additive"


def _nothing(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Rows that see nothing: out 0, lse −inf."""
    return new_output(q, v.shape[3]).zero_(), new_lse(q).fill_(float("-inf"))


def unit_rows(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors, copied only where the last stride is not 1: kernels take any other strides."""
    return tuple(x if x.stride(3) == 1 else x.contiguous() for x in tensors)


def with_four(mask: Tensor | None) -> Tensor | None:
    """The mask with four dimensions."""
    if mask is None or mask.dim() == 4:
        return mask
    return mask[(None,) * (4 - mask.dim())]


def in_order_of(q: Tensor, out: Tensor) -> Tensor:
    """`out` in the memory order that `new_output` promises; free when the backend used it."""
    tokens_first = q.stride(1) < q.stride(2)
    if (out.transpose(1, 2) if tokens_first else out).is_contiguous():
        return out
    return new_output(q, out.shape[3]).copy_(out)
