"""Enhancing pictures: methods, options, tiles, noise, tensors."""

from __future__ import annotations

import numpy as np
import pytest

for needed in ("cv2", "PIL"):
    pytest.importorskip(needed)

import torch  # noqa: E402

from foveate.lowlight import Enhancer, Picture, denoise, enhance, tone  # noqa: E402
from foveate.lowlight.names import METHODS  # noqa: E402

from .samples import dark, psnr, scene  # noqa: E402

UNTRAINED = [name for name in METHODS if name not in ("sacc", "reenet")]


@pytest.fixture(scope="module")
def night() -> np.ndarray:
    return dark(scene(), ratio=20, noise=4e-4)


@pytest.mark.parametrize("method", UNTRAINED)
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_every_method_brightens_and_keeps_shape_and_depth(night, method, depth):
    pixels = night if depth == np.uint8 else night.astype(np.uint16) * 257
    done = Enhancer(method).picture(Picture(pixels))
    assert done.picture.pixels.dtype == depth
    assert done.picture.pixels.shape == pixels.shape
    assert done.facts["after"]["mean"] > done.facts["before"]["mean"]
    assert np.array_equal(pixels, night if depth == np.uint8 else night.astype(np.uint16) * 257)


def test_lift_comes_close_to_the_scene_as_it_was():
    clean = scene()
    picture = Picture(dark(clean, 20, 1e-3))
    done = Enhancer().picture(picture).picture.pixels / 255
    noisy = Enhancer(denoise=0).picture(picture).picture.pixels / 255
    assert psnr(done, clean) > 22
    assert psnr(done, clean) > psnr(noisy, clean) + 1


def test_a_bright_picture_stays_as_it_is():
    pixels = np.rint(scene() * 255).astype(np.uint8)
    done = Enhancer().picture(Picture(pixels))
    assert done.facts["ev"] == 0
    assert np.abs(done.picture.pixels.astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("method", UNTRAINED)
def test_strength_0_changes_nothing_and_more_is_brighter(night, method):
    make = lambda strength: (  # noqa: E731
        Enhancer(method, strength=strength, denoise=0).picture(Picture(night)).picture.pixels
    )
    assert np.abs(make(0.0).astype(int) - night).max() <= 1
    means = [make(strength).mean() for strength in (0.0, 0.5, 1.0, 2.0)]
    assert means == sorted(means)
    assert means[2] > means[1] + 1


def test_ev_pushes_by_that_many_stops():
    light = np.full((64, 64, 3), 0.01, np.float32)
    pixels = np.rint(tone.to_code(light) * 65535).astype(np.uint16)
    pixels[:8] = 65535  # white, so that only the shadows can be opened
    pixels[8:16] = 0  # black, so that no light counts as a floor of noise
    done = Enhancer(ev=3, denoise=0).picture(Picture(pixels)).picture.pixels
    out = tone.to_linear(done[40, 40].astype(np.float32) / 65535)
    assert np.log2(out.mean() / 0.01) == pytest.approx(3, abs=0.15)


def test_luma_keeps_hue_and_shared_does_not():
    pixels = np.full((32, 32, 3), (60, 20, 20), np.uint8)
    make = lambda channels: (  # noqa: E731
        Enhancer("gamma", channels=channels, denoise=0)
        .picture(Picture(pixels))
        .picture.pixels[0, 0]
    )
    luma, shared = make("luma").astype(float), make("shared").astype(float)
    assert luma[0] / luma[1] == pytest.approx(3, rel=0.03)
    assert shared[0] / shared[1] < 2
    assert np.array_equal(make("rgb"), make("shared"))  # gamma is the same for all


def test_tiles_leave_no_seams(monkeypatch):
    pixels = dark(scene(400, 520), 20, 4e-4)
    whole = Enhancer().picture(Picture(pixels)).picture.pixels
    monkeypatch.setattr(
        enhance, "tiles", lambda size, margin=0, cut=enhance.tiles: cut(size, margin, 160)
    )
    tiled = Enhancer().picture(Picture(pixels)).picture.pixels
    assert np.abs(whole.astype(int) - tiled).max() <= 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_picture():
    import subprocess
    import sys

    code = """
import resource, sys, numpy as np
from foveate.lowlight import Enhancer, Picture
side = int(sys.argv[1])
pixels = np.random.default_rng(0).integers(0, 30, (side, side, 3), dtype=np.uint8)
done = Enhancer().picture(Picture(pixels))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - 2 * pixels.nbytes / 2**20)
"""
    beyond = [
        float(subprocess.check_output([sys.executable, "-c", code, str(side)]))
        for side in (2400, 4800)  # both have tiles enough for every thread
    ]
    assert beyond[1] < beyond[0] + 120  # MiB; a float32 copy has 66 and 264


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (7, 9), (63, 33)])
@pytest.mark.parametrize("method", UNTRAINED)
def test_tiny_pictures(shape, method):
    pixels = np.full((*shape, 3), 12, np.uint8)
    out = Enhancer(method).picture(Picture(pixels)).picture.pixels
    assert out.shape == pixels.shape


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay(value):
    pixels = np.full((40, 40, 3), value, np.uint8)
    assert np.array_equal(Enhancer().picture(Picture(pixels)).picture.pixels, pixels)


