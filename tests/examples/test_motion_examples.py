"""The examples of the motion tools run, and print what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mujoco")

ROOT = Path(__file__).parents[2]
PROMISES = {
    "motion_files.py": ["coordinates", "motion.glb", "comes back exactly: True"],
    "motion_lint.py": ["error SLIDE", "SINK", "left over: []"],
}


@pytest.mark.parametrize("name", PROMISES)
def test_example_runs(name):
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for text in PROMISES[name]:
        assert text in done.stdout
