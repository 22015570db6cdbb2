"""Fixed enhancements: their formulas, and what they leave alone."""

from __future__ import annotations

import pytest
import torch

from foveate.lowlight import classical


def test_every_baseline_keeps_shape_range_and_black():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 33, 40) * 0.2
    image[..., 0, 0] = 0
    for name, baseline in classical.BASELINES.items():
        if name == "CLAHE":
            pytest.importorskip("cv2")
        out = baseline(image)
        assert out.shape == image.shape
        assert out.min() >= 0
        assert out.max() <= 1
        if name != "none":
            assert out.mean() > image.mean(), name


def test_mean_scaling_reaches_its_mean_and_never_darkens():
    image = torch.rand(3, 3, 20, 20) * torch.tensor([0.1, 0.2, 1.0]).view(3, 1, 1, 1)
    means = classical.mean_scaling(image, 0.4).mean((1, 2, 3))
    torch.testing.assert_close(means[:2], torch.full((2,), 0.4), atol=1e-4, rtol=0)
    assert torch.equal(classical.mean_scaling(image, 0.1)[2], image[2])


def test_channel_scaling_removes_a_cast():
    image = torch.rand(1, 3, 20, 20) * torch.tensor([0.05, 0.1, 0.2]).view(3, 1, 1)
    means = classical.channel_scaling(image).mean((0, 2, 3))
    torch.testing.assert_close(means, torch.full((3,), 0.45), atol=0.02, rtol=0)


def test_equalisation_makes_a_ramp_of_any_ramp():
    image = torch.linspace(0, 0.2, 52).round(decimals=3).expand(1, 3, 10, 52)
    out = classical.equalise(image)
    assert out[0, 0, 0, 0] == 0
    assert out[0, 0, 0, -1] == 1
    assert out[0, 0, 0].diff().min() >= 0


def test_curves_as_tables_are_the_functions():
    x = torch.linspace(0, 1, 256)
    assert torch.equal(classical.tone_curve("gamma", 2.0), x**0.5)
    table = classical.tone_curve("hyperbola", 0.1)
    assert table[0] == 0
    assert table[-1] == pytest.approx(1)
    assert table[1] * 255 == pytest.approx(1.1 / (1 / 255 + 0.1))
    with pytest.raises(ValueError, match='kind is "log"; expected gamma, hyperbola or gain'):
        classical.tone_curve("log", 1)
