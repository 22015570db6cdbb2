"""Tables of the motion benchmark, and the studies behind them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from benchmarks import motion_tables as tables
from foveate.motion.evaluate import studies
from tests.motion.samples import still


def outcome(name, category, **more):
    base = {"name": name, "category": category, "text": name, "asked": 2, "passed": 2}
    base |= {"measures": {"slide_cm": 0.1, "sink_cm": 0.1}, "physical": True, "fell": False}
    return base | more


@pytest.fixture
def document():
    trial = {"success": True, "error_m": 0.05, "note": ""}
    kinds = [
        {"kind": kind, "text": "x", "success": share, "error_m": 0.05, "trials": [trial] * 4}
        for kind, share in (("sit", 1.0), ("lie", 0.25), ("reach", 0.5))
    ]
    measures = {"slide_cm": 1.0, "sink_cm": 2.0}
    return {
        "sentences": [
            outcome("a", "actions"),
            outcome("b", "actions", passed=1, rules=[["r", False, "0 s"], ["q", True, "1"]]),
            outcome("c", "sports", status="not understood", passed=0, measures={}),
            outcome("d", "styles", physical=False),
        ],
        "interactions": kinds,
        "stones": [{"gap_m": 0.5, "crossed": 1.0, "placements": 5}],
        "stages": [
            {"name": "w", "stage": stage, **measures} for stage in ("linear", "filled", "performed")
        ],
        "replays": [
            outcome("a", "actions", source="mllm:by-hand"),
            outcome("a", "actions", source="offline", passed=1),
        ],
        "newcomers": [
            outcome("x", "newcomers", unmatched=[]),
            outcome("y", "newcomers", status="not understood", measures={}),
        ],
        "speed": [{"file": "mp4", "clip_s": 5.0, "seconds": 9.0}],
    }


def test_every_part_is_a_table(document):
    for name, part in tables.parts(document).items():
        lines = part().split("\n\n")[0].splitlines()
        assert len(lines) > 2, name
        assert len({line.count("|") for line in lines}) == 1, name


def test_failures_are_named(document):
    text = tables.missed(document)
    assert "| b | r (0 s) |" in text
    assert "| c | not understood |" in text
    assert "| d | needs a helper force |" in text
    assert "| a |" not in text


def test_replays_stand_beside_the_offline_designer(document):
    rows = tables.replays_table(document).splitlines()
    assert "| mllm:by-hand | 1 | 1 | 2 of 2 | 1 |" in rows
    assert "| offline | 1 | 0 | 1 of 2 | 1 |" in rows


def test_sentences_of_newcomers_that_failed_are_named(document):
    text = tables.newcomers_table(document)
    assert "| 2 | 1 | 1 | 1/1 |" in text
    assert text.endswith("Nothing was found in: y.")


def test_verdicts_follow_the_numbers(document):
    text = tables.claims_table(document)
    assert "| 100 %, 0.050 m | reached |" in text
    assert "| 25 %, 0.050 m | below the paper |" in text
    assert "up to 0.50 m here" in text
    assert "not tested here" in text


def test_without_results_nothing_is_claimed():
    for part in tables.parts({}).values():
        assert part() == tables.NOT_YET


def test_only_our_markers_are_filled():
    text = (
        "a\n<!-- begin:mine -->\nold\n<!-- end:mine -->\n<!-- begin:x -->\nkeep\n<!-- end:x -->\n"
    )
    made = tables.fill_only(text, {"mine": lambda: "new"})
    assert "new" in made
    assert "old" not in made
    assert "keep" in made


def test_placements_are_random_but_repeatable():
    for place in (studies._chair, studies._bed, studies._cup):
        one, same, other = (place(np.random.default_rng(s)).to_json() for s in (0, 0, 1))
        assert one == same != other
    assert len(studies._stones(0.5, np.random.default_rng(0)).objects) == 6


def test_success_needs_what_it_says():
    scene = studies._cup(np.random.default_rng(0))
    clip = still(1.0).with_(scene=scene)
    ok, error = studies._reached(clip, scene)
    assert not ok
    assert error > 0.1
    seat = studies._chair(np.random.default_rng(0))
    item = seat["chair"]
    qpos = clip.qpos.copy()
    qpos[:, :3] = [*item.world(np.array([0.05, 0.0])), item.top + studies.SEAT]
    assert studies._sat(clip.with_(qpos=qpos), seat) == (True, pytest.approx(0, abs=1e-9))
