"""Datasets: tiny copies of the real layouts, and what is said when something is missing."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("PIL")

import torch
from PIL import Image

from foveate.lowlight import datasets
from foveate.lowlight.datasets import LayoutError, codan, exdark


def put(path, value=40, size=(6, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)
    return path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def codan_root(tmp_path):
    for name in codan.CLASSES:
        for number in range(3):
            put(tmp_path / "data" / "test_night" / name / f"{number}.JPEG", 10 * number)
    return tmp_path


def test_codan(codan_root):
    with pytest.raises(LayoutError, match=r"30 pictures of test_night .* 2500 are published"):
        datasets.CODaN(codan_root)
    night = datasets.CODaN(codan_root, partial=True)
    assert len(night) == 30
    picture, label = night[4]
    assert picture.shape == (3, 6, 8)
    assert picture.dtype == torch.uint8
    assert label == 1
    halves = [datasets.CODaN(codan_root, half=h, partial=True) for h in (0, 1)]
    assert [len(h) for h in halves] == [20, 10]
    assert not {p for p, _ in halves[0].items} & {p for p, _ in halves[1].items}
    with pytest.raises(ValueError, match='split is "dusk"'):
        datasets.CODaN(codan_root, "dusk")
    with pytest.raises(LayoutError, match="does not exist"):
        datasets.CODaN(codan_root, "train")
    for path in (codan_root / "data" / "test_night" / "Cup").iterdir():
        path.unlink()
    (codan_root / "data" / "test_night" / "Cup").rmdir()
    with pytest.raises(LayoutError, match="class Cup is missing"):
        datasets.CODaN(codan_root, partial=True)


def test_codan_of_the_published_size_passes(tmp_path, monkeypatch):
    monkeypatch.setitem(codan.COUNTS, "val", 10)
    for name in codan.CLASSES:
        put(tmp_path / "data" / "val" / name.lower() / "a.jpg")
    assert len(datasets.CODaN(tmp_path, "val")) == 10


def test_exdark(tmp_path):
    lines = ["Name | Class | Light | In/Out | Train/Val/Test"]
    for number, name in enumerate(exdark.CLASSES, 1):
        put(tmp_path / "ExDark" / name / f"p{number}.jpg")
        write(
            tmp_path / "ExDark_Annno" / name / f"p{number}.jpg.txt",
            f"% bbGt version=3\n{name} 1 2 3 4 0 0 0 0 0 0 0\nDog 0 0 2 2 0 0 0 0 0 0 0\n",
        )
        lines.append(f"p{number}.jpg {number} {number % 10 + 1} {number % 2 + 1} {number % 3 + 1}")
    write(tmp_path / "imageclasslist.txt", "\n".join(lines))
    every = datasets.ExDark(tmp_path, partial=True)
    assert len(every) == 12
    _, target = every[0]
    assert target["boxes"].tolist() == [[1, 2, 4, 6], [0, 0, 2, 2]]
    assert target["labels"].tolist() == [0, 8]
    assert target["light"] == "Ambient"
    assert target["indoors"] is False
    parts = [len(datasets.ExDark(tmp_path, s, partial=True)) for s in ("train", "val", "test")]
    assert parts == [4, 4, 4]
    with pytest.raises(LayoutError, match="7363 are published"):
        datasets.ExDark(tmp_path)
    (tmp_path / "imageclasslist.txt").unlink()
    with pytest.raises(LayoutError, match="what belongs to val"):
        datasets.ExDark(tmp_path, "val", partial=True)


def test_dark_face(tmp_path):
    for number in (1, 2, 10):
        put(tmp_path / "image" / f"{number}.png")
        write(tmp_path / "label" / f"{number}.txt", "2\n1 2 3 4\n2 2 6 5\n")
    faces = datasets.DarkFace(tmp_path, partial=True)
    assert [p.stem for p, _ in faces.items] == ["1", "2", "10"]
    assert faces[0][1].tolist() == [[1, 2, 3, 4], [2, 2, 6, 5]]
    write(tmp_path / "label" / "1.txt", "3\n1 2 3 4\n")
    with pytest.raises(LayoutError, match="a count and as many boxes"):
        faces[0]
    (tmp_path / "label" / "2.txt").unlink()
    with pytest.raises(LayoutError, match="1 labels are missing"):
        datasets.DarkFace(tmp_path, partial=True)


def test_wider_face(tmp_path):
    put(tmp_path / "WIDER_val" / "images" / "0--Parade" / "a.jpg")
    put(tmp_path / "WIDER_val" / "images" / "0--Parade" / "empty.jpg")
    table = "wider_face_split/wider_face_val_bbx_gt.txt"
    write(
        tmp_path / table,
        "0--Parade/a.jpg\n2\n1 1 3 2 0 0 0 0 0 0\n4 4 2 2 2 0 1 0 2 1\n"
        "0--Parade/empty.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n",
    )
    faces = datasets.WiderFace(tmp_path, partial=True)
    assert len(faces) == 2
    _, target = faces[0]
    assert target["boxes"].tolist() == [[1, 1, 4, 3], [4, 4, 6, 6]]
    assert target["illumination"].tolist() == [0, 1]
    assert faces[1][1]["boxes"].shape == (0, 4)
    write(tmp_path / table, "0--Parade/a.jpg\nmany\n")
    with pytest.raises(LayoutError, match='"many"'):
        datasets.WiderFace(tmp_path, partial=True)
    with pytest.raises(LayoutError, match="WIDER_train"):
        datasets.WiderFace(tmp_path, "train")


def test_arid(tmp_path):
    av = pytest.importorskip("av")
    for name in ("Drink", "Wave"):
        (tmp_path / name).mkdir()
        with av.open(str(tmp_path / name / "a.mp4"), "w") as file:
            stream = file.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
            for i in range(12):
                pixels = np.full((16, 32, 3), 20 * i, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 30)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
    table = write(
        tmp_path / "test.txt", "VideoID ClassID Video\n1 0 Drink/a.mp4\n2 10 Wave/a.mp4\n"
    )
    clips = datasets.ARID(tmp_path, table, frames=4, interval=3)
    clip, label = clips[1]
    assert clip.shape == (4, 3, 16, 32)
    assert label == 10
    means = clip.float().mean((1, 2, 3))
    assert means.diff().tolist() == pytest.approx([60, 60, 60], abs=6)
    assert datasets.ARID(tmp_path, table, frames=16)[0][0].shape[0] == 16
    with pytest.raises(LayoutError, match="823 are published"):
        datasets.ARID(tmp_path, table, count=823)
    write(table, "1 0 Drink/b.mp4\n")
    with pytest.raises(LayoutError, match=r"b\.mp4 does not exist"):
        datasets.ARID(tmp_path, table)


def test_vbof(tmp_path):
    flow = np.zeros((6, 8, 2), np.float32)
    flow[..., 0], flow[0, 0] = 1.5, 1e10
    data = struct.pack("<fii", 202021.25, 8, 6) + flow.tobytes()
    for exposure in (1, 9):
        stem = f"120304{exposure:02d}"
        for name in ("img1", "img2"):
            put(tmp_path / "VBOF_data" / f"{stem}_{name}.jpg", 100)
        (tmp_path / "VBOF_data" / f"{stem}_flow.flo").write_bytes(data)
    pairs = datasets.VBOF(tmp_path)
    assert len(pairs) == 2
    first, second, vectors, exposure = datasets.VBOF(tmp_path, exposure=9)[0]
    assert exposure == 9
    assert first.shape == second.shape == (3, 6, 8)
    assert torch.isnan(vectors[:, 0, 0]).all()
    assert vectors[0, 1:].unique().tolist() == [1.5]
    (tmp_path / "VBOF_data" / "12030409_flow.flo").write_bytes(data[:40])
    with pytest.raises(LayoutError, match="cut off"):
        datasets.VBOF(tmp_path, exposure=9)[0]
    (tmp_path / "VBOF_data" / "12030401_img2.jpg").unlink()
    with pytest.raises(LayoutError, match="the partner of 12030401_img1"):
        datasets.VBOF(tmp_path)
    with pytest.raises(LayoutError, match="no pairs"):
        datasets.VBOF(tmp_path, camera=44)


def test_lol(tmp_path):
    for side, value in (("low", 5), ("high", 120)):
        put(tmp_path / "eval15" / side / "1.png", value)
    low, high = datasets.LOL(tmp_path, partial=True)[0]
    assert low.float().mean() < high.float().mean()
    with pytest.raises(LayoutError, match="15 are published"):
        datasets.LOL(tmp_path)
    put(tmp_path / "eval15" / "low" / "2.png")
    with pytest.raises(LayoutError, match="no partner"):
        datasets.LOL(tmp_path, partial=True)


def dng(path, value, exposure, iso=100):
    from foveate.lowlight.raw import write_dng

    path.parent.mkdir(parents=True, exist_ok=True)
    write_dng(path, torch.full((4, 32, 48), value), exposure=exposure, iso=iso)


def test_sid(tmp_path):
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    for name in ("10003_00_0.04s", "10003_01_0.04s", "00001_00_0.1s"):
        dng(tmp_path / "Sony" / "short" / f"{name}.dng", 0.002, 0.04)
    for name in ("10003_00_10s", "00001_00_10s"):
        dng(tmp_path / "Sony" / "long" / f"{name}.dng", 0.5, 10)
    test = datasets.SIDSony(tmp_path, "test", partial=True)
    assert len(test) == 1
    short, long, ratio = test[0]
    assert short.shape == long.shape == (4, 32, 48)
    assert ratio == pytest.approx(250)
    assert long.mean() == pytest.approx(0.5, abs=1e-3)
    assert len(datasets.SIDSony(tmp_path, "test", first=False)) == 2
    with pytest.raises(LayoutError, match="no short exposures of test"):
        datasets.SIDSony(tmp_path, "test", without=(10003,))
    with pytest.raises(LayoutError, match="280 are published"):
        datasets.SIDSony(tmp_path, "train")
    dng(tmp_path / "Sony" / "short" / "20001_00_0.1s.dng", 0.002, 0.1)
    with pytest.raises(LayoutError, match="no long exposure"):
        datasets.SIDSony(tmp_path, "val")


def test_eld(tmp_path):
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    folder = tmp_path / "SonyA7S2" / "scene-1"
    for number in (1, 6, 11, 16):
        dng(folder / f"IMG_{number:04d}.dng", 0.4, 1.0, 800)
    for number in (4, 9, 14):
        dng(folder / f"IMG_{number:04d}.dng", 0.004, 0.01, 800)
    pairs = datasets.ELD(tmp_path, partial=True)
    assert [(d.stem[-2:], r.stem[-2:]) for d, r in pairs.items] == [
        ("04", "06"),
        ("09", "11"),
        ("14", "16"),
    ]
    assert pairs[0][2] == pytest.approx(100, rel=1e-3)
    with pytest.raises(LayoutError, match="10 are published"):
        datasets.ELD(tmp_path)
    with pytest.raises(LayoutError, match=r"IMG_0005\.ARW"):
        datasets.ELD(tmp_path, ratio=200, partial=True)
    with pytest.raises(ValueError, match="100 or 200"):
        datasets.ELD(tmp_path, ratio=300)


@pytest.mark.parametrize("name", [n for n in datasets.__all__ if n != "LayoutError"])
def test_a_missing_folder_shows_the_layout(tmp_path, name):
    kind = getattr(datasets, name)
    more = (tmp_path / "list.txt",) if name == "ARID" else ()
    with pytest.raises(LayoutError) as caught:
        kind(tmp_path / "nowhere", *more)
    said = str(caught.value)
    assert "does not exist" in said
    assert "expected root/" in said
    assert "\n" not in said


def test_damaged_pictures_are_named(tmp_path):
    put(tmp_path / "eval15" / "high" / "1.png")
    write(tmp_path / "eval15" / "low" / "1.png", "no picture")
    with pytest.raises(LayoutError, match=r"1\.png cannot be read"):
        datasets.LOL(tmp_path, partial=True)[0]
