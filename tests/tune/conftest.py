"""A small random model and its captured layers; nothing here needs an asset."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from foveate.tune.capture import Captured, capture
from tests.tiny import decoder


@pytest.fixture
def tiny():
    """A function that builds a tiny random decoder, see `decoder`."""
    return partial(decoder, sharp=True)


@pytest.fixture
def tokens():
    """Token ids `[1, 700]`."""
    return torch.randint(3, 101, (1, 700), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def layer(tiny, tokens):
    """The second layer of the tiny model, captured."""
    kept = []
    capture(tiny(), tokens, kept.append)
    return kept[1]


def structured(length=700, heads=4, kv_heads=2, seed=0, causal=True) -> Captured:
    """Queries and keys with a sink, a window and a few strong blocks, float32."""
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, h, length, 64, generator=g) for h in (heads, kv_heads, kv_heads))
    slow = torch.randn(1, 1, length // 50 + 1, 64, generator=g).repeat_interleave(50, 2)[
        :, :, :length
    ]
    q, k = q + 0.6 * slow, k + 0.6 * slow
    k[:, :, :4] += 0.4
    return Captured(0, q, k, v, 64**-0.5, causal)
