"""docs/claims.md shows what ablations.json says, and the studies still run."""

from __future__ import annotations

import json

import pytest

from benchmarks import ablations, claims
from benchmarks.number_claims import CLAIMS


@pytest.fixture(scope="module")
def document():
    return json.loads(ablations.RESULTS.read_text(encoding="utf-8"))


def test_the_document_is_up_to_date(document):
    shown = claims.DOCUMENT.read_text(encoding="utf-8")
    assert shown == claims.rendered(document, CLAIMS), "run python -m benchmarks.ablations --render"


def test_every_study_has_records_and_a_title(document):
    assert {record["study"] for record in document["records"]} == set(claims.TITLES)


def test_a_verdict_follows_the_numbers(document):
    changed = json.loads(json.dumps(document))
    for record in changed["records"]:
        if record["study"] == "lengths" and record["column"] == "two levels":
            record["relative_l2"] = 0.1
    row = next(x for x in claims.claims_table(changed, CLAIMS).splitlines() if "Two-level acc" in x)
    assert "1.0e-01" in row
    assert row.endswith("| only in part |")


def test_a_measured_record_agrees_with_the_stored_one(document):
    """One cheap cell is measured again, so that results of other code do not linger."""
    recipe = ablations.scores(8, smooth="k", p=ablations.EXACT, v=ablations.EXACT)
    found = ablations.errors(recipe, [ablations.case(*ablations.gaussian())])
    stored = claims.lookup(document)("smoothing", "INT8, K", "D1", "relative_l1")
    assert found["relative_l1"] == pytest.approx(stored, rel=1e-3)


def test_an_overflow_is_recorded_as_such():
    recipe = ablations.fp8(ablations.scores(8, smooth="k"), "fp16+fp32", 448.0, 448.0)
    assert ablations.errors(recipe, [ablations.case(*ablations._flat())])["cosine"] is None
