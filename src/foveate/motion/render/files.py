"""Pictures and videos as files. Each appears complete or not at all.

The one thing to know: videos go through imageio-ffmpeg, whose wheel brings the encoder; nothing
needs to be installed on the system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from ..body import PARENTS
from ..clip import MotionClip, write_atomic
from ..exchange.atomic import replacing
from . import pictures
from .camera import framing
from .sheets import contact_sheet

Step = Callable[[int, int], None]


def to_mp4(
    clip: MotionClip,
    path: Path,
    width: int = 640,
    height: int = 480,
    fps: float = 30.0,
    azimuth: float = 150.0,
    marks: bool = False,
    renderer: str = "auto",
    step: Step | None = None,
) -> None:
    """H.264 video.

    Args:
        clip: What to show.
        path: Where.
        width: Pixels, even.
        height: Pixels, even.
        fps: Frames per second.
        azimuth: Looking direction in degrees relative to where the body faces at first.
        marks: Contacts, centre of mass and forward arrow on the floor.
        renderer: "auto", "painter" or "gl".
        step: Called with (frames done, frames in all).
    """
    for name, value in (("width", width), ("height", height)):
        if value % 2:
            raise ValueError(f"{name} is {value}; H.264 needs an even number")
    frames = pictures.clip_frames(
        clip.resampled(fps), width, height, azimuth=azimuth, marks=marks, kind=renderer, step=step
    )
    write_mp4(frames, path, fps)


def write_mp4(frames: Iterable[np.ndarray], path: Path, fps: float) -> None:
    """Encode pictures [H, W, 3] of equal, even size.

    Raises:
        RuntimeError: The encoder failed.
    """
    import imageio_ffmpeg

    frames = iter(frames)
    first = next(frames)
    with replacing(path) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary),
            (first.shape[1], first.shape[0]),
            fps=fps,
            codec="libx264",
            quality=None,
            macro_block_size=2,
            output_params=[
                "-crf", "20", "-preset", "veryfast", "-movflags", "+faststart",
                # the same clip gives the same bytes: no encoder versions, one thread
                "-fflags", "+bitexact", "-flags:v", "+bitexact", "-threads", "1",
            ],
            ffmpeg_log_level="error",
        )  # fmt: skip
        writer.send(None)
        try:
            writer.send(np.ascontiguousarray(first))
            for picture in frames:
                writer.send(np.ascontiguousarray(picture))
        except OSError as error:
            raise RuntimeError(f"the video encoder stopped: {error}") from None
        finally:
            writer.close()
        if temporary.stat().st_size == 0:
            raise RuntimeError("the video encoder wrote nothing")


def to_gif(
    clip: MotionClip,
    path: Path,
    width: int = 400,
    height: int = 300,
    fps: float = 15.0,
    azimuth: float = 150.0,
    marks: bool = False,
    renderer: str = "auto",
    step: Step | None = None,
) -> None:
    """Animated GIF with one palette for all frames; at most 15 fps, see `to_mp4`."""
    fps = min(fps, 15.0)
    frames = pictures.clip_frames(
        clip.resampled(fps), width, height, azimuth=azimuth, marks=marks, kind=renderer, step=step
    )
    write_gif(frames, path, fps)


def write_gif(frames: Iterable[np.ndarray], path: Path, fps: float) -> None:
    """Write pictures [H, W, 3] as an endless GIF."""
    pictures_ = [Image.fromarray(frame) for frame in frames]
    # colours of a few frames together: one palette, so that the still background does not shimmer
    some = pictures_[:: max(1, len(pictures_) // 4)][:5]
    strip = Image.new("RGB", (some[0].width, some[0].height * len(some)))
    for i, picture in enumerate(some):
        strip.paste(picture, (0, i * picture.height))
    palette = strip.quantize(255, method=Image.Quantize.MEDIANCUT)
    plain = [p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures_]
    with replacing(path) as temporary:
        plain[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=plain[1:],
            duration=round(1000 / fps),
            loop=0,
            optimize=False,
        )


def to_png(clip: MotionClip, path: Path, columns: int = 6, renderer: str = "auto") -> None:
    """Contact sheet of the key poses."""
    sheet = contact_sheet(clip, columns=columns, kind=renderer)
    write_atomic(path, pictures.png(sheet))


LEFT, RIGHT, TRUNK = "#3575d4", "#ee8233", "#565b63"


def to_svg(clip: MotionClip, path: Path, count: int = 8, height: int = 260) -> None:
    """A strip of stick figures, evenly spaced in time.

    Args:
        clip: What to show.
        path: Where.
        count: Figures.
        height: Pixels.
    """
    if not 1 <= count <= 100:
        raise ValueError(f"count is {count}; expected 1 to 100")
    at = np.linspace(0, len(clip) - 1, count).round().astype(int)
    wide = round(height * 0.8)
    body = []
    for i, frame in enumerate(at):
        places = clip.joints[frame] - clip.joints[frame, 0] * [1, 1, 0]
        camera = framing(
            np.array([[0, 0, 0], [0, 0, 1.95], [0, 0.8, 1], [0, -0.8, 1.0]]), wide, height
        )
        pixels, _ = camera.project(places, wide, height)
        pixels[:, 0] += i * wide
        for joint in range(1, 22):
            (x1, y1), (x2, y2) = pixels[PARENTS[joint]], pixels[joint]
            colour = TRUNK
            if joint in (1, 4, 7, 10, 16, 18, 20):
                colour = LEFT
            elif joint in (2, 5, 8, 11, 17, 19, 21):
                colour = RIGHT
            body.append(
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
            )
        x, y = pixels[15]
        body.append(f'<circle cx="{x:.1f}" cy="{y - 8:.1f}" r="9" fill="#dbb394" stroke="none"/>')
        body.append(
            f'<text x="{i * wide + wide / 2:.0f}" y="{height - 6}" stroke="none">'
            f"{frame / clip.fps:.2f} s</text>"
        )
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide * count} {height}" '
        'fill="#6d675d" font-family="sans-serif" font-size="12" text-anchor="middle" '
        f'stroke-width="6" stroke-linecap="round">{"".join(body)}</svg>\n'
    )
    write_atomic(path, text.encode())
