"""Arrows of import: `import foveate` needs torch only, and the rooms import one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src" / "foveate"

# room: what it must not import when it runs (imports for type checkers alone do no harm)
FORBIDDEN = {
    "attn/formats": ["foveate.attn.select", "foveate.attn.backends", "foveate.attn.pipeline"],
    "attn/precision": ["foveate.attn.select", "foveate.attn.backends", "foveate.attn.layouts"],
    "attn/layouts": ["foveate.attn.select", "foveate.attn.backends", "foveate.attn.precision"],
    "attn/select": ["foveate.attn.backends", "foveate.attn.precision", "foveate.attn.formats"],
    "attn/backends": ["foveate.attn.select", "foveate.attn.pipeline", "foveate.attn.api"],
    "attn": ["foveate.models", "foveate.cli", "foveate.measure", "foveate.report"],
    "models": ["foveate.cli"],
    "tune": ["foveate.cli"],
    "train": ["foveate.cli", "foveate.lowlight", "foveate.motion"],
    "lowlight": ["foveate.attn", "foveate.models", "foveate.tune", "foveate.motion"],
    "motion": ["foveate.attn", "foveate.models", "foveate.tune", "foveate.measure"],
}


def imports_of(path: Path) -> set[str]:
    """Modules that a file imports when it runs, as absolute names; `from x import y` gives x.y."""
    package = ["foveate", *path.relative_to(ROOT).parent.parts]
    found: set[str] = set()

    def walk(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for child in node.orelse:
                walk(child)
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.update(f"{module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            walk(child)

    walk(ast.parse(path.read_text()))
    return found


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_import_one_way(room):
    files = list((ROOT / room).rglob("*.py"))
    assert files
    for path in files:
        for name in imports_of(path):
            for forbidden in FORBIDDEN[room]:
                assert not f"{name}.".startswith(f"{forbidden}."), f"{path.name} imports {name}"


def test_the_walker_sees_relative_imports_and_skips_those_for_types():
    names = imports_of(ROOT / "attn" / "select" / "window.py")
    assert "foveate.attn.layouts.blocks.BlockLayout" in names
    assert not any("backends" in name for name in names)
    assert "foveate.attn.api.attention" in imports_of(ROOT / "__init__.py")


def run_cold(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(ROOT.parent), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


BLOCKED = (
    "numpy transformers matplotlib rich scipy safetensors openvino onnxruntime triton "
    "diffusers accelerate hypothesis pytest"
)


def test_import_needs_torch_only():
    code = f"""
import sys
for name in {BLOCKED.split()!r}:
    sys.modules[name] = None          # an import of it raises ImportError
import torch, foveate
from foveate import *
q = torch.randn(1, 2, 40, 64)
out = foveate.attention(q, q, q, causal=True)
assert out.isfinite().all() and out.shape == q.shape
print(foveate.plan(q, q, q).explain())
try:
    foveate.accelerate
except ModuleNotFoundError as error:
    print(error)
"""
    printed = run_cold(code)
    assert "backend" in printed
    assert 'needs transformers, which is not installed; pip install "foveate[models]"' in printed


def test_import_is_light():
    # no tables, no extension, no compiler is loaded before something is asked for
    code = """
import sys, torch
before = set(sys.modules)
import foveate
new = set(sys.modules) - before
heavy = {"foveate._native", "foveate.models", "torch._dynamo", "torch._inductor", "transformers"}
print(sorted(new & heavy))
"""
    assert run_cold(code).strip() == "[]"


def test_no_module_is_named_like_a_public_function():
    # inside one package they would shadow each other
    import foveate

    modules = {path.stem for path in ROOT.iterdir()}
    assert not modules & set(foveate.__all__)
