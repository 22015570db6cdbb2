"""`foveate eval` from end to end on a tiny model: files, resuming, bad input."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from foveate.cli import main
from foveate.measure import evaluation
from foveate.models import assets
from tests.measure.conftest import tiny  # noqa: F401  a fixture
from tests.measure.letters import TEXT, Letters

SHORT = ["--lengths", "768,1024", "--samples", "1", "--tasks", "text,needle", "--ways", "native"]


@pytest.fixture
def bundled(tiny, monkeypatch, tmp_path):  # noqa: F811
    model = tiny()
    monkeypatch.setattr(assets, "locate", lambda name: None)
    monkeypatch.setattr(assets, "load", lambda name: (model, Letters(chat=True)))
    monkeypatch.setattr(assets, "text", lambda: TEXT)
    monkeypatch.chdir(tmp_path)
    return model


def test_tables_and_files(bundled, tmp_path, capsys):
    assert main(["eval", "tiny", *SHORT, "--out", "a.html", "--out", "a.json"]) == 0
    text = capsys.readouterr().out
    for words in ("Perplexity of", "torch SDPA", "Recall:", "Ranking:", "Written: a.html, a.json"):
        assert words in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.json"]
    record = json.loads((tmp_path / "a.json").read_text())
    assert len(record["cells"]) == 2 * 2 * 2
    assert [way["label"] for way in record["ways"]] == ["torch SDPA", "native"]
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<polyline" in page
    assert "http" not in page


def test_json_alone_goes_to_stdout(bundled, capsys):
    assert main(["eval", "tiny", *SHORT, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["kind"] == "evaluation"
    assert captured.err == ""


def test_picture(bundled, tmp_path):
    pytest.importorskip("matplotlib", reason="pip install matplotlib")
    assert main(["eval", "tiny", *SHORT, "--out", "a.png"]) == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_ctrl_c_keeps_what_is_done(bundled, tmp_path, capsys, monkeypatch):
    real, calls = evaluation.ask, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(evaluation, "ask", interrupted)
    assert main(["eval", "tiny", *SHORT]) == 130
    assert "3 cells are kept in eval.html.state" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["eval.html.state"]
    assert main(["eval", "tiny", *SHORT]) == 0
    assert "going on: 3 cells" in capsys.readouterr().err
    assert len(calls) == 5  # one done, one stopped, three after
    assert [p.name for p in tmp_path.iterdir()] == ["eval.html"]


def test_state_of_another_text_is_refused(bundled, tmp_path, capsys):
    (tmp_path / "eval.html.state").write_text('{"about": {}, "cells": {}}')
    assert main(["eval", "tiny", *SHORT]) == 2
    assert "eval.html.state belongs to another evaluation" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tasks", "sewing"], '--tasks has "sewing"; expected text, needle'),
        (["--tasks", ""], "--tasks is empty"),
        (["--lengths", "many"], '--lengths is "many"; expected numbers'),
        (["--lengths", "100"], "--lengths has 100; expected at least 512"),
        (["--lengths", "4096"], "--lengths has 4096; tiny reads at most 2048 tokens"),
        (["--samples", "0"], "--samples is 0; expected at least 1"),
        (["--ways", "int9"], '"int9", which is no selection and no precision'),
        (["--text", "missing.txt"], "--text missing.txt: no such file"),
        (["--out", "a.pdf"], "--out a.pdf: expected a name that ends in .html, .json, .png"),
        (["--out", "no/such/a.json"], "the folder does not exist"),
        (["--lengths", "1024", "--profile", "no.json"], "--profile: "),
    ],
)
def test_bad_input_costs_one_line_and_exit_code_two(bundled, tmp_path, options, words, capsys):
    assert main(["eval", "tiny", *options]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_is_too_short_is_refused(bundled, tmp_path, capsys):
    (tmp_path / "short.txt").write_text("Too short.")
    assert main(["eval", "tiny", "--lengths", "1024", "--text", "short.txt"]) == 2
    assert "the text only 11 tokens; expected a longer --text" in capsys.readouterr().err
