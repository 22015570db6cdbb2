"""The network after REENet: exposure, tiles, training, and what ships."""

import pytest
import torch

from foveate.lowlight.isp import Camera
from foveate.lowlight.pairs import LowLight, Source
from foveate.lowlight.reenet import model as model_file
from foveate.lowlight.reenet.control import PlainUNet
from foveate.lowlight.reenet.losses import Guide, raws
from foveate.lowlight.reenet.model import REENet
from foveate.lowlight.reenet.network import Config, Guided
from foveate.lowlight.reenet.tiles import tiled
from foveate.lowlight.reenet.training import fit, fit_plain
from foveate.lowlight.unet import UNet, parameters, widths_for

SMALL = Config((4, 8), (4, 8), (4, 8))
BRIDGED = Config((4, 8), (4, 8), (4, 8), bridge=True)


def scene(height=64, width=96):
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    return torch.stack([0.2 + 0.5 * x, 0.3 + 0.4 * y, 0.6 - 0.3 * x * y])[None]


def photos():
    return [(scene(48, 64)[0].roll(k, 0) * 255).byte() for k in range(3)]


def shaken(config=SMALL, seed=0):
    """A network whose residuals are not zero."""
    torch.manual_seed(seed)
    network = Guided(config).eval()
    for body in (network.unprocess.body, network.reconstruct.body, network.process.body):
        torch.nn.init.normal_(body.last.weight, std=0.02)
    return network


@pytest.mark.parametrize("config", [SMALL, BRIDGED], ids=["plain", "bridge"])
def test_untrained_it_is_the_analytic_camera_at_another_exposure(config):
    # with E = identity and exact U and P, the output for k is the rendering of k·R_s
    camera = Camera.mean(contrast=0.5)
    network = Guided(config).eval()
    long = camera.encode(camera.decode(scene()) * 0.5)
    for k in (1.0, 4.0, 32.0):
        raw = camera.unprocess(long) * camera.plane_gains() / k
        dark = camera.encode(camera.decode(long) / k)
        ratio = torch.tensor([k])
        assert (network.unprocess(dark) - raw).abs().max() * k < 1e-3
        expected = network.process.render(k * raw)
        assert (network(dark, ratio) - expected).abs().max() <= 1 / 255
        assert (network.from_raw(raw, ratio) - expected).abs().max() < 1e-4


def test_guides_are_after_gains_and_scaled_by_the_ratio():
    pair = Source(photos(), patch=32, batch=3)(0)
    clean, true = raws(pair, "clean")
    noisy, _ = raws(pair, "noisy")
    assert torch.allclose(clean * pair.ratio.reshape(-1, 1, 1, 1), true)
    assert true.max() <= 1
    assert torch.allclose(noisy, pair.short_raw * pair.camera.plane_gains())
    with pytest.raises(ValueError, match="unknown guide"):
        Guide("blurred")


def test_the_control_is_at_least_as_large_and_knows_the_ratio():
    size = parameters(Guided())
    plain = PlainUNet(size)
    assert size <= plain.size() < 1.12 * size
    assert widths_for(1000, 8, 12)[0] >= 4
    dark = scene() * 0.2
    bright = plain.eval()(dark, torch.tensor([16.0]))
    assert bright.mean() > 2 * dark.mean()
    with pytest.raises(ValueError, match="unknown base"):
        PlainUNet(100, "log")


@pytest.mark.parametrize("size", [(16, 24), (17, 23), (5, 9)])
def test_a_unet_takes_any_size(size):
    net = UNet(3, 5, (4, 8, 16), zero=False)
    assert net(torch.rand(2, 3, *size)).shape == (2, 5, *size)


