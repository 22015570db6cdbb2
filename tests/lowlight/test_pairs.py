"""Exposure pairs: what is in them, that seeds hold, and users' own RAW folders."""

import json

import pytest
import torch

from foveate.lowlight.metrics import ms_ssim, psnr, ssim
from foveate.lowlight.pairs import LowLight, Source, fixed_crops, low_light
from foveate.lowlight.raw_pairs import RawFolder, RawSource, crop
from foveate.lowlight.sensor import SensorNoise


def photos(count=3, size=64):
    generator = torch.Generator().manual_seed(8)
    small = torch.rand(count, 3, 6, 6, generator=generator)
    big = torch.nn.functional.interpolate(small, size=(size, size + 16), mode="bicubic")
    return [(x.clamp(0, 1) * 255).byte() for x in big]


def test_a_pair_holds_the_same_scene_at_two_exposures():
    pair, _ = low_light(
        photos()[0], 8, seed=1, simulator=LowLight(noise=SensorNoise(gains=(0.1, 0.1)))
    )
    assert pair.short.shape == pair.long.shape == (1, 3, 64, 80)
    assert pair.short_raw.shape == (1, 4, 32, 40)
    ratio = pair.long_raw.mean() / pair.short_raw.mean()
    assert float(ratio) == pytest.approx(8, rel=0.01)
    for file, raw in ((pair.short, pair.short_raw), (pair.long, pair.long_raw)):
        assert torch.equal(file, pair.camera.render(raw))
        assert (file * 255 - (file * 255).round()).abs().max() < 1e-4
    assert psnr(pair.long, photos()[0][None] / 255) > 25  # the long exposure is the photograph


def test_what_made_a_pair_makes_it_again():
    pair, told = low_light(photos()[1], 40, seed=3, simulator=LowLight(jpeg=90, ratios=(2, 50)))
    told = json.loads(json.dumps(told))
    again, _ = low_light(
        photos()[1], told["ratio"], told["seed"], LowLight.from_parameters(told["simulator"])
    )
    assert torch.equal(again.short, pair.short)
    assert torch.equal(again.short_raw, pair.short_raw)
    assert told["gain"] == pytest.approx(float(pair.gain))
    other, _ = low_light(photos()[1], 40, seed=4)
    assert not torch.equal(other.short_raw, pair.short_raw)


def test_a_source_is_a_function_of_the_step():
    source = Source(photos(), patch=32, batch=4, seed=2, ahead=3)
    first, later = source(1), source(7)
    again = Source(photos(), patch=32, batch=4, seed=2, ahead=3)
    assert torch.equal(again(7).short_raw, later.short_raw)
    assert torch.equal(again(1).short, first.short)
    assert not torch.equal(first.short, later.short)
    assert len(first) == 4
    assert first.ratio.min() >= 3
    assert first.ratio.max() <= 300


def test_fixed_crops_are_of_each_photo_and_inside():
    found = fixed_crops(photos(2, 70), 32, most=2)
    assert [len(f) for f in found] == [2, 2]
    assert all(f.shape[1:] == (3, 32, 32) for f in found)
    assert fixed_crops(photos(1, 64), 32, most=9)[0].shape[0] == 4


def test_a_folder_of_raw_files_becomes_pairs(tmp_path):
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    from foveate.lowlight.raw import write_dng

    pair, _ = low_light(photos()[2], 20, seed=5)
    camera = pair.camera.at(0)
    write_dng(tmp_path / "s.dng", pair.short_raw, camera, exposure=1 / 40, iso=800)
    write_dng(tmp_path / "l.dng", pair.long_raw, camera, exposure=1 / 2, iso=800)
    (tmp_path / "pairs.csv").write_text("short,long,ratio\ns.dng,l.dng,\ns.dng,l.dng,18.5\n")
    folder = RawFolder(tmp_path)
    assert len(folder) == 2
    assert float(folder[0].ratio) == pytest.approx(20, rel=1e-3)
    assert float(folder[1].ratio) == 18.5
    assert torch.allclose(folder[0].short_raw, pair.short_raw, atol=1e-6)
    assert torch.allclose(folder[0].camera.wb, pair.camera.wb, rtol=1e-3)
    source = RawSource(folder, patch=16, batch=5, seed=3)
    crops = source(4)
    assert crops.short.shape == (5, 3, 16, 16)
    assert torch.equal(source(4).short_raw, crops.short_raw)
    assert torch.equal(crops.long, crops.camera.render(crops.long_raw))
    whole = folder[0]
    flipped = crop(whole, (0.0, 1.0), 16, (True, False))
    assert torch.equal(flipped.long_raw[0, 0], whole.long_raw[0, 0, 1:9, -9:-1].flip(0))
    assert torch.equal(flipped.long_raw[0, 2], whole.long_raw[0, 2, 0:8, -9:-1].flip(0))
    with pytest.raises(ValueError, match="take a smaller patch"):
        crop(whole, (0, 0), 64)
    with pytest.raises(ValueError, match="expected some pairs"):
        RawSource(folder, [])
    write_dng(tmp_path / "l.dng", pair.long_raw[..., :32], camera)
    with pytest.raises(ValueError, match="expected files of one camera"):
        folder[0]
    (tmp_path / "pairs.csv").write_text("short,long\ns.dng,none.dng\n")
    with pytest.raises(FileNotFoundError, match=r"row 1: no file none\.dng"):
        RawFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match="short,long,ratio"):
        RawFolder(tmp_path / "x")


def test_what_has_no_meaning_is_refused():
    with pytest.raises(ValueError, match="ratio is 0"):
        low_light(photos()[0], 0.5)
    with pytest.raises(ValueError, match="ratios is"):
        LowLight(ratios=(5, 2))
    with pytest.raises(ValueError, match="photos is empty"):
        Source([])
    with pytest.raises(ValueError, match="patch is 96"):
        Source(photos())


def test_metrics_know_equal_pictures_and_known_distances():
    x = torch.rand(2, 3, 180, 180, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ssim(x, x), torch.ones(2))
    assert torch.allclose(ms_ssim(x, x), torch.ones(2), atol=1e-5)
    assert psnr(
        torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 51 / 255)
    ).item() == pytest.approx(13.979, abs=1e-3)
    worse = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    assert (ssim(worse, x) < 0.98).all()
    assert (ms_ssim(worse, x) < 1).all()
    with pytest.raises(ValueError, match="at least 176"):
        ms_ssim(x[..., :100], x[..., :100])
