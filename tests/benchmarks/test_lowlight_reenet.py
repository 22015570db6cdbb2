"""Results about REENet and FEM become tables and verdicts, and networks are shipped from runs."""

import json

import pytest

from benchmarks import lowlight_reenet_report as report
from benchmarks import lowlight_reenet_tables as tables

RATIOS = [4.0, 10.0, 30.0, 100.0, 300.0]


def seed(number, reenet, plain):
    """scores.json of one seed: two photographs, one crop each, at every ratio."""

    def values(base):
        return [base + photo + 0.1 * number for _ in RATIOS for photo in (0, 1)]

    ways = {"nothing": 8.0, "analytic": 20.0, "reenet": reenet, "plain-power": plain}
    return {
        "seed": number,
        "steps": {"unprocess": 4, "reconstruct": 4, "process": 4, "joint": 8},
        "batch": 2,
        "patch": 32,
        "machine": {"device": "cpu", "name": "test", "torch": "2"},
        "sets": {
            "same camera": {"ratio": [k for k in RATIOS for _ in (0, 1)], "photo": [0, 1] * 5}
        },
        "scores": {
            n: {"same camera": {"psnr": values(v), "ssim": [0.5] * 10}} for n, v in ways.items()
        },
        "parameters": {"reenet": 100, "plain-power": 110},
        "seconds": {"reenet": 1.0},
    }


@pytest.fixture
def runs(tmp_path):
    for number in (0, 1):
        folder = tmp_path / f"seed{number}"
        folder.mkdir()
        (folder / "scores.json").write_text(json.dumps(seed(number, 27.0, 26.0)))
    return tmp_path


def test_seeds_are_joined_and_the_gate_is_a_difference(runs):
    result = report.joined(runs)
    assert result["table"]["reenet"]["same camera"]["psnr"]["30"]["mean"] == pytest.approx(27.55)
    gap = result["gate"]["plain-power"]["same camera"]["300"]
    assert (gap["mean"], gap["low"], gap["high"]) == (1.0, 1.0, 1.0)
    assert gap["photos_won"] == gap["photos"] == 2
    assert "| reenet | 27.55 |" in report.table(result)


def test_verdicts_follow_the_numbers(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    assert tables.claims_table().count("| open |") == len(tables.CLAIMS)
    assert all("Not measured yet" in part() or "open" in part() for part in tables.parts().values())
    result = report.joined(runs)
    result["gate"]["plain-camera"] = result["gate"]["plain-power"]
    (tmp_path / "lowlight-reenet.json").write_text(json.dumps(result))
    rows = tables.claims_table().splitlines()[2:]
    assert rows[1].endswith("| holds |")
    assert "×300 +1.00 dB" in rows[1]
    assert rows[2].endswith("| not measured | open |"), "no bridge was trained in these runs"
    result["gate"]["plain-power"]["same camera"]["300"]["mean"] = -0.1
    (tmp_path / "lowlight-reenet.json").write_text(json.dumps(result))
    assert tables.claims_table().splitlines()[3].endswith("| not at every ratio |")
    result["bridge"] = {"plain-power": result["gate"]["analytic"]}
    (tmp_path / "lowlight-reenet.json").write_text(json.dumps(result))
    assert tables.claims_table().splitlines()[4].endswith("| holds |")
    assert "with the bridge, minus plain U-Net" in tables.gate_table()
    assert "| **after REENet** | 27.55 |" in tables.score_table("same camera", "psnr", 2)


def test_factors_are_ranked_by_what_taking_them_away_costs(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    effect = {"mean": 0.1, "low": 0.0, "high": 0.2}
    worth = dict.fromkeys("LTWBMCJ", effect) | {
        "T": {**effect, "mean": 5.0},
        "L": {**effect, "mean": 3.0},
    }
    main = {"add_one": worth, "drop_one": worth, "by_ratio": {}, "by_gain": {}}
    result = {"factors": {c: c for c in "LTWBMCJ"}, "studies": {"main": main}}
    (tmp_path / "lowlight-fem.json").write_text(json.dumps(result))
    assert tables.claims_table().splitlines()[2].endswith("| holds |")
    assert "| T T | +5.00 [+0.00, +0.20] |" in tables.factor_table()
    main["drop_one"]["W"] = {**effect, "mean": 4.0}
    (tmp_path / "lowlight-fem.json").write_text(json.dumps(result))
    assert "not here" in tables.claims_table().splitlines()[2]


def test_the_seed_with_the_best_validation_is_shipped(runs, tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    import argparse

    import torch

    from foveate.lowlight import weights

    monkeypatch.setattr(report, "SHIPPED", tmp_path / "shipped.safetensors")
    for number, value in ((0, 20.0), (1, 21.0)):
        folder = runs / f"seed{number}"
        weights.save(
            folder / "reenet.safetensors", {"w": torch.tensor([float(number)])}, {"seed": number}
        )
        log = folder / "reenet" / "joint" / "log.jsonl"
        log.parent.mkdir(parents=True)
        log.write_text(json.dumps({"step": 8, "validation_psnr": value}) + "\n")
    report.ship(argparse.Namespace(runs=runs, scale=0.5))
    tensors, about = weights.load(tmp_path / "shipped.safetensors")
    assert tensors["w"].item() == 1
    assert "--seed 1 --scale 0.5" in about["command"]
    card = (tmp_path / "reenet.md").read_text()
    assert about["command"] in card
    assert "| reenet | 27.55 |" in card
