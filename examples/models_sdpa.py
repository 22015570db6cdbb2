"""Serve every scaled_dot_product_attention of a piece of code with foveate."""

import torch
import torch.nn.functional as F

from foveate.models import sdpa

torch.manual_seed(0)
q = torch.randn(1, 8, 1024, 64)
k, v = torch.randn(2, 1, 2, 1024, 64)


def some_library(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


with torch.no_grad():
    exact = some_library(q, k, v)
    with sdpa(precision="sage2"):
        quick = some_library(q, k, v)

print(f"cosine with torch: {F.cosine_similarity(exact.flatten(), quick.flatten(), dim=0):.5f}")
