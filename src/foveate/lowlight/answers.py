"""What a model says about a picture, read from whatever shape its outputs have.

The one thing to know: shapes alone tell a classifier from a detector; what fits none of the known
shapes is an error, not a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SCORE = 0.5
"""Score above which a box counts."""


@dataclass(frozen=True)
class Answer:
    """What a model says about a picture.

    Attributes:
        label: The most probable class; None for a detector.
        confidence: Its probability, or the highest score of a box.
        boxes: Boxes above `SCORE`; None for a classifier.
    """

    label: int | None
    confidence: float
    boxes: int | None


def answer(outputs: Sequence[np.ndarray]) -> Answer:
    """Read a model's outputs.

    Known are class scores `[1, K]`; boxes `[1, N, 6]` (corners, score, class); boxes `[…, N, 4]`
    with scores `[…, N]`; and raw grids `[1, 4 + K, N]` (boxes, then class scores).

    Raises:
        ValueError: None of these.
    """
    found = [np.asarray(o, np.float64) for o in outputs]
    boxes = next((o for o in found if o.ndim >= 2 and o.shape[-1] == 4), None)
    if boxes is not None:
        corners = boxes.reshape(-1, 4)
        scores = [o for o in found if o.size == len(corners) and np.all((o >= 0) & (o <= 1))]
        if scores:
            return _boxed(corners, scores[0].ravel())
    if len(found) >= 1 and found[0].ndim == 2 and found[0].shape[0] == 1:
        return _classified(found[0][0])
    if len(found) >= 1 and found[0].ndim == 3:
        table = found[0][0]
        if table.shape[1] == 6:
            return _boxed(table[:, :4], table[:, 4])
        if 5 <= table.shape[0] < table.shape[1]:
            x, y, w, h = table[:4]
            corners = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)
            return _boxed(corners, table[4:].max(axis=0))
    shapes = ", ".join(str(list(o.shape)) for o in found) or "nothing"
    raise ValueError(
        f"the model returns {shapes}; expected class scores [1, K], boxes [1, N, 6], boxes with "
        "scores, or a grid [1, 4 + K, N]"
    )


def _classified(scores: np.ndarray) -> Answer:
    if scores.min() < 0 or not np.isclose(scores.sum(), 1, atol=1e-3):  # logits
        scores = np.exp(scores - scores.max())
        scores = scores / scores.sum()
    return Answer(int(scores.argmax()), float(scores.max()), None)


def _boxed(corners: np.ndarray, scores: np.ndarray) -> Answer:
    """Boxes that are left when those that overlap a better one by half are gone."""
    order = [i for i in np.argsort(-scores) if scores[i] >= SCORE]
    kept: list[int] = []
    for i in order:
        if all(_overlap(corners[i], corners[j]) < 0.5 for j in kept):
            kept.append(int(i))
    return Answer(None, float(scores.max()) if len(scores) else 0.0, len(kept))


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    area = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared
    return shared / max(area, 1e-9)
