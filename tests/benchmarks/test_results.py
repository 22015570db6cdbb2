"""Result files, comparison, generated tables and the picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from benchmarks import compare, readme, run
from benchmarks.cases import CASES
from benchmarks.figure import BARS, speed_figure


def record(case, seconds=0.1, ratio=3.0):
    """A record as `trial.run` makes it, with chosen numbers."""
    spread = {"median": seconds, "q10": seconds, "q90": seconds, "count": 7}
    factor = {"median": ratio, "q10": ratio - 0.1, "q90": ratio + 0.1, "count": 7}
    slow = dict.fromkeys(("median", "q10", "q90"), seconds * ratio) | {"count": 7}
    error = {"relative_l1": 0.015, "cosine": 0.9999}
    return {
        "case": json.loads(json.dumps(case.as_dict())),
        "seconds": spread,
        "gops": case.operations / seconds / 1e9,
        "error": error,
        "density": case.density or 1.0,
        "load": 0.1,
        "peak_memory": 1,
        "commit": "abc",
        "peers": {p: {"seconds": slow, "ratio": factor, "error": error} for p in case.peers},
    }


@pytest.fixture
def document():
    machine = {"cpu": "Test CPU", "cores": 2, "features": ["avx512_vnni"], "architecture": "x86_64"}
    versions = {"torch": "2.0", "openvino": None, "onnxruntime": "1.0"}
    results = {case.name: record(case) for case in CASES}
    return {
        "kind": "speed",
        "schema": 1,
        "machine": machine,
        "versions": versions,
        "results": results,
    }


def test_tables_in_the_repository_are_fresh():
    stale = [str(p) for p, text in readme.generated().items() if readme._read(p) != text]
    assert not stale, f"stale: {stale}; run `make tables`"


def test_committed_results_name_no_place():
    for path in readme.RESULTS.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert "/home/" not in text
        assert "hostname" not in text
        assert json.loads(text)


def test_speed_table_shows_ratios_and_gaps(document):
    del document["results"]["sage3-f32-d64-full-t1"]
    lines = readme.speed_table(document).splitlines()
    assert len(lines) == 2 + 4
    assert lines[2].count("3.00×") == 6
    assert lines[2].endswith("— |")
    assert lines[3].count("3.00×") == 7


def test_every_table_cell_belongs_to_a_case(document):
    """A renamed case would leave a silent gap in the README."""
    for table in (readme.speed_table(document), readme.special_table(document)):
        assert "—" not in table


def test_full_table_says_met_or_missed(document):
    text = readme.full_tables(document)
    assert "2.00× met" in text
    assert "3.50× missed" in text
    assert all(f"`{case.name}`" in text for case in CASES)


def test_skipped_peer_shows_its_reason(document):
    document["results"]["int8-f32-d64-full-t1"]["peers"]["sdpa"] = {"skipped": "not installed"}
    assert "not installed" in readme.full_tables(document)


def test_fill_replaces_only_between_markers():
    text = "a\n<!-- begin:speed -->\nold\n<!-- end:speed -->\nb"
    filled = readme.fill(text, {"speed": lambda: "new"})
    assert filled == "a\n<!-- begin:speed -->\nnew\n<!-- end:speed -->\nb"
    assert readme.fill(filled, {"speed": lambda: "new"}) == filled
    with pytest.raises(KeyError, match="speed"):
        readme.fill(text, {})


def test_other_result_files_are_left_alone(tmp_path, document):
    (tmp_path / "a.json").write_text(json.dumps({"kind": "ablations"}))
    (tmp_path / "b.json").write_text(json.dumps(document))
    (tmp_path / "c.json").write_text("[1]")
    assert readme.load(tmp_path) == [document]


def test_figure_is_valid_and_has_every_bar(document):
    tree = ET.fromstring(speed_figure(document["results"]))
    bars = [e for e in tree.iter() if e.tag.endswith("rect")]
    assert len(bars) == len(BARS)
    assert all(float(e.get("x")) + float(e.get("width")) < 760 for e in bars)


def test_figure_of_nothing_says_so():
    text = speed_figure({})
    assert not [e for e in ET.fromstring(text).iter() if e.tag.endswith("rect")]
    assert "not measured yet" in text


def test_compare_puts_the_worst_first_and_fails(document, tmp_path, capsys):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(document))
    name = "int8-f32-d64-full-t1"
    document["results"][name] = record(next(c for c in CASES if c.name == name), ratio=2.0)
    new.write_text(json.dumps(document))
    assert compare.main([str(old), str(old)]) == 0
    assert "slower" not in capsys.readouterr().out
    assert compare.main([str(old), str(new)]) == 1
    assert name in capsys.readouterr().out.splitlines()[2]


def test_compare_refuses_other_files(tmp_path, capsys):
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(SystemExit) as stop:
        compare.main([str(path), str(path)])
    assert stop.value.code == 2


@pytest.fixture
def quick_trial(monkeypatch):
    calls = []

    def fake(case, rounds):
        calls.append(case.name)
        if case.name.startswith("sage3"):
            raise run.trial.Wrong("too far off")
        return record(case)

    monkeypatch.setattr(run.trial, "run", fake)
    return calls


def test_run_keeps_older_results_and_leaves_no_part_files(tmp_path, quick_trial, capsys):
    out = tmp_path / "r.json"
    assert run.main(["--only", "l256", "--out", str(out)]) == 0
    first = set(json.loads(out.read_text())["results"])
    assert run.main(["--only", "decode-int8", "--out", str(out)]) == 0
    document = json.loads(out.read_text())
    assert first < set(document["results"])
    assert document["kind"] == "speed"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_run_drops_results_of_another_machine(tmp_path, quick_trial, document):
    out = tmp_path / "r.json"
    out.write_text(json.dumps(document))
    run.main(["--only", "l256", "--out", str(out)])
    assert all("l256" in name for name in json.loads(out.read_text())["results"])


def test_wrong_case_is_not_stored_and_fails(tmp_path, quick_trial, capsys):
    out = tmp_path / "r.json"
    assert run.main(["--only", "sage3-f32-d64,l256", "--out", str(out)]) == 1
    assert not any(name.startswith("sage3") for name in json.loads(out.read_text())["results"])
    assert "too far off" in capsys.readouterr().err


def test_run_without_a_matching_case_says_so(capsys):
    with pytest.raises(SystemExit) as stop:
        run.main(["--only", "nothing-like-it"])
    assert stop.value.code == 2
    assert "--list" in capsys.readouterr().err


def test_machine_name_is_a_plain_file_name():
    assert run.re.fullmatch(r"[a-z0-9-]+", run.machine_name())
