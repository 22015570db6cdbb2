"""The gallery: one page of contact sheets with what the rules said, to look through after a run."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from ..clip import write_atomic
from .bench import HEADER, Outcome, cells, summary

_STYLE = """
body{margin:0 auto;max-width:78rem;padding:2rem 1.2rem 4rem;background:#fbfaf7;color:#23201b;
font:15px/1.5 ui-sans-serif,system-ui,sans-serif;font-variant-numeric:tabular-nums}
h1,h2{font-family:ui-serif,Georgia,serif}
table{border-collapse:collapse;margin-bottom:2.5rem}
td,th{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #e4dfd5}
td:first-child,th:first-child{text-align:left}
article{margin:0 0 2rem;border-top:1px solid #e4dfd5;padding-top:.8rem}
article p{margin:.2rem 0}
img{max-width:100%;display:block;margin:.5rem 0}
.bad{color:#c2412d}.soft{color:#6d675d}
"""


def write_gallery(outcomes: Iterable[Outcome], folder: Path) -> Path:
    """Write `index.html` beside the contact sheets of a run."""
    outcomes = list(outcomes)
    head = "".join(f"<th>{escape(name)}</th>" for name in HEADER)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells(row)) + "</tr>"
        for row in summary(outcomes)
    )
    body = [f"<h1>Motion benchmark</h1><table><tr>{head}</tr>{rows}</table>"]
    body += [_article(o, folder) for o in outcomes]
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Motion benchmark</title>'
        f"<style>{_STYLE}</style>{''.join(body)}</html>\n"
    )
    write_atomic(folder / "index.html", text.encode())
    return folder / "index.html"


def _article(o: Outcome, folder: Path) -> str:
    lines = [f"<article><h2>{escape(o.text)}</h2><p class=soft>{escape(o.category)}, {o.name}</p>"]
    if o.status != "done":
        lines.append(f"<p class=bad>{escape(o.status)}: {escape(o.note)}</p>")
    else:
        lines.append(
            f"<p>{o.passed} of {o.asked} rules hold; {o.length_s:.1f} s of motion "
            f"made in {o.seconds:.1f} s</p>"
        )
    lines += [
        f"<p class=bad>missed: {escape(text)} ({escape(said)})</p>"
        for text, ok, said in o.rules
        if not ok
    ]
    if (folder / f"{o.name}.png").is_file():
        lines.append(f'<img src="{o.name}.png" alt="key poses" loading="lazy">')
    return "".join(lines) + "</article>"
