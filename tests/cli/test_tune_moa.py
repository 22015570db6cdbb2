"""`foveate tune --select moa` and `foveate explain plan.json`: bad input, and what is printed."""

from __future__ import annotations

import json

import pytest

from foveate.cli import main
from foveate.tune import MoAPlan


@pytest.fixture
def plan(tmp_path):
    """A plan of two layers with rules and one without, in a file."""
    made = MoAPlan(
        ((0.0, 1024.0), None, (0.0, 0.0)),
        ((0.25, 0.0), None, (1.0, 0.5)),
        notes={"lengths": [2048, 4096]},
    )
    path = tmp_path / "plan.json"
    made.save(path)
    return path


def command(*more):
    return ["tune", "smollm2-135m", "--select", "moa", *more]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--density", "0"], "--density is 0.0; expected a number above 0, at most 1"),
        (["--density", "1.5"], "--density is 1.5"),
        (["--target-l1", "0.1"], "--select moa needs --density"),
        (["--density", "0.5", "--lengths", "1000"], "--lengths has 1000; expected multiples of 64"),
        (["--density", "0.5", "--lengths", "a,b"], '--lengths is "a,b"; expected numbers'),
        (["--density", "0.5", "--lengths", ","], "--lengths is empty"),
        (["--density", "0.5", "--beyond", "100"], "--beyond has 100"),
        (["--density", "0.5", "--samples", "0"], "--samples is 0; expected at least 1"),
        (["--density", "0.5", "--least", "1.2"], "--least is 1.2; expected a share of --density"),
        (["--density", "0.5", "--kinds", "recall,poem"], '--kinds is "recall,poem"; expected some'),
        (["--density", "0.5", "--kinds", ""], '--kinds is ""; expected some of facts,recall'),
        (["--density", "0.5", "--score", "best"], '--score is "best"; expected one of abs, signed'),
        (["--density", "0.5", "--validate", "100"], "--validate is 100; expected a multiple"),
        (["--density", "0.5", "--text", "none.txt"], "--text none.txt: no such file"),
        (["--density", "0.5", "-o", "no/where.json"], "the folder does not exist"),
    ],
)
def test_bad_input_costs_one_line(more, says, capsys):
    assert main(command(*more)) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.fixture
def loaded(monkeypatch):
    """A model that is not asked for anything: bad input is found before."""
    from types import SimpleNamespace

    from foveate.cli import tune

    model = SimpleNamespace(config=SimpleNamespace(max_position_embeddings=2048))
    monkeypatch.setattr(tune, "load_model", lambda args, longest: (model, None))


@pytest.mark.parametrize(
    ("option", "says"),
    [("--validate", "--validate is 4096"), ("--beyond", "--beyond has 4096")],
)
def test_lengths_beyond_the_models_positions(loaded, capsys, tmp_path, option, says):
    more = ["--density", "0.5", "--lengths", "1024", option, "4096"]
    assert main(command(*more, "-o", str(tmp_path / "p.json"))) == 2
    assert f"{says}; smollm2-135m reads at most 2048 tokens" in capsys.readouterr().err


def test_a_plan_is_shown(plan, capsys):
    assert main(["explain", str(plan)]) == 0
    out = capsys.readouterr().out
    assert "3 layers of 2 heads, for an unnamed model; at most 2 rules a layer" in out
    assert "as the model has it" in out
    lines = [line for line in out.splitlines() if line.startswith("2  ")]
    # at 4096 tokens: all of them, and half
    assert lines == ["2  ██▒▒   75%  0 + 0.5 N, 0 + 1 N"]
    assert main(["explain", str(plan), "--length", "2048", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spans"] == [[512, 1024], None, [2048, 1024]]
    assert found["at"]["2048"]["density"] == pytest.approx((512 + 1024 + 2048 + 1024) / 4 / 2048)
    assert found["at"]["4096"]["cache"]["max"] == 4096


def test_a_plan_is_drawn(plan, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="pip install matplotlib")
    out = tmp_path / "spans.png"
    assert main(["explain", str(plan), "--picture", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["plan.json", "spans.png"]
    assert f"Drawn in {out}." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "more", "says"),
    [
        ("none.json", None, [], "no such file"),
        ("bad.json", "{", [], "this is not JSON"),
        ("bad.json", "{}", [], 'expected an object with "alphas" and "betas"'),
        ("p.json", '{"alphas": [[1]], "betas": [[0]]}', ["--length", "0"], "--length is 0"),
        ("p.json", '{"alphas": [[1]], "betas": [[0]]}', ["--picture", "x.bmp"], "ends in .png"),
        (
            "p.json",
            '{"alphas": [[1]], "betas": [[0]]}',
            ["--picture", "no/x.png"],
            "the folder does not exist",
        ),
    ],
)
def test_plans_that_cannot_be_shown(tmp_path, capsys, name, text, more, says):
    if text is not None:
        (tmp_path / name).write_text(text)
    assert main(["explain", str(tmp_path / name), *more]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
