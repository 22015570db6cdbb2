"""`foveate tune`: from a model to a profile; stopped and gone on; bad input."""

from __future__ import annotations

import argparse
import json

import pytest
import torch

from foveate.cli import main, tune
from foveate.models import accelerate
from foveate.tune import Profile, search


@pytest.fixture
def short(tiny, monkeypatch):
    """The verb reads a random text of 4000 tokens with a tiny model, and tries few candidates."""
    ids = torch.randint(3, 101, (4000,), generator=torch.Generator().manual_seed(2))
    monkeypatch.setattr(tune, "_load", lambda args, longest: (tiny(), ids, "text"))
    from foveate.tune import Grid

    def grid(args):
        from foveate import Sparge, XAttention

        thresholds = (0.3, 0.6, 0.8, 0.9, 0.95, 0.98, 1.0)
        if args.select == "sparge":
            return Grid(Sparge(1.0, at_least=1, block=(32, 16)), thresholds, (None, 0.2))
        return Grid(XAttention(stride=args.stride, block=32), thresholds)

    monkeypatch.setattr(tune, "_grid", grid)


def command(out, *more, select="sparge", target=("--density", "0.5")):
    options = ["--lengths", "512,600", "--samples", "1", "--rows", "8", "-o", str(out)]
    return ["tune", "tiny", "--select", select, *target, *options, *more]


@pytest.mark.parametrize("select", ["sparge", "xattention"])
def test_a_profile_is_made_and_used(short, tiny, tmp_path, capsys, select):
    out = tmp_path / "x.json"
    assert main(command(out, select=select)) == 0
    profile = Profile.load(out)
    reached = profile.notes["reached"]
    assert reached["calibration"]["density"] <= 0.5
    assert abs(reached["calibration"]["density"] - 0.5) < 0.02
    assert reached["held_out"]["l1"] > 0
    # what was judged offline, on sampled rows, is what the engine does on all of them
    engine = reached["held_out_engine"]
    assert engine["density"] == pytest.approx(reached["held_out"]["density"], abs=1e-5)
    assert engine["l1"] == pytest.approx(reached["held_out"]["l1"], rel=0.15)
    assert list(tmp_path.iterdir()) == [out]  # the state is gone
    printed = capsys.readouterr().out
    assert "held out, tuned, engine" in printed
    assert "Error on held-out text at equal density" in printed
    with accelerate(tiny(), profile=out, precision="native") as handle:
        assert handle.model(torch.ones(1, 600, dtype=torch.long)).logits.isfinite().all()


def test_options_of_the_selection_are_in_the_file(short, tmp_path):
    main(command(tmp_path / "x.json"))
    found = Profile.load(tmp_path / "x.json")
    assert found.options == {"at_least": 1, "block": (32, 16)}
    assert found.selections[0].at_least == 1


def test_tuned_heads_are_ahead_of_one_threshold_at_equal_density(short, tmp_path, capsys):
    main([*command(tmp_path / "x.json"), "--json"])
    reached = json.loads(capsys.readouterr().out)["reached"]
    fixed = reached["one_value_at_equal_density"]["calibration"]
    assert fixed["density"] == pytest.approx(reached["calibration"]["density"], abs=1e-5)
    assert reached["calibration"]["l1"] < fixed["l1"]
    assert reached["allocation"]["gap"] < 1e-4


def test_a_target_for_the_error_is_met_on_calibration(short, tmp_path):
    out = tmp_path / "x.json"
    main(command(out, target=("--target-l1", "0.1")))
    assert 0.09 < Profile.load(out).notes["reached"]["calibration"]["l1"] <= 0.1 + 1e-6


def test_a_stopped_run_goes_on_where_it_was(short, tmp_path, monkeypatch, capsys):
    out, done = tmp_path / "x.json", []
    original = search._judged

    def judged(seen, *rest):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(seen.layer)
        return original(seen, *rest)

    monkeypatch.setattr(search, "_judged", judged)
    assert main(command(out)) == 130
    assert not out.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["x.json.state"]
    count = []

    def counted(*args):
        count.append(1)
        return original(*args)

    monkeypatch.setattr(search, "_judged", counted)
    assert main(command(out)) == 0
    assert len(count) == 8 - 3  # 2 layers of 2 + 2 pieces, three were done
    stopped = Profile.load(out)
    monkeypatch.setattr(search, "_judged", original)
    main(command(tmp_path / "y.json"))
    whole = Profile.load(tmp_path / "y.json")
    assert stopped.selections == whole.selections
    assert stopped.notes["reached"] == whole.notes["reached"]


def test_the_state_of_other_settings_is_not_used(short, tmp_path, monkeypatch):
    from foveate.tune import Store

    Store(tmp_path / "x.json.state", {"other": 1}).put("a", {"b": torch.ones(1)})
    assert Store(tmp_path / "x.json.state", {"other": 1}).resumed == 1
    assert Store(tmp_path / "x.json.state", {"other": 2}).resumed == 0
    (tmp_path / "x.json.state").write_bytes(b"half")
    assert Store(tmp_path / "x.json.state", {"other": 1}).resumed == 0


def test_options_make_the_grid():
    def grid(*options):
        parser = argparse.ArgumentParser()
        tune.add_arguments(parser)
        return tune._grid(parser.parse_args(["m", "--density", "0.3", *options]))

    made = grid("--select", "sparge")
    assert (made.knob, made.likeness, made.base.correct) == ("share", (None,), False)
    made = grid("--select", "sparge", "--by", "threshold", "--judge", "--correct")
    assert (made.knob, made.likeness[:2], made.base.correct) == ("threshold", (None, 0.2), True)
    assert grid("--select", "xattention", "--stride", "8").base.stride == 8


BAD = {
    "select": (["--select", "topk", "--density", "0.3"], '--select is "topk"; expected '),
    "density": (["--select", "sparge", "--density", "1.5"], "--density is 1.5; expected a number"),
    "l1": (["--select", "sparge", "--target-l1", "0"], "--target-l1 is 0.0; expected a number"),
    "lengths": (
        ["--select", "sparge", "--density", "0.3", "--lengths", "1k"],
        '--lengths is "1k"; expected numbers',
    ),
    "short": (
        ["--select", "sparge", "--density", "0.3", "--lengths", "100"],
        "--lengths has 100; expected at least 512",
    ),
    "folder": (
        ["--select", "sparge", "--density", "0.3", "-o", "/no/such/folder/x.json"],
        "the folder does not exist",
    ),
    "text": (["--select", "sparge", "--density", "0.3", "--text", "/no/text"], "no such file"),
    "stride": (
        ["--select", "xattention", "--density", "0.3", "--stride", "7"],
        "XAttention.stride",
    ),
    "model": (["--select", "sparge", "--density", "0.3"], 'unknown model "none"'),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_exit_code_2(capsys, options, message):
    assert main(["tune", "none", *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_targets_that_cannot_be_reached_name_the_lowest(short, tmp_path, capsys):
    assert main(command(tmp_path / "x.json", target=("--density", "0.01"))) == 2
    assert "the lowest that is possible here is 0." in capsys.readouterr().err


def test_a_text_that_is_too_short_is_named(short, tmp_path, capsys, monkeypatch):
    load = tune._load
    monkeypatch.setattr(
        tune, "_load", lambda *args: (load(*args)[0], torch.ones(700, dtype=torch.long), "x")
    )
    assert main(command(tmp_path / "x.json")) == 2
    assert "--text is too short: the text has 700 tokens" in capsys.readouterr().err
