"""RAW files: read any that LibRaw knows, write plain DNG.

The one thing to know: what is read is cropped so that red sits at (0, 0), black is subtracted and
white is 1. The file's gains and matrix come along as a `Camera`, so that
`file.camera.render(file.packed)` is a picture.
"""

from __future__ import annotations

import io
import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import mosaic, weights
from .isp import SRGB_TO_XYZ, Camera, matrix_from_xyz

_KNOWN = "3fr arw cr2 cr3 crw dng erf kdc mos mrw nef nrw orf pef raf raw rw2 srw x3f"
SUFFIXES = frozenset(f".{name}" for name in _KNOWN.split())
"""Suffixes by which a folder's RAW files are known."""


@dataclass(frozen=True, eq=False)
class RawFile:
    """One RAW file, read.

    Attributes:
        packed: `[1, 4, h, w]`, R, Gr, Gb, B; linear, black subtracted, white = 1.
        camera: As-shot gains and the file's own matrix; brightness 1.
        exposure: Exposure time in seconds; None when the file does not say.
        iso: ISO speed; None when the file does not say.
        black: Black level of each plane, in DN.
        white: White level, in DN.
        turns: Quarter turns to the left that set the picture upright.
    """

    packed: Tensor
    camera: Camera
    exposure: float | None
    iso: float | None
    black: tuple[float, float, float, float]
    white: float
    turns: int = 0

    def light(self) -> float | None:
        """Exposure time times ISO: what a ratio of exposures is taken from."""
        return None if self.exposure is None else self.exposure * (self.iso or 1.0)


def read_raw(path: str | Path) -> RawFile:
    """Read a RAW file with LibRaw.

    Args:
        path: ARW, NEF, CR2, DNG …; a Bayer mosaic.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: LibRaw cannot read it, or the mosaic is not Bayer (X-Trans, Foveon, linear DNG).
        ModuleNotFoundError: rawpy is not installed.
    """
    rawpy, path = _rawpy(), Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such RAW file: {path}")
    try:
        with rawpy.imread(str(path)) as raw:
            return _taken(raw, path)
    except rawpy.LibRawError as error:
        told = error.args[0] if error.args else type(error).__name__
        told = told.decode() if isinstance(told, bytes) else told
        raise ValueError(f"{path} cannot be read as RAW ({told})") from None


def _taken(raw: Any, path: Path) -> RawFile:
    pattern, names = raw.raw_pattern, raw.color_desc.decode()
    if pattern is None or pattern.shape != (2, 2):
        kind = (
            "no mosaic" if pattern is None else f"a {pattern.shape[0]} × {pattern.shape[1]} mosaic"
        )
        raise ValueError(
            f"{path.name} has {kind} (X-Trans, Foveon or linear); only Bayer files are read yet, "
            "develop it to 16-bit TIFF and enhance that"
        )
    cfa = "".join(names[i] for i in pattern.flatten())
    sites = mosaic.sites(cfa)
    colours = [int(pattern[row, column]) for row, column in sites]  # LibRaw's numbers of R Gr Gb B
    black = tuple(float(raw.black_level_per_channel[c]) for c in colours)
    white = float(raw.white_level)
    values = torch.from_numpy(raw.raw_image_visible.astype("float32"))
    packed = mosaic.pack(mosaic.to_rggb(values, cfa))
    low = torch.tensor(black).reshape(4, 1, 1)
    packed = (packed - low) / (white - low)
    seconds, iso = float(raw.other.shutter_speed), float(raw.other.iso_speed)
    return RawFile(
        packed=packed.clamp(max=1).unsqueeze(0),
        camera=_camera(raw, colours),
        exposure=seconds if seconds > 0 else None,
        iso=iso if iso > 0 else None,
        black=black,
        white=white,
        turns={3: 2, 5: 1, 6: 3}.get(int(raw.sizes.flip), 0),
    )


def _camera(raw: Any, colours: list[int]) -> Camera:
    mean = Camera.mean()
    shot = [float(raw.camera_whitebalance[c]) for c in colours]
    if not (shot[0] > 0 and shot[1] > 0 and shot[3] > 0):  # not told: LibRaw's daylight gains
        shot = [float(raw.daylight_whitebalance[c]) for c in colours]
    usable = all(math.isfinite(v) and v > 0 for v in (shot[0], shot[1], shot[3]))
    wb = torch.tensor([shot[0], shot[1], shot[3]]) / shot[1] if usable else mean.wb
    return Camera(wb, _matrix(raw, mean), torch.tensor(1.0), torch.tensor(0.0))


def _matrix(raw: Any, mean: Camera) -> Tensor:
    """Camera → sRGB: LibRaw's own; else from its matrix to XYZ; else the mean camera's.

    Which of the two LibRaw fills depends on the file: a DNG with a matrix of its own has the first.
    """
    ccm = torch.from_numpy(raw.color_matrix[:, :3].astype("float32"))
    if float((ccm.sum(1) - 1).abs().max()) < 0.05:
        return ccm
    xyz = torch.from_numpy(raw.rgb_xyz_matrix[:3].astype("float32"))
    return matrix_from_xyz(xyz) if float(torch.linalg.det(xyz).abs()) > 1e-6 else mean.ccm


