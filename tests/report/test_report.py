"""The report is a view of a record: complete, self-contained, safe, and written whole."""

from __future__ import annotations

import copy
import itertools
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from foveate.report import page, verdict, write
from foveate.report.figures import heatmap, tradeoff
from foveate.report.tables import mebibytes, percent, quickest, seconds, signed, times


def row(label, name, median, speedup, change, agreement, **more):
    return {
        "label": label,
        "name": name,
        "note": "",
        "error": None,
        "seconds": [median, median],
        "median": median,
        "speedup": speedup,
        "perplexity": 20.0 * (1 + change),
        "change": change,
        "agreement": agreement,
        "memory": 50 << 20,
    } | more


@pytest.fixture
def record():
    return copy.deepcopy(
        {
            "date": "2030-01-01",
            "tokens": 2048,
            "threads": 2,
            "compiled": False,
            "load": 0.5,
            "machine": {"cpu": "A & B <CPU>", "features": ["avx2"], "memory_gib": 8.0},
            "versions": {"torch": "2.0", "missing": None},
            "model": {
                "title": "Model",
                "licence": "Apache-2.0",
                "parameters": 135_000_000,
                "dtype": "bfloat16",
                "layers": 30,
                "heads": 9,
                "kv_heads": 3,
                "head_dim": 64,
            },
            "text": {"title": "A Novel", "by": "Somebody", "licence": "public domain"},
            "rows": [
                row("torch SDPA", "sdpa", 4.0, 1.0, 0.0, 1.0),
                row("quick", "foveate:int8", 2.0, 2.0, 0.0004, 0.98, note="8 bits"),
                row("careless", "foveate:x", 1.0, 4.0, 0.2, 0.7),
                {"label": "later", "name": "foveate:y", "note": "", "error": "not <yet> here"},
            ],
            "map": {
                "layer": 3,
                "head": 1,
                "tokens": 8,
                "mass": [[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]],
                "share95": 0.25,
                "layer_share95": 0.5,
            },
            "answer": {
                "label": "int8",
                "hidden": "The key is 7.",
                "question": "Key?",
                "depth": 0.3,
                "text": " 7",
                "expected": "7",
                "right": True,
                "prompt_tokens": 2000,
                "new_tokens": 3,
                "seconds": 5.0,
            },
        }
    )


class Balanced(HTMLParser):
    """Tags that HTML wants closed are closed, in order."""

    OPTIONAL = frozenset({"th", "td", "dt", "dd", "meta", "br", "circle", "line", "rect", "path"})

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attributes):
        if tag not in self.OPTIONAL:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.OPTIONAL:
            assert self.open.pop() == tag


def test_page_holds_every_number(record):
    html = page(record)
    for text in ("4.00 s", "2.00×", "+0.04 %", "+20.00 %", "98.0 %", "20.008", "50 MiB", "135 M"):
        assert text in html
    for text in ("8 bits", "A Novel", "Layer 3, head 1", "The key is 7.", "It is right."):
        assert text in html


def test_page_needs_nothing_else(record):
    html = page(record)
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(|\ssrc=", html)


def test_page_is_well_formed_and_escapes_text(record):
    html = page(record)
    checker = Balanced()
    checker.feed(html)
    assert checker.open == []
    assert "A &amp; B &lt;CPU&gt;" in html
    assert "not &lt;yet&gt; here" in html


def test_page_without_map_answer_or_winner(record):
    record |= {"map": None, "answer": None, "load": None}
    record["rows"] = [record["rows"][0], record["rows"][2]]
    html = page(record)
    assert "Where one head looks" not in html
    assert "No choice stayed within 1 %" in html


def test_winner_is_the_quickest_that_is_faithful(record):
    assert quickest(record["rows"])["label"] == "quick"
    assert verdict(record).startswith("quick reads 2,048 tokens 2.00× as fast as torch SDPA")


def circles(svg):
    root = ElementTree.fromstring(svg)
    return {
        c.find("title").text.split(":")[0]: (float(c.get("cx")), float(c.get("cy")))
        for c in root.iter("circle")
    }


def test_tradeoff_places_dots_by_their_numbers(record):
    dots = circles(tradeoff(record["rows"]))
    assert set(dots) == {"torch SDPA", "quick", "careless"}
    assert dots["torch SDPA"][0] < dots["quick"][0] < dots["careless"][0]
    assert dots["careless"][1] < dots["quick"][1]  # y grows downwards: more change is higher
    middle = (dots["torch SDPA"][0] + dots["careless"][0]) / 2
    assert dots["quick"][0] < middle  # 2 lies a third of the way from 1 to 4


def test_names_of_equal_dots_do_not_overlap(record):
    rows = [row(f"way {i}", f"foveate:{i}", 2.0, 2.0, 0.0, 1.0) for i in range(6)]
    root = ElementTree.fromstring(tradeoff([record["rows"][0], *rows]))
    heights = sorted(float(t.get("y")) for t in root.iter("text") if t.get("class") == "name")
    assert all(b - a >= 12 for a, b in itertools.pairwise(heights) if b - a > 0)
    assert len({t.text for t in root.iter("text") if t.get("class") == "name"}) == 7


@pytest.mark.parametrize("change", [0.0, 400.0, -0.01])
def test_tradeoff_takes_any_scale(record, change):
    record["rows"][2] |= {"change": change, "speedup": 0.02}
    for x, y in circles(tradeoff(record["rows"])).values():
        assert 40 <= x <= 410
        assert 15 <= y <= 270


def test_heatmap_draws_visible_cells_by_strength(record):
    root = ElementTree.fromstring(heatmap(record["map"]))
    strength = {}
    for path in root.iter("path"):
        opacity = float(path.get("style").removeprefix("opacity:"))
        for x, y in re.findall(r"M(\d+) (\d+)", path.get("d")):
            strength[int(y), int(x)] = opacity
    assert set(strength) == {(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)}
    assert strength[0, 0] > strength[1, 0] == strength[1, 1] > strength[2, 0]


def test_write_replaces_the_file_whole_or_not_at_all(record, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("before")
    with pytest.raises(KeyError):
        write({}, path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]
    assert write(record, path).read_text(encoding="utf-8") == page(record)
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_numbers_are_written_one_way():
    assert [seconds(x) for x in (1.234, 12.34, 123.4)] == ["1.23 s", "12.3 s", "123 s"]
    assert [signed(x) for x in (0.0123, -0.0123, 0.00001)] == ["+1.23 %", "−1.23 %", "0.00 %"]
    assert (times(2.345), percent(0.98765)) == ("2.35×", "98.8 %")
    assert (mebibytes(None), mebibytes(3 << 20)) == ("–", "3 MiB")
