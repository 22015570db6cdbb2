"""Time of a whole call of SACC on one core: thumbnail, network, table, look-up; without files.

    python -m benchmarks.lowlight_speed --out results/lowlight-sacc-speed.json

The one thing to know: pictures are random uint8 arrays, a new one for every call, as for a video.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from foveate.lowlight import weights
from foveate.lowlight.sacc import lut
from foveate.lowlight.sacc.curve import ConcaveCurve
from foveate.measure.machine import machine

SIZES = {"640 × 480": (480, 640), "1920 × 1080": (1080, 1920), "12 megapixels": (3000, 4000)}


def main() -> None:
    """Every size; a few seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--calls", type=int, default=30)
    args = parser.parse_args()
    torch.set_num_threads(1)
    import cv2

    cv2.setNumThreads(1)
    model = ConcaveCurve.load("people")
    rows: dict[str, Any] = {}
    for name, (h, w) in SIZES.items():
        frames = [np.random.default_rng(i).integers(0, 60, (h, w, 3), np.uint8) for i in range(3)]
        whole = _times(lambda x: lut.enhance_array(model, x), frames, args.calls)
        curve = _times(lambda x: lut.curve_of(model, x), frames, args.calls)
        rows[name] = {"whole": whole, "curve": curve}
        print(f"{name:16s} {whole}")
    told = {"machine": machine(), "threads": 1, "calls": args.calls, "sizes": rows}
    weights.write_bytes(args.out, (json.dumps(told, indent=1) + "\n").encode())


def _times(call: Any, frames: list[np.ndarray], calls: int) -> dict[str, float]:
    """Milliseconds of a call: by the clock, and of the processor, which other programs spare."""
    clock, processor = [], []
    for i in range(calls + 3):
        begin, used = time.perf_counter(), time.process_time()
        call(frames[i % len(frames)])
        processor.append(1000 * (time.process_time() - used))
        clock.append(1000 * (time.perf_counter() - begin))
    clock, processor = sorted(clock[3:]), sorted(processor[3:])  # the first calls warm up
    return {
        "median": statistics.median(clock),
        "best": clock[0],
        "processor median": statistics.median(processor),
        "processor worst": processor[-1],
    }


if __name__ == "__main__":
    main()
