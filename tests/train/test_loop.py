"""The training loop: it learns, stops, goes on exactly, and refuses what does not belong."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from foveate.train import (
    Recipe,
    Share,
    best_record,
    fit,
    generator,
    load_weights,
    read_log,
    save_weights,
)
from foveate.train.checkpoint import NAME, load_checkpoint

SRC = Path(__file__).parents[2] / "src"


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.1), nn.Tanh(), nn.Linear(16, 1))


def batches(number: int, share: Share):
    x = torch.stack([torch.randn(4, generator=generator(7, number, i)) for i in share.of(8)])
    return x, x.prod(1, keepdim=True)


def loss(model, batch):
    return (model(batch[0]) - batch[1]).square().mean()


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_it_learns_and_says_so(tmp_path):
    model = net()
    records = fit(
        model, loss, batches, Recipe(300, lr=2e-2, warmup=5), folder=tmp_path, save_every=100
    )
    losses = [r["loss"] for r in records]
    assert sum(losses[-50:]) < 0.8 * sum(losses[:50])
    assert [r["step"] for r in records] == list(range(1, 301))
    assert records[0]["lr"] == pytest.approx(2e-2 / 5)
    assert read_log(tmp_path) == records


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_was_stopped_and_taken_up_is_the_one_that_was_not(tmp_path, accumulate):
    recipe = Recipe(30, lr=1e-2, warmup=3, accumulate=accumulate)
    whole = net()
    straight = fit(whole, loss, batches, recipe, folder=tmp_path / "a", save_every=8)

    def fall(step: int) -> None:  # as if the machine went down: nothing is saved
        if step == 21:
            raise OSError("gone")

    first = net()
    with pytest.raises(OSError, match="gone"):
        fit(first, loss, batches, recipe, folder=tmp_path / "b", save_every=8, before=fall)
    again = net(seed=3)  # other weights: all must come from the checkpoint
    resumed = fit(again, loss, batches, recipe, folder=tmp_path / "b", save_every=8)
    assert torch.equal(weights(whole), weights(again))
    keys = ("step", "loss", "lr", "grad_norm")
    assert [[r[k] for k in keys] for r in straight] == [[r[k] for k in keys] for r in resumed]


SCRIPT = """
import sys, time
sys.path[:0] = [{src!r}, {tests!r}]
import torch; torch.set_num_threads(1)
from test_loop import Recipe, batches, fit, loss, net
def slow(step):
    print(step, flush=True); time.sleep(0.02)
