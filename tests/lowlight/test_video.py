"""Videos: frames, sound, timing, flicker, damage."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

av = pytest.importorskip("av")
pytest.importorskip("cv2")

from foveate.lowlight import BadPicture, Enhancer, Picture  # noqa: E402
from foveate.lowlight.video import Frames, enhance_video  # noqa: E402

from .samples import dark, psnr, scene  # noqa: E402

TIMES = [0, 1, 2, 4, 5, 6, 9, 10, 11, 12]  # frames of a phone do not come evenly


def write_video(path, frames, sound=True, size=None):
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=24)
        video.height, video.width = size or frames[0].shape[:2]
        video.pix_fmt, video.options = "yuv420p", {"crf": "10"}
        video.time_base = video.codec_context.time_base = Fraction(1, 24)
        audio = file.add_stream("aac", rate=16000, layout="mono") if sound else None
        for pixels, when in zip(frames, TIMES * 9, strict=False):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = when, Fraction(1, 24)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        if audio is not None:
            tone = (np.sin(np.arange(8192) / 8) * 9000).astype(np.int16)
            for i in range(0, 8192, 1024):
                frame = av.AudioFrame.from_ndarray(tone[None, i : i + 1024], "s16", "mono")
                frame.sample_rate, frame.pts, frame.time_base = 16000, i, Fraction(1, 16000)
                file.mux(audio.encode(frame))
            file.mux(audio.encode(None))


def read_video(path):
    with av.open(str(path)) as file:
        sound = [bytes(p) for p in file.demux(audio=0) if p.size] if file.streams.audio else []
    with av.open(str(path)) as file:
        frames = [(float(f.time), f.to_ndarray(format="rgb24")) for f in file.decode(video=0)]
    return frames, sound


def night(count=10, seed=0):
    clean = scene(96, 128)
    return [dark(clean, 20, 8e-4, seed + i) for i in range(count)], clean


def test_frames_sound_and_timing_are_kept(tmp_path):
    frames, clean = night()
    write_video(tmp_path / "a.mp4", frames)
    told = []
    facts, (before, after) = enhance_video(
        Enhancer(), tmp_path / "a.mp4", tmp_path / "b.mp4", progress=lambda *n: told.append(n)
    )
    old, old_sound = read_video(tmp_path / "a.mp4")
    new, new_sound = read_video(tmp_path / "b.mp4")
    assert [t for t, _ in new] == pytest.approx([t for t, _ in old], abs=1e-3)
    assert new_sound == old_sound  # bit by bit
    assert len(old_sound) > 3
    assert facts["frames"] == 10
    assert told[-1] == (10, 10)
    assert after.mean() > 2 * before.mean()
    assert psnr(new[-1][1] / 255, clean) > 18
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("ending", [".mkv", ".mov", ".webm"])
def test_other_containers(tmp_path, ending):
    frames, _ = night(3)
    write_video(tmp_path / "a.mp4", frames, sound=False)
    enhance_video(Enhancer("gamma", denoise=0), tmp_path / "a.mp4", tmp_path / f"b{ending}")
    assert len(read_video(tmp_path / f"b{ending}")[0]) == 3


def test_light_that_flickers_is_calmed_and_still_frames_lose_noise():
    clean = scene(96, 128)
    rng = np.random.default_rng(0)
    frames = [dark(clean, 20 * float(r), 8e-4, i) for i, r in enumerate(rng.uniform(0.8, 1.25, 24))]
    calm, nervous = Frames(Enhancer(), ema=0.2), Frames(Enhancer(), ema=1.0)
    gains = [[], []]
    for frame in frames:
        for kind, walker in zip(gains, (calm, nervous), strict=True):
            walker(frame)
            kind.append(walker.decision.ev)
    flicker = [np.abs(np.diff(g[6:])).mean() for g in gains]
    assert flicker[0] < 0.5 * flicker[1]


def test_still_frames_lose_noise():
    clean = scene(96, 128)
    walker, alone = Frames(Enhancer()), Enhancer()
    together, single = [], []
    for i in range(14):
        frame = dark(clean, 20, 8e-4, i)
        together.append(walker(frame)[10:, 10:].astype(float))
        single.append(alone.picture(Picture(frame)).picture.pixels[10:, 10:].astype(float))
    restless = lambda frames: np.abs(np.diff(frames[-4:], axis=0)).mean()  # noqa: E731
    assert restless(together) < 0.75 * restless(single)


def test_a_cut_starts_anew():
    clean = scene(96, 128)
    walker = Frames(Enhancer(), ema=0.1)
    for i in range(4):
        walker(dark(clean, 40, 2e-4, i))
    bright = np.rint(clean * 255).astype(np.uint8)
    out = walker(bright)
    assert np.abs(out.astype(int) - bright).max() <= 1


def test_what_moves_leaves_no_trail():
    rng = np.random.default_rng(0)
    walker = Frames(Enhancer(ev=4))
    for step in range(8):
        light = np.full((96, 128, 3), 0.01)
        light[30:60, 10 * step : 10 * step + 20] = 0.04
        light += rng.normal(0, 5e-4, light.shape)
        frame = np.rint(np.clip(light, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
        out = walker(frame)
    gone, empty = out[35:55, 52:66].mean(), out[70:90, 52:66].mean()
    assert gone == pytest.approx(empty, abs=3)


def test_bad_videos_are_one_line(tmp_path):
    (tmp_path / "text.mp4").write_text("this is no film")
    with pytest.raises(BadPicture, match=r"text\.mp4"):
        enhance_video(Enhancer(), tmp_path / "text.mp4", tmp_path / "b.mp4")
    with pytest.raises(ValueError, match=r"b\.gif"):
        enhance_video(Enhancer(), tmp_path / "text.mp4", tmp_path / "b.gif")
    with pytest.raises(ValueError, match="ema is 0"):
        Frames(Enhancer(), ema=0)
    assert [p.name for p in tmp_path.iterdir()] == ["text.mp4"]


def test_odd_sides_get_one_line_more(tmp_path):
    from foveate.lowlight.video import _even

    assert _even(np.zeros((5, 7, 3), np.uint8)).shape == (6, 8, 3)


def test_sound_that_a_container_cannot_hold_is_one_line(tmp_path):
    frames, _ = night(2)
    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        video = file.add_stream("libx264", rate=24)
        video.height, video.width, video.pix_fmt = 96, 128, "yuv420p"
        audio = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 24)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
        sound.sample_rate, sound.pts, sound.time_base = 16000, 0, Fraction(1, 16000)
        file.mux(audio.encode(sound))
        file.mux(audio.encode(None))
    with pytest.raises(BadPicture, match=r"\.mkv, which holds everything"):
        enhance_video(Enhancer("gamma", denoise=0), tmp_path / "a.mkv", tmp_path / "b.webm")
    assert not (tmp_path / "b.webm").exists()
    enhance_video(Enhancer("gamma", denoise=0), tmp_path / "a.mkv", tmp_path / "b.mkv")
    assert len(read_video(tmp_path / "b.mkv")[1]) == 1