def test_grey_stays_grey(night):
    grey = np.repeat(night[..., 1:2], 3, axis=-1)
    out = Enhancer().picture(Picture(grey)).picture.pixels.astype(int)
    assert np.abs(out - out[..., :1]).max() <= 1


def test_tensors_in_tensors_out():
    image = torch.from_numpy(dark(scene(), 20).astype(np.float32) / 255).permute(2, 0, 1)
    one = Enhancer()(image)
    batch = Enhancer()(torch.stack([image, image.flip(2)]).double())
    assert one.shape == image.shape
    assert one.dtype == torch.float32
    assert batch.dtype == torch.float64
    assert torch.allclose(batch[0].float(), one, atol=1e-4)
    assert one.mean() > 2 * image.mean()
    with pytest.raises(ValueError, match=r"expected float \[B, 3, H, W\]"):
        Enhancer()(torch.zeros(2, 4, 8, 8))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "magic"}, "unknown method"),
        ({"strength": 3}, "strength is 3"),
        ({"denoise": -1}, "denoise is -1"),
        ({"ev": 11}, "ev is 11"),
        ({"method": "gamma", "ev": 1}, "use strength"),
        ({"method": "lift", "channels": "rgb"}, "keeps hue"),
        ({"method": "gamma", "channels": "cmyk"}, "expected one of luma"),
        ({"method": "gamma", "weights": "x"}, "leave them out"),
        ({"method": "sacc", "weights": "/nowhere"}, "/nowhere"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, says):
    with pytest.raises(ValueError, match=says) as caught:
        Enhancer(**options)
    assert "\n" not in str(caught.value)


def test_noise_is_measured_and_taken_out():
    rng = np.random.default_rng(0)
    clean = np.stack([np.full((512, 512), v, np.float32) for v in (0.3, 0.35, 0.4)], -1)
    noisy = (clean + rng.normal(0, 0.03, clean.shape)).astype(np.float32)
    noise = denoise.measure(noisy)
    # the brightness channel is the mean of three, and its finest level holds 0.944 of white noise
    expected = 0.03 / np.sqrt(3) * 0.944
    assert noise.deviation[0, 0, 2] == pytest.approx(expected, rel=0.15)
    assert psnr(denoise.apply(noisy, noise), clean) > psnr(noisy, clean) + 12


def test_texture_is_not_taken_for_noise():
    # a forest lost its leaves once: texture everywhere was read as noise
    rng = np.random.default_rng(0)
    leaves = np.zeros((512, 512), np.float32)
    for side in (128, 64, 32):
        spots = rng.normal(0, 0.05, (side, side)).astype(np.float32)
        import cv2

        leaves += cv2.resize(spots, (512, 512), interpolation=cv2.INTER_CUBIC)
    forest = np.clip(0.35 + leaves, 0, 1)[..., None] * np.array([0.6, 1.0, 0.5], np.float32)
    done = denoise.apply(forest, denoise.measure(forest))
    assert psnr(done, forest) > 38


