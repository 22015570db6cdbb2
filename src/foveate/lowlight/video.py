"""Dark videos made bright: flicker-free, sound and timing kept.

Each frame gets its own decision, and decisions are blended over time (an exponential moving
average), so brightness follows the scene and not the noise; at a cut it starts anew. Where nothing
moves, a frame is averaged with what came before it, which takes out noise without any blur; the
rest is denoised as a photograph is.

The one thing to know: whether something moves is judged against the noise that was measured, over
5 x 5 pixels; a difference that noise explains is averaged away, any other stays.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from . import denoise
from .enhance import Enhancer, measured, rendered, statistics, thumbnail
from .files import VIDEO, BadPicture, complete
from .methods import Whole
from .tiling import tiles

CUT = 0.35
"""Relative change of a thumbnail from one frame to the next that counts as a cut."""

MEMORY = 0.8
"""Share of the past in a still pixel: 0.8 averages about nine frames."""

MEASURE_EVERY = 24
"""Frames between two measurements of noise."""

_CODE = 1.5 / 255
"""Noise that a frame may have when none could be measured in it, in code values."""

_MEAN = np.array([1 / 3, 1 / 3, 1 / 3], np.float32)

Tick = Callable[[int, int], None]
"""Told after each frame: frames done, frames expected."""


class Frames:
    """Enhances the frames of one video, in order.

    Args:
        enhancer: How a picture is enhanced.
        ema: Share of a new decision in the blend, 0 < ema ≤ 1.
        every: Frames from one decision to the next.
    """

    def __init__(self, enhancer: Enhancer, ema: float = 0.2, every: int = 1) -> None:
        if not 0 < ema <= 1:
            raise ValueError(f"ema is {ema:g}; expected more than 0, at most 1")
        self.enhancer, self.ema, self.every = enhancer, ema, every
        self.decision: Any = None
        self.noise: denoise.Noise | None = None
        self.count = 0
        self._look: np.ndarray | None = None
        self._past: np.ndarray | None = None
        self._left: np.ndarray | None = None  # energy of noise relative to one frame, `[H, W]`

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The next frame, uint8 `[H, W, 3]`, enhanced."""
        look = thumbnail(frame, 48)
        if self._look is None or self._look.shape != look.shape or _cut(self._look, look):
            self.decision = self._past = None
            self.count = 0
        self._look = look
        if self.decision is None or self.count % self.every == 0:
            newer = self.enhancer.decide(frame)
            old = self.decision
            self.decision = newer if old is None else old.blended(newer, self.ema)
        if isinstance(self.decision, Whole):
            frame = self.decision.work(frame)
        amount = self.enhancer.amount(self.decision)
        if amount > 0:
            if self.count % MEASURE_EVERY == 0 or self.noise is None:
                self.noise = measured(frame, self.decision)
            done = self._denoised(frame, amount)
        else:
            done = rendered(frame, self.decision, None, 0)
        self.count += 1
        return done

    def _denoised(self, frame: np.ndarray, amount: float) -> np.ndarray:
        """Tone, average over time where nothing moves, then denoise by what noise is left."""
        bright = np.empty(frame.shape, np.float32)
        for outer, _, _ in tiles(frame.shape[:2]):
            tile = frame[outer].astype(np.float32) / 255
            if not isinstance(self.decision, Whole):
                place = (outer[0].start, outer[1].start)
                tile = self.decision.apply(tile, place, frame.shape[:2])
            bright[outer] = tile
        if self._past is None:
            self._left = np.ones(frame.shape[:2], np.float32)
        else:
            self._average(bright, min(amount, 1.0))
        self._past = bright
        out = np.empty_like(frame)
        for outer, inner, place in tiles(frame.shape[:2], denoise.MARGIN):
            tile = denoise.apply(bright[outer], self.noise, amount, np.sqrt(self._left[outer]))
            out[place] = np.rint(np.clip(tile[inner], 0, 1) * 255).astype(np.uint8)
        return out

    def _average(self, bright: np.ndarray, amount: float) -> None:
        """Mix the past into still pixels of a frame, in place."""
        energy = np.square(self.noise.deviation[:, 0]).sum(axis=0)  # all levels, `[BINS]`
        shade = bright @ _MEAN
        change = cv2.blur(np.square(shade - self._past @ _MEAN), (5, 5))
        smooth = np.clip(cv2.blur(shade, (5, 5)), 0, 0.999)
        bins = (smooth * denoise.BINS).astype(np.int8)
        expected = _differences(change, bins, 2 * energy)[bins] * (0.5 + 0.5 * self._left)
        still = np.clip(2 - change / np.maximum(1.6 * expected, 1e-9), 0, 1)
        # the share of the past that leaves least noise, but never so much that light lags behind
        share = np.minimum(1 / (1 + self._left), MEMORY) * amount * still
        for outer, _, _ in tiles(bright.shape[:2]):
            bright[outer] += share[outer][..., None] * (self._past[outer] - bright[outer])
        self._left = (1 - share) ** 2 + share**2 * self._left


