"""Every buffer that torch allocates here starts as NaN, so what is not written shows."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def fresh_buffers_hold_nan():
    was_on = torch.are_deterministic_algorithms_enabled()
    was_filling = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    assert torch.empty(3).isnan().all()
    yield
    torch.utils.deterministic.fill_uninitialized_memory = was_filling
    torch.use_deterministic_algorithms(was_on)
