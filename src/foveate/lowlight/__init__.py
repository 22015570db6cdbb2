"""Low light: photographs, videos and machine vision in the dark.

The one thing to know: a name is imported when it is first used, so `import foveate.lowlight` loads
nothing but this file; what needs more than torch says which extra brings it.

Images inside the room are float32 tensors `[B, 3, H, W]` (or `[3, H, W]`) in [0, 1], sRGB. RAW is
packed `[B, 4, H/2, W/2]` in the order R, Gr, Gb, B, linear, black subtracted, white = 1. Arrays of
uint8 and uint16 `[H, W, 3]` appear only where files begin.

Three systems live here, after these papers: SACC (Wang et al., ACM MM 2022 and TPAMI 2024), REENet
and FEM (Huang et al., TIP 2022). What the papers leave open is ours, and each page says where.
"""

from __future__ import annotations

from typing import Any

from ..lazy import find

_PLACES = {
    # for people
    "Enhancer": "enhance",
    "METHODS": "names",
    "Enhanced": "enhance",
    "BadPicture": "files",
    "Picture": "files",
    "read_any": "sources",
    "enhance_video": "video",
    "read_picture": "files",
    "write_picture": "files",
    # camera and RAW
    "Camera": "isp",
    "LowLight": "pairs",
    "RawFolder": "raw_pairs",
    "RawSource": "raw_pairs",
    "SensorNoise": "sensor",
    "Source": "pairs",
    "low_light": "pairs",
    "read_raw": "raw",
    "write_dng": "raw",
    # SACC: a curve for machines or people
    "ConcaveCurve": "sacc.curve",
    "CurveFamily": "sacc.ensemble",
    "EnhancedModel": "sacc.frozen",
    "Frozen": "sacc.frozen",
    "RotatedJigsaw": "sacc.pretext",
    "adapt": "sacc.adaptation",
    "adapt_plus": "sacc.plus",
    "export_onnx": "sacc.onnx_file",
    "train_curve_ce": "sacc.ensemble",
    "train_curve_pairs": "sacc.reference",
    "train_curve_pt": "sacc.selfalign",
    "train_pretext": "sacc.selfalign",
    # what is trained
    "REENet": "reenet",
}
"""Public name → module that holds it."""

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    value = find(__name__, name, _PLACES, "foveate[lowlight]")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
