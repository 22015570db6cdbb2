"""A page of before and after: a slider over each pair, histograms, push and clipped share.

The one thing to know: the page is one file without network or script libraries; pictures in it are
small JPEGs, so it can be sent to somebody.
"""

from __future__ import annotations

import base64
import io
import os
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from .files import complete

SIDE = 1400
"""Longest side of a picture in the page, in pixels."""

MOST = 60
"""Pairs shown; further files have a row in the table only."""


def small(pixels: np.ndarray, side: int = SIDE) -> bytes:
    """A picture as a small JPEG.

    Args:
        pixels: uint8 or uint16 `[H, W, 3]`.
        side: Its longest side.
    """
    h, w = pixels.shape[:2]
    scale = min(1.0, side / max(h, w))
    if scale < 1:
        size = (max(1, round(w * scale)), max(1, round(h * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=85, optimize=True)
    return file.getvalue()


def write(rows: list[dict[str, Any]], path: str | os.PathLike[str]) -> Path:
    """Write the page; it appears complete or not at all.

    Args:
        rows: Facts of each file as `Enhanced.facts` has them, with source, target and, as
            pictures, the small JPEGs of before and after.
        path: Where; the folder must exist.

    Raises:
        OSError: The file cannot be written there.
    """
    path = Path(path)
    with complete(path) as work:
        work.write_text(page(rows), encoding="utf-8")
    return path


def page(rows: list[dict[str, Any]]) -> str:
    """The page as one string of HTML."""
    style = resources.files("foveate.report").joinpath("style.css").read_text(encoding="utf-8")
    own = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    one = len(rows) == 1
    title = Path(rows[0]["source"]).name if one else f"{len(rows)} pictures, brighter"
    shown = [row for row in rows if row.get("pictures")][:MOST]
    pairs = "".join(_pair(row, number) for number, row in enumerate(shown))
    table = "" if one else f"<section><h2>All files</h2>{_table(rows)}</section>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · foveate</title><style>{style}{own}</style></head><body><main>"
        f"<header><p class=brand>foveate enhance</p><h1>{escape(title)}</h1>"
        f"<p class=lead>{escape(_lead(rows))}</p></header>"
        f"{pairs}{table}<section><p class=note>{_NOTE}</p></section></main></body></html>\n"
    )


_NOTE = (
    "Move the slider to compare. <b>Push</b> is how much more light the dark parts got, in stops: "
    "each stop doubles it. <b>At white</b> is the share of pixels with a channel that is clipped, "
    "<b>at black</b> that of pixels with nothing in them. Histograms run from black to white; "
    "grey is before, colour after."
)


def _lead(rows: list[dict[str, Any]]) -> str:
    pushed = [row["ev"] for row in rows]
    if len(rows) == 1:
        row = rows[0]
        return (
            f"Method {row['method']}, pushed by {row['ev']:.1f} stops; mean brightness "
            f"{_percent(row['before']['mean'])} before, {_percent(row['after']['mean'])} after."
        )
    return (
        f"Pushed by {min(pushed):.1f} to {max(pushed):.1f} stops, {np.mean(pushed):.1f} on average."
    )


def _pair(row: dict[str, Any], number: int) -> str:
    before, after = (base64.b64encode(data).decode() for data in row["pictures"])
    name = escape(Path(row["source"]).name)
    facts = {
        "Push": f"{row['ev']:.1f} stops",
        "Mean": f"{_percent(row['before']['mean'])} → {_percent(row['after']['mean'])}",
        "At white": f"{_percent(row['before']['clipped'])} → {_percent(row['after']['clipped'])}",
        "At black": f"{_percent(row['before']['black'])} → {_percent(row['after']['black'])}",
        "Denoised": _denoised(row),
        "Size": f"{row['size'][0]} × {row['size'][1]}"
        + (f", {row['frames']} frames" if "frames" in row else f", {row['bits']} bits"),
        "Time": f"{row['seconds']:.1f} s",
    }
    cells = "".join(f"<div><dt>{k}<dd>{escape(v)}</div>" for k, v in facts.items())
    width, height = _size(row["pictures"][0])
    return (
        f'<section class=pair><h2>{name}</h2><div class=slider style="--at:50%;'
        f'aspect-ratio:{width}/{height};max-width:calc(80vh*{width}/{height})">'
        f'<img alt="{name}, enhanced" src="data:image/jpeg;base64,{after}">'
        f'<img class=before alt="{name} as it was" src="data:image/jpeg;base64,{before}">'
        f'<span class=tag>before</span><span class="tag right">after</span>'
        f'<input type=range min=0 max=100 value=50 aria-label="share of {name} shown as it was" '
        "oninput=\"this.parentNode.style.setProperty('--at',this.value+'%')\"><i></i></div>"
        f"<div class=beside>{_histogram(row, number)}<dl class=facts>{cells}</dl></div></section>"
    )


def _denoised(row: dict[str, Any]) -> str:
    if not row.get("denoise"):
        return "no" if "denoise" in row else "over time and space"
    return f"{row['denoise']:.2g} × the noise measured ({row['noise']:.3f})"


def _histogram(row: dict[str, Any], number: int) -> str:
    """Mean of the channels' histograms, before and after, on a root scale."""
    curves = [np.mean(row[when]["histogram"], axis=0) for when in ("before", "after")]
    most = max(float(np.sqrt(c[1:-1]).max()) for c in curves) or 1.0
    paths = []
    for curve, kind in zip(curves, ("was", "is"), strict=True):
        x = np.linspace(0, 256, len(curve))
        y = 90 - 84 * np.minimum(np.sqrt(curve) / most, 1)
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        paths.append(f'<polygon class="{kind}" points="0,90 {line} 256,90"/>')
    return (
        f'<svg viewBox="0 0 256 104" role=img aria-labelledby="h{number}">'
        f'<title id="h{number}">Histograms before and after</title>{"".join(paths)}'
        "<text class=tick x=0 y=102>black</text>"
        "<text class=tick x=256 y=102 text-anchor=end>white</text></svg>"
    )


def _table(rows: list[dict[str, Any]]) -> str:
    body = "".join(
        f"<tr><th scope=row>{escape(Path(row['source']).name)}<td>{row['ev']:.1f}"
        f"<td>{_percent(row['before']['mean'])}<td>{_percent(row['after']['mean'])}"
        f"<td>{_percent(row['after']['clipped'])}<td>{row['seconds']:.1f} s</tr>"
        for row in rows
    )
    return (
        "<div class=scroll><table class=files><thead><tr><th>file<th>push, stops<th>mean before"
        f"<th>after<th>at white<th>time</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _size(jpeg: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(jpeg)) as image:
        return image.size


def _percent(share: float) -> str:
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.1f} %"
