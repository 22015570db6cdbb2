"""Small random models, so that everything but `test_smollm2.py` needs no asset."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tests.tiny import decoder


@pytest.fixture
def tiny():
    """A function that builds a tiny random decoder for short texts, see `decoder`."""
    return partial(decoder, max_position_embeddings=512)


@pytest.fixture
def prompt():
    """Token ids `[2, 23]` and their mask, the first row padded on the left by 9."""
    torch.manual_seed(1)
    ids = torch.randint(3, 101, (2, 23))
    mask = torch.ones_like(ids)
    ids[0, :9], mask[0, :9] = 0, 0
    return ids, mask
