"""Any file with one picture in it, camera RAW included.

The one thing to know: a RAW file is developed as its camera meant it (its white balance, no
automatic brightening), with 16 bits; what is dark stays dark until a method lifts it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from PIL import Image

from .containers import Metadata
from .files import RAW, BadPicture, Picture, read_picture


def read_any(path: str | os.PathLike[str]) -> Picture:
    """Read a picture or develop a camera's RAW file.

    Args:
        path: A file with an ending of `PLAIN` or `RAW`.

    Raises:
        BadPicture: It cannot be read.
        FileNotFoundError: There is none.
    """
    path = Path(path)
    if path.suffix.lower() not in RAW:
        return read_picture(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    return _developed(path)


def _developed(path: Path) -> Picture:
    try:
        import rawpy
    except ModuleNotFoundError:
        raise BadPicture(
            f"{path.name} is a camera RAW, which needs rawpy: pip install 'foveate[lowlight]'"
        ) from None
    try:
        with rawpy.imread(str(path)) as raw:
            pixels = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16)
    except rawpy.LibRawError as error:
        raise BadPicture(f"{path.name} cannot be read as a camera RAW: {error}") from None
    metadata = Metadata()
    with suppress(OSError, SyntaxError, ValueError), Image.open(path) as image:
        metadata = Metadata.of(image)
    if metadata.exif:  # the developer turned the pixels already, and they are sRGB now
        metadata = Metadata(exif=_upright(metadata.exif))
    return Picture(pixels, metadata=metadata, ending=path.suffix.lower())


def _upright(exif: bytes) -> bytes:
    found = Image.Exif()
    found.load(exif)
    found[0x0112] = 1
    return found.tobytes()
