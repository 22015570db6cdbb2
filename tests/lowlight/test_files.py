"""Pictures from and to files: depth, metadata, damage, atomic writing."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

for needed in ("cv2", "PIL", "tifffile"):
    pytest.importorskip(needed)

from PIL import ExifTags, Image, ImageCms  # noqa: E402

from foveate.lowlight.containers import Metadata  # noqa: E402
from foveate.lowlight.files import (  # noqa: E402
    BadPicture,
    Picture,
    read_picture,
    write_picture,
)
from foveate.lowlight.sources import read_any  # noqa: E402


def noise(depth=8, height=40, width=60, channels=3):
    rng = np.random.default_rng(0)
    kind = np.uint8 if depth == 8 else np.uint16
    return rng.integers(0, 2**depth, (height, width, channels), dtype=kind)


def head() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Foveal"
    exif[ExifTags.Base.Orientation] = 6
    part = exif.get_ifd(ExifTags.IFD.Exif)
    part[ExifTags.Base.ExposureTime] = 1 / 30
    part[ExifTags.Base.ISOSpeedRatings] = 1600
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    return exif


ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp", ".ppm"])
def test_lossless_formats_return_the_same_pixels(tmp_path, ending):
    picture = Picture(noise())
    write_picture(picture, tmp_path / f"a{ending}")
    assert np.array_equal(read_picture(tmp_path / f"a{ending}").pixels, picture.pixels)


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_stay_16_bits(tmp_path, ending, channels):
    pixels = noise(16, channels=max(channels - (channels in (2, 4)), 1))
    grey = channels < 3
    picture = Picture(
        np.repeat(pixels, 3, -1) if grey else pixels,
        alpha=noise(16, channels=1)[..., 0] if channels in (2, 4) else None,
        grey=grey,
    )
    write_picture(picture, tmp_path / f"a{ending}")
    back = read_picture(tmp_path / f"a{ending}")
    assert back.pixels.dtype == np.uint16
    assert np.array_equal(back.pixels, picture.pixels)
    assert (back.alpha is None) == (picture.alpha is None)
    if picture.alpha is not None:
        assert np.array_equal(back.alpha, picture.alpha)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif"])
def test_exif_and_profile_are_kept(tmp_path, ending, depth):
    first = tmp_path / "first.jpg"
    Image.fromarray(noise()).save(first, exif=head(), icc_profile=ICC, dpi=(240, 240))
    picture = read_picture(first)
    if depth == 16:
        picture = Picture(noise(16), metadata=picture.metadata)
    write_picture(picture, tmp_path / f"b{ending}")
    with Image.open(tmp_path / f"b{ending}") as image:
        exif = image.getexif()
        part = exif.get_ifd(ExifTags.IFD.Exif)
        place = exif.get_ifd(ExifTags.IFD.GPSInfo)
        assert image.info["icc_profile"] == ICC
        if ending != ".webp":
            assert image.info["dpi"][0] == pytest.approx(240, abs=0.1)
    assert exif[ExifTags.Base.Make] == "Foveal"
    assert exif[ExifTags.Base.Orientation] == 6
    assert float(part[ExifTags.Base.ExposureTime]) == pytest.approx(1 / 30, rel=1e-3)
    assert part[ExifTags.Base.ISOSpeedRatings] == 1600
    assert place[1] == "N"


def test_the_dark_preview_inside_exif_is_left_behind(tmp_path):
    exif = head()
    preview = b"\xff\xd8 a dark preview \xff\xd9"
    exif.get_ifd(ExifTags.IFD.IFD1).update({0x0201: 0, 0x0202: len(preview)})
    Image.fromarray(noise()).save(tmp_path / "a.jpg", exif=exif.tobytes() + preview)
    write_picture(read_picture(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    assert b"dark preview" in (tmp_path / "a.jpg").read_bytes()
    assert b"dark preview" not in (tmp_path / "b.jpg").read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_turns_as_viewers_do(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(noise()).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.upright(), expected)
    # a format that holds no EXIF gets the pixels turned
    write_picture(picture, tmp_path / "b.bmp")
    assert np.array_equal(read_picture(tmp_path / "b.bmp").pixels, expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_mode_is_read(tmp_path, mode):
    ending = ".jpg" if mode == "CMYK" else ".png"
    image = Image.fromarray(noise()).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(noise(16, channels=1)[..., 0])
    image.save(tmp_path / f"a{ending}")
    picture = read_picture(tmp_path / f"a{ending}")
    assert picture.pixels.shape == (40, 60, 3)
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA"))
    assert picture.grey == (mode in ("1", "L", "LA", "I;16"))


def test_transparency_is_put_on_white_in_jpeg(tmp_path):
    pixels = np.zeros((16, 16, 3), np.uint8)
    write_picture(Picture(pixels, alpha=np.zeros((16, 16), np.uint8)), tmp_path / "a.jpg")
    assert read_picture(tmp_path / "a.jpg").pixels.min() > 250


def bomb(path, side=60_000):
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = lambda kind, body: (  # noqa: E731
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    )
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    path.write_bytes(data + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b""))


def test_damage_is_one_line(tmp_path):
    whole = tmp_path / "whole.jpg"
    Image.fromarray(noise(height=200, width=200)).save(whole)
    deep = tmp_path / "deep.png"
    write_picture(Picture(noise(16, 200, 200)), deep)
    tiff = tmp_path / "deep.tif"
    write_picture(Picture(noise(16, 200, 200)), tiff)
    cases = {
        "cut.jpg": whole.read_bytes()[:3000],
        "cut.png": deep.read_bytes()[:3000],
        "cut.tif": tiff.read_bytes()[:3000],
        "empty.png": b"",
        "text.jpg": b"this is no picture",
        "other.webp": b"RIFF\0\0\0\0WEBPVP8 ",
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadPicture) as caught:
            read_picture(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    bomb(tmp_path / "bomb.png")
    with pytest.raises(BadPicture, match="too many pixels"):
        read_picture(tmp_path / "bomb.png")
    frames = [Image.fromarray(noise()), Image.fromarray(255 - noise())]
    frames[0].save(tmp_path / "moves.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(BadPicture, match="moves"):
        read_picture(tmp_path / "moves.webp")
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "none.jpg")


def test_damaged_exif_does_not_cost_the_picture(tmp_path):
    Image.fromarray(noise()).save(
        tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(9)
    )
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.metadata.orientation == 1
    write_picture(picture, tmp_path / "b.jpg")


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    write_picture(Picture(noise()), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space"):
        write_picture(Picture(noise()), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_unknown_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.xyz"):
        write_picture(Picture(noise()), tmp_path / "a.xyz")


def test_raw_is_developed_in_16_bits(tmp_path):
    pytest.importorskip("rawpy")
    import torch

    from foveate.lowlight.raw import write_dng

    packed = torch.full((4, 24, 32), 0.2)
    write_dng(tmp_path / "a.dng", packed)
    picture = read_any(tmp_path / "a.dng")
    assert picture.pixels.dtype == np.uint16
    assert picture.pixels.shape[2] == 3
    assert picture.pixels.mean() > 1000
    assert picture.metadata.orientation == 1
    (tmp_path / "bad.nef").write_bytes(b"nothing")
    with pytest.raises(BadPicture, match=r"bad\.nef"):
        read_any(tmp_path / "bad.nef")


def test_metadata_of_a_plain_picture_is_empty(tmp_path):
    Image.fromarray(noise()).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").metadata == Metadata()
