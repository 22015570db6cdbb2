"""Datasets of dark pictures as their authors lay them out on disk; nothing is downloaded.

    night = CODaN("~/data/codan", "test_night")
    picture, label = night[0]

Each class finds the files, checks their number against what the authors published, and says what it
expected when something is missing. Pictures come as uint8 `[3, H, W]`; the classes are ordinary
torch datasets.

The one thing to know: a folder with fewer files than published is refused unless `partial=True`,
so a number measured on half a dataset never passes for one on the whole.
"""

from __future__ import annotations

from typing import Any

from ...lazy import find

_PLACES = {
    "LayoutError": "layout",
    "CODaN": "codan",
    "ExDark": "exdark",
    "DarkFace": "faces",
    "WiderFace": "faces",
    "ARID": "arid",
    "VBOF": "vbof",
    "LOL": "lol",
    "SIDSony": "sid",
    "ELD": "sid",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    value = find(__name__, name, _PLACES, "foveate[lowlight]")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
