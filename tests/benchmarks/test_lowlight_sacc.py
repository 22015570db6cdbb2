"""The SACC benchmarks at a tiny size, and what their tables say about made-up results."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from benchmarks import lowlight_photos, photopatch
from benchmarks import lowlight_sacc as bench
from benchmarks import lowlight_sacc_tables as tables


@pytest.fixture
def photos():
    rng = np.random.default_rng(0)
    return {f"p{i}": rng.integers(0, 256, (80, 440 + 4 * i, 3), np.uint8) for i in range(3)}


def test_crops_of_the_parts_share_no_pixel(photos):
    # pixels that name their column show where a crop came from
    photos = {
        name: np.broadcast_to(np.arange(p.shape[1])[None, :, None] // 2, p.shape).astype(np.uint8)
        for name, p in photos.items()
    }
    found = photopatch.build(photos, seed=0, share=0.05)
    test = int(found["test"].clean.min())
    assert test >= int(found["unlabelled"].clean.max())
    assert int(found["train"].clean.max()) < test
    assert found["test"].labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_equal_seeds_give_equal_nights(photos):
    clean = photopatch.build(photos, 0, 0.02)["train"].clean
    dark = photopatch.darken(clean, 5)
    assert torch.equal(dark, photopatch.darken(clean, 5))
    assert not torch.equal(dark, photopatch.darken(clean, 6))
    assert 2 < float(dark.float().mean()) < 0.4 * float(clean.float().mean())


def test_packed_photographs_come_back(tmp_path, photos):
    lowlight_photos.pack(photos, tmp_path / "p.npz")
    back = lowlight_photos.load(tmp_path / "p.npz", dict.fromkeys(photos, ""))
    assert all(np.array_equal(back[name], photo) for name, photo in photos.items())
    with pytest.raises(FileNotFoundError, match="lacks other; pack again"):
        lowlight_photos.load(tmp_path / "p.npz", {"other": ""})


def test_a_missing_photograph_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lowlight_photos\.py says how to unpack it"):
        lowlight_photos.find("usr/share/nothing.jpg", tmp_path)


def test_intervals_are_wilsons():
    low, high = bench.wilson(0.5, 100)
    assert (round(low, 3), round(high, 3)) == (0.404, 0.596)


def results(tmp_path, ce: float) -> None:
    """Three seeds as the benchmark writes them."""
    seeds = []
    for seed in range(3):
        arms = {
            "clean": {"accuracy": 0.7},
            "none": {"accuracy": 0.1},
            "gamma 2": {"accuracy": 0.25},
            "mean scaling": {"accuracy": 0.36},
            "SACC-CE": {"accuracy": ce + 0.01 * seed},
            "SACC+": {"accuracy": 0.45, "clean": 0.69, "guard": 1.0},
            "SACC-PT, rotation": {
                "accuracy": 0.2,
                "classes": 4,
                "head, normal light": 0.6,
                "head, dark": 0.3,
                "head, enhanced": 0.5,
                "ready": True,
            },
        }
        if seed:  # a run that was stopped lacks its last arm
            arms["SACC-CE, rgb"] = {"accuracy": ce}
        seeds.append({"seed": seed, "test crops": 1000, "arms": arms})
    (tmp_path / "lowlight-sacc.json").write_text(json.dumps(bench.merge(seeds)))


def test_verdicts_follow_the_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    assert "| not measured | open |" in tables.claims_table()
    results(tmp_path, ce=0.38)
    assert "10.0 → 39.0 %; best fixed baseline 36.0 % | holds" in tables.claims_table()
    assert "rotation 20.0 %; dark 10.0 %, best gamma 25.0 % | helps, but" in tables.claims_table()
    assert "| SACC-CE above mean scaling | +3.0 | yes |" in tables.gate_table()
    assert "| SACC+ loses at most 1.5 points in normal light | +1.0 | yes |" in tables.gate_table()
    assert "| rgb | 38.0 ± 0.0 | -1.5 | 2 |" in tables.ablation_table()
    results(tmp_path, ce=0.30)
    assert "helps, but a fixed baseline helps more" in tables.claims_table()
    assert "| SACC-CE above mean scaling | -5.0 | no |" in tables.gate_table()


@pytest.mark.slow
def test_one_seed_runs_from_end_to_end(tmp_path, photos, monkeypatch):
    lowlight_photos.pack(photos, tmp_path / "p.npz")
    monkeypatch.setattr(bench, "PATCH_PHOTOS", dict.fromkeys(photos, ""))
    told = f"x --photos {tmp_path}/p.npz --steps 4 --share 0.02 --width 8 --arms ce,plus"
    monkeypatch.setattr("sys.argv", [*told.split(), "--out", str(tmp_path / "s.json")])
    bench.main()
    arms = json.loads((tmp_path / "s.json").read_text())["arms"]
    assert {"none", "mean scaling", "SACC-CE"} <= set(arms)
    assert any(name.startswith("SACC+, mix") for name in arms)
