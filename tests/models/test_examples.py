"""The examples of models run, and print what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISES = {
    "models_transformers.py": (
        "transformers",
        ["int8:   largest change", "window: largest change"],
    ),
    "models_sdpa.py": ("torch", ["cosine with torch: 0.99"]),
}


@pytest.mark.parametrize("name", PROMISES)
def test_example_runs(name):
    package, promised = PROMISES[name]
    pytest.importorskip(package, reason='pip install "foveate[models]"')
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for text in promised:
        assert text in done.stdout
