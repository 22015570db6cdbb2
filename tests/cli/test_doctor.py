"""foveate doctor: the facts, and reasons for what is missing."""

from __future__ import annotations

import getpass
import json
import socket

import pytest

from foveate import cli
from foveate.cli import doctor


def test_json_is_only_json(capsys):
    assert cli.main(["doctor", "--json"]) == 0
    captured = capsys.readouterr()
    facts = json.loads(captured.out)
    assert {"foveate", "python", "torch", "machine", "extension", "backends"} <= set(facts)
    assert captured.err == ""


def test_names_no_host_and_no_user():
    text = json.dumps(doctor.examine())
    assert socket.gethostname() not in text
    user = getpass.getuser()
    assert f"/{user}/" not in text


def test_reference_runs_everything():
    answers = doctor.backends()["reference"]
    assert set(answers.values()) == {None}


def test_text_names_backends_and_variables(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    for word in ("extension", "reference", "cpu", "FOVEATE_CACHE", "optional package"):
        assert word in out


@pytest.mark.parametrize(
    ("compiler", "header", "says"),
    [(False, True, "g++"), (True, False, "python3-dev"), (True, True, "make build")],
)
def test_missing_extension_says_why_and_the_way_out(monkeypatch, compiler, header, says):
    def missing(name):
        raise ModuleNotFoundError("No module named 'foveate._native'")

    monkeypatch.setattr(doctor.importlib, "import_module", missing)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/bin/g++" if compiler else None)
    monkeypatch.setattr(doctor.os.path, "exists", lambda path: header)
    found = doctor.extension()
    assert found["built"] is False
    assert says in found["reason"]
    assert "\n" not in found["reason"]


def test_unloadable_extension_is_told_from_a_missing_one(monkeypatch):
    def broken(name):
        raise ImportError("undefined symbol: x")

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    assert "undefined symbol" in doctor.extension()["reason"]


def test_refusals_are_grouped_by_reason():
    rows = doctor._backend_rows({"cpu": {"native": None, "int8": "needs AVX2", "sage": None}})[1]
    assert rows == [
        ["cpu", "runs", "native, sage", ""],
        ["cpu", "refuses", "int8", "needs AVX2"],
    ]
