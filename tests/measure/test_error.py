"""Error figures: definitions, and what happens at zero."""

from __future__ import annotations

import math

import pytest
import torch

from foveate.measure.error import cosine, errors, relative_l1, relative_l2, rmse


def test_figures_are_their_definitions():
    out, reference = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    found = errors(out, reference)
    assert found.relative_l1 == pytest.approx(1 / 10)
    assert found.rmse == pytest.approx(0.5)
    assert found.relative_l2 == pytest.approx(1 / math.sqrt(30))
    assert found.cosine == pytest.approx(34 / math.sqrt(39 * 30))


def test_a_scaled_output_is_parallel_but_not_equal():
    x = torch.randn(100, generator=torch.Generator().manual_seed(0))
    assert cosine(3 * x, x) == pytest.approx(1.0)
    assert relative_l2(3 * x, x) == pytest.approx(2.0)


def test_an_output_of_zeros_is_not_called_perfect():
    # it once was: 0 / 0 gave a cosine of 1
    zero, one = torch.zeros(4), torch.ones(4)
    assert (cosine(zero, one), relative_l1(zero, one), relative_l2(zero, one)) == (0.0, 1.0, 1.0)
    assert (cosine(zero, zero), relative_l1(zero, zero), rmse(zero, zero)) == (1.0, 0.0, 0.0)
    assert relative_l1(one, zero) == relative_l2(one, zero) == math.inf


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"out has shape \[4\]; expected that of reference, \[5\]"):
        cosine(torch.zeros(4), torch.zeros(5))
