"""A tiny random model and a tokenizer of letters."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from tests.measure.letters import Letters
from tests.tiny import decoder


@pytest.fixture
def tokenizer():
    return Letters(chat=True)


@pytest.fixture
def tiny():
    """A function that builds a tiny random decoder whose answers may end, see `decoder`."""
    return partial(decoder, sharp=True, eos_token_id=2)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
