"""The benchmark with recorded conversations, and with a model that answers."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("mujoco")

from benchmarks.motion_answers import ANSWERS, FOLDER, answers
from foveate.cli import main
from foveate.motion.evaluate import prompts
from foveate.motion.evaluate.bench import one
from foveate.motion.evaluate.models import asking, recordings, replaying

PROMPTS = {p.name: p for p in prompts()}


def test_every_conversation_is_recorded_with_its_label():
    assert set(recordings(FOLDER)) == set(ANSWERS)
    for path in FOLDER.glob("*.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert {row["model"] for row in rows} == {"by-hand"}
        assert [json.loads(row["response"]) for row in rows] == answers(path.stem)


@pytest.mark.parametrize("name", ["squat", "reach-cup"])
def test_a_recording_is_replayed_and_judged(name):
    outcome, clip = one(PROMPTS[name], replaying(FOLDER), physics="none")
    assert outcome.source == "mllm:by-hand"
    assert outcome.shown, outcome.rules
    assert clip is not None


def test_a_sentence_without_recording_is_a_failure():
    outcome, clip = one(PROMPTS["run"], replaying(FOLDER), physics="none")
    assert (outcome.status, clip) == ("failed", None)
    assert "no recording of 'run'" in outcome.note


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no recordings"):
        recordings(tmp_path)


def test_a_model_is_asked_once_and_then_read_from_its_recording(tmp_path, monkeypatch):
    from foveate.motion import mllm

    scripted = mllm.ScriptedProvider(answers("bow"), "by-hand")
    monkeypatch.setattr(mllm, "connect", lambda name: scripted)
    for _ in range(2):  # the script would have no answer left for a second time
        outcome, _ = one(PROMPTS["bow"], asking("any:model", tmp_path), physics="none")
        assert (outcome.status, outcome.source) == ("done", "mllm:by-hand"), outcome.note
    assert len(scripted.asked) == 3


def test_the_command_takes_a_folder(capsys):
    told = ["--designer", f"replay:{FOLDER}", "--physics", "none", "--json"]
    code = main(["move", "bench", "posture", *told])
    result = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {o["name"] for o in result["outcomes"]} == {"squat", "bow", "kick"}
    assert main(["move", "bench", "--designer", "replay:/nowhere"]) == 2
    assert "holds no recordings" in capsys.readouterr().err
