"""Merge: attention over two sets of keys, from the attention over each.

    out = a − σ(lse_b − lse_a) · (a − b)        lse = log(e^lse_a + e^lse_b)

The one thing to know: a set in which a row sees nothing (out 0, lse −inf) leaves the other as it
is.
"""

from __future__ import annotations

import torch
from torch import Tensor


def merge(a: Tensor, lse_a: Tensor, b: Tensor, lse_b: Tensor) -> tuple[Tensor, Tensor]:
    """Attention over both sets of keys.

    Args:
        a, b: Outputs, `[B, H, L, Dv]`; summed in the wider dtype of the two.
        lse_a, lse_b: Their log-sum-exp, natural, `[B, H, L]`.

    Returns:
        out `[B, H, L, Dv]` and lse `[B, H, L]`, in the wider dtypes.
    """
    share = torch.where(lse_b == -torch.inf, 0.0, torch.sigmoid(lse_b - lse_a)).unsqueeze(-1)
    out = a - share.to(torch.promote_types(a.dtype, b.dtype)) * (a - b)
    return out, torch.logaddexp(lse_a, lse_b)
