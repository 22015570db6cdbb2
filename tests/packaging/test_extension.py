"""The C++ extension: what it may link, and that the package installs without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_extension_links_neither_torch_nor_openmp():
    native = pytest.importorskip("foveate._native", reason="the extension is not built")
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf (binutils)")
    done = subprocess.run(["readelf", "-d", native.__file__], capture_output=True, text=True)
    needed = [line for line in done.stdout.splitlines() if "NEEDED" in line]
    assert needed
    assert not [n for n in needed if "torch" in n or "gomp" in n or "omp." in n or "python" in n]


def build_wheel(folder: Path, **environment: str) -> list[str]:
    """Build a wheel from a copy of the sources; the names inside."""
    pytest.importorskip("scikit_build_core", reason="pip install scikit-build-core")
    pytest.importorskip("nanobind", reason="pip install nanobind")
    source = folder / "source"
    keep = ("pyproject.toml", "CMakeLists.txt", "README.md", "LICENSE", ".gitignore")
    source.mkdir()
    for name in keep:
        shutil.copy(ROOT / name, source / name)
    for name in ("src", "csrc"):
        shutil.copytree(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(source)],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    return [wheel.name, *zipfile.ZipFile(wheel).namelist()]


@pytest.mark.slow
def test_installs_without_a_working_compiler(tmp_path):
    wheel, *names = build_wheel(tmp_path, CXX="/bin/false")
    assert wheel.endswith("-py3-none-any.whl")
    assert "foveate/__init__.py" in names
    assert "foveate/py.typed" in names
    # not even one that lay in the working tree, made for another interpreter
    assert not [n for n in names if n.endswith(".so")]


@pytest.mark.slow
def test_wheel_holds_the_extension_and_the_data(tmp_path):
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("needs a C++ compiler")
    wheel, *names = build_wheel(tmp_path)
    assert "none-any" not in wheel
    assert len([n for n in names if n.startswith("foveate/_native") and n.endswith(".so")]) == 1
    assert [n for n in names if n.startswith("foveate/data/")]
    assert not [n for n in names if n.startswith(("tests/", "csrc/", "benchmarks/"))]
