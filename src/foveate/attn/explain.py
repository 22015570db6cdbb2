"""The text of `Plan.explain()`: what was chosen, why, and what was passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .select import Given

if TYPE_CHECKING:
    from .pipeline import Plan


def describe(plan: Plan) -> str:
    """One line per choice, indented reasons below it."""
    r = plan.request
    dtype = str(r.dtype).removeprefix("torch.")
    q, k, v = (
        [r.batch, r.q_heads, r.q_length, r.head_dim],
        [r.batch, r.kv_heads, r.k_length, r.head_dim],
        [r.batch, r.kv_heads, r.k_length, r.v_dim],
    )
    lines = [f"attention   q {q}  k {k}  v {v}  {dtype} on {r.device}"]
    lines += _choice(plan, "select", f"{_selection(plan)}{_density(plan)}")
    lines += _choice(plan, "precision", str(plan.precision))
    lines += _choice(plan, "backend", plan.kernels.name if plan.kernels else "none")
    lines += [f"            passed over {name}: {why}" for name, why in plan.refusals]
    causal = "causal, aligned at the end" if r.band is not None else "not causal"
    mask = f"mask {r.mask}" if r.mask else "no mask"
    lines.append(f"rule        {causal}; {mask}; scale {r.scale:.6g}")
    return "\n".join(lines)


def _choice(plan: Plan, what: str, value: str) -> list[str]:
    reasons = [why for choice, why in plan.reasons if choice == what]
    return [f"{what:<12}{value}", *(f"            {why}" for why in reasons)]


def _selection(plan: Plan) -> str:
    if isinstance(plan.select, Given):
        return (
            str(plan.given)
            if plan.given is not None
            else f"the caller's layout, {plan.select.given}"
        )
    return str(plan.select)


def _density(plan: Plan) -> str:
    if isinstance(plan.select, Given) or plan.kernels is None:
        return ""
    density = plan.select.density(plan.request)
    if density is None:
        return ", density known only from the data"
    return f", visits {density:.1%} of the blocks"