def write_dng(
    path: str | Path,
    packed: Tensor,
    camera: Camera | None = None,
    *,
    exposure: float = 1.0,
    iso: int = 100,
    black: int = 512,
    white: int = 16383,
    cfa: str = "RGGB",
    model: str = "foveate synthetic",
) -> None:
    """Write RAW as an uncompressed 16-bit DNG that LibRaw and raw converters open.

    Args:
        path: Where to.
        packed: `[4, h, w]` or `[1, 4, h, w]`, black subtracted, white = 1.
        camera: Its gains become AsShotNeutral and its matrix ColorMatrix1; None: the mean camera.
        exposure: Exposure time in seconds.
        iso: ISO speed.
        black: Black level, in DN.
        white: White level, in DN, below 65536.
        cfa: Where the colours sit.
        model: Name of the camera.

    Raises:
        ValueError: A wrong shape, or levels out of order.
        ModuleNotFoundError: tifffile is not installed.
    """
    tifffile = _tifffile()
    camera = camera or Camera.mean()
    if packed.dim() == 4 and len(packed) == 1:
        packed = packed[0]
    if packed.dim() != 3 or len(packed) != 4:
        raise ValueError(f"packed is {[*packed.shape]}, expected [4, h, w]")
    if not 0 <= black < white < 65536:
        raise ValueError(f"black {black} and white {white}; expected 0 <= black < white < 65536")
    values = (mosaic.unpack(packed, cfa) * (white - black) + black).round().clamp(0, 65535)
    neutral = [1 / float(v) for v in camera.wb.reshape(-1, 3)[0]]
    colours = bytes("RGB".index(letter) for letter in cfa)
    tags = [
        (254, "I", 1, 0, True),
        (271, "s", 0, "foveate", True),
        (272, "s", 0, model, True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, colours, True),
        (33434, "2I", 1, _ratio(exposure), True),
        (_EXIF - 1, "I", 1, _PLACE, True),
        (50706, "B", 4, bytes((1, 4, 0, 0)), True),
        (50707, "B", 4, bytes((1, 1, 0, 0)), True),
        (50708, "s", 0, model, True),
        (50714, "I", 1, black, True),
        (50717, "I", 1, white, True),
        (50721, "2i", 9, _ratios(_xyz_to_camera(camera).flatten().tolist()), True),
        (50728, "2I", 3, _ratios(neutral), True),
        (50778, "H", 1, 21, True),  # the matrix holds under D65
    ]
    held = io.BytesIO()
    tifffile.imwrite(
        held,
        values.to(torch.int32).numpy().astype("uint16"),
        photometric=32803,
        compression=None,
        extratags=tags,
        metadata=None,
        software=False,
        byteorder="<",
    )
    weights.write_bytes(path, _with_exif(held.getvalue(), exposure, iso))


_EXIF = 34665  # tifffile refuses to write this tag, so its neighbour is written and renamed
_PLACE = 0x7E55F0EA  # stands where the place of the EXIF block goes


def _with_exif(data: bytes, exposure: float, iso: int) -> bytes:
    """Append exposure time and ISO as an EXIF block, the only place where LibRaw looks for ISO."""
    place = len(data) + len(data) % 2
    after = place + 2 + 2 * 12 + 4
    block = struct.pack("<H", 2)
    block += struct.pack("<HHII", 33434, 5, 1, after)
    block += struct.pack("<HHIHH", 34855, 3, 1, min(int(iso), 65535), 0)
    block += struct.pack("<I", 0) + struct.pack("<II", *_ratio(exposure))
    written = struct.pack("<HHII", _EXIF - 1, 4, 1, _PLACE)
    data = data.replace(written, struct.pack("<HHII", _EXIF, 4, 1, place), 1)
    return data.ljust(place, b"\0") + block


def _xyz_to_camera(camera: Camera) -> Tensor:
    """A matrix from XYZ whose camera → sRGB matrix is the camera's."""
    ccm = camera.ccm.reshape(-1, 3, 3)[0]
    return torch.linalg.inv(ccm) @ torch.linalg.inv(torch.tensor(SRGB_TO_XYZ))


def _ratio(value: float) -> tuple[int, int]:
    near = Fraction(value).limit_denominator(100_000)
    return near.numerator, near.denominator


def _ratios(values: list[float]) -> tuple[int, ...]:
    return tuple(part for value in values for part in _ratio(value))


def _rawpy() -> Any:
    return _need("rawpy", "RAW files are read with rawpy")


def _tifffile() -> Any:
    return _need("tifffile", "DNG files are written with tifffile")


def _need(name: str, told: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError(
            f'{told}, which is not installed; pip install "foveate[lowlight]"', name=name
        ) from None