def test_edges_survive_denoising():
    rng = np.random.default_rng(1)
    clean = np.full((256, 256, 3), 0.3, np.float32)
    clean[:, 128:] = 0.7
    noisy = (clean + rng.normal(0, 0.03, clean.shape)).astype(np.float32)
    done = denoise.apply(noisy, denoise.measure(noisy)).mean(axis=(0, 2))
    assert done[126] < 0.36
    assert done[129] > 0.64


def test_decisions_blend_in_stops(night):
    small = enhance.thumbnail(night)
    one, two = tone.decide(small, 0.3), tone.decide(small, 1.0)
    assert one.blended(two, 0.0).ev == pytest.approx(one.ev, abs=1e-6)
    assert one.blended(two, 1.0).ev == pytest.approx(two.ev, abs=1e-6)
    assert one.blended(two, 0.5).ev == pytest.approx((one.ev + two.ev) / 2, abs=1e-6)


def test_sacc_uses_the_curve_of_its_file(tmp_path, night):
    pytest.importorskip("safetensors")
    from foveate.lowlight.sacc.curve import ConcaveCurve
    from foveate.lowlight.sacc.lut import curve_of

    torch.manual_seed(0)
    model = ConcaveCurve(channels="shared")
    model.save(tmp_path / "curve.safetensors")
    enhancer = Enhancer("sacc", denoise=0, weights=str(tmp_path / "curve.safetensors"))
    out = enhancer.picture(Picture(night)).picture.pixels
    curve = curve_of(model.eval(), night)[0].numpy()
    assert np.abs(out.astype(int) - np.rint(curve[night] * 255)).max() <= 1


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    pytest.importorskip("safetensors")
    from foveate.lowlight.reenet import REENet
    from foveate.lowlight.reenet.network import Config, Guided

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    small = (4, 4, 4)
    REENet(Guided(Config(unprocess=small, reconstruct=small, process=small))).save(path)
    return str(path)


def test_reenet_exposes_all_tiles_alike_and_follows_ev(night, network, monkeypatch):
    make = lambda **options: (  # noqa: E731
        Enhancer("reenet", denoise=0, weights=network, **options).picture(Picture(night))
    )
    done = make(ev=4.0)
    assert done.facts["ev"] == 4
    assert make(ev=2.0).facts["after"]["mean"] < done.facts["after"]["mean"]
    assert np.array_equal(make(strength=0.0).picture.pixels, night)
    monkeypatch.setattr(
        enhance, "tiles", lambda size, margin=0, cut=enhance.tiles: cut(size, margin, 128)
    )
    tiled = make(ev=4.0).picture.pixels
    inner = np.abs(tiled.astype(int) - done.picture.pixels)
    assert inner.max() <= 2


def test_reenet_takes_raw_as_it_is(tmp_path, network):
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    from foveate.lowlight.raw import write_dng

    write_dng(tmp_path / "a.dng", torch.full((4, 32, 48), 0.01), exposure=0.01)
    before, done = Enhancer("reenet", ev=4.0, weights=network).file(tmp_path / "a.dng")
    assert done.facts["ev"] == 4
    assert done.picture.pixels.dtype == np.uint16
    assert done.picture.pixels.mean() > before.pixels.mean()


@pytest.mark.parametrize("ratio", [10.0, 40.0])
def test_a_photograph_taken_in_the_dark_by_the_simulated_camera(ratio):
    data = pytest.importorskip("skimage.data")
    from foveate.lowlight.pairs import low_light

    photo = torch.from_numpy(data.stereo_motorcycle()[0]).permute(2, 0, 1)[:, 100:356, 200:584]
    pair, _ = low_light(photo, ratio, seed=5)
    dark_one = pair.short[0].mul(255).round().byte().permute(1, 2, 0).numpy()
    light = pair.long[0].permute(1, 2, 0).numpy()
    done = Enhancer().picture(Picture(dark_one)).picture.pixels / 255
    noisy = Enhancer(denoise=0).picture(Picture(dark_one)).picture.pixels / 255
    assert psnr(done, light) > psnr(dark_one / 255, light) + 5
    assert psnr(done, light) > psnr(noisy, light)
    assert psnr(done, light) > 16
