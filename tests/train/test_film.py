"""Films in files: written, decoded once, read from the cache."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from foveate.train.video import moving_shapes, open_film, write_video

av = pytest.importorskip("av", reason='needs PyAV; pip install "foveate[train]"')


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "shapes.mp4"
    write_video(path, moving_shapes(120, 64, seed=2).frames, fps=24)
    return path


def test_a_film_comes_back_as_it_was_written(file, tmp_path):
    film = open_film(file, size=64, fps=24, folder=tmp_path)
    original = moving_shapes(120, 64, seed=2)
    assert film.frames.shape == original.frames.shape
    assert (film.frames.float() - original.frames.float()).abs().mean() < 4
    assert film.cuts == original.cuts


def test_it_is_decoded_once(file, tmp_path, monkeypatch):
    seen = []
    first = open_film(file, size=32, fps=12, folder=tmp_path, progress=lambda *n: seen.append(n))
    assert seen[-1] == (60, 60)
    assert first.frames.shape == (60, 32, 32, 3)
    monkeypatch.setattr("foveate.train.video.film.frames_of", None)
    again = open_film(file, size=32, fps=12, folder=tmp_path)
    assert torch.equal(first.frames, again.frames)
    assert not list(tmp_path.rglob("*.tmp"))


def test_fewer_frames_are_spread_evenly(file, tmp_path):
    film = open_film(file, size=64, fps=8, folder=tmp_path)
    whole = open_film(file, size=64, fps=24, folder=tmp_path)
    assert len(film) == 40
    nearest = [
        int((whole.frames.float() - frame.float()).abs().mean((1, 2, 3)).argmin())
        for frame in film.frames[:5]
    ]
    assert np.diff(nearest).tolist() == [3, 3, 3, 3]


def test_a_wide_film_keeps_its_middle(tmp_path):
    clip = torch.zeros(8, 32, 96, 3, dtype=torch.uint8)
    clip[:, :, 32:64] = 200
    write_video(tmp_path / "wide.mp4", clip)
    film = open_film(tmp_path / "wide.mp4", size=16, folder=tmp_path)
    assert film.frames[:, :, 2:14].float().mean() > 180


def test_decoding_that_stops_leaves_nothing_to_trust(file, tmp_path):
    def stop(done, expected):
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_film(file, size=16, folder=tmp_path, progress=stop)
    assert not list(tmp_path.rglob("*.tmp"))
    assert len(open_film(file, size=16, folder=tmp_path)) == 60


def test_what_is_no_film_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"none\.mp4 is not there; expected a video file"):
        open_film(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(ValueError, match="cannot be read as a video"):
        open_film(tmp_path / "text.mp4", folder=tmp_path)
    with pytest.raises(ValueError, match="size is 4"):
        open_film(tmp_path / "text.mp4", size=4)


def test_clips_that_are_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"clip is float32 \[2, 8, 8, 3\]; expected uint8"):
        write_video(tmp_path / "x.mp4", torch.zeros(2, 8, 8, 3))
    with pytest.raises(ValueError, match=r"ends in \.mp4"):
        write_video(tmp_path / "x.gif", torch.zeros(2, 8, 8, 3, dtype=torch.uint8))
    assert not list(tmp_path.iterdir())
