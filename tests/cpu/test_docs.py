"""The page about this backend tells the truth where a program can see it."""

from __future__ import annotations

import re

from tests.cpu.kit import ROOT, _native

PAGE = (ROOT / "docs" / "cpu.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert names["kv"].length == 1003
    assert names["out"].shape == names["recent"].shape == (1, 8, 1, 64)
    assert capsys.readouterr().out.startswith("PackedKV(int8, 1 × 2 heads, 1003 tokens")


def test_the_table_names_every_target():
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == ["avx512", "avx2", "portable"]
    assert set(_native.built()) <= {"avx512", "avx2", "portable"}
