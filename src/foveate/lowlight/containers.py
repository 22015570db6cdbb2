"""What travels with a picture besides its pixels: EXIF, ICC profile, resolution.

The libraries that write 16 bits leave these out, so PNG chunks and TIFF tags are put in here.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin

_ORIENTATION = 0x0112
_EXIF_POINTER = 0x8769

# tags of a TIFF that describe pixels, not the photograph; the writer sets its own
_OF_PIXELS = frozenset(
    [
        *(254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 283, 284, 296, 297),
        *(317, 320, 322, 323, 324, 325, 330, 338, 339, 347, 513, 514, 529, 530, 531, 532, 34675),
        *(34665, 34853, 40965),
    ]
)


@dataclass(frozen=True)
class Metadata:
    """What is kept of a file's head.

    Attributes:
        exif: The EXIF block, beginning with b"Exif", or None.
        icc: The colour profile, or None.
        dpi: Pixels per inch, across and down, or None.
        orientation: EXIF's number, 1 to 8; 1 is upright.
    """

    exif: bytes | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    orientation: int = 1

    @classmethod
    def of(cls, image: Image.Image) -> Metadata:
        """The metadata of an opened file; damaged EXIF counts as none."""
        exif, orientation = None, 1
        try:
            found = image.getexif()
            found.pop(ExifTags.Base.JpegIFOffset, None)
            for key in [key for key in found if key in _OF_PIXELS and key != _ORIENTATION]:
                if image.format == "TIFF" and key not in (34665, 34853):
                    del found[key]
            orientation = int(found.get(_ORIENTATION, 1))
            if len(found):
                # the preview would show the dark picture, so its directory is left behind
                exif = _without_preview(found)
        except (OSError, ValueError, SyntaxError, KeyError, TypeError, struct.error):
            exif, orientation = None, 1
        dpi = image.info.get("dpi")
        return cls(
            exif,
            image.info.get("icc_profile") or None,
            (float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
            orientation if 1 <= orientation <= 8 else 1,
        )


def _without_preview(found: Image.Exif) -> bytes:
    kept = Image.Exif()
    kept.endian = "<"
    for key, value in found.items():
        if key not in (34665, 34853):
            kept[key] = value
    for key in (34665, 34853):
        part = found.get_ifd(key)
        if part:
            kept.get_ifd(key).update({k: v for k, v in part.items() if k != 40965})
    return kept.tobytes()


def png_with(data: bytes, metadata: Metadata) -> bytes:
    """A PNG with profile, EXIF and resolution put behind its header (PNG 3rd edition, §11.3)."""
    extra = b""
    if metadata.icc:
        extra += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(metadata.icc))
    if metadata.exif:
        extra += _chunk(b"eXIf", metadata.exif.removeprefix(b"Exif\0\0"))
    if metadata.dpi:
        metre = [round(x / 0.0254) for x in metadata.dpi]
        extra += _chunk(b"pHYs", struct.pack(">IIB", *metre, 1))
    end = 8 + 12 + 13  # signature and IHDR
    return data[:end] + extra + data[end:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def write_tiff(path: Path, pixels: np.ndarray, metadata: Metadata) -> None:
    """Write a TIFF with its profile and EXIF.

    Args:
        path: Where.
        pixels: uint8 or uint16 `[H, W]` or `[H, W, C]`.
        metadata: What to put into the head.
    """
    import tifffile

    exif = Image.Exif()
    if metadata.exif:
        exif.load(metadata.exif)
    tags = [(_ORIENTATION, "H", 1, metadata.orientation, True)]
    for key, value in exif.items():
        if isinstance(value, str) and key not in _OF_PIXELS and key != 305:
            tags.append((key, "s", 0, value, True))
    parts = [(key, exif.get_ifd(key)) for key in (34665, 34853)]
    parts = [(key, part) for key, part in parts if part]
    # the writer knows better than to write pointers: their neighbours hold the places until the
    # directories lie behind the pixels
    tags += [(key - 1, "I", 1, 0, True) for key, _ in parts]
    transparent = pixels.ndim == 3 and pixels.shape[-1] in (2, 4)
    with tifffile.TiffWriter(path, byteorder="<") as file:
        file.write(
            pixels,
            photometric="rgb" if pixels.ndim == 3 and pixels.shape[-1] > 2 else "minisblack",
            extrasamples=["unassalpha"] if transparent else None,
            compression="adobe_deflate",
            predictor=True,
            iccprofile=metadata.icc,
            resolution=metadata.dpi or (72, 72),
            resolutionunit="inch",
            metadata=None,
            extratags=tags,
        )
    for key, part in parts:
        _append_directory(path, key, part)


def _append_directory(path: Path, pointer: int, part: dict) -> None:
    """Put a directory of tags at the end of a TIFF, and let the tag `pointer` lead to it."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags[pointer - 1].offset
    directory = TiffImagePlugin.ImageFileDirectory_v2(b"II\x2a\x00\x08\x00\x00\x00")
    for key, value in part.items():
        if not isinstance(value, dict):
            directory[key] = value
    with open(path, "r+b") as file:
        end = file.seek(0, 2)
        file.write(b"\0" * (end % 2))
        end += end % 2
        file.write(directory.tobytes(end))
        file.seek(place)
        file.write(struct.pack("<HHII", pointer, 4, 1, end))
