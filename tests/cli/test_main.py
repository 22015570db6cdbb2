"""The command line as a whole: verbs, exit codes, one line for a mistake."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from foveate import cli
from foveate.cli.console import Progress, print_json, table


def test_help_lists_every_verb(capsys):
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert all(verb in out for verb in cli.VERBS)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([verb, "--help"])
    assert stop.value.code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [["nonsense"], ["bench", "--nonsense"], ["bench", "--rounds", "x"]]
)
def test_unknown_argument_is_one_line_and_code_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert "--help" in captured.err


def test_version_is_the_package_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    import foveate

    assert capsys.readouterr().out == f"foveate {foveate.__version__}\n"


def test_interrupt_is_code_130(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("foveate.cli.doctor.run", interrupted)
    assert cli.main(["doctor"]) == 130
    assert "stopped" in capsys.readouterr().err


def test_module_runs_and_a_closed_pipe_is_no_error():
    # `foveate doctor | head -1` printed a traceback once
    done = subprocess.run(
        f"{sys.executable} -m foveate.cli doctor | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith("foveate")
    assert "Traceback" not in done.stderr


def test_json_has_no_nan(capsys):
    print_json({"a": float("nan"), "b": [1.5, float("inf")], "c": (1, None)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": [1, None]}


def test_table_aligns_numbers_right_and_words_left():
    text = table(["name", "ms", "note"], [["a", "1.5", "slow"], ["bbbb", "·", "x"]])
    assert text.splitlines() == [
        "name   ms  note",
        "────  ───  ────",
        "a     1.5  slow",
        "bbbb    ·  x",
    ]


def test_table_without_rows_has_a_heading():
    assert table(["name", "ms"], []).splitlines() == ["name  ms", "────  ──"]


def test_progress_writes_only_to_a_terminal(monkeypatch, capsys):
    with Progress(2, "work") as quiet:
        quiet.step("one")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress(2, "work") as loud:
        loud.step("one")
        loud.step("two")
        loud.step("three, more than promised")
    captured = capsys.readouterr()
    assert "1/2" in captured.err
    assert "2/2" in captured.err
    assert "3/2" not in captured.err
    assert captured.out == ""
