"""Heads with equal rules side by side: the model's outputs stay as they are, its heads move.

The one thing to know: weights are changed in place, and with them the model's fingerprint; the plan
that comes back belongs to the model as it is then.
Source: MoA (arXiv 2406.14909v3), published code (permutation of heads).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ..fingerprint import fingerprint
from .plan import MoAPlan
from .rows import PlanError


def order(plan: MoAPlan, layer: int) -> tuple[int, ...]:
    """Heads of a layer by (α, β), equal ones in their own order.

    Args:
        plan: The plan.
        layer: Number of a layer that has rules.
    """
    alphas, betas = plan.alphas[layer], plan.betas[layer]
    if alphas is None or betas is None:
        raise ValueError(f"layer {layer} has no rules; expected one of {plan.planned}")
    return tuple(sorted(range(plan.heads), key=lambda h: (alphas[h], betas[h])))


@torch.no_grad()
def permute(model: Any, plan: MoAPlan) -> MoAPlan:
    """Sort the heads of every layer of a model by their rules.

    Query heads that share a key head move together, so with shared keys a plan must name key heads.

    Args:
        model: A transformers model whose attention has q_proj, k_proj, v_proj and o_proj.
        plan: A plan for it.

    Returns:
        The plan for the model as it is now.

    Raises:
        PlanError: The plan is for another model, or names query heads that share keys.
        TypeError: A layer's attention has no such projections.
    """
    plan.check(model)
    known = fingerprint(model)
    if plan.heads != known["kv_heads"]:
        raise PlanError(
            f"this plan has rules for {plan.heads} query heads, but {known['kv_heads']} key heads "
            "are shared by them; expected rules for key heads"
        )
    attentions = {
        int(m.layer_idx): m
        for m in model.modules()
        if hasattr(m, "layer_idx") and hasattr(m, "o_proj")
    }
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    for layer in plan.planned:
        if layer not in attentions or not all(hasattr(attentions[layer], n) for n in names):
            raise TypeError(f"layer {layer} of {type(model).__name__} has no {', '.join(names)}")
    alphas, betas = list(plan.alphas), list(plan.betas)
    for layer in plan.planned:
        heads = order(plan, layer)
        for name in names:
            linear = getattr(attentions[layer], name)
            if name == "o_proj":
                linear.weight.copy_(_moved(linear.weight, heads, 1))
                continue
            linear.weight.copy_(_moved(linear.weight, heads, 0))
            if linear.bias is not None:
                linear.bias.copy_(_moved(linear.bias, heads, 0))
        alphas[layer] = tuple(plan.alphas[layer][h] for h in heads)  # type: ignore[index]
        betas[layer] = tuple(plan.betas[layer][h] for h in heads)  # type: ignore[index]
    now = None if plan.model is None else fingerprint(model)
    return replace(plan, alphas=tuple(alphas), betas=tuple(betas), model=now)


def _moved(x: torch.Tensor, heads: tuple[int, ...], dim: int) -> torch.Tensor:
    """Groups of rows (or columns), one for each head, in another order."""
    groups = x.unflatten(dim, (len(heads), -1))
    return groups.index_select(dim, torch.tensor(heads, device=x.device)).flatten(dim, dim + 1)
