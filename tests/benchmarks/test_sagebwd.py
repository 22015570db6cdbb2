"""The study of SageBwd runs, goes on, and is told truly: tables, verdicts and the picture."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import pytest

from benchmarks import sagebwd_figure, sagebwd_study, sagebwd_tables
from benchmarks.sagebwd_statements import CLAIMS


def record(kind, arm, seed, loss, **facts):
    """A run as the study writes it."""
    perplexity = math.exp(loss)
    return {
        "kind": kind,
        "arm": arm,
        "seed": seed,
        "steps": 100,
        "sequences": 8,
        "length": 512,
        "diverged": None,
        "curve_steps": 10,
        "curve": [loss + 1, loss],
        "perplexities": [[0, 50.0], [20, perplexity]],
        "perplexity_in_float": perplexity,
        "score_sizes": [1.0, 2.5],
        "machine": {"device": "a CPU", "torch": "2"},
        **facts,
    }


def study(fine=0.001, large=0.05, small=0.0, plain=math.nan):
    """Runs whose published mode ends so far above float."""
    runs = []
    for seed in range(3):
        for arm in ("float", "axis", "block"):
            extra = (arm == "block") * (1 + 0.01 * seed)
            runs.append(record("finetune", arm, seed, 3 + fine * extra))
            for batch, off in (("large", large), ("small", small)):
                for norm in (True, False):
                    one = record("pretrain", arm, seed, 1 + off * extra, batch=batch, qk_norm=norm)
                    if not norm and batch == "large" and arm == "block" and math.isnan(plain):
                        one["diverged"] = "the loss is nan at step 9"
                    runs.append(one)
    return {"runs": runs}


@pytest.fixture
def results(tmp_path, monkeypatch):
    errors = sagebwd_tables.RESULTS / "sagebwd-errors.json"
    (tmp_path / "sagebwd-errors.json").write_text(errors.read_text(encoding="utf-8"))
    monkeypatch.setattr(sagebwd_tables, "RESULTS", tmp_path)
    return tmp_path


def write(folder, document):
    (folder / "sagebwd-study.json").write_text(json.dumps(document))


def verdicts():
    rows = sagebwd_tables.claims_table().splitlines()[2:]
    assert len(rows) == len(CLAIMS)
    return {
        claim.text: row.split(" | ")[-1].rstrip(" |")
        for claim, row in zip(CLAIMS, rows, strict=True)
    }


def of(text):
    return next(verdict for claim, verdict in verdicts().items() if claim.startswith(text))


def test_without_runs_claims_are_open(results):
    assert of("Fine-tuning loses nothing (") == "open"
    assert "not measured" in sagebwd_tables.verdict()
    assert "not measured yet" in sagebwd_figure.picture()
    assert "Not measured yet" in sagebwd_tables.finetune_table()


def test_verdicts_follow_the_numbers(results):
    write(results, study())
    assert of("Fine-tuning loses nothing (") == "holds"
    assert of("Pre-training with a large batch") == "holds"
    assert of("With a smaller batch") == "holds"
    assert of("Without QK-norm") == "holds"
    told = sagebwd_tables.verdict()
    assert told.startswith("Fine-tuning is lossless here: block +0.0010 ± 0.0000, axis +0.0000")
    assert "Pre-training with the larger batch is slower (+0.0505 ± 0.0003 nats)" in told
    assert "32,768 tokens: block diverged, axis +0.0000 ± 0.0000" in told
    write(results, study(fine=0.1, large=0.001, small=0.02, plain=0.0))
    assert of("Fine-tuning loses nothing (") == "a small loss"
    assert of("Pre-training with a large batch") == "does not show at this scale"
    assert of("With a smaller batch") == "a small difference"
    assert of("Without QK-norm") == "nothing diverges at this scale"
    assert "does not show at this scale" in sagebwd_tables.verdict()


def test_a_short_run_proves_nothing(results):
    document = study()
    for run in document["runs"]:
        run["steps"] = 8 if run["arm"] == "block" and run["kind"] == "finetune" else 100
    write(results, document)
    assert of("Fine-tuning loses nothing (") == "open"
    assert of("Fine-tuning loses nothing with") == "holds"


def test_tables_show_means_over_seeds(results):
    write(results, study())
    table = sagebwd_tables.pretrain_table()
    assert '| 32,768 tokens | no | `SageBwd("block")` | 3 | diverged | diverged | 2.5 |' in table
    assert "| 8,192 tokens | yes | float | 3 | 1.0000 |  | 2.5 |" in table
    assert "| 100 steps of 8 × 512 | float | 3 | 50.000 |" in sagebwd_tables.finetune_table()


def test_the_picture_is_well_formed_and_pairs_seeds(results):
    document = study()
    write(results, document)
    lines = ET.fromstring(sagebwd_figure.picture()).findall(".//{*}polyline")
    assert len(lines) == 2 + 4 + 4
    runs = [r for r in document["runs"] if r["kind"] == "finetune"]
    points = sagebwd_figure.differences(runs[:-1], "block", None)  # the last seed has no partner
    assert [x for x, _ in points] == [5.0, 15.0]
    assert points[0][1] == pytest.approx(0.001 * 1.005)


def test_a_tiny_study_runs_and_goes_on(tmp_path, monkeypatch, capsys):
    out = tmp_path / "runs.jsonl"
    text = tmp_path / "text.txt"
    text.write_text("one two three four five six seven eight nine ten. " * 200)
    words = ["pretrain", "--tiny", "--device", "cpu", "--seeds", "1", "--held-out", "2"]
    words += ["--text", str(text), "--out", str(out)]
    options = sagebwd_study.parser().parse_args(words)
    sagebwd_study.work(options)
    lines = out.read_text().splitlines()
    assert len(lines) == 12
    assert all(json.loads(line)["perplexities"][-1][1] < 400 for line in lines)
    out.write_text("\n".join(lines[:-2]) + "\n")
    sagebwd_study.work(sagebwd_study.parser().parse_args(words))
    again = out.read_text().splitlines()
    assert again[:-2] == lines[:-2]
    same = ("arm", "curve", "perplexities")
    for before, after in zip(lines[-2:], again[-2:], strict=True):
        assert all(json.loads(before)[key] == json.loads(after)[key] for key in same)
    monkeypatch.setattr(sagebwd_study, "RESULT", tmp_path / "study.json")
    sagebwd_study.collect(sagebwd_study.parser().parse_args(["collect", str(out)]))
    assert len(json.loads((tmp_path / "study.json").read_text())["runs"]) == 12
    late = sagebwd_study.parser().parse_args([*words, "--seconds", "0", "--first-seed", "1"])
    sagebwd_study.work(late)
    assert len(out.read_text().splitlines()) == 12
    assert "no time" in capsys.readouterr().err
