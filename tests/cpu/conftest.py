"""Every target that is built and that this processor runs, one after another."""

from __future__ import annotations

import pytest

from tests.cpu.kit import TARGETS, force


@pytest.fixture(params=TARGETS)
def target(request):
    """A target's name, active during the test; afterwards the choice is free again."""
    force(request.param)
    yield request.param
    force("")


@pytest.fixture(autouse=True)
def needs_the_extension():
    if not TARGETS:
        pytest.skip("the C++ extension is not built")
