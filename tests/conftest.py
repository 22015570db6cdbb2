"""Shared by all tests: one thread, a fixed seed, and which backends can run here."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    """Small inputs are quicker on one thread, and the cores may be shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)
