"""Views of an evaluation, and of what selections visit: complete, safe, drawn to scale."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from foveate.report import evaluation
from foveate.report.blocks import block_maps
from foveate.report.lines import curves


def cell(way, task, length, **values):
    found = {"way": way, "task": task, "length": length, "samples": 3, "seconds": 1.0}
    return found | {"loss": 3.0, "difference": 0.01, "error": 0.002} | values


@pytest.fixture
def record():
    summary = []
    for length, drop in ((1024, 0.0), (2048, 0.25)):
        for way, loss in (("torch SDPA", 0.0), ("a<b", drop)):
            text = {"perplexity": 20 + loss, "late_perplexity": 19.0, "change": loss / 20}
            summary.append(cell(way, "text", length, **text))
            for task in ("needle", "common"):
                summary.append(cell(way, task, length, recall=1 - loss, ranking=1 - loss / 2))
    return {
        "model": {
            "title": "Model",
            "licence": "Apache-2.0",
            "parameters": 135_000_000,
            "dtype": "bfloat16",
        },
        "machine": {"cpu": "CPU", "features": [], "memory_gib": 8.0},
        "versions": {"torch": "2.0"},
        "date": "2030-01-01",
        "threads": 1,
        "text": "A Novel",
        "samples": 3,
        "ways": [
            {"label": "torch SDPA", "name": "sdpa", "note": ""},
            {"label": "a<b", "name": "foveate:x", "note": ""},
        ],
        "tasks": {"text": "perplexity", "needle": "one number", "common": "words"},
        "lengths": [1024, 2048],
        "summary": summary,
    }


def test_rows_are_by_length_and_way(record):
    header, rows = evaluation.rows_of(record, "recall")
    assert header == ["tokens", "attention", "needle", "common", "mean"]
    assert [row[:2] for row in rows] == [
        ["1,024", "torch SDPA"],
        ["1,024", "a<b"],
        ["2,048", "torch SDPA"],
        ["2,048", "a<b"],
    ]
    assert rows[3][2:] == ["75", "75", "75.0"]
    assert evaluation.rows_of(record, "ranking")[1][3][-1] == "87.5"
    assert evaluation.text_rows(record)[1][3][2:5] == ["20.250", "+1.25 %", "0.20 %"]


def test_page_is_complete_and_safe(record):
    html = evaluation.page(record)
    assert "a<b" not in html
    assert "a&lt;b" in html
    assert html.count("<polyline") == 6
    assert not re.search(r"https?:|<script|<link|@import|url\(|\ssrc=", html)


def test_one_length_has_tables_but_no_curves(record):
    record["lengths"] = [2048]
    record["summary"] = [r for r in record["summary"] if r["length"] == 2048]
    html = evaluation.page(record)
    assert "<polyline" not in html
    assert "20.250" in html


def test_missing_cells_are_dashes(record):
    record["summary"] = [r for r in record["summary"] if (r["way"], r["task"]) != ("a<b", "needle")]
    rows = evaluation.rows_of(record, "recall")[1]
    assert rows[3][2:] == ["–", "75", "75.0"]


def points(svg):
    root = ElementTree.fromstring(svg)
    return [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter("circle")]


def test_curves_place_values_by_size():
    svg = curves({"a": [(1, 0.5), (2, 1.0)], "b": [(1, 0.9), (2, 0.9)]}, "share", "a", percent=True)
    (x1, half), (x2, full), (_, most), _ = points(svg)
    assert x1 < x2
    assert full < most < half  # y grows downwards
    assert (half - most) / (half - full) == pytest.approx(0.8, abs=0.01)
    ElementTree.fromstring(curves({"a": [(1, 3.0), (2, 3.0)]}, "flat", "a"))


def cells(svg, kind):
    return {
        (int(y), int(x))
        for path in ElementTree.fromstring(svg).iter("path")
        if path.get("class") == kind
        for x, y in re.findall(r"M(\d+) (\d+)", path.get("d"))
    }


def test_missed_mass_is_drawn_apart_from_what_is_visited():
    picture = {
        "mass": [[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]],
        "ways": [
            {"label": "s<t", "visits": ["100", "110", "101"], "density": 5 / 6, "retained": 0.9}
        ],
    }
    html = block_maps(picture)
    first, second = re.findall(r"<svg.*?</svg>", html)
    everything = {(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)}
    assert cells(first, "heat") == everything
    assert cells(second, "lost") == {(2, 1)}
    assert cells(second, "heat") == cells(second, "visited") == everything - {(2, 1)}
    assert "s&lt;t" in html
    assert "83.3 % of the blocks, 90.0 % of the mass" in html
