"""The page about these names tells the truth where a program can see it."""

from __future__ import annotations

import re
from pathlib import Path

from foveate.models.compat import fastvideo_kernel, sageattention, spas_sage_attn, vsa, xattn

PAGE = (Path(__file__).parents[3] / "docs" / "compat.md").read_text(encoding="utf-8")


def test_the_example_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict = {}
    exec(code, names)
    assert names["out"].shape == (1, 4, 1024, 64)
    assert names["visits"].shape == (1, 4, 8, 8)
    assert names["sparsity"] == 0.5


def test_the_table_names_every_function():
    found = set(re.findall(r"`(\w+)`", PAGE.split("## What differs")[0]))
    for module in (fastvideo_kernel, sageattention, spas_sage_attn, vsa, xattn):
        public = {
            name
            for name, value in vars(module).items()
            if str(getattr(value, "__module__", "")).startswith(module.__name__) and name[0] != "_"
        }
        assert public
        assert public <= found
