"""Evaluation and tables of MoA: plans for comparison, rules as masks, verdicts from records."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from benchmarks import moa_figure, moa_masks, moa_plans, moa_quality, moa_tables
from benchmarks.moa_statements import CLAIMS
from foveate import MoA, attention
from foveate.measure.evaluation import State
from foveate.tune.moa.plan import MoAPlan
from tests.tiny import decoder


def test_split_gives_everything_to_the_heads_that_lose_most():
    loss = torch.rand(4, 3, 65, generator=torch.Generator().manual_seed(0))
    plan = moa_plans.split(loss, 0.5, 4096)
    full = torch.tensor(plan.betas).bool()
    lost = loss[..., (moa_plans.STREAMING - 64) // 64]
    assert lost[full].min() > lost[~full].max()
    assert 0.5 - 1 / 12 < plan.density(4096) <= 0.5


@pytest.mark.parametrize("rows", [2048, 96])
def test_rules_as_masks_are_what_the_engine_does(rows, monkeypatch):
    monkeypatch.setattr(moa_masks, "ROWS", rows)
    torch.manual_seed(0)
    plan = MoAPlan(((64.0, 128.0),), ((0.0, 0.25),))
    q, k, v = torch.randn(1, 4, 300, 16), *torch.randn(2, 1, 2, 300, 16).unbind()
    module = type("Module", (), {"layer_idx": 0})
    attend = moa_masks.masked(plan.cache_sizes(300, 0), plan.sink)
    found, _ = attend(module, q, k, v, None, scaling=0.25)
    rule = MoA(*plan.alphas, *plan.betas, length=300, rule="tokens")
    expected = attention(q, k, v, select=rule, causal=True, precision="native")
    torch.testing.assert_close(found.transpose(1, 2), expected, rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_a_model_with_masks_is_the_model_with_the_engine():
    model = decoder(sharp=True)
    plan = MoAPlan(((64.0, 256.0), (512.0, 512.0)), ((0.0, 0.25), (0.0, 0.0)))
    tokens = torch.randint(3, 101, (1, 500), generator=torch.Generator().manual_seed(0))
    before = model.config._attn_implementation
    with moa_masks.by_masks(model, plan, 500):
        found = model(tokens).logits
    assert model.config._attn_implementation == before
    with moa_masks.attending(model, plan, 500):
        torch.testing.assert_close(model(tokens).logits, found, rtol=1e-3, atol=1e-3)
    with moa_masks.by_masks(model, None, 500):
        dense = model(tokens).logits
    torch.testing.assert_close(dense, model(tokens).logits, rtol=1e-3, atol=1e-3)
    assert not torch.allclose(dense, found, atol=0.1)


@pytest.mark.parametrize("parts", [1, 3])
def test_parts_of_the_work_read_every_sample_once(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(moa_plans, "texts", lambda: ("", "a text"))
    monkeypatch.setattr(moa_quality, "LENGTHS", (512, 1024))
    monkeypatch.setattr(moa_quality, "attending", lambda *args: nullcontext())
    monkeypatch.setattr(
        moa_quality,
        "_batches",
        lambda tokenizer, text, ids, seeds, length: [
            ([f"multikey|{length}|{seed}" for seed in seeds], list(seeds))
        ],
    )
    read = []

    def record(model, tokenizer, batch):
        read.extend(batch)
        return [{"loss": 0.0, "right": True} for _ in batch]

    monkeypatch.setattr(moa_quality, "_read", record)
    ids = SimpleNamespace(input_ids=torch.zeros(1, 9))
    tools = SimpleNamespace(device="cpu"), lambda text, return_tensors: ids
    ways = {"dense": None, "uniform 0.5": MoAPlan.uniform(1, 1, 0.5)}
    for part in range(parts):
        state = State(tmp_path / f"cells-{part}.json", {})
        for samples in (8, 20):  # the second call goes on after the first
            assert moa_quality.evaluate(*tools, ways, samples, state, math.inf, (part, parts))
    assert sorted(read) == sorted(list(range(20)) * 4)
    cells = moa_quality.cells_of(tmp_path, {})
    assert len(cells) == 80
    assert not moa_quality.evaluate(*tools, ways, 24, State(None, {}), 0.0)  # no time is left


def test_summary_pairs_losses_and_finds_the_effective_context():
    cells = {}
    for seed in range(3):
        for length, right in zip(moa_quality.LENGTHS, (True, True, False, False), strict=True):
            cells[f"dense|multikey|{length}|{seed}"] = {"loss": float(seed), "right": True}
            cells[f"uniform 0.5|multikey|{length}|{seed}"] = {"loss": seed + 0.5, "right": right}
    plans = {"dense": None, "uniform 0.5": MoAPlan.uniform(1, 1, 0.5)}
    records = moa_quality.summary(cells, plans)
    mine = [r for r in records if r["way"] == "uniform 0.5"]
    assert [r["difference"] for r in mine[:-1]] == [0.5] * 4
    assert all(r["error"] == 0 and r["samples"] == 3 for r in mine[:-1])
    assert mine[-1]["effective"] == 2048
    assert records[4]["effective"] == 8192


def test_claims_are_open_without_numbers_and_follow_them(tmp_path, monkeypatch):
    monkeypatch.setattr(moa_tables, "RESULTS", tmp_path)
    rows = moa_tables.claims_table().splitlines()[2:]
    assert len(rows) == len(CLAIMS)
    assert all(row.endswith("| open |") for row in rows)
    assert "not measured yet" in moa_figure.picture()
    shares = {"MoA 0.25": 0.95, "dense": 0.2, "uniform 0.25": 0.2, "split 0.25": 0.2}
    records = [
        {"way": way, "task": "needle_text", "length": n, "accuracy": share, "density": 0.25}
        for way, share in shares.items()
        for n in (4096, 8192)
    ]
    document = {"lengths": [4096, 8192], "records": records}
    (tmp_path / "moa-quality.json").write_text(json.dumps(document))
    assert sum(row.endswith("| holds |") for row in moa_tables.claims_table().splitlines()) == 1


def test_tables_show_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(moa_tables, "RESULTS", tmp_path)
    for table in moa_tables.parts().values():
        assert table()  # nothing was measured: words, or open claims
    record = {"task": "needle_text", "length": 4096, "accuracy": 0.95, "samples": 7}
    records = [
        {**record, "way": "dense", "density": 1.0},
        {**record, "way": "MoA 0.5", "density": 0.45},
        {**record, "way": "MoA-plain 0.5", "density": 0.5, "samples": 9},
        {"way": "MoA 0.5", "task": "needle_text", "effective": 4096},
    ]
    (tmp_path / "moa-quality.json").write_text(json.dumps({"lengths": [4096], "records": records}))
    assert "| MoA plan, 0.5 | 0.95 *(0.45)* |" in moa_tables.quality_table()
    searches = moa_tables.searches_table()
    assert "| | 4,096<br>(7–9) |" in searches
    assert "| made without “facts”, 0.5 | 0.95 |" in searches
    assert "| MoA plan, 0.5 | 4,096 | 1,843 | – |  |" in moa_tables.reach_table()
