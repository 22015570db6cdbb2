"""Every example of the engine runs, and prints what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROMISES = {
    "windows_and_bytes.py": ["relative L1 against dense native", "select      Window(span=256"],
    "own_blocks.py": ["BlockLayout(B=1, H=1, lengths=(512, 512)", "largest difference"],
    "packed_sequences.py": ["out (829, 8, 64)"],
    "sparse_report.py": ["retained    ", "before      Sparge(threshold=0.8", "bound       met"],
    "video_gates.py": ["visits 25.0% of the blocks", "gradient of the gate", "step 5:  4 of 24"],
    "training_8_bits.py": ["native   last loss", "sagebwd  last loss", "axis     gradient of q is"],
    "training_video.py": ["60 steps, loss", "clips: (2, 8, 32, 32, 3) torch.uint8", "1.16 times"],
    "sparse_steps.py": ["step  2 dense", "step  3 sparse, first", "step 11 dense", "6 of 8"],
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
