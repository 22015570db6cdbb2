"""The training loop: it learns, goes on after a stop or a kill, and says what is wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from foveate.lowlight import weights
from foveate.lowlight.train import train

pytest.importorskip("safetensors")
ROOT = Path(__file__).parents[2]


def line(seed=0):
    torch.manual_seed(seed)
    return nn.Linear(3, 1)


def fit(model, stop_at=None):
    """A loss with randomness of both kinds; asks for a stop at one step."""

    def loss(step, generator):
        if step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        x = torch.randn(16, 3, generator=generator) + 0.1 * torch.rand(16, 3)
        target = x @ torch.tensor([[1.0], [-2.0], [0.5]])
        return {"loss": (model(x) - target).square().mean(), "size": model.weight.abs().sum()}

    return loss


def test_it_learns_and_leaves_its_files(tmp_path):
    model = line()
    done = train(
        model,
        fit(model),
        200,
        lr=0.05,
        folder=tmp_path,
        check=lambda step: {"error": (model.weight[0, 1] + 2).abs()},
        check_every=100,
        keep="error",
        quiet=True,
    )
    assert done.log[-1]["loss"] < 0.01 < done.log[0]["loss"]
    assert done.steps == 200
    assert done.best["error"] == min(e["error"] for e in done.log if "error" in e)
    kept, about = weights.load(tmp_path / "model.safetensors")
    assert torch.equal(kept["weight"], model.weight)
    assert about["step"] == 200
    logged = [json.loads(row) for row in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == done.log
    assert not list(tmp_path.glob(".*"))  # nothing half-written stays


def test_a_stopped_training_goes_on_as_if_it_had_run_through(tmp_path):
    whole = line()
    straight = train(whole, fit(whole), 60, log_every=10, seed=4, quiet=True)
    broken = line()
    with pytest.raises(KeyboardInterrupt, match="after step 24 of 60; the same call goes on from"):
        train(broken, fit(broken, 23), 60, log_every=10, seed=4, folder=tmp_path, quiet=True)
    again = line(99)  # other initial weights: those of the checkpoint count
    resumed = train(again, fit(again), 60, log_every=10, seed=4, folder=tmp_path, quiet=True)
    assert torch.equal(again.weight, whole.weight)
    assert {**resumed.log[-1], "seconds": 0} == {**straight.log[-1], "seconds": 0}
    assert [e["step"] for e in resumed.log] == [10, 20, 24, 30, 40, 50, 60]


def test_a_killed_training_goes_on(tmp_path):
    script = f"""
import sys, torch; sys.path.insert(0, {str(ROOT / "src")!r})
from torch import nn
from foveate.lowlight.train import train
torch.set_num_threads(1); torch.manual_seed(0); model = nn.Linear(3, 1)
def loss(step, generator):
    if step == 30 and "die" in sys.argv: import os; os._exit(9)
    x = torch.randn(8, 3, generator=generator)
    return (model(x) - x.sum(1, keepdim=True)).square().mean()
train(model, loss, 50, folder={str(tmp_path)!r}, save_every=0.0, quiet=True)
"""
    killed = subprocess.run([sys.executable, "-c", script, "die"], capture_output=True, timeout=100)
    assert killed.returncode == 9
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode()[-800:]
    _, about = weights.load(tmp_path / "checkpoint.safetensors")
    assert about["step"] == 50


def test_the_callers_random_numbers_are_left_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    model = line()
    torch.manual_seed(7)
    train(model, fit(model), 3, quiet=True)
    assert torch.equal(torch.rand(3), expected)


def test_another_training_in_the_folder_is_refused(tmp_path):
    model = line()
    train(model, fit(model), 5, lr=0.01, folder=tmp_path, settings={"width": 3}, quiet=True)
    with pytest.raises(ValueError, match=r"lr 0\.01, this one has 0\.02; expected the same"):
        train(model, fit(model), 5, lr=0.02, folder=tmp_path, settings={"width": 3}, quiet=True)
    with pytest.raises(ValueError, match="width 3, this one has 4; expected the same"):
        train(model, fit(model), 5, lr=0.01, folder=tmp_path, settings={"width": 4}, quiet=True)
    assert json.loads((tmp_path / "run.json").read_text())["lr"] == 0.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 4, "warmup": 4}, "warmup 4"),
        ({"lr": -1.0}, "lr is -1.0"),
        ({"keep": "psnr"}, "no check"),
        ({"keep": "psnr", "check": lambda step: {"ssim": 1.0}}, "was not measured; found are"),
    ],
)
def test_what_has_no_meaning_is_refused(change, message):
    model = line()
    with pytest.raises(ValueError, match=message):
        train(model, fit(model), **{"steps": 2, "quiet": True, **change})


def test_a_model_without_free_parameters_is_refused():
    model = line().requires_grad_(False)
    with pytest.raises(ValueError, match="unfreeze"):
        train(model, fit(model), 2, quiet=True)


def test_a_loss_that_is_not_finite_stops_the_training():
    model = line()
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1"):
        train(model, lambda step, g: model.weight.sum() * float("nan"), 5, log_every=2, quiet=True)


def test_a_damaged_file_of_weights_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    weights.save(path, {"a": torch.ones(300)}, {"kind": "test"})
    assert weights.load(path)[1] == {"kind": "test"}
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="not a file of weights"):
        weights.load(path)
    assert weights.half({"a": torch.ones(2)})["a"].dtype == torch.float16


def test_a_step_is_not_saved_more_often_than_asked(tmp_path):
    model = line()
    begin = time.time()
    train(model, fit(model), 20, folder=tmp_path, save_every=1e6, quiet=True)
    assert (tmp_path / "checkpoint.safetensors").stat().st_mtime >= begin
    assert json.loads((tmp_path / "run.json").read_text())["steps"] == 20
