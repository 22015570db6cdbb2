"""Cells are computed once, survive an interruption, and add up."""

from __future__ import annotations

import json
import math

import pytest

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from foveate.measure import evaluation
from foveate.measure.comparison import BASELINE, Way
from foveate.measure.evaluation import OtherState, State, evaluate, plan_cells, summary
from foveate.models import transformers as _names  # noqa: F401
from tests.measure.letters import TEXT

ABOUT = {"model": "tiny"}
WAYS = [Way("native", "foveate:native")]
TASKS = ["text", "needle"]


def run(model, tokenizer, state, samples=2, tick=lambda label: None, tasks=TASKS):
    return evaluate(model, tokenizer, TEXT, WAYS, tasks, [1024], samples, state, tick)


def test_every_sample_comes_before_the_next_and_no_token_twice():
    cells = list(plan_cells([BASELINE, *WAYS], TASKS, [512, 1024], 3, 2500))
    assert [seed for seed, *_ in cells] == sorted(seed for seed, *_ in cells)
    texts = [(seed, length) for seed, task, length, way in cells if task == "text"]
    assert sorted(set(texts)) == [(0, 512), (0, 1024), (1, 512), (1, 1024), (2, 512)]


def test_exact_attention_changes_nothing(tiny, tokenizer):
    model = tiny()
    records = summary(run(model, tokenizer, State(None, ABOUT)))
    assert len(records) == 4
    for record in records:
        assert record["samples"] == 2
        assert abs(record["difference"]) < 1e-4
    assert records[0]["change"] == 0
    assert model.config._attn_implementation == "sdpa"


def test_stopped_evaluation_goes_on(tiny, tokenizer, tmp_path, monkeypatch):
    model, path, count = tiny(), tmp_path / "state", 0

    def tick(label):
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(model, tokenizer, State(path, ABOUT), tick=tick)
    assert model.config._attn_implementation == "sdpa"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
    again = State(path, ABOUT)
    assert len(again.cells) == 3
    asked = []
    real = evaluation.ask
    monkeypatch.setattr(evaluation, "ask", lambda *a: asked.append(1) or real(*a))
    cells = run(model, tokenizer, again)
    assert len(cells) == 8
    assert len(asked) == 3  # of four, one was there
    run(model, tokenizer, State(path, ABOUT))
    assert len(asked) == 3
    again.remove()
    assert not path.exists()


def test_state_of_something_else_is_refused(tmp_path):
    path = tmp_path / "state"
    State(path, ABOUT).put("a", {})
    with pytest.raises(OtherState, match="belongs to another evaluation"):
        State(path, {"model": "other"})
    path.write_text(path.read_text()[:10])
    with pytest.raises(OtherState, match="or is damaged; remove it"):
        State(path, ABOUT)


def test_state_file_is_json_with_every_cell(tmp_path):
    state = State(tmp_path / "state", ABOUT)
    state.put("a", {"loss": 1.0})
    state.put("b", {"loss": 2.0})
    assert json.loads((tmp_path / "state").read_text())["cells"] == state.cells


def test_summary_adds_up_paired_samples():
    def cell(way, seed, loss, **more):
        return {"way": way, "task": "needle", "length": 9, "seed": seed, "loss": loss} | more

    scores = {"recall": 1.0, "ranking": 0.5, "seconds": 1.0}
    cells = [cell(BASELINE.label, s, loss, **scores) for s, loss in enumerate([1.0, 2.0, 3.0])]
    cells += [cell("x", 0, 1.5, **scores), cell("x", 1, 2.1, **scores | {"recall": 0.0})]
    base, other = summary(cells)
    assert (base["samples"], base["loss"], base["difference"]) == (3, 2.0, 0.0)
    assert (other["samples"], other["recall"], other["ranking"]) == (2, 0.5, 0.5)
    assert math.isclose(other["difference"], 0.3)
    assert math.isclose(other["error"], 0.2)  # half the distance of two


def test_perplexity_of_text_is_exp_of_its_loss(tiny, tokenizer):
    records = summary(run(tiny(), tokenizer, State(None, ABOUT), 1, tasks=["text"]))
    assert math.isclose(records[1]["perplexity"], math.exp(records[1]["loss"]))
    assert records[1]["error"] is None
