"""The study of video sparse attention: its arms, its data, what it measures, its tables."""

from __future__ import annotations

import json
import math

import pytest
import torch

from benchmarks import vsa_figure, vsa_statements, vsa_tables
from benchmarks.vsa_arms import Boxes, CompressKV, Local, Sparse, arms, masked
from benchmarks.vsa_critical import critical_tokens
from benchmarks.vsa_data import Tokens, pack, unpack
from benchmarks.vsa_study import SCALES, Scale, build, main, run_arm
from foveate import VSA
from foveate.train.video import model_flops, moving_shapes
from foveate.train.video.flops import attention_pairs
from foveate.train.video.gathered import attended, chosen

SMALL = Scale((4, 4, 4), (2, 2, 2), 2, 32, 2, 2, 4, 6, warmup=2, clips=4)


def tokens(frames: int = 200, side: int = 4) -> Tokens:
    torch.manual_seed(0)
    codes = torch.randint(-9, 10, (frames, side, side, 6), dtype=torch.int8)
    return Tokens(codes, [], "cpu")


def seen(layer, grid, dim=32) -> torch.Tensor:
    """Which tokens change which outputs, bool `[L, L]`, found by changing one at a time."""
    length = math.prod(grid)
    torch.manual_seed(2)
    x = torch.randn(1, length, dim)
    with torch.no_grad():
        plain = layer(x)
        found = []
        for token in range(length):
            other = x.clone()
            other[0, token] += torch.randn(dim)
            found.append((layer(other) - plain).abs().amax(-1)[0] > 1e-6)
    return torch.stack(found, dim=1)


def test_masked_is_gathered():
    select = VSA((4, 4, 8), (2, 2, 2), keep=3)
    q, k, v = (torch.randn(2, 2, 128, 16, requires_grad=True) for _ in range(3))
    rows = select.arrange(q, k, v)
    cubes = chosen(*select.means(*rows[:2]), select).detach()
    a, b = masked(*rows, select, cubes), attended(*rows, select, cubes)
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    up = torch.randn_like(a)
    for x, y in zip(
        torch.autograd.grad((a * up).sum(), (q, k, v), retain_graph=True),
        torch.autograd.grad((b * up).sum(), (q, k, v)),
        strict=True,
    ):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


def test_boxes_see_their_own_box_only():
    grid = (2, 4, 4)
    place = torch.cartesian_prod(*(torch.arange(n) for n in grid))
    for box in ((1, 4, 4), (2, 1, 1), (2, 2, 2)):
        layer = Boxes(32, 2, grid, box)
        number = place // torch.tensor(box)
        same = (number[:, None] == number[None]).all(-1)
        assert torch.equal(seen(layer, grid), same)
        assert layer.pairs(32) == int(same.sum())


def test_the_local_window_moves_inside_at_an_edge():
    grid = (2, 8, 8)
    layer = Local(32, 2, VSA(grid, (2, 2, 2), keep=1))
    assert layer.cubes.shape == (16, 9)  # one cube deep, four wide and high
    place = torch.cartesian_prod(*(torch.arange(n) for n in grid)) // 2
    first = (place[:, 1:] - 1).clamp(0, 1)  # where the window of three cubes begins
    near = place[None, :, 1:] - first[:, None]
    assert torch.equal(seen(layer, grid), ((near >= 0) & (near < 3)).all(-1))
    assert layer.pairs(128) == 128 * 9 * 8


def test_compressed_keys_are_means_of_boxes():
    layer = CompressKV(32, 2, (2, 4, 4))
    assert layer.pairs(32) == 32 * 4
    assert seen(layer, (2, 4, 4)).all()


@pytest.mark.parametrize("arm", arms(32, 2, SMALL.select))
def test_every_arm_trains_and_is_counted(arm):
    model = build(SMALL, arm, 6, seed=0)
    x = torch.randn(2, 64, 6)
    model(x, torch.tensor([0.3, 0.6])).square().mean().backward()
    for block in model.blocks:
        block.modulate.weight.data.normal_(std=0.1)
    model.leave.weight.data.normal_()
    model.zero_grad()
    model(x, torch.tensor([0.3, 0.6])).square().mean().backward()
    assert all(p.grad is not None for p in model.parameters()), "a part that does not learn"
    dense, own = model_flops(build(SMALL, "dense", 6, 0)), model_flops(model)
    if arm in ("dense", "Local"):  # the window of three cubes is all there is on this grid
        assert own.attention == dense.attention
    else:
        assert own.attention < dense.attention


def test_pairs_of_arms_by_hand():
    made = {name: maker(0) for name, maker in arms(32, 2, SMALL.select).items()}
    count = {name: attention_pairs(layer, 64) for name, layer in made.items()}
    assert count["dense"] == 64 * 64
    assert count["VSA"] == 64 * 16 + 8 * 8
    assert count["fine stage only"] == 64 * 16 + 32
    assert count["Spatial-Temporal"] == 64 * 16
    assert count["VSA K=4"] == 64 * 32 + 64
    assert "to_gate_compress.weight" not in made["fine stage only"].state_dict()


