"""The page about SageBwd tells the truth where a program can see it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import torch

from foveate import SageBwd

PAGE = (Path(__file__).parents[2] / "docs" / "sagebwd.md").read_text(encoding="utf-8")
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(code: str) -> dict:
    names: dict = {}
    exec(code, names)
    return names


def test_the_first_example_gives_gradients():
    names = run(CODE[0])
    assert names["k"].grad.shape == (1, 8, 1024, 64)
    assert names["q"].grad.isfinite().all()


def test_the_example_from_scratch_learns(capsys):
    torch.manual_seed(0)
    losses = [r["loss"] for r in run(CODE[2])["records"] if "loss" in r]
    assert losses[-1] < 0.75 * losses[0]
    assert float(capsys.readouterr().out) == losses[-1]


def test_every_field_is_named():
    named = set(re.findall(r"`(\w+)`", PAGE))
    assert {f.name for f in dataclasses.fields(SageBwd)} - {"scales"} <= named
