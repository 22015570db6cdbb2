"""Pictures from and to files: 8 and 16 bits, with EXIF and ICC kept, complete or not at all.

The one thing to know: pixels keep the orientation they have in the file, and the EXIF tag that
turns them is kept too, so a viewer shows both pictures alike. The small preview inside EXIF is
dropped: it would go on showing the dark picture.
"""

from __future__ import annotations

import io
import os
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms

from .containers import Metadata, png_with, write_tiff

PLAIN = frozenset((".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".avif"))
"""Endings that are read and written."""

RAW = frozenset((".dng", ".arw", ".nef", ".cr2", ".cr3", ".raf", ".orf", ".rw2", ".pef", ".srw"))
"""Endings of camera RAW, which are read only."""

VIDEO = frozenset((".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v"))

DEEP = frozenset((".png", ".tif", ".tiff"))
"""Endings that hold 16 bits."""

MOST_PIXELS = 178_000_000
"""Larger files are refused, as Pillow does: a tiny file may claim any size."""


_BROKEN = (OSError, SyntaxError, ValueError, cv2.error, zlib.error)
"""What the libraries raise for damaged files."""


class BadPicture(ValueError):
    """A file that cannot be read as a picture, said in one line."""


@dataclass(frozen=True)
class Picture:
    """A picture as it lies in a file.

    Attributes:
        pixels: uint8 or uint16 `[H, W, 3]`, RGB.
        alpha: `[H, W]` of the same dtype, or None.
        grey: The file had one channel, and is written with one again.
        metadata: EXIF, ICC profile and resolution.
        ending: Of the file it came from, lower case.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    metadata: Metadata = field(default_factory=Metadata)
    ending: str = ".png"

    @property
    def top(self) -> int:
        """The code value of white: 255 or 65535."""
        return int(np.iinfo(self.pixels.dtype).max)

    def with_pixels(self, pixels: np.ndarray) -> Picture:
        """The same picture with other pixels."""
        return replace(self, pixels=pixels)

    def upright(self) -> np.ndarray:
        """Pixels as a viewer shows them: turned as EXIF says."""
        turns = {2: "h", 3: "hv", 4: "v", 5: "t", 6: "th", 7: "thv", 8: "tv"}
        pixels = self.pixels
        for step in turns.get(self.metadata.orientation, ""):
            pixels = {
                "t": lambda p: p.swapaxes(0, 1),
                "h": lambda p: p[:, ::-1],
                "v": lambda p: p[::-1],
            }[step](pixels)
        return np.ascontiguousarray(pixels)


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read a picture of 8 or 16 bits.

    Args:
        path: A file with one of the endings `PLAIN`.

    Raises:
        BadPicture: It is damaged, empty, moving, too large, or no picture.
        FileNotFoundError: There is none.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large files and damaged EXIF
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise BadPicture(
                        f"{path.name} has {image.width}x{image.height} pixels; "
                        f"at most {MOST_PIXELS // 10**6} million are read"
                    )
                if getattr(image, "n_frames", 1) > 1 and path.suffix.lower() not in (
                    ".tif",
                    ".tiff",
                ):
                    raise BadPicture(f"{path.name} moves; turn it into a video (.mp4) first")
                return _from(image, path)
    except BadPicture:
        raise
    except FileNotFoundError:
        raise
    except Image.DecompressionBombError:
        most = MOST_PIXELS // 10**6
        raise BadPicture(
            f"{path.name} has too many pixels; at most {most} million are read"
        ) from None
    except _BROKEN as error:
        raise BadPicture(f"{path.name} cannot be read as a picture: {_short(error)}") from None


def _from(image: Image.Image, path: Path) -> Picture:
    metadata = Metadata.of(image)
    ending = path.suffix.lower()
    deep = _deep(path, image)
    if deep is not None:
        return _split(deep, metadata, ending)
    image.load()
    if image.mode == "CMYK":
        image, metadata = _from_cmyk(image, metadata)
    if image.mode in ("P", "PA") or (image.mode in ("L", "RGB") and "transparency" in image.info):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("L" if image.mode in ("1", "I", "F", "I;16") else "RGB")
    return _split(np.asarray(image), metadata, ending)


def _deep(path: Path, image: Image.Image) -> np.ndarray | None:
    """Pixels of 16 bits, RGB order; None if the file has fewer."""
    if image.format == "PNG" and (image.mode.startswith("I") or _png_depth(path) == 16):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.dtype != np.uint16:
            raise BadPicture(f"{path.name} cannot be read as a PNG of 16 bits; it may be damaged")
        return _rgb(pixels)
    if image.format == "TIFF" and image.tag_v2.get(258, (8,))[0] == 16:
        import tifffile

        pixels = tifffile.imread(path, key=0)
        if pixels.dtype == np.uint16 and (pixels.ndim == 2 or pixels.shape[-1] in (1, 3, 4)):
            return pixels
        raise BadPicture(f"{path.name} is a TIFF of a kind that is not read; save it as RGB")
    return None


def _png_depth(path: Path) -> int:
    with open(path, "rb") as file:
        return file.read(25)[24]


def _rgb(pixels: np.ndarray) -> np.ndarray:
    """From OpenCV's order to ours."""
    if pixels.ndim == 2:
        return pixels
    order = {2: (0, 1), 3: (2, 1, 0), 4: (2, 1, 0, 3)}[pixels.shape[-1]]
    return pixels[..., order]


def _split(pixels: np.ndarray, metadata: Metadata, ending: str) -> Picture:
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    alpha = pixels[..., -1].copy() if pixels.shape[-1] in (2, 4) else None
    colours = pixels[..., :-1] if alpha is not None else pixels
    grey = colours.shape[-1] == 1
    colours = np.repeat(colours, 3, axis=-1) if grey else np.ascontiguousarray(colours)
    return Picture(colours, alpha, grey, metadata, ending)


def _from_cmyk(image: Image.Image, metadata: Metadata) -> tuple[Image.Image, Metadata]:
    """Ink to light, by the file's own profile if it has one; the result is sRGB."""
    plain = replace(metadata, icc=None)
    if metadata.icc:
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(metadata.icc))
            screen = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, profile, screen, outputMode="RGB"), plain
        except (ImageCms.PyCMSError, OSError):
            pass  # a broken profile is no reason to lose the picture
    return image.convert("RGB"), plain