def _differences(change: np.ndarray, bins: np.ndarray, spatial: np.ndarray) -> np.ndarray:
    """Energy of the difference of two frames that noise explains: `[BINS]`.

    The quietest fifth of a bin shows it, if something is still; where everything moves it would
    show motion, so it may pass what was measured within a frame by a factor only.
    """
    found = spatial.copy()
    step = max(1, int(np.sqrt(change.size / 60_000)))
    some, where = change[::step, ::step], bins[::step, ::step]
    for number in range(len(spatial)):
        inside = some[where == number]
        if len(inside) >= 50:
            seen = float(np.quantile(inside, 0.2)) / 0.7
            found[number] = np.clip(seen, spatial[number], 6 * spatial[number] + _CODE**2)
    return found


def _cut(before: np.ndarray, after: np.ndarray) -> bool:
    scale = before.mean() + after.mean()
    return float(np.abs(before - after).mean()) > CUT * max(float(scale), 1e-3)


def enhance_video(
    enhancer: Enhancer,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    ema: float = 0.2,
    crf: int = 18,
    progress: Tick | None = None,
) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    """Enhance a video file; sound, timing and rotation are kept.

    Args:
        enhancer: How a picture is enhanced.
        source: The video.
        target: Where; ends in one of `VIDEO`. The file appears complete or not at all.
        ema: As in `Frames`.
        crf: Quality of the encoder, lower is better.
        progress: Told after each frame.

    Returns:
        Facts as in `Enhanced`, with frames and fps; and one frame before and after.

    Raises:
        BadPicture: The video cannot be read.
        ValueError: The target's ending is unknown.
        OSError: The target cannot be written.
    """
    source, target = Path(source), Path(target)
    if target.suffix.lower() not in VIDEO:
        raise ValueError(f'"{target.name}" has no ending of {", ".join(sorted(VIDEO))}')
    try:
        with av.open(str(source)) as reader, complete(target) as work:
            if not reader.streams.video:
                raise BadPicture(f"{source.name} holds no moving picture")
            with av.open(str(work), "w") as writer:
                return _transcode(reader, writer, Frames(enhancer, ema), crf, progress)
    except (av.error.InvalidDataError, av.error.EOFError) as error:
        raise BadPicture(f"{source.name} cannot be read as a video: {error.strerror}") from None
    except BadPicture:
        raise
    except (av.error.FFmpegError, ValueError) as error:  # sound that the container does not hold
        raise BadPicture(
            f"{source.name} cannot become {target.name} ({error}); "
            "name the result .mkv, which holds everything"
        ) from None


