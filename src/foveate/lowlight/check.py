"""Does enhancing help a model? Asked on the user's own dark pictures, without labels.

For each picture the model answers four times: on the picture and on the enhanced one, and on both
with a little more and a little less light. From that follow

- confidence: mean of the highest probability, before and after;
- steadiness: share of pictures whose answer survives a change of light by half a stop;
- agreement: share of pictures with the same answer before and after;
- detections: boxes above a score, before and after (for detectors).

The one thing to know: without labels nobody can tell right from wrong. An answer that is both more
confident and steadier is most likely better, and the verdict says no more than that. A folder of
the same scenes in good light, named alike, turns agreement into a real measure.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .answers import Answer, answer

NORMS = {
    "unit": "0 to 1",
    "imagenet": "minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225)",
    "signed": "-1 to 1",
    "byte": "0 to 255",
}
"""How a model wants its pixels."""

HALF_STOP = 2 ** (0.5 / 2.2)
"""Half a stop as a factor of encoded values."""

Model = Callable[[np.ndarray], list[np.ndarray]]
"""One picture, float32 `[1, 3, H, W]` normalised, to the outputs."""


@dataclass(frozen=True)
class Loaded:
    """A model, and what it wants.

    Attributes:
        run: The model.
        size: Height and width of its input; None where it takes any.
        bytes: Whether it takes uint8.
    """

    run: Model
    size: tuple[int, int] | None
    bytes: bool = False


def load(path: str | Path) -> Loaded:
    """Load a model from a file that says what to compute.

    Args:
        path: `.onnx`; `.pt2` (torch.export); or TorchScript (`.pt`, `.pth`, `.ts`).

    Raises:
        ValueError: It is missing, damaged, or holds weights alone.
        ModuleNotFoundError: onnxruntime is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"the model {path} does not exist")
    kind = path.suffix.lower()
    if kind == ".onnx":
        return _onnx(path)
    if kind not in (".pt2", ".pt", ".pth", ".ts"):
        raise ValueError(f'{path.name} ends in "{kind}"; expected .onnx, .pt2, or TorchScript .pt')
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is old, and around
            model = torch.export.load(path).module() if kind == ".pt2" else torch.jit.load(path)
    except Exception as error:
        form = "torch.export" if kind == ".pt2" else "TorchScript"
        raise ValueError(
            f"{path.name} cannot be loaded as {form} ({_line(error)}); weights alone do not say "
            "what to compute: export the model"
        ) from None
    if kind != ".pt2":
        model.eval()

    def run(picture: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            return _flat(model(torch.from_numpy(picture)))

    return Loaded(run, None)


def _onnx(path: Path) -> Loaded:
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "checking an ONNX model needs onnxruntime; pip install onnxruntime", name="onnxruntime"
        ) from None
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"{path.name} cannot be loaded as ONNX: {_line(error)}") from None
    wanted = session.get_inputs()[0]
    shape = wanted.shape
    if len(session.get_inputs()) != 1 or len(shape) != 4:
        raise ValueError(
            f"{path.name} takes {len(session.get_inputs())} inputs, the first {shape}; "
            "expected one picture [1, 3, H, W]"
        )
    last = shape[3] == 3 and shape[1] != 3
    sides = shape[1:3] if last else shape[2:4]
    kinds = {"tensor(uint8)": np.uint8, "tensor(float16)": np.float16}
    kind = kinds.get(wanted.type, np.float32)

    def run(picture: np.ndarray) -> list[np.ndarray]:
        picture = picture.transpose(0, 2, 3, 1) if last else picture
        picture = np.clip(picture, 0, 255) if kind == np.uint8 else picture
        return [np.asarray(o) for o in session.run(None, {wanted.name: picture.astype(kind)})]

    fixed = all(isinstance(side, int) and side > 0 for side in sides)
    return Loaded(run, (sides[0], sides[1]) if fixed else None, kind == np.uint8)


def _flat(value: Any) -> list[np.ndarray]:
    if isinstance(value, dict):
        return [part for inner in value.values() for part in _flat(inner)]
    if isinstance(value, (list, tuple)):
        return [part for inner in value for part in _flat(inner)]
    if hasattr(value, "logits"):
        return _flat(value.logits)
    return [value.detach().float().numpy()] if hasattr(value, "detach") else []


