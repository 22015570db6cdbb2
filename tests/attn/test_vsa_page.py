"""The page about VSA tells the truth where a program can see it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from foveate import VSA

PAGE = (Path(__file__).parents[2] / "docs" / "vsa.md").read_text(encoding="utf-8")


def test_the_example_runs():
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    names: dict = {}
    exec(code, names)
    assert names["gate"].grad.shape == names["out"].shape == (1, 4, 1536, 32)


def test_the_tables_name_every_field():
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    assert named == {field.name for field in dataclasses.fields(VSA)} - {"skip"}


def test_what_it_says_of_slots():
    grid = (21, 30, 52)
    best, plain = VSA(grid, cube=64).queries, VSA(grid).queries
    assert best.cube == (2, 8, 4)
    assert (round(100 * plain.tokens / plain.slots), round(100 * best.tokens / best.slots)) == (
        82,
        89,
    )
