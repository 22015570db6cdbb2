"""A tiny random model and a tokenizer of letters."""

from __future__ import annotations

from functools import partial

import pytest

from tests.measure.letters import Letters
from tests.tiny import decoder


@pytest.fixture
def tokenizer():
    return Letters(chat=True)


@pytest.fixture
def tiny():
    """A function that builds a tiny random decoder whose answers may end, see `decoder`."""
    return partial(decoder, sharp=True, eos_token_id=2)