def _transcode(
    reader: Any, writer: Any, frames: Frames, crf: int, progress: Tick | None
) -> tuple[dict[str, Any], tuple[np.ndarray, np.ndarray]]:
    begin = time.perf_counter()
    moving = reader.streams.video[0]
    moving.thread_type = "AUTO"
    sounds: dict[int, Any] = {}
    waiting: list[Any] = []  # sound before the first frame: the file's head needs all streams
    total, out, kept, count, means = _expected_frames(reader, moving), None, None, 0, []
    for packet in reader.demux(moving, *reader.streams.audio):
        if packet.stream.type == "audio":
            if packet.dts is not None:
                waiting.append(packet)
            if out is not None:
                _sound(writer, sounds, waiting)
            continue
        for frame in packet.decode():
            before = _even(_pixels(frame))
            after = frames(before)
            if out is None:
                out = _stream(writer, moving, before.shape, crf)
                out.codec_context.colorspace = _matrix(frame)
                out.codec_context.color_range = 1  # limited, as every player expects
                for s in reader.streams.audio:
                    sounds[s.index] = writer.add_stream_from_template(s)
                _sound(writer, sounds, waiting)
            if kept is None or count == total // 2:
                kept = (before.copy(), after.copy(), frames.decision.ev)
            means.append(float(after[::8, ::8].mean()) / 255)
            new = av.VideoFrame.from_ndarray(after, format="rgb24")
            new.pts, new.time_base = frame.pts, frame.time_base
            writer.mux(out.encode(_as_video(new, frame, out)))
            count += 1
            if progress is not None:
                progress(count, max(total, count))
    if out is None:
        raise BadPicture("the video holds no frame that can be decoded")
    writer.mux(out.encode(None))
    before, after, ev = kept
    facts = {
        "method": frames.enhancer.method,
        "strength": frames.enhancer.strength,
        "ev": round(ev, 2),
        "size": [before.shape[1], before.shape[0]],
        "frames": count,
        "fps": round(float(moving.average_rate or 0), 3),
        "flicker": round(float(np.abs(np.diff(means)).mean()) if count > 1 else 0.0, 5),
        "before": statistics(before),
        "after": statistics(after),
        "seconds": round(time.perf_counter() - begin, 2),
    }
    return facts, (before, after)


def _sound(writer: Any, sounds: dict[int, Any], waiting: list[Any]) -> None:
    """Copy packets of sound as they are."""
    while waiting:
        packet = waiting.pop(0)
        packet.stream = sounds[packet.stream.index]
        writer.mux(packet)


def _expected_frames(reader: Any, moving: Any) -> int:
    if moving.frames:
        return int(moving.frames)
    seconds = (reader.duration or 0) / 1e6
    return int(seconds * float(moving.average_rate or 25))


def _pixels(frame: Any) -> np.ndarray:
    """RGB, upright: phones film sideways and leave a note."""
    pixels = frame.reformat(format="rgb24", src_colorspace=_matrix(frame)).to_ndarray()
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels


def _matrix(frame: Any) -> int:
    """The YUV matrix of a frame: as it says, else BT.601 below 720 lines and BT.709 above."""
    if frame.colorspace in (1, 4, 5, 6, 7, 9):
        return int(frame.colorspace)
    return 1 if frame.height >= 720 else 5


def _even(pixels: np.ndarray) -> np.ndarray:
    """Half the colour resolution needs even sides: an odd one gets its last line twice."""
    h, w = pixels.shape[:2]
    return np.pad(pixels, ((0, h % 2), (0, w % 2), (0, 0)), "edge") if h % 2 or w % 2 else pixels


def _stream(writer: Any, moving: Any, shape: tuple[int, ...], crf: int) -> Any:
    codec = "libvpx-vp9" if writer.format.name == "webm" else "libx264"
    rate = moving.average_rate or moving.guessed_rate or Fraction(25)
    out = writer.add_stream(codec, rate=rate)
    out.width, out.height, out.pix_fmt = shape[1], shape[0], "yuv420p"
    out.time_base = out.codec_context.time_base = moving.time_base
    out.options = {"crf": str(crf)} | ({"b": "0"} if "vp9" in codec else {"preset": "medium"})
    return out


def _as_video(new: Any, old: Any, out: Any) -> Any:
    """RGB to the encoder's format, with the matrix that the source used."""
    made = new.reformat(format=out.pix_fmt, dst_colorspace=_matrix(old))
    made.pts, made.time_base = new.pts, new.time_base
    return made
