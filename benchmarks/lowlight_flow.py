"""Optical flow in simulated low light: a real stereo pair with true disparity, OpenCV's DIS flow.

    python -m benchmarks.lowlight_flow --curves people more.safetensors --out results/flow.json

The pair is scikit-image's motorcycle (Middlebury 2014); flow is (−disparity, 0) where it is known.
Both pictures are darkened by one camera and one ratio, each with noise of its own, and every
enhancement sees both at once (one curve, one gain), so that brightness stays constant.

The one thing to know: no curve is trained for flow here. What is measured is how curves that were
trained for something else transfer; and `selected`, the family's curve whose flow agrees best with
the flow backwards, which needs no ground truth either.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from foveate.lowlight import weights
from foveate.lowlight.classical import BASELINES
from foveate.lowlight.isp import Camera
from foveate.lowlight.sacc.curve import ConcaveCurve
from foveate.lowlight.sacc.ensemble import CurveFamily
from foveate.lowlight.sensor import SensorNoise

RATIOS = (10.0, 30.0, 80.0)
SEEDS = (0, 1, 2)


def main() -> None:
    """All arms, ratios and seeds; under a minute."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curves", nargs="*", default=["people"], help="names or files of curves")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    pair, flow, valid = motorcycle()
    arms: dict[str, Callable[[Tensor], Tensor]] = {**BASELINES}
    for name in args.curves:
        model = ConcaveCurve.load(name)
        arms[f"SACC curve: {Path(name).stem}"] = model
    rows: dict[str, Any] = {"clean": _errors(dis(pair[0], pair[1]), flow, valid)}
    print("clean", rows["clean"], flush=True)
    for ratio in RATIOS:
        for name, arm in [*arms.items(), ("selected", None)]:
            found = []
            for seed in SEEDS:
                dark = darken_pair(pair, ratio, seed)
                out = selected(dark) if arm is None else _pairwise(arm, dark)
                found.append(_errors(dis(out[0], out[1]), flow, valid))
            mean = {k: float(np.mean([f[k] for f in found])) for k in found[0]}
            mean["EPE deviation"] = float(np.std([f["EPE"] for f in found], ddof=1))
            rows[f"{name}, ratio {ratio:g}"] = mean
            print(f"ratio {ratio:3g}  {name:28s} EPE {mean['EPE']:6.2f}  F1-all {mean['F1']:.3f}")
    told = {"benchmark": "DIS flow on motorcycle", "seeds": list(SEEDS), "arms": rows}
    weights.write_bytes(args.out, (json.dumps(told, indent=1) + "\n").encode())


def motorcycle() -> tuple[Tensor, np.ndarray, np.ndarray]:
    """The pair `[2, 3, H, W]` in [0, 1], its flow `[H, W, 2]`, and where that is known `[H, W]`."""
    from skimage import data

    left, right, disparity = data.stereo_motorcycle()
    known = np.isfinite(disparity)
    flow = np.stack([-np.where(known, disparity, 0), np.zeros_like(disparity)], -1)
    both = np.stack([left, right])[:, : left.shape[0] // 2 * 2, : left.shape[1] // 2 * 2, :3]
    h, w = both.shape[1:3]
    pair = torch.from_numpy(both.copy()).permute(0, 3, 1, 2).float() / 255
    return pair, flow[:h, :w], known[:h, :w]


def darken_pair(pair: Tensor, ratio: float, seed: int) -> Tensor:
    """Both pictures under one camera, ratio and gain; 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    noise = SensorNoise(gains=(0.3, 3.0))
    camera = Camera.draw(1, generator, base="power", contrasts=(0.0, 0.0)).at([0, 0])
    gain = noise.draw_gain(1, generator).expand(2)
    long = camera.unprocess(pair, safe=True)
    return camera.render(noise.expose(long, torch.full((2,), ratio), gain, generator))


def dis(first: Tensor, second: Tensor) -> np.ndarray:
    """OpenCV's DIS flow (medium preset) from one picture `[3, H, W]` to another; `[H, W, 2]`."""
    import cv2

    worker = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return worker.calc(_grey(first), _grey(second), None)


def selected(dark: Tensor) -> Tensor:
    """The pair under that curve of the family whose flow there and back agrees best."""
    best, least = dark, np.inf
    for curve in CurveFamily().curves():
        out = _pairwise(curve, dark)
        ahead, back = dis(out[0], out[1]), dis(out[1], out[0])
        h, w = ahead.shape[:2]
        y, x = np.mgrid[:h, :w]
        to = np.rint(np.stack([x, y], -1) + ahead).astype(int)
        inside = (to >= 0).all(-1) & (to[..., 0] < w) & (to[..., 1] < h)
        away = np.linalg.norm(ahead[inside] + back[to[inside][:, 1], to[inside][:, 0]], axis=-1)
        score = np.minimum(away, 3).mean()  # a lost pixel is lost, however far it went
        if score < least:
            best, least = out, score
    return best


def _pairwise(arm: Callable[[Tensor], Tensor], pair: Tensor) -> Tensor:
    """An enhancement of both at once: stacked into one tall picture, so that it decides once."""
    tall = torch.cat([pair[0], pair[1]], 1)[None]
    with torch.no_grad():
        return torch.stack(arm(tall)[0].chunk(2, 1))


def _errors(found: np.ndarray, flow: np.ndarray, valid: np.ndarray) -> dict[str, float]:
    """Mean end-point error, and share of pixels off by > 3 px and > 5 %."""
    off = np.linalg.norm(found - flow, axis=-1)[valid]
    size = np.linalg.norm(flow, axis=-1)[valid]
    return {"EPE": float(off.mean()), "F1": float(((off > 3) & (off > 0.05 * size)).mean())}


def _grey(image: Tensor) -> np.ndarray:
    weights_of = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    return ((image * weights_of).sum(0) * 255).round().clamp(0, 255).byte().numpy()


if __name__ == "__main__":
    main()
