"""Attention of single queries to stores where each head holds a number of tokens of its own.

What decoding with another window for each head needs: all tokens of all heads lie behind one
another in one store, in whatever order (a token's position is in its key), and are read where they
are.

The one thing to know: every token of a head is visible; what must not be seen must not be held.
"""

from __future__ import annotations

from torch import Tensor

from ..errors import BackendError
from . import check
from .backends import BACKENDS, backend_named


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    start: Tensor,
    length: Tensor,
    *,
    scale: float | None = None,
    k_scale: Tensor | None = None,
    v_scale: Tensor | None = None,
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """One query per head against the tokens that its kv head holds.

    Sizes are those of the store and are trusted: a kernel follows start and length blindly.

    Args:
        q: Queries, `[B, Hq, 1, D]`.
        k: Keys of all heads, one head behind the other, `[B, N, D]`; q's dtype, or int8 codes.
        v: Values, `[B, N, Dv]`, likewise.
        start: First token of each kv head, int64 `[B, Hk]`, contiguous.
        length: Tokens it holds, int64 `[B, Hk]`, contiguous.
        scale: Factor of the scores; `D ** -0.5` if None.
        k_scale: What the codes of each key are multiplied with, float32 `[B, N]`; None for floats.
        v_scale: The same for values.
        backend: "auto", "cpu" or "reference".

    Returns:
        out `[B, Hq, 1, Dv]`, lse float32 `[B, Hq, 1]`. A head without tokens gives 0 and −inf.

    Raises:
        ValueError: q has more than one query, q requires grad, or the backend is unknown.
        BackendError: The backend that was named cannot run this.
    """
    check.check_no_grad(q=q, k=k, v=v)
    if q.dim() != 4 or q.shape[2] != 1:
        raise ValueError(
            f"q is {list(q.shape)}; expected [B, Hq, 1, D], one query for each head; attention() "
            "takes more"
        )
    scale = q.shape[3] ** -0.5 if scale is None else scale
    refusals = {}
    for name in BACKENDS if backend == "auto" else (backend,):
        kernels = _named(name)
        reason = kernels.refuses(q, k)
        if reason is None:
            return kernels.attend(q, k, v, start, length, scale, k_scale, v_scale)
        refusals[name] = reason
    reasons = "; ".join(f'backend "{name}" {reason}' for name, reason in refusals.items())
    raise BackendError(f"no backend can attend to stores by head here: {reasons}", refusals)


def _named(name: str):
    backend_named(name)  # for its errors
    if name == "cpu":
        from .backends.cpu import headwise
    else:
        from .backends.reference import headwise
    return headwise