fit(net(), loss, batches, Recipe(200, lr=1e-2), folder={folder!r}, save_every=5, before=slow)
"""


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_a_process_that_is_killed_leaves_a_checkpoint_to_go_on_from(tmp_path, how):
    code = SCRIPT.format(src=str(SRC), tests=str(Path(__file__).parent), folder=str(tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if int(line) == 12:
            os.kill(process.pid, getattr(signal, how))
            break
    errors = process.communicate(timeout=60)[1]
    assert process.returncode != 0
    model = net(seed=5)
    step, _ = load_checkpoint(tmp_path, model, torch.optim.AdamW([*split(model)]))
    if how == "SIGKILL":
        assert step == 10
    else:
        assert step >= 13, "the step at hand is finished and saved"
        assert "KeyboardInterrupt" in errors
    recipe = Recipe(200, lr=1e-2)
    resumed = net(seed=5)
    fit(resumed, loss, batches, recipe, folder=tmp_path)
    straight = net()
    fit(straight, loss, batches, recipe)
    assert torch.equal(weights(straight), weights(resumed))


def split(model):
    yield {"params": [p for p in model.parameters() if p.dim() > 1]}
    yield {"params": [p for p in model.parameters() if p.dim() <= 1]}


TORCHRUN = """
import sys, json
sys.path[:0] = [{src!r}, {tests!r}]
import torch; torch.set_num_threads(1)
from test_loop import Recipe, batches, fit, loss, net
model = net(); model[1].p = 0.0
fit(model, loss, batches, Recipe(40, lr=1e-2, accumulate=2), folder={folder!r})
"""


@pytest.mark.slow
def test_two_processes_train_the_same_curve(tmp_path):
    script = tmp_path / "two.py"
    folder = tmp_path / "out"
    script.write_text(
        TORCHRUN.format(src=str(SRC), tests=str(Path(__file__).parent), folder=str(folder))
    )
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(script)],
        capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    alone = net()
    alone[1].p = 0.0
    records = fit(alone, loss, batches, Recipe(40, lr=1e-2, accumulate=2))
    two = read_log(folder)
    assert len(two) == 40
    assert [r["loss"] for r in two] == pytest.approx([r["loss"] for r in records], rel=1e-4)
    both = net(seed=2)
    load_weights(folder / NAME, both)
    assert (weights(both) - weights(alone)).abs().max() < 1e-5


def test_batches_do_not_depend_on_how_they_are_shared():
    whole, _ = batches(3, Share())
    parts = [batches(3, Share(rank, 2))[0] for rank in (0, 1)]
    assert torch.equal(whole, torch.cat(parts))
    with pytest.raises(ValueError, match="batch of 8 cannot be shared by 3 processes"):
        Share(0, 3).of(8)


def test_neighbouring_numbers_draw_unrelated_noise():
    draws = torch.stack([torch.randn(2000, generator=generator(0, n)) for n in range(20)])
    likeness = torch.corrcoef(draws) - torch.eye(20)
    assert likeness.abs().max() < 0.15
    assert not torch.equal(
        torch.rand(3, generator=generator(1, 2)), torch.rand(3, generator=generator(2, 1))
    )


def test_evaluation_does_not_change_the_training(tmp_path):
    def measure(model):
        assert not model.training
        return {"held_out": torch.rand(()) + loss(model, batches(999, Share()))}

    measured, plain = net(), net()
    recipe = Recipe(12, lr=1e-2)
    records = fit(measured, loss, batches, recipe, evaluate=measure, evaluate_every=5)
    fit(plain, loss, batches, recipe)
    assert torch.equal(weights(measured), weights(plain))
    assert [r["step"] for r in records if "held_out" in r] == [5, 10, 12]


def parts(model, batch):
    value = loss(model, batch)
    return {"loss": value, "half": value / 2, "size": weights(model).norm()}


def test_a_record_may_speak_of_several_steps_and_of_a_loss_s_parts(tmp_path):
    every = fit(net(), parts, batches, Recipe(11, lr=1e-2))
    some = fit(net(), parts, batches, Recipe(11, lr=1e-2), folder=tmp_path, log_every=4)
    assert [r["step"] for r in some] == [4, 8, 11]
    for record, steps in zip(some, (every[:4], every[4:8], every[8:]), strict=True):
        for name in ("loss", "half", "grad_norm"):
            mean = sum(r[name] for r in steps) / len(steps)
            assert record[name] == pytest.approx(mean, rel=1e-5)
        assert record["half"] == pytest.approx(record["loss"] / 2, rel=1e-5)
        assert record["lr"] == steps[-1]["lr"]
    assert read_log(tmp_path) == some
    with pytest.raises(ValueError, match="log_every is 0"):
        fit(net(), loss, batches, Recipe(2), log_every=0)


def test_the_best_weights_are_kept_also_by_a_run_that_was_taken_up(tmp_path):
    """A rate that is far too high: what is best comes early and must outlive the fall."""

    def measure(model):
        return {"far": sum((w - 0.1).square().sum() for w in model.parameters())}

    recipe = Recipe(30, lr=0.3, decay="constant")
    how = {"evaluate": measure, "evaluate_every": 3, "keep": "far"}
    whole, last = net(), net()
    records = fit(whole, loss, batches, recipe, **how)
    fit(last, loss, batches, recipe)
    best = best_record(records, "far")
    assert best["far"] == min(r["far"] for r in records if "far" in r)
    assert best["step"] < 20
    assert measure(whole)["far"].item() == pytest.approx(best["far"])
    assert not torch.equal(weights(whole), weights(last))

    def fall(step):
        if step == 25:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fit(net(), loss, batches, recipe, folder=tmp_path, save_every=20, before=fall, **how)
    again = net(seed=3)
    fit(again, loss, batches, recipe, folder=tmp_path, **how)
    assert torch.equal(weights(whole), weights(again))
    finished = net(seed=4)
    fit(finished, loss, batches, recipe, folder=tmp_path, **how)
    assert torch.equal(weights(whole), weights(finished))
    assert best_record(records, "-far")["far"] == max(r["far"] for r in records if "far" in r)
    with pytest.raises(ValueError, match='keep is "near", which was not measured'):
        fit(net(), loss, batches, Recipe(2), evaluate=measure, keep="near")
    with pytest.raises(ValueError, match="evaluate is None"):
        fit(net(), loss, batches, Recipe(2), keep="far")


def test_checkpoints_may_follow_the_clock(tmp_path):
    def fall(step):
        if step == 7:
            raise OSError("gone")

    for folder, seconds, done in (("often", 0.0, 7), ("seldom", 1e6, None)):
        with pytest.raises(OSError, match="gone"):
            fit(
                net(), loss, batches, Recipe(9), folder=tmp_path / folder,
                save_every=0, save_seconds=seconds, before=fall,
            )  # fmt: skip
        model = net()
        found = load_checkpoint(tmp_path / folder, model, torch.optim.AdamW([*split(model)]))
        assert (found and found[0]) == done


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_checkpoint(tmp_path):
    def breaks(model, batch):
        value = loss(model, batch)
        return value * float("nan") if calls.append(1) or len(calls) > 14 else value

    calls: list[int] = []
    with pytest.raises(RuntimeError, match="loss is nan at step 15"):
        fit(net(), breaks, batches, Recipe(40), folder=tmp_path, save_every=10)
    model = net(seed=1)
    assert load_checkpoint(tmp_path, model, torch.optim.AdamW([*split(model)]))[0] == 10
    assert weights(model).isfinite().all()


def test_a_folder_of_another_training_is_refused(tmp_path):
    fit(net(), loss, batches, Recipe(4), folder=tmp_path, facts={"width": 16})
    with pytest.raises(ValueError, match=r"lr 0.001, this one has 0.002"):
        fit(net(), loss, batches, Recipe(4, lr=2e-3), folder=tmp_path, facts={"width": 16})
    with pytest.raises(ValueError, match="width 16, this one has 32"):
        fit(net(), loss, batches, Recipe(4), folder=tmp_path, facts={"width": 32})
    narrow = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.1), nn.Tanh(), nn.Linear(3, 1))
    with pytest.raises(ValueError, match=r"has 0.bias \[16\], the model \[3\]"):
        fit(narrow, loss, batches, Recipe(4), folder=tmp_path, facts={"width": 16})
    longer = fit(net(), loss, batches, Recipe(6), folder=tmp_path, facts={"width": 16})
    assert [r["step"] for r in longer] == [1, 2, 3, 4, 5, 6]


def test_facts_of_any_depth_are_compared(tmp_path):
    fit(net(), loss, batches, Recipe(2), folder=tmp_path, facts={"plan": {"dim": 4, "deep": 1}})
    with pytest.raises(ValueError, match="with dim 4, this one has 8; expected the same"):
        fit(net(), loss, batches, Recipe(2), folder=tmp_path, facts={"plan": {"dim": 8, "deep": 1}})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_is(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    fit(net(), loss, batches, Recipe(3))
    lines = sys.stderr.getvalue().split("\r")
    assert "training ░" in lines[1]
    assert "0/3" in lines[1]
    assert "█ 3/3  loss " in lines[-1]
    assert lines[-1].endswith("\n")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    fit(net(), loss, batches, Recipe(3))
    assert sys.stderr.getvalue() == ""


def test_a_damaged_checkpoint_is_named(tmp_path):
    fit(net(), loss, batches, Recipe(2), folder=tmp_path)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="is damaged"):
        fit(net(), loss, batches, Recipe(2), folder=tmp_path)


def test_a_log_line_that_was_cut_short_is_left_out(tmp_path):
    fit(net(), loss, batches, Recipe(3), folder=tmp_path)
    path = tmp_path / "log.jsonl"
    path.write_text(path.read_text() + '{"step": 4, "lo')
    assert [r["step"] for r in read_log(tmp_path)] == [1, 2, 3]
    assert json.loads(path.read_text().splitlines()[0])["step"] == 1


def test_weights_alone_with_tied_tensors(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

    model, other = Tied(), Tied()
    save_weights(tmp_path / "w.safetensors", model, {"dim": 3})
    load_weights(tmp_path / "w.safetensors", other)
    assert torch.equal(model.a.weight, other.b.weight)
    assert other.a.weight is other.b.weight
    with pytest.raises(ValueError, match=r"lacks 0\.weight"):
        load_weights(tmp_path / "w.safetensors", net())
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 0}, "Recipe.steps is 0; expected an int of at least 1"),
        ({"lr": float("nan")}, "Recipe.lr is nan"),
        ({"decay": "step"}, "decays are constant, cosine, linear"),
        ({"clip": 0.0}, "Recipe.clip is 0.0"),
        ({"amp": "float16"}, 'expected None or "bfloat16"'),
    ],
)
def test_recipes_name_what_is_wrong(wrong, says):
    with pytest.raises(ValueError, match=says):
        Recipe(**{"steps": 3, **wrong})


def test_rates_fall_to_their_end():
    for decay, middle in (("cosine", 0.55), ("linear", 0.55), ("constant", 1.0)):
        recipe = Recipe(110, lr=1.0, warmup=10, decay=decay, final=0.1)
        assert recipe.rate(4) == 0.5
        assert recipe.rate(9) == 1.0
        assert recipe.rate(60) == pytest.approx(middle)
    assert Recipe(100, lr=1.0).rate(100) == pytest.approx(0)