def compare(
    model: Loaded,
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    references: Sequence[np.ndarray | None] = (),
    size: int = 224,
    norm: str = "auto",
    step: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Ask a model about pictures before and after.

    Args:
        model: What `load` returned.
        pairs: Pictures before and after, uint8 `[H, W, 3]`.
        references: The same scenes in good light, or None where there is none.
        size: Side of the input, where the model takes any.
        norm: A key of `NORMS`, or "auto": byte where the model takes uint8, else unit for
            detectors and imagenet for classifiers. Confidence cannot tell: a model that gets
            numbers that are too large is most confident of all.
        step: Called after each picture.

    Returns:
        Plain values: kind, norm, pictures, before and after (confidence, steady, detections,
        right), agreement, helps (None if the two measures differ in sign).

    Raises:
        ValueError: The model's outputs are unknown, or there are no pictures.
    """
    if not pairs:
        raise ValueError("there is no picture to ask the model about")
    sides = model.size or (size, size)
    norm = _norm(model, pairs[0][1], sides) if norm == "auto" else norm
    ask = lambda picture: answer(model.run(_prepared(picture, sides, norm)))  # noqa: E731
    rows = []
    for number, pair in enumerate(pairs):
        reference = references[number] if number < len(references) else None
        truth = ask(reference) if reference is not None else None
        rows.append([_asked(ask, picture, truth) for picture in pair])
        if step is not None:
            step()
    before, after = (_mean([row[side] for row in rows]) for side in (0, 1))
    detector = rows[0][0]["boxes"] is not None
    same = [a["label"] == b["label"] if not detector else a["boxes"] == b["boxes"] for a, b in rows]
    return {
        "kind": "detector" if detector else "classifier",
        "norm": norm,
        "size": list(sides),
        "pictures": len(pairs),
        "before": before,
        "after": after,
        "agreement": float(np.mean(same)),
        "helps": _verdict(before, after),
    }


def _asked(ask: Callable[[np.ndarray], Answer], picture: np.ndarray, truth: Answer | None) -> dict:
    first = ask(picture)
    others = [ask(_exposed(picture, factor)) for factor in (1 / HALF_STOP, HALF_STOP)]
    key = lambda a: a.label if a.boxes is None else a.boxes  # noqa: E731
    return {
        "label": first.label,
        "boxes": first.boxes,
        "confidence": first.confidence,
        "steady": float(np.mean([key(first) == key(other) for other in others])),
        "right": None if truth is None else float(key(first) == key(truth)),
    }


def _mean(rows: Sequence[dict]) -> dict[str, float | None]:
    right = [row["right"] for row in rows if row["right"] is not None]
    boxes = [row["boxes"] for row in rows if row["boxes"] is not None]
    return {
        "confidence": float(np.mean([row["confidence"] for row in rows])),
        "steady": float(np.mean([row["steady"] for row in rows])),
        "detections": float(np.sum(boxes)) if boxes else None,
        "right": float(np.mean(right)) if right else None,
    }


def _verdict(before: dict, after: dict) -> bool | None:
    if before["right"] is not None:
        change = after["right"] - before["right"]
        return None if abs(change) < 1e-9 else change > 0
    sure = after["confidence"] - before["confidence"]
    steady = after["steady"] - before["steady"]
    if sure > 0.005 and steady >= 0:
        return True
    return False if sure < -0.005 and steady <= 0 else None


def _norm(model: Loaded, picture: np.ndarray, sides: tuple[int, int]) -> str:
    if model.bytes:
        return "byte"
    detector = answer(model.run(_prepared(picture, sides, "unit"))).boxes is not None
    return "unit" if detector else "imagenet"


def _prepared(picture: np.ndarray, sides: tuple[int, int], norm: str) -> np.ndarray:
    """The middle of a picture as a model's input, float32 `[1, 3, H, W]`."""
    h, w = picture.shape[:2]
    scale = max(sides[0] / h, sides[1] / w)
    size = (max(sides[1], round(w * scale)), max(sides[0], round(h * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    large = cv2.resize(picture, size, interpolation=how)
    y, x = (large.shape[0] - sides[0]) // 2, (large.shape[1] - sides[1]) // 2
    unit = large[y : y + sides[0], x : x + sides[1]].astype(np.float32) / 255
    if norm == "imagenet":
        unit = (unit - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    elif norm == "signed":
        unit = 2 * unit - 1
    elif norm == "byte":
        unit = 255 * unit
    return np.ascontiguousarray(unit.transpose(2, 0, 1)[None], np.float32)


def _exposed(picture: np.ndarray, factor: float) -> np.ndarray:
    return np.rint(np.clip(picture.astype(np.float32) * factor, 0, 255)).astype(np.uint8)


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
