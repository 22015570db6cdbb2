"""The example of a model in the dark runs, and the curve helps it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_dark_adapt_helps():
    path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "dark_adapt.py")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "SACC-CE, 300 dark pictures" in done.stdout
    before, after = re.search(r"(\d+) % before, (\d+) % behind", done.stdout).groups()
    assert int(after) > int(before) + 20