def write_picture(picture: Picture, path: str | os.PathLike[str], quality: int = 95) -> Path:
    """Write a picture; the file appears complete or not at all.

    16 bits stay 16 bits in PNG and TIFF and become 8 elsewhere. JPEG has no transparency: it is
    put on white.

    Args:
        picture: What to write.
        path: Where; the ending chooses the format, and the folder must exist.
        quality: Of JPEG, WebP and AVIF, 1 to 100.

    Raises:
        ValueError: The ending is not one of `PLAIN`.
        OSError: The file cannot be written there.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in PLAIN:
        raise ValueError(f'"{path.name}" has no ending of {", ".join(sorted(PLAIN))}')
    if ending in (".bmp", ".ppm") and picture.metadata.orientation > 1:  # hold no EXIF
        picture = replace(picture, pixels=picture.upright(), alpha=None, metadata=Metadata())
    pixels = _joined(picture, alpha=ending not in (".jpg", ".jpeg", ".bmp", ".ppm"))
    with complete(path) as work:
        if ending in (".tif", ".tiff"):
            write_tiff(work, pixels, picture.metadata)
        elif pixels.dtype == np.uint16 and ending == ".png":
            work.write_bytes(png_with(_png16(pixels), picture.metadata))
        else:
            if pixels.dtype == np.uint16:
                pixels = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
            _save(Image.fromarray(pixels), work, ending, picture.metadata, quality)
    return path


def _joined(picture: Picture, alpha: bool) -> np.ndarray:
    """All channels of the file: `[H, W]` or `[H, W, C]`."""
    pixels = picture.pixels[..., :1] if picture.grey else picture.pixels
    if picture.alpha is not None and alpha:
        if pixels.dtype == np.uint16:  # grey with alpha is rare, few programs read it
            pixels = picture.pixels
        pixels = np.concatenate([pixels, picture.alpha[..., None]], axis=-1)
    elif picture.alpha is not None:
        share = picture.alpha[..., None].astype(np.float32) / picture.top
        pixels = np.rint(share * pixels + (1 - share) * picture.top).astype(pixels.dtype)
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _png16(pixels: np.ndarray) -> bytes:
    ok, data = cv2.imencode(".png", _rgb(pixels) if pixels.ndim == 3 else pixels)
    if not ok:
        raise OSError("the picture could not be encoded as PNG")
    return data.tobytes()


def _save(image: Image.Image, path: Path, ending: str, metadata: Metadata, quality: int) -> None:
    options: dict[str, object] = {}
    if metadata.exif and ending not in (".bmp", ".ppm"):
        options["exif"] = metadata.exif
    if metadata.icc:
        options["icc_profile"] = metadata.icc
    if metadata.dpi and ending != ".webp":
        options["dpi"] = metadata.dpi
    if ending in (".jpg", ".jpeg"):
        options |= {"quality": quality, "subsampling": "4:4:4", "optimize": True}
    elif ending in (".webp", ".avif"):
        options["quality"] = quality
    kinds = {".jpg": "JPEG", ".jpeg": "JPEG"}
    image.save(path, kinds.get(ending, ending[1:].upper()), **options)


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """A file beside the target, which takes its name at the end and vanishes on failure."""
    handle, name = tempfile.mkstemp(prefix=".enhance-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    work = Path(name)
    try:
        yield work
        mask = os.umask(0)
        os.umask(mask)
        work.chmod(0o666 & ~mask)
        os.replace(work, path)
    except BaseException:
        work.unlink(missing_ok=True)
        raise


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "it is damaged or of another kind" if "cannot identify" in text else text