def test_training_improves_on_the_analytic_pipeline_and_goes_on_after_a_stop(tmp_path):
    source = Source(photos(), LowLight(ratios=(8, 64)), patch=32, batch=4, seed=1)
    steps = {"unprocess": 5, "reconstruct": 5, "process": 3, "joint": 40}
    network = fit(source, SMALL, steps=steps, folder=tmp_path, seed=0, quiet=True)
    pair = source.make(24, 12345)
    start = Guided(SMALL).eval()
    with torch.no_grad():
        before = (start(pair.short, pair.ratio) - pair.long).abs().mean()
        after = (network(pair.short, pair.ratio) - pair.long).abs().mean()
    assert after < 0.98 * before
    again = fit(source, SMALL, steps=steps, folder=tmp_path, seed=0, quiet=True)
    for a, b in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    plain = fit_plain(source, 2000, 3, seed=0, quiet=True)
    assert not plain.training
    with pytest.raises(ValueError, match="unknown stage"):
        fit(source, SMALL, steps={"colour": 3})


def test_tiles_are_the_picture():
    model = REENet(shaken(Config((8, 16, 32), (8, 16, 32), (8, 16, 32))))
    picture = (
        torch.nn.functional.interpolate(
            torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(3)), size=(301, 420)
        )
        * 0.1
    )
    whole = model.enhance(picture, ratio=10, tile=512)
    parts = model.enhance(picture, ratio=10, tile=128)
    assert whole.shape == picture.shape
    assert (whole - parts).abs().max() <= 1 / 255
    with pytest.raises(ValueError, match="multiples of 8"):
        tiled(lambda x: x, picture, tile=100)


def test_exposure_is_a_ratio_or_stops_or_by_brightness():
    model = REENet(shaken())
    dark = scene() * 0.15
    assert torch.equal(model.enhance(dark, ratio=8), model.enhance(dark, ev=3))
    assert model.enhance(dark[0], ev=3).shape == dark[0].shape
    low, high = model.auto_ratio(dark), model.auto_ratio(dark / 2)
    assert 1 < low < high <= 300
    assert torch.equal(model.enhance(dark, ev="auto"), model.enhance(dark))
    for wrong, message in (
        ({"ratio": 2.0, "ev": 1}, "give one of them"),
        ({"ratio": -1.0}, "positive"),
        ({"ev": "much"}, '"auto"'),
    ):
        with pytest.raises(ValueError, match=message):
            model.enhance(dark, **wrong)
    with pytest.raises(ValueError, match="expected floats"):
        model.enhance(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_weights_travel_with_their_sizes(tmp_path):
    pytest.importorskip("safetensors")
    model = REENet(shaken(BRIDGED), {"name": "test"})
    model.save(tmp_path / "w.safetensors")
    again = REENet.load(tmp_path / "w.safetensors")
    assert again.network.config == BRIDGED
    assert again.about["name"] == "test"
    dark = scene() * 0.1
    assert (again.enhance(dark, ratio=9) - model.enhance(dark, ratio=9)).abs().max() < 0.02
    with pytest.raises(FileNotFoundError, match="no weights"):
        REENet.load(tmp_path / "none.safetensors")


def test_a_raw_file_passes_the_network_by_its_own_door(tmp_path):
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    from foveate.lowlight.raw import write_dng

    camera = Camera.mean()
    bright = camera.encode(camera.decode(scene()) * 0.5)
    raw = camera.unprocess(bright) / 8
    write_dng(tmp_path / "dark.dng", raw, camera, exposure=0.01)
    model = REENet(Guided(SMALL))
    found = model.enhance_raw(tmp_path / "dark.dng", ratio=8 * float(camera.gain))
    assert found.shape == (3, 64, 96)
    assert (
        found - model.network.process.render(raw * camera.plane_gains() * 8)[0]
    ).abs().max() < 0.02


@pytest.mark.skipif(not model_file.SHIPPED.exists(), reason="no weights ship yet")
def test_the_weights_that_ship_brighten_and_stay_small():
    pytest.importorskip("safetensors")
    assert model_file.SHIPPED.stat().st_size < 2_000_000
    model = REENet.load()
    camera = Camera.mean()
    bright = camera.encode(camera.decode(scene()) * 0.5)
    dark = camera.encode(camera.decode(bright) / 16)
    dark = (dark * 255).round() / 255
    found = model.enhance(dark, ratio=16)
    assert (found - bright).abs().mean() < 0.06
    assert 4 < float(model.auto_ratio(dark)) < 64
