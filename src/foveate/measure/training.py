"""A case of training: forward and backward, verified by its gradients.

The one thing to know: a call here is what a training step does, out = attention(q, k, v) and the
gradients of q, k and v for one gradient of out; nothing of it is kept from the call before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attn.layouts.blocks import BlockLayout
from . import peers, trial
from .case import Case, tensors
from .error import cosine, relative_l1
from .memory import peak_memory

Gradients = tuple[Tensor, ...]
Step = Callable[[], Gradients]


def verified(
    case: Case, say: Callable[[str], None]
) -> tuple[dict[str, Step], dict[str, Any], dict[str, str], BlockLayout | None, int | None]:
    """What is to be timed, each proved right first.

    Args:
        case: With `backward` set.
        say: Called with a word about each part that begins.

    Returns:
        Calls and errors by name, peers left out with their reasons, the blocks visited, and the
        bytes of memory that foveate's step takes at its worst.

    Raises:
        Wrong: foveate's own gradients miss the case's bound.
    """
    q, k, v = (x.requires_grad_() for x in tensors(case))
    dout = torch.randn(q.shape, generator=torch.Generator().manual_seed(1)).to(q.dtype)
    blocks = trial.chooser(case, q.detach(), k.detach(), v.detach())()
    say("verifying foveate")
    exact = _exact(case, q, k, v, dout)
    mine = _step(trial.ours(case, q, k, v), (q, k, v), dout)
    with peak_memory() as memory:
        found = mine()
    errors = {"foveate": _error(found, exact)}
    trial.accept(case, errors["foveate"])
    calls, skipped = {"foveate": mine}, {}
    for name in case.peers:
        say(f"verifying {name}")
        try:
            call = _step(peers.prepare(name, case, q, k, v), (q, k, v), dout)
            found = call()
        except (peers.Unavailable, RuntimeError) as reason:
            skipped[name] = f"has no backward pass here: {str(reason).splitlines()[0]}"
            continue
        error = _error(found, exact)
        comparable = case.density is None and case.select is None
        if comparable and not error["relative_l1"] <= max(trial.PEER_BOUND, case.error_bound):
            skipped[name] = f"wrong here: relative L1 error {error['relative_l1']:.3f}"
            continue
        calls[name] = call
        if comparable:
            errors[name] = error
    return calls, errors, skipped, blocks, memory.extra


def _step(forward: Callable[[], Tensor], inputs: Gradients, dout: Tensor) -> Step:
    def step() -> Gradients:
        with torch.enable_grad():
            return torch.autograd.grad(forward(), inputs, dout)

    return step


def _exact(case: Case, q: Tensor, k: Tensor, v: Tensor, dout: Tensor) -> Gradients:
    """Gradients in float64: of torch's attention, or of the reference where blocks are chosen."""
    wide = [x.detach().double().requires_grad_() for x in (q, k, v)]
    if case.density is None and case.select is None:
        group = case.q_heads // case.kv_heads

        def forward() -> Tensor:
            keys, values = (x.repeat_interleave(group, dim=1) for x in wide[1:])
            return F.scaled_dot_product_attention(wide[0], keys, values, is_causal=case.causal)
    else:
        forward = trial.ours(case.with_(precision="native"), *wide)
    return _step(forward, tuple(wide), dout.double())()


def _error(found: Gradients, exact: Gradients) -> dict[str, float]:
    """Of the worst of the three gradients."""
    pairs = [(x.double(), y) for x, y in zip(found, exact, strict=True)]
    return {
        "relative_l1": max(float(relative_l1(x, y)) for x, y in pairs),
        "cosine": min(float(cosine(x, y)) for x, y in pairs),
    }
