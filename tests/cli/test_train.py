"""`foveate train`: trains, goes on, samples, and says in one line what is wrong."""

from __future__ import annotations

import json

import pytest

from foveate.cli import main

SMALL = (
    *("--size", "32", "--frames", "8", "--dim", "32", "--heads", "2", "--layers", "2"),
    *("--batch", "4", "--evaluate-every", "3"),
)


def test_train_go_on_and_sample(tmp_path, capsys):
    pytest.importorskip("av", reason='needs PyAV; pip install "foveate[train]"')
    folder = tmp_path / "run"
    assert main(["train", "video", "shapes", "--out", str(folder), "--steps", "6", *SMALL]) == 0
    text = capsys.readouterr().out
    assert "6 steps in" in text
    assert f"next: foveate train sample {folder}" in text
    command = ["train", "video", "shapes", "--out", str(folder), "--steps", "9", "--json", *SMALL]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == 9
    assert [step for step, _ in found["held_out"]] == [3, 6, 9]
    assert found["training_flops"] > 0
    clip = tmp_path / "s.mp4"
    command = ["train", "sample", str(folder), "--out", str(clip), "--count", "3", "--steps", "2"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 3
    import av

    with av.open(str(clip)) as file:
        pictures = [f.to_ndarray(format="rgb24") for f in file.decode(video=0)]
    assert len(pictures) == 8
    assert pictures[0].shape == (198, 198, 3)  # two rows and columns of 3 × 32 pixels, and gaps


@pytest.mark.parametrize("attention", ["vsa", "dense"])
def test_equal_seeds_train_equally(tmp_path, capsys, attention):
    losses = []
    for name in ("a", "b"):
        command = ["train", "video", "shapes", "--out", str(tmp_path / name), "--steps", "4"]
        assert main([*command, "--attention", attention, "--json", "--anneal", "2", *SMALL]) == 0
        losses.append(json.loads(capsys.readouterr().out)["loss"])
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("video none.mp4 --out x", "none.mp4 is not there; expected a video file"),
        ("video shapes --out x --cube 2,2", "VSA.cube has 2 axes, the grid 3"),
        ("video shapes --out x --cube a", "--cube is a; expected three sides"),
        ("video shapes --out x --keep 100", "more than the 64 cubes"),
        ("video shapes --out x --keep many", "--keep is many"),
        ("video shapes --out x --device gpu", "--device is gpu; expected cpu or cuda"),
        ("video shapes --out x --steps 0", "Recipe.steps is 0"),
        ("sample none", "has no checkpoint.safetensors"),
        ("sample none --count 0", "--count is 0; expected at least 1"),
    ],
)
def test_mistakes_cost_one_line(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("foveate train: ")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_refused(tmp_path, capsys):
    from torch import nn

    from foveate.train.checkpoint import NAME, save_weights

    save_weights(tmp_path / NAME, nn.Linear(2, 2))
    assert main(["train", "sample", str(tmp_path)]) == 2
    assert "is not of a video model" in capsys.readouterr().err