def test_equal_budgets_take_the_steps_they_allow():
    data = tokens()
    found = {arm: run_arm(SMALL, arm, 0, data, torch.device("cpu"), math.inf)
             for arm in ("dense", "VSA")}  # fmt: skip
    assert found["dense"]["steps"] == SMALL.dense_steps
    ratio = found["VSA"]["steps"] / SMALL.dense_steps
    cost = [3.5 * r["attention_flops"] + 3 * r["linear_flops"] for r in found.values()]
    assert ratio == pytest.approx(cost[0] / cost[1], abs=0.5 / SMALL.dense_steps)
    curve = found["VSA"]["held_out"]
    assert [share for share, _ in curve][-1] == 1
    assert all(loss > 0 for _, loss in curve)
    again = run_arm(SMALL, "VSA", 0, data, torch.device("cpu"), math.inf)
    assert again["held_out"] == curve
    assert set(found["VSA"]["critical"]) == {"times", "random", "kept", "oracle"}


def test_critical_mass_lies_between_chance_and_the_oracle():
    model = build(SMALL, "VSA", 6, seed=0)
    for block in model.blocks:  # sharp attention, which means of cubes can follow
        block.attention.to_q.weight.data.mul_(1)
        block.attention.norm_q.weight.data.fill_(4)
        block.attention.norm_k.weight.data.fill_(4)
    found = critical_tokens(model, torch.randn(2, 64, 6))
    assert found["random"] == 0.25
    for kept, oracle in zip(found["kept"], found["oracle"], strict=True):
        for a, b in zip(kept, oracle, strict=True):
            assert a <= b + 1e-6
            assert b >= 0.25
    assert not any("fine" in vars(layer) for layer in model.sparse_layers())
    for layer in model.sparse_layers():
        layer.keep = 8
    everything = critical_tokens(model, torch.randn(2, 64, 6))
    assert everything["random"] == 1
    assert all(x == pytest.approx(1) for row in everything["kept"] for x in row)


def test_packed_tokens_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.vsa_data.SIZE", 32)
    facts = pack(moving_shapes(480, 32), tmp_path / "t.xz")
    data = unpack(tmp_path / "t.xz")
    assert list(data.frames.shape) == facts["shape"] == [240, 4, 4, 24]
    assert data.shots.cuts == list(range(24, 240, 24))
    clip = data.clips(torch.tensor([3]), (4, 2, 2))
    assert clip.shape == (1, 16, 24)
    assert 0.3 < float(clip.var()) < 3


def test_the_study_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(SCALES, "tiny", SMALL)
    monkeypatch.setattr("benchmarks.vsa_study.MAIN", ("dense", "VSA"))
    monkeypatch.setattr("benchmarks.vsa_study.unpack", lambda path, device: tokens())
    out = tmp_path / "out"
    common = ["x", "run", "--tokens", "none", "--jobs", "main", "retrofit", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", [*common, "--seeds", "0", "--out", str(out)])
    main()
    made = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert set(made) == {"dense-0.json", "VSA-0.json", "retrofit-0.json"}
    main()
    assert made == {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    retrofit = json.loads((out / "retrofit-0.json").read_text())
    ways = retrofit["curves"]
    assert set(ways) == {"dense", "at once", "annealed", "annealed, random gates"}
    assert ways["annealed"][0][1] == pytest.approx(ways["dense"][0][1], rel=1e-5)
    assert retrofit["target_at"] < retrofit["steps"]
    # with no time at all nothing is written, and nothing is lost
    monkeypatch.setattr("sys.argv", [*common, "--seeds", "1", "--out", str(out), "--until", "0"])
    main()
    assert "no time left" in capsys.readouterr().out
    assert len(list(out.iterdir())) == 3


def record(arm: str, seed: int, losses: list[float]) -> dict:
    shares = [(i + 1) / len(losses) for i in range(len(losses))]
    return {
        "arm": arm,
        "seed": seed,
        "held_out": [list(p) for p in zip(shares, losses, strict=True)],
    }


def test_savings_are_read_off_the_curves(monkeypatch):
    records = [
        record("dense", 0, [0.9, 0.8, 0.7, 0.6]),
        record("VSA", 0, [0.8, 0.6, 0.5, 0.4]),
        record("Local", 0, [0.9, 0.85, 0.8, 0.75]),
    ]
    monkeypatch.setattr(vsa_tables, "load", lambda name: {"records": records})
    study = vsa_tables.Study()
    assert study.saving("VSA") == [2.0]
    assert study.saving("Local") == [pytest.approx(0.625)]
    assert study.above("VSA", "dense") == [pytest.approx(-0.2)]
    with pytest.raises(LookupError, match="no max pooling"):
        study.final("max pooling")


def test_claims_without_numbers_are_open(monkeypatch):
    monkeypatch.setattr(vsa_tables, "load", lambda *name: None)
    monkeypatch.setattr(vsa_figure, "load", lambda: None)
    rows = vsa_tables.claims_table().splitlines()[2:]
    assert len(rows) == len(vsa_statements.CLAIMS)
    assert sum(row.endswith("| open |") for row in rows) == len(rows) - 1  # one is arithmetic
    assert "not measured yet" in vsa_figure.picture()


def test_the_layer_of_the_study_is_the_layer_of_the_package():
    select = VSA((4, 4, 4), (2, 2, 2), keep=2)
    from foveate.models.video import VideoSparseAttention

    ours, public = Sparse(32, 2, select), VideoSparseAttention(32, 2, select)
    public.load_state_dict(ours.state_dict())
    x = torch.randn(2, 64, 32)
    torch.testing.assert_close(ours(x), public(x), rtol=1e-4, atol=1e-5)
