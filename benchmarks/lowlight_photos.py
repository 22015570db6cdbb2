"""The photographs that the low-light benchmarks use: real ones that ship inside packages.

    apt-get download opencv-doc lomiri-wallpapers-16.04 mate-backgrounds \
        plasma-workspace-wallpapers libjxl-testdata
    for file in *.deb; do dpkg -x $file photos; done
    pip install --no-deps scikit-image

The one thing to know: `pack` writes all of them, made smaller, into one npz file, which a machine
without these packages can use instead of the folder.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

_LOMIRI = "usr/share/backgrounds"
_MATE = "usr/share/backgrounds/mate/nature"
_PLASMA = "usr/share/wallpapers"
_OPENCV = "usr/share/doc/opencv-doc/examples"

PATCH_PHOTOS = {
    "dragonfly": f"{_LOMIRI}/Dragonfly_by_Bolly.jpg",
    "fig": f"{_LOMIRI}/Picture_0B_by_freespace.jpg",
    "brushes": f"{_LOMIRI}/Picture_1A_by_freespace.jpg",
    "wine": f"{_LOMIRI}/Wine_by_Jakkub_Mede.jpg",
    "aitzgorri": f"{_LOMIRI}/aitzgorri_by_Aitzol_Berasategi.jpg",
    "friends": f"{_LOMIRI}/friends_by_Aitzol_Berasategi.jpg",
    "life": f"{_LOMIRI}/life_by_Aitzol_Berasategi.jpg",
    "picos": f"{_LOMIRI}/picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "sunset": f"{_LOMIRI}/sunset_by_Aitzol_Berasategi.jpg",
    "blinds": f"{_MATE}/Blinds.jpg",
    "dune": f"{_MATE}/Dune.jpg",
    "garden": f"{_MATE}/Garden.jpg",
    "meadow": f"{_MATE}/GreenMeadow.jpg",
    "raindrops": f"{_MATE}/RainDrops.jpg",
    "cups": f"{_PLASMA}/ColorfulCups/contents/images/2560x1600.jpg",
    "evening": f"{_PLASMA}/EveningGlow/contents/images/2560x1600.jpg",
    "leaf": f"{_PLASMA}/FallenLeaf/contents/images/2560x1600.jpg",
    "moss": f"{_PLASMA}/OneStandsOut/contents/images/2560x1600.jpg",
    "path": f"{_PLASMA}/Path/contents/images/2560x1600.jpg",
    "aloe": f"{_OPENCV}/data/aloeL.jpg",
    "baboon": f"{_OPENCV}/data/baboon.jpg",
    "board": f"{_OPENCV}/data/board.jpg",
    "building": f"{_OPENCV}/data/building.jpg",
    "fruits": f"{_OPENCV}/data/fruits.jpg",
    "graffiti": f"{_OPENCV}/data/graf1.png",
    "leuven": f"{_OPENCV}/data/leuvenA.jpg",
    "rubberwhale": f"{_OPENCV}/data/rubberwhale1.png",
    "astronaut": "skimage/data/astronaut.png",
    "coffee": "skimage/data/coffee.png",
    "daisies": "jxl/flower/flower.png",
}
"""The classes of PhotoPatch-30, in this order: textured over most of their area."""

MORE_PHOTOS = {
    "bridge": f"{_LOMIRI}/Bridge_by_Sander_Klootwijk.jpg",
    "lamp": f"{_LOMIRI}/free_by_Peter_Nerlich.jpg",
    "seeding": f"{_LOMIRI}/seeding_by_Clements_Engelhardt.jpg",
    "aqua": f"{_MATE}/Aqua.jpg",
    "freshflower": f"{_MATE}/FreshFlower.jpg",
    "ladybird": f"{_MATE}/LadyBird.jpg",
    "twowings": f"{_MATE}/TwoWings.jpg",
    "yellowflower": f"{_MATE}/YellowFlower.jpg",
    "water": f"{_PLASMA}/BytheWater/contents/images/2560x1600.jpg",
    "kite": f"{_PLASMA}/Kite/contents/images/2560x1600.jpg",
    "summer": f"{_PLASMA}/summer_1am/contents/images/2560x1600.jpg",
    "home": f"{_OPENCV}/data/home.jpg",
    "football": f"{_OPENCV}/data/messi5.jpg",
    "squirrel": f"{_OPENCV}/data/squirrel_cls.jpg",
    "dog": f"{_OPENCV}/data/chicky_512.png",
    "apple": f"{_OPENCV}/data/apple.jpg",
    "orange": f"{_OPENCV}/data/orange.jpg",
    "butterfly": f"{_OPENCV}/data/butterfly.jpg",
    "monarch": f"{_OPENCV}/dnn_superres/butterfly.png",
    "plant": f"{_OPENCV}/alphamat/input_images/plant.jpg",
    "robin": f"{_OPENCV}/hfs/data/000.jpg",
    "house": f"{_OPENCV}/reg/home.png",
    "chelsea": "skimage/data/chelsea.png",
    "rocket": "skimage/data/rocket.jpg",
    "motorcycle": "skimage/data/motorcycle_left.png",
}
"""Further ones, for training and for the agreement benchmark."""

DARK_PHOTOS = {
    "darkest hour": f"{_PLASMA}/DarkestHour/contents/images/2560x1600.jpg",
    "storm": f"{_MATE}/Storm.jpg",
    "cold ripple": f"{_PLASMA}/ColdRipple/contents/images/2560x1600.jpg",
}
"""Photographs that are dark as they were taken; to look at, nothing is measured on them."""


def find(path: str, folder: str | Path) -> Path:
    """One file of the tables above.

    Raises:
        FileNotFoundError: It is missing; the message says how to get it.
    """
    if path.startswith("skimage/"):
        spec = find_spec("skimage")
        places = [Path(p).parent / path for p in (spec.submodule_search_locations if spec else [])]
    else:
        places = [Path(folder) / path, *sorted(Path(folder).rglob(path))[:1]]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(
        f"{path} is not below {folder}; benchmarks/lowlight_photos.py says how to unpack it"
    )


def read(path: str | Path, side: int | None = None) -> np.ndarray:
    """A photograph, uint8 `[H, W, 3]`; its longer side made at most `side` pixels."""
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    if side is not None and max(picture.size) > side:
        share = side / max(picture.size)
        size = tuple(max(1, round(s * share)) for s in picture.size)
        picture = picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3)
    return np.asarray(picture).copy()


def load(
    source: str | Path, names: dict[str, str] | None = None, side: int = 512
) -> dict[str, np.ndarray]:
    """Photographs by name, from the unpacked packages or from a file that `pack` wrote.

    Args:
        source: The folder, or the npz file.
        names: One of the tables above; None is PATCH_PHOTOS.
        side: Longer side in pixels; must be that of the file, if it is one.
    """
    names = PATCH_PHOTOS if names is None else names
    if str(source).endswith(".npz"):
        with np.load(source) as packed:
            missing = set(names) - set(packed.files)
            if missing:
                raise FileNotFoundError(f"{source} lacks {', '.join(sorted(missing))}; pack again")
            return {name: np.cumsum(packed[name], 1, dtype=np.uint8) for name in names}
    return {name: read(find(path, source), side) for name, path in names.items()}


def pack(photos: dict[str, np.ndarray], path: str | Path) -> None:
    """Write photographs into one npz, as differences along rows, which compress better."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    zero: dict[str, Any] = {
        name: np.diff(x, axis=1, prepend=np.zeros_like(x[:, :1])) for name, x in photos.items()
    }
    work = path.with_name(f".{path.name}.npz")
    np.savez_compressed(work, **zero)
    os.replace(work, path)
