"""What a RAW file is good for: a factorised benchmark, after FEM.

"RAW is better than sRGB" is taken apart into seven properties that can be switched one by one. The
same enhancer is trained on inputs with different properties, and what each property is worth is
read off.

After: Huang, Yang, Hu, Liu, Duan, "Towards Low Light Enhancement with RAW Images" (TIP 2022), whose
abstract names linearity and exposure time as the two that matter most. The other five, the network
and the data are ours.
"""

from __future__ import annotations

from typing import Any

from ...lazy import find

_PLACES = {
    "FACTORS": "factors",
    "Factors": "factors",
    "build_input": "factors",
    "Budget": "trainings",
    "make_data": "trainings",
    "raw_data": "trainings",
    "run": "trainings",
    "default_configs": "trainings",
    "summary": "effects",
    "shapley": "effects",
    "write_report": "report",
}

__all__ = list(_PLACES)


def __getattr__(name: str) -> Any:
    value = find(__name__, name, _PLACES, "foveate[lowlight]")
    globals()[name] = value
    return value
