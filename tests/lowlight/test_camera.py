"""Camera, mosaic, response and RAW files: the way there and back."""

import pytest
import torch

from foveate.lowlight import mosaic, response
from foveate.lowlight.isp import Camera
from foveate.lowlight.raw import read_raw, write_dng


def smooth(height=48, width=64, low=0.05, high=0.9, batch=1):
    """A colourful picture of mid-tones without detail finer than the mosaic."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    waves = torch.stack([x, y, (x + y) / 2]) * 0.5 + 0.25 * torch.sin(3 * x * y + 1)
    waves = (waves - waves.min()) / (waves.max() - waves.min())
    return (low + (high - low) * waves).expand(batch, 3, height, width).clone()


@pytest.mark.parametrize("base", response.BASES)
@pytest.mark.parametrize("contrast", [0.0, 1e-4, 0.3, 0.8, 1.0])
def test_response_and_its_inverse_cancel(base, contrast):
    y = torch.linspace(0, 1, 4001)
    assert (response.encode(response.decode(y, contrast, base), contrast, base) - y).abs().max() < (
        2e-4 if contrast in (1e-4, 1.0) else 5e-5
    )
    x = torch.linspace(0, 1, 4001, dtype=torch.float64)
    up = response.encode(x, contrast, base).diff()
    assert (up > 0).all()


def test_only_a_pure_power_turns_light_into_codes_by_one_factor():
    x = torch.linspace(0.01, 0.2, 50)
    for base, contrast, same in (("power", 0.0, True), ("srgb", 0.0, False), ("power", 0.5, False)):
        factor = response.encode(4 * x, contrast, base) / response.encode(x, contrast, base)
        assert ((factor.max() - factor.min()) < 1e-3) is same or (
            bool((factor.max() - factor.min()) < 1e-3) == same
        )


@pytest.mark.parametrize("seed", range(3))
def test_inverse_and_forward_camera_give_the_picture_back(seed):
    generator = torch.Generator().manual_seed(seed)
    camera = Camera.draw(4, generator)
    srgb = smooth(batch=4)
    # within the camera's range: a picture brighter than its white cannot come back
    srgb = camera.encode(camera.decode(srgb) * 0.6)
    back = camera.develop(camera.unprocess_rgb(srgb))
    inside = (camera.unprocess_rgb(srgb) * camera.gains()).amax(1, keepdim=True) < 1
    assert inside.float().mean() > 0.9
    assert ((back - srgb).abs() * inside).max() <= 1 / 255


def test_a_picture_survives_the_mosaic():
    camera = Camera.draw(2, torch.Generator().manual_seed(5))
    srgb = smooth(96, 128, 0.1, 0.6, batch=2)
    back = camera.render(camera.unprocess(srgb), bits=None)
    assert (back - srgb)[..., 2:-2, 2:-2].abs().mean() < 1 / 255


def test_grey_stays_grey_and_white_does_not_turn_pink():
    camera = Camera.draw(3, torch.Generator().manual_seed(1))
    grey = torch.full((3, 3, 4, 4), 0.4)
    linear = camera.to_srgb(camera.unprocess_rgb(grey) * camera.gains())
    assert (linear - linear.mean(1, keepdim=True)).abs().max() < 1e-5
    white = torch.ones(3, 3, 4, 4)
    assert camera.unprocess_rgb(white, safe=True).min() > 0.99
    assert camera.unprocess_rgb(white).max() < 0.95


@pytest.mark.parametrize("cfa", mosaic.PHASES)
def test_pack_and_unpack_are_inverse_in_every_phase(cfa):
    values = torch.randn(2, 10, 14)
    packed = mosaic.pack(values, cfa)
    assert torch.equal(mosaic.unpack(packed, cfa), values)
    # the planes hold the colours that they are named after
    letters = torch.tensor([ord(c) for c in cfa]).reshape(2, 2).repeat(5, 7)
    assert "".join(chr(p[0, 0]) for p in mosaic.pack(letters, cfa)) == "RGGB"
    assert (mosaic.pack(letters, cfa) == mosaic.pack(letters, cfa)[:, :1, :1]).all()
    row_of_red = cfa.index("R") // 2
    assert torch.equal(packed[:, 1, 0], values[:, row_of_red][:, 1 - cfa.index("R") % 2 :: 2])


@pytest.mark.parametrize("cfa", mosaic.PHASES)
@pytest.mark.parametrize("dim", [-1, -2])
def test_flips_and_crops_keep_the_phase(cfa, dim):
    letters = torch.tensor([ord(c) for c in cfa]).reshape(2, 2).repeat(4, 5)
    turned = mosaic.flip(letters, dim)
    assert torch.equal(turned[:2, :2], letters[:2, :2])
    cropped = mosaic.to_rggb(letters, cfa)
    assert "".join(chr(v) for v in cropped[:2, :2].flatten()) == "RGGB"
    values = torch.arange(80.0).reshape(8, 10)
    assert torch.equal(
        mosaic.flip(mosaic.flip(values, dim), dim), values.narrow(dim, 2, values.shape[dim] - 4)
    )


def test_demosaic_fills_flat_colour_exactly_and_keeps_sites():
    flat = torch.tensor([0.2, 0.5, 0.5, 0.8]).reshape(1, 4, 1, 1).expand(1, 4, 5, 7)
    assert torch.allclose(
        mosaic.demosaic(flat),
        torch.tensor([0.2, 0.5, 0.8]).reshape(1, 3, 1, 1).expand(1, 3, 10, 14),
    )
    packed = torch.rand(2, 4, 6, 8)
    assert torch.allclose(mosaic.sample(mosaic.demosaic(packed)), packed, atol=1e-6)
    assert torch.equal(mosaic.bin_cells(packed)[:, 1], (packed[:, 1] + packed[:, 2]) / 2)


def test_odd_sizes_and_other_mosaics_are_refused():
    with pytest.raises(ValueError, match="5 × 4; expected even"):
        mosaic.pack(torch.zeros(5, 4))
    with pytest.raises(ValueError, match="no Bayer pattern"):
        mosaic.sites("GBRGRB")
    with pytest.raises(ValueError, match="has 3 planes"):
        mosaic.unpack(torch.zeros(3, 2, 2))


def test_camera_travels_as_json():
    camera = Camera.draw(3, torch.Generator().manual_seed(9))
    again = Camera.from_parameters(camera.parameters())
    assert torch.allclose(again.ccm, camera.ccm)
    assert torch.equal(again.at(1).wb, camera.at(1).wb)
    assert again.base == "srgb"


@pytest.mark.parametrize("cfa", mosaic.PHASES)
def test_dng_is_read_back_exactly_with_its_exposure_time(tmp_path, cfa):
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(0, 15000, (4, 40, 60), generator=generator)
    camera = Camera.draw(1, generator).at(0)
    write_dng(tmp_path / "a.dng", codes / 15871, camera, exposure=1 / 30, iso=3200, cfa=cfa)
    file = read_raw(tmp_path / "a.dng")
    assert file.exposure == pytest.approx(1 / 30, rel=1e-4)
    assert file.iso == 3200
    assert file.black == (512.0,) * 4
    assert file.white == 16383
    found = (file.packed[0] * 15871).round().long()
    row, column = divmod(cfa.index("R"), 2)
    expected = mosaic.pack(mosaic.to_rggb(mosaic.unpack(codes, cfa), cfa))
    assert found.shape[-2:] == (40 - row, 60 - column)
    assert torch.equal(found, expected)
    assert torch.allclose(file.camera.wb, camera.wb, rtol=1e-3)
    assert torch.allclose(file.camera.ccm, camera.ccm, atol=5e-3)


def test_raw_files_that_cannot_be_read_say_so(tmp_path):
    pytest.importorskip("rawpy")
    with pytest.raises(FileNotFoundError, match="no such RAW"):
        read_raw(tmp_path / "none.dng")
    (tmp_path / "text.dng").write_text("not a photograph")
    with pytest.raises(ValueError, match="cannot be read as RAW"):
        read_raw(tmp_path / "text.dng")
    with pytest.raises(ValueError, match=r"expected \[4, h, w\]"):
        write_dng(tmp_path / "b.dng", torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match="black 900"):
        write_dng(tmp_path / "b.dng", torch.zeros(4, 4, 4), black=900, white=800)


def test_xtrans_is_refused_with_a_way_out(monkeypatch, tmp_path):
    rawpy = pytest.importorskip("rawpy")
    import numpy

    class Fuji:
        raw_pattern, color_desc = numpy.zeros((6, 6), int), b"RGBG"

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(rawpy, "imread", lambda path: Fuji())
    (tmp_path / "x.raf").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"6 × 6 mosaic .*only Bayer files are read yet"):
        read_raw(tmp_path / "x.raf")
