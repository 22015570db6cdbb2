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

import importlib
from typing import Any

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
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
