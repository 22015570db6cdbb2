"""A page that enhances photographs in a browser: one file, no network, nothing leaves the computer.

The page holds the weights of a curve network (float32, base64) and three small scripts: the network
in plain JavaScript, the look-up on a canvas, and the controls.

The one thing to know: the network runs on a 16 x 16 thumbnail whatever the photograph's size, so
plain JavaScript is quick enough (9.5 million products); its curve equals torch's within rounding,
which a test in a real browser checks.
"""

from __future__ import annotations

import base64
import json
import os
from importlib import resources
from pathlib import Path

import numpy as np

from .sacc.curve import ConcaveCurve
from .weights import write_bytes

LAYERS = ("e1", "e2", "e3", "e4", "e5", "d1", "d2", "head")
"""In the order in which their weights and biases lie in the page."""


def write_page(path: str | os.PathLike[str], weights: str | None = None) -> Path:
    """Write the page; it appears complete or not at all.

    Args:
        path: Where; the folder is made when missing.
        weights: A file that `ConcaveCurve.save` wrote, or None for the curve that ships.

    Raises:
        ValueError: There are no such weights, or the curve samples its thumbnail in a way that the
            page does not know.
    """
    data = page(ConcaveCurve.load(weights or "people")).encode("utf-8")
    write_bytes(path, data)
    return Path(path)


def page(model: ConcaveCurve) -> str:
    """The page for a curve network, as one string of HTML.

    Args:
        model: Any curve of degree 1 to 3 that reduces by area.

    Raises:
        ValueError: It takes the nearest pixels instead.
    """
    if model.downsample != "area":
        raise ValueError(
            f'the curve has downsample="{model.downsample}"; a page needs one trained with "area"'
        )
    read = lambda name: resources.files(__package__).joinpath(name).read_text("utf-8")  # noqa: E731
    html = read("page.html")
    style = resources.files("foveate.report").joinpath("style.css").read_text("utf-8")
    facts = {
        "width": model.config["width"],
        "curves": model.curves,
        "degree": model.degree,
        "weights": base64.b64encode(_packed(model)).decode(),
    }
    # "</" would end the script early; JSON allows the slash to be escaped
    model_json = json.dumps(facts).replace("</", "<\\/")
    for name, text in (
        ("style", style + read("report.css") + read("page.css")),
        ("network", read("page_network.js")),
        ("controls", read("page_controls.js")),
        ("model", model_json),
    ):
        html = html.replace(f"/*{name}*/", text)
    return html


def _packed(model: ConcaveCurve) -> bytes:
    """All weights as little-endian float32, each layer's weight before its bias."""
    arrays = []
    for name in LAYERS:
        layer = getattr(model, name)
        arrays += [layer.weight.detach().numpy().ravel(), layer.bias.detach().numpy().ravel()]
    return np.concatenate(arrays).astype("<f4").tobytes()
