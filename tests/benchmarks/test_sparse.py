"""Studies of sparse selection: curves, patterns, tables and verdicts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from benchmarks import sparse_claims, sparse_rules, sparse_tables
from benchmarks.sparse_rules import Rule, curve, mean_curve, read_off, sparge_rules, summary
from benchmarks.sparse_rules import xattention_rules as antidiagonals
from benchmarks.sparse_statements import CLAIMS
from foveate import Sparge


@pytest.fixture(scope="module")
def layer():
    return sparse_claims.made_up(1024, heads=2)


@pytest.fixture(scope="module")
def document():
    return json.loads(sparse_claims.RESULTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("rules", [sparge_rules(), antidiagonals()], ids=["sparge", "xattention"])
def test_every_rule_has_a_curve_that_errs_less_with_more(layer, rules, monkeypatch):
    monkeypatch.setattr(sparse_rules, "MASSES", (0.3, 0.9, 1.0))
    monkeypatch.setattr(sparse_rules, "COUNTS", (0.1, 0.5, 1.0))
    monkeypatch.setattr(sparse_rules, "SHARES", (0.1, 0.01, 1e-9))
    cache = {}
    for name, rule in rules.items():
        points = curve(layer, rule, 4, cache)
        densities = [point["density"] for point in points]
        assert densities == sorted(densities), name
        assert points[-1]["error"] <= points[0]["error"] + 1e-6, name
        if "judge" not in name and rule.knob != "share":
            assert points[-1]["density"] == 1, name
            assert points[-1]["error"] < 1e-5, name


def test_true_mass_keeps_the_most(layer, monkeypatch):
    monkeypatch.setattr(sparse_rules, "COUNTS", (0.25,))
    base = Rule(Sparge(threshold=0.9), "count")
    scores = {"true": sparse_rules._true, "means": None, "random": sparse_rules._random}
    kept = {
        name: curve(layer, replace(base, scores=how), 128, {})[0]["retained"]
        for name, how in scores.items()
    }
    assert kept["true"] > kept["means"] - 0.005  # 16 rows of each block tell its mass
    assert kept["means"] > kept["random"] + 0.01


def test_patterns_are_what_they_are_called(layer):
    """Antidiagonals of the regrouped queries are the diagonals of the real ones."""
    q, stride = layer.q, 8
    regrouped = sparse_rules._diagonal(stride)(q)
    cells = regrouped.unflatten(2, (-1, stride)).flip(3).flatten(2, 3)
    assert torch.equal(cells, q)  # what an antidiagonal pairs with key t is now query t
    scattered = sparse_rules._scattered(stride)(q).unflatten(2, (-1, stride))
    for i in range(stride):  # every query of a cell is there, once
        assert (scattered[0, 0, 0] == q[0, 0, i]).all(-1).sum() == 1


def test_reading_off_a_curve():
    points = [
        {"density": 0.2, "error": 0.1, "retained": 0.8},
        {"density": 0.4, "error": 0.001, "retained": 0.9},
    ]
    assert read_off(points, "density", 0.3, "retained") == pytest.approx(0.85)
    assert read_off(points, "density", 0.3, "error") == pytest.approx(0.01)  # by its logarithm
    assert read_off(points, "error", 0.1, "density") == pytest.approx(0.2)
    assert read_off(points, "density", 0.5, "error") is None
    assert summary(mean_curve([points, points]))["error_at"]["0.15"] is None


def test_made_up_data_is_what_it_says(layer):
    again = sparse_claims.made_up(1024, heads=2)
    assert torch.equal(layer.q, again.q)
    scores = layer.q[0, 0] @ layer.k[0, 0].T * layer.scale
    scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
    p = scores.softmax(-1)
    sink, others = p[500:, :4].mean(), p[500:, 4:500].mean()
    assert sink > 3 * others
    field = sparse_claims.smooth_field()
    assert field[0].shape == (1, 4, 8 * 24 * 32, 64)


def test_tables_show_every_rule(document):
    text = sparse_tables.studies(document)
    for rules, title in ((sparge_rules(), "### 8."), (antidiagonals(), "### 9.")):
        part = text.split(title)[1].split("###")[0]
        for name in rules:
            assert f"| {name} |" in part
    for words in ("first filter alone", "Hilbert", "32,768, made up"):
        assert words in text


def test_every_claim_has_a_verdict(document):
    lines = sparse_tables.claims_table(document).splitlines()[2:]
    assert len(lines) == len(CLAIMS)
    for line, claim in zip(lines, CLAIMS, strict=True):
        verdict = line.split("|")[-2].strip()
        assert verdict in ("holds", "open", claim.otherwise)


def test_a_verdict_follows_the_numbers(document):
    changed = json.loads(json.dumps(document))
    for record in changed["records"]:
        if record["row"] == "stride 16, share":
            record["error_at"] = dict.fromkeys(record["error_at"], 0.9)
    old, new = (
        next(
            x for x in sparse_tables.claims_table(d).splitlines() if "| XAttention (ours) | Bl" in x
        )
        for d in (document, changed)
    )
    assert "stride 16, share 0.9000" in new
    assert new.endswith("| no |")
    assert old.endswith("| holds |")


def test_what_was_not_measured_is_open(document):
    nothing = {"records": [], "commit": "", "versions": {}}
    lines = sparse_tables.claims_table(nothing).splitlines()
    line = next(line for line in lines if "Antidiagonals are" in line)
    assert "not measured" in line
    assert line.endswith("| open |")
