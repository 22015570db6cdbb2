"""The concave curve: what it may look like, how it meets a picture, how it leaves the program."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate.lowlight import classical
from foveate.lowlight.sacc import integral, lut
from foveate.lowlight.sacc.curve import ConcaveCurve

IDENTITY = torch.linspace(0, 1, 256)


def a_curve(seed: int = 0, **options) -> ConcaveCurve:
    """Untrained, but with weights large enough to bend."""
    torch.manual_seed(seed)
    model = ConcaveCurve(**options)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return model.eval()


def test_the_network_has_the_published_size():
    assert sum(p.numel() for p in ConcaveCurve().parameters()) == 158_061


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_running_sums_equal_the_matrix(degree):
    q = torch.rand(4, 3, 255)
    matrix = integral.integration_matrix(degree)
    sums = integral.normalise(integral.integrate(q, degree))
    product = integral.normalise(q @ matrix.T)
    assert (sums - product).abs().max() < 1e-5


def test_the_matrix_of_degree_two_is_the_closed_form():
    k, j = torch.arange(256)[:, None], torch.arange(255)[None]
    assert torch.equal(integral.integration_matrix(2), torch.minimum(k, j + 1).float())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), degree=st.sampled_from([2, 3]), light=st.floats(0.0, 1.0))
def test_curves_are_anchored_monotone_concave_and_never_darken(seed, degree, light):
    g = a_curve(seed, degree=degree).curve(torch.rand(2, 3, 20, 30) * light).detach()
    slopes = g.diff(dim=-1)
    assert (g[..., 0] == 0).all()
    torch.testing.assert_close(g[..., -1], torch.ones(2, 3))
    assert (slopes >= 0).all()
    assert (slopes.diff(dim=-1) <= 1e-6).all()
    assert (g >= IDENTITY - 1e-6).all()


def test_degree_one_may_be_not_concave_and_degree_three_has_convex_slopes():
    q = torch.rand(1, 1, 255)
    one, three = (integral.normalise(integral.integrate(q, d)) for d in (1, 3))
    assert one.diff(dim=-1).diff(dim=-1).max() > 0
    assert three.double().diff(dim=-1).diff(dim=-1).diff(dim=-1).min() > -1e-6
    with pytest.raises(ValueError, match="degree 1, expected 2 or 3"):
        ConcaveCurve(degree=1).ev_mixture(torch.rand(1, 3, 16, 16))


def test_gradients_of_the_curve_agree_with_finite_differences():
    q = torch.rand(1, 1, 255, dtype=torch.float64, requires_grad=True)
    probe = torch.rand(1, 1, 256, dtype=torch.float64)

    def value(bends):
        return (integral.normalise(integral.integrate(bends)) * probe).sum()

    assert torch.autograd.gradcheck(value, q, eps=1e-4, atol=1e-7)


def test_gradients_reach_the_network_and_the_picture():
    model = a_curve()
    image = torch.rand(1, 3, 20, 20, requires_grad=True)
    model(image).square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert image.grad.abs().max() > 0


def test_a_dead_channel_becomes_the_identity():
    model = ConcaveCurve()
    torch.nn.init.constant_(model.head.bias, -1.0)
    image = torch.rand(2, 3, 8, 8)
    assert model.dead(image).all()
    torch.testing.assert_close(model(image), image)


def test_the_mixture_of_gains_gives_the_curve_back():
    model = a_curve(3)
    image = torch.rand(2, 3, 24, 24) * 0.2
    ev, mixture = model.ev_mixture(image)
    gains = (torch.arange(256)[:, None] / torch.arange(1, 256)[None]).clamp(max=1)
    torch.testing.assert_close(mixture @ gains.T, model.curve(image), atol=1e-4, rtol=0)
    assert ev[0] == pytest.approx(np.log2(255))
    assert ev[-1] == 0


def test_the_mixture_of_one_clipped_gain_is_that_gain():
    table = classical.tone_curve("gain", 255 / 51)  # white is reached at level 51
    ev, mixture = integral.ev_mixture(table)
    assert ev[mixture.argmax()] == pytest.approx(np.log2(5))
    assert mixture.max() > 0.999


@pytest.mark.parametrize("channels", ["rgb", "shared"])
@pytest.mark.parametrize("downsample", ["area", "nearest"])
@pytest.mark.parametrize("shape", [(37, 50), (600, 1100)])
def test_tables_and_tensors_agree_exactly_on_8_bits(channels, downsample, shape):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    model = a_curve(1, channels=channels, downsample=downsample)
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        tensor = (model(image)[0].permute(1, 2, 0) * 255).round().byte().numpy()
    assert np.array_equal(lut.enhance_array(model, picture), tensor)


def test_16_bits_follow_the_straight_lines_between_levels():
    model = a_curve(1)
    picture = np.random.default_rng(0).integers(0, 65536, (30, 40, 3), dtype=np.uint16)
    curve = lut.curve_of(model, picture)
    image = torch.from_numpy(picture.astype(np.int32)).permute(2, 0, 1)[None].float() / 65535
    tensor = integral.apply_curve(image, curve[None])[0].permute(1, 2, 0).numpy() * 65535
    assert np.abs(lut.apply_lut(picture, curve) - tensor).max() <= 40  # a share of 1e-3 is snapped


def test_without_opencv_the_tables_are_applied_all_the_same(monkeypatch):
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    curve = a_curve(1).curve(torch.rand(1, 3, 16, 16)).detach()[0]
    pytest.importorskip("cv2")
    quick = lut.apply_lut(picture, curve)
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    assert np.array_equal(lut.apply_lut(picture, curve), quick)
    assert np.array_equal(lut.apply_lut(picture, curve[:1]), quick) == bool(
        (curve[0] == curve).all()
    )


def test_luma_keeps_the_ratio_of_channels():
    picture = np.full((4, 4, 3), (20, 40, 10), np.uint8)
    out = lut.apply_luma(picture, classical.tone_curve("hyperbola", 0.1)[None])
    assert out[0, 0, 1] > 80
    np.testing.assert_allclose(out[0, 0] / out[0, 0, 1], [0.5, 1, 0.25], atol=0.02)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, 1.5, 2.0])
def test_strength_goes_from_nothing_beyond_the_curve_and_stays_concave(strength):
    curve = classical.tone_curve("hyperbola", 0.2)[None]
    mixed = lut.blend(curve, strength)
    assert mixed[0, 0] == 0
    assert mixed[0, -1] == pytest.approx(1)
    assert (mixed.diff().diff() <= 1e-6).all()
    assert (mixed[0, 128] - IDENTITY[128]) == pytest.approx(
        {0.0: 0, 0.5: 0.5, 1.0: 1}.get(strength, 1.25) * float(curve[0, 128] - IDENTITY[128]),
        rel=0.3,
    )


def test_dither_moves_by_at_most_the_neighbouring_levels():
    picture = np.full((64, 64, 3), 30, np.uint8)
    model = a_curve(2, channels="shared")
    curve = lut.curve_of(model, picture)[0] * 255
    out = lut.enhance_array(model, picture, dither=True)
    assert len(np.unique(out)) > 1
    assert out.min() >= curve[29] - 1
    assert out.max() <= curve[31] + 1


def test_a_tracker_smooths_curves_and_predicts_every_nth_frame():
    model = a_curve(1, channels="shared")
    frames = [np.full((20, 20, 3), level, np.uint8) for level in (20, 200, 200, 200)]
    tracker = lut.CurveTracker(model, alpha=0.25, every=2)
    curves = [tracker.step(frame) for frame in frames]
    assert torch.equal(curves[0], curves[1])
    first, third = lut.curve_of(model, frames[0]), lut.curve_of(model, frames[2])
    torch.testing.assert_close(curves[2], first + 0.25 * (third - first))
    tracker.reset()
    torch.testing.assert_close(tracker.step(frames[2]), third)


def test_a_clip_gets_one_curve():
    model = a_curve(1)
    clip = torch.rand(2, 4, 3, 16, 20) * 0.3
    out = model.forward_clip(clip)
    tall = clip.transpose(1, 2).flatten(2, 3)
    expected = integral.apply_curve(clip[:, 2], model.curve(tall))
    torch.testing.assert_close(out[:, 2], expected)


def test_weights_come_back_with_their_options(tmp_path):
    model = a_curve(5, channels="shared", degree=3, downsample="nearest")
    model.save(tmp_path / "c.safetensors", {"data": "none"})
    again = ConcaveCurve.load(tmp_path / "c.safetensors")
    image = torch.rand(1, 3, 20, 20)
    assert again.config == model.config
    assert again.card == {"data": "none"}
    assert torch.equal(again(image), model(image))


def test_the_shipped_curve_loads_and_brightens_dark_pictures_only():
    model = ConcaveCurve.load("people")
    assert model.config["channels"] == "shared"
    assert model.card["command"]
    torch.manual_seed(0)
    scene = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12), 96, mode="bilinear")
    dark = integral.ev_push(model.curve(scene * 0.08))
    bright = integral.ev_push(model.curve(scene))
    assert dark > bright + 1
    assert bright < 0.7
    assert 0.25 < float(model(scene * 0.08).mean().detach()) < 0.7


@pytest.mark.parametrize("options", [{}, {"channels": "shared", "degree": 3}])
def test_the_onnx_file_predicts_the_same_curve(tmp_path, options):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from foveate.lowlight.sacc.onnx_file import export_onnx

    model = a_curve(4, **options)
    export_onnx(model, tmp_path / "curve.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "curve.onnx"))
    for small in (torch.rand(1, 3, 16, 16), torch.zeros(1, 3, 16, 16)):
        (found,) = session.run(None, {"small": small.numpy()})
        expected = model.curve(small).detach().expand(1, 3, 256)
        assert np.abs(found - expected.numpy()).max() < 1e-5
    torch.nn.init.constant_(model.head.weight, 0.0)
    torch.nn.init.constant_(model.head.bias, -1.0)  # dead
    export_onnx(model, tmp_path / "dead.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "dead.onnx"))
    (found,) = session.run(None, {"small": np.random.rand(1, 3, 16, 16).astype(np.float32)})
    assert np.abs(found[0, 0] - IDENTITY.numpy()).max() < 1e-5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"channels": "hsv"}, "channels is 'hsv'; expected one of rgb, shared"),
        ({"degree": 4}, "degree is 4; expected one of 1, 2, 3"),
        ({"downsample": "cubic"}, "downsample is 'cubic'; expected one of area, nearest"),
        ({"width": 0}, "width is 0; expected at least 1"),
    ],
)
def test_bad_options_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        ConcaveCurve(**options)


def test_bad_pictures_are_named():
    with pytest.raises(ValueError, match=r"image is \[1, 4, 8, 8\]; expected \[B, 3, H, W\]"):
        ConcaveCurve()(torch.rand(1, 4, 8, 8))
    with pytest.raises(TypeError, match="picture is float32; expected a numpy array of uint8"):
        lut.enhance_array(ConcaveCurve(), np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"picture is \[4, 4\]; expected \[H, W, 3\]"):
        lut.enhance_array(ConcaveCurve(), np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match='no curve "nobody"; expected one of people'):
        ConcaveCurve.load("nobody")
