"""foveate move, as a person types it: files, words, and one clear line for each mistake."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("mujoco")

from foveate import cli
from foveate.motion import KeyframePlan, export, load
from tests.motion.samples import drift, wave

QUICK = ["--physics", "none", "--fps", "10"]


def bad(capsys, *words):
    """Exit code 2 and one line on stderr, which is returned."""
    assert cli.main(["move", *map(str, words)]) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("foveate move: ")
    assert captured.out == ""
    return lines[0]


def test_a_sentence_becomes_files(tmp_path, capsys):
    names = ["a.glb", "a.bvh", "a.npz", "a.json", "a.png", "a.html"]
    outs = [w for name in names for w in ("-o", str(tmp_path / name))]
    assert cli.main(["move", "raise the right arm", *outs, *QUICK]) == 0
    out = capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    assert "understood" in out
    assert "not simulated" in out
    clip = load(tmp_path / "a.npz")
    wrist, shoulder = clip.sites("R_wrist", "R_shoulder").swapaxes(0, 1)
    assert (wrist[:, 2] > shoulder[:, 2]).any()
    plan = KeyframePlan.from_json((tmp_path / "a.json").read_text())
    assert plan.text == "raise the right arm"


def test_the_same_words_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        words = ["move", "a person bows", "-o", str(tmp_path / f"{name}.bvh"), *QUICK, "--json"]
        assert cli.main(words) == 0
    assert (tmp_path / "a.bvh").read_bytes() == (tmp_path / "b.bvh").read_bytes()


def test_a_video(tmp_path, capsys):
    pytest.importorskip("imageio_ffmpeg")
    words = ["move", "nod", "-o", str(tmp_path / "a.mp4"), "--size", "96x64", "--json", *QUICK]
    assert cli.main(words) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert captured.err == ""
    assert facts["frames"] == len(range(facts["frames"]))
    assert facts["coverage"]["unmatched"] == []
    assert (tmp_path / "a.mp4").stat().st_size > 1000


def test_a_plan_is_performed_again(tmp_path):
    plan = {"text": "arm up", "keys": [{"id": "k0", "t": 0},
            {"id": "up", "t": 0.6, "dofs": {"L_shoulder.abd": 120}}]}  # fmt: skip
    (tmp_path / "p.json").write_text(json.dumps(plan))
    words = ["move", "--plan", str(tmp_path / "p.json"), "-o", str(tmp_path / "a.csv"), *QUICK]
    assert cli.main([*words, "--json"]) == 0
    clip = load(tmp_path / "a.csv")
    wrist, shoulder = clip.sites("L_wrist", "L_shoulder").swapaxes(0, 1)
    assert (wrist[:, 2] > shoulder[:, 2]).any()


def test_edit_changes_the_plan(tmp_path):
    """The same motion with the other arm, from the plan and from the archive that carries it."""
    outs = ["-o", str(tmp_path / "a.json"), "-o", str(tmp_path / "a.npz")]
    assert cli.main(["move", "raise the right arm", *outs, *QUICK, "--json"]) == 0
    for source in ("a.json", "a.npz"):
        words = ["move", "--edit", str(tmp_path / source), "with the left arm"]
        assert cli.main([*words, "-o", str(tmp_path / "b.npz"), *QUICK, "--json"]) == 0
        left, right = load(tmp_path / "b.npz").sites("L_wrist", "R_wrist").swapaxes(0, 1)
        assert left[:, 2].max() > right[:, 2].max() + 0.3


def test_mistakes(tmp_path, capsys):
    there = tmp_path / "a.mp4"
    assert "text is empty" in bad(capsys, "", "-o", there)
    assert "text is empty" in bad(capsys, "-o", there)
    assert "unknown scene 'moon'; scenes are empty, chair" in bad(
        capsys, "wave", "--scene", "moon", "-o", there
    )
    assert "ends in one of: npz bvh" in bad(capsys, "wave", "-o", tmp_path / "a.doc")
    assert "does not exist; make it first" in bad(capsys, "wave", "-o", tmp_path / "no" / "a.mp4")
    assert "expected WIDTHxHEIGHT" in bad(capsys, "wave", "--size", "big", "-o", there)
    assert "expected even numbers" in bad(capsys, "wave", "--size", "641x480", "-o", there)
    assert "--fps is 1000" in bad(capsys, "wave", "--fps", "1000", "-o", there)
    assert "expected one of front-left" in bad(capsys, "nod", "--view", "x", *QUICK, "-o", there)
    assert "is not a file" in bad(capsys, "--edit", tmp_path / "p.json", "faster", "-o", there)
    assert "lint needs a file" in bad(capsys, "lint")
    assert "view needs a file" in bad(capsys, "view")
    assert "takes one file; 2" in bad(capsys, "lint", "a.bvh", "b.bvh")
    assert "is not a file" in bad(capsys, "lint", tmp_path / "a.bvh")
    assert 'no category "poems"' in bad(capsys, "bench", "poems")
    assert 'unknown style "purple"' in bad(capsys, "wave", "--style", "purple", "-o", there)
    assert "holds no recordings" in bad(capsys, "bench", "--designer", f"replay:{tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_not_understood_names_the_words(tmp_path, capsys):
    line = bad(capsys, "zorble the frumious quux", "-o", tmp_path / "a.mp4")
    assert "zorble" in line
    assert "nearest known actions" in line
    assert list(tmp_path.iterdir()) == []


def test_broken_plan_and_broken_bvh(tmp_path, capsys):
    (tmp_path / "p.json").write_text('{"keys": [{"id": "a", "t": 0, "dofs": {"L_tail.flex": 3}}]}')
    assert "L_tail.flex" in bad(capsys, "--plan", tmp_path / "p.json", "-o", tmp_path / "a.mp4")
    (tmp_path / "b.bvh").write_text("HIERARCHY\nROOT Hips\n{\nOFFSET 0 zero 0\n")
    assert "b.bvh line 4" in bad(capsys, "lint", tmp_path / "b.bvh")
    (tmp_path / "c.npz").write_bytes(b"rubbish")
    assert "c.npz: not a NumPy archive" in bad(capsys, "lint", tmp_path / "c.npz")
    export(wave(), tmp_path / "d.npz")
    assert "carries no plan" in bad(capsys, "--edit", tmp_path / "d.npz", "faster")


def test_lint_finds_repairs_and_returns_1(tmp_path, capsys):
    path, better = export(drift(0.1), tmp_path / "a.bvh"), tmp_path / "b.bvh"
    assert cli.main(["move", "lint", str(path)]) == 1
    assert "SLIDE" in capsys.readouterr().out
    assert cli.main(["move", "lint", str(path), "--repair", str(better), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["findings"]
    assert facts["repaired"]["findings"] == []
    assert cli.main(["move", "lint", str(better)]) == 0
    assert "nothing found" in capsys.readouterr().out
    assert cli.main(["move", "lint", "--codes"]) == 0
    assert "a standing foot slides" in capsys.readouterr().out


def test_lint_reads_plans(tmp_path, capsys):
    plan = {"keys": [{"id": "k0", "t": 0}, {"id": "a", "t": 1, "dofs": {"L_elbow.flex": 300}}]}
    (tmp_path / "p.json").write_text(json.dumps(plan))
    assert cli.main(["move", "lint", str(tmp_path / "p.json")]) == 1
    assert "J-RANGE" in capsys.readouterr().out
    words = ["move", "lint", str(tmp_path / "p.json"), "--repair", str(tmp_path / "q.json")]
    assert cli.main(words) == 0
    mended = KeyframePlan.from_json((tmp_path / "q.json").read_text())
    assert mended.keys[1].dofs["L_elbow.flex"] == 150


def test_view(tmp_path, capsys):
    path = export(wave(), tmp_path / "a.npz")
    assert cli.main(["move", "view", str(path), "-o", str(tmp_path / "a.html")]) == 0
    assert "needs no network" in capsys.readouterr().out
    assert (tmp_path / "a.html").stat().st_size > 500_000


def test_bench_resumes(tmp_path, capsys, monkeypatch):
    from foveate.motion.evaluate import bench, prompts

    two = prompts("arms")[:2]
    monkeypatch.setattr("foveate.motion.evaluate.prompts", lambda word: two)
    made = []
    real = bench.one

    def one(prompt, designer, **options):
        made.append(prompt.name)
        return real(prompt, designer, **options)

    monkeypatch.setattr(bench, "one", one)
    words = ["move", "bench", "arms", "-o", str(tmp_path / "r"), *QUICK]
    assert cli.main(words) == 0
    assert cli.main(words) == 0
    assert made == [p.name for p in two], "the second run finds everything done"
    names = {p.name for p in (tmp_path / "r").iterdir()}
    assert {"results.json", "table.md", "index.html"} <= names
    assert "rules held" in capsys.readouterr().out


def test_ctrl_c_leaves_nothing(tmp_path, capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("foveate.motion.synthesis.perform", stop)
    assert cli.main(["move", "wave", "-o", str(tmp_path / "a.mp4")]) == 130
    assert "stopped" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
