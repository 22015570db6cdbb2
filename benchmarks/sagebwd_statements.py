"""Claims about SageBwd: the papers', and what we ask of our own mode."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

from benchmarks.claims import Claim
from benchmarks.sagebwd_tables import BATCHES, PUBLISHED, Numbers, shown

FINE = "SmolLM2-135M on six novels, learning rate 3·10⁻⁵, held-out text, runs as in the table"
SMALL = "a decoder of 3.5 M parameters from scratch on the bytes of six novels, 4.9 M tokens"
LAYERS = "six layers of SmolLM2-135M, 1,024 tokens of a novel"
SMOOTHED = "default, Q smoothed"
LONG = 100  # steps of a fine-tuning that says something
EQUAL = 0.005  # nats of held-out loss, half a percent of perplexity, that count as no loss
SLOWER = 0.01  # nats that count as a loss: a fifth of what the paper reports


def _pair(n: Numbers, kind: str, **facts: Any) -> str:
    return ", ".join(
        f"{arm} {shown(*n.above_float(kind, arm, **facts)[:2])}" for arm in ("block", "axis")
    )


def _above(n: Numbers, arm: str, **facts: Any) -> float:
    return n.above_float("pretrain", arm, **facts)[0]


def _lessons(n: Numbers, study: str, *rows: str, name: str = "dq") -> str:
    return ", ".join(f"{row} {median(n.lesson(study, row, name)):.3f}" for row in rows)


def _lesson(n: Numbers, study: str, row: str, name: str = "dq") -> float:
    return median(n.lesson(study, row, name))


def _near(n: Numbers, size: int) -> bool:
    pairs = zip(n.sweep(size, "block"), PUBLISHED[size], strict=True)
    return all(abs(ours / printed - 1) <= 0.15 for ours, printed in pairs)


def sentence(n: Numbers) -> str:
    """What the study says about "lossless in fine-tuning, slower in pre-training"."""
    return " ".join((_fine_tuning(n), _pre_training(n)))


def _long(n: Numbers) -> dict[str, int]:
    """Steps of the fine-tunings that say most: long enough, and with most runs."""
    steps = [r["steps"] for r in n.runs if r["kind"] == "finetune" and r["steps"] >= LONG]
    if not steps:
        raise LookupError(f"no fine-tuning of {LONG} steps")
    return {"steps": max(sorted(set(steps)), key=steps.count)}


def _fine(n: Numbers, arm: str) -> tuple[float, float, int]:
    return n.above_float("finetune", arm, **_long(n))


def _fine_tuning(n: Numbers) -> str:
    """The first half of it."""
    block, axis = _fine(n, "block"), _fine(n, "axis")
    same = max(abs(block[0]), abs(axis[0])) <= EQUAL
    first = "Fine-tuning is lossless here" if same else "Fine-tuning loses a little"
    told = f"{_pair(n, 'finetune', **_long(n))} nats of held-out loss against float"
    return f"{first}: {told} ({axis[2]} seeds, {_long(n)['steps']} steps)."


def _pre_training(n: Numbers) -> str:
    large = n.above_float("pretrain", "block", batch="large", qk_norm=True)
    small = n.above_float("pretrain", "block", batch="small", qk_norm=True)
    if large[0] > SLOWER and not large[0] < 2 * large[1]:
        found = f"Pre-training with the larger batch is slower ({shown(*large[:2])} nats)."
    else:
        found = (
            "That pre-training is slower does not show at this scale: with the larger batch the "
            f"published mode ends at {shown(*large[:2])} nats, with the smaller one at "
            f"{shown(*small[:2])}."
        )
    plain = "; ".join(
        f"{BATCHES[b]}: {_pair(n, 'pretrain', batch=b, qk_norm=False)}" for b in BATCHES
    )
    return f"{found} Without QK-norm the differences are: {plain}."


CLAIMS = (
    Claim(
        "SageBwd",
        "Errors grow with the size of the scores as in the table of arXiv 2603.02170 (σ ≥ 3)",
        "one head, 1,024 tokens, N(0, σ²); the published mode, relative L2 within 15 %",
        lambda n: ", ".join(f"σ {s}: dQ {n.sweep(s, 'block')[1]:.3f}" for s in (3, 5, 8, 10)),
        lambda n: all(_near(n, size) for size in (3, 5, 8, 10)),
        "in part: see the table",
    ),
    Claim(
        "SageBwd",
        "At σ = 1 dQ and dK are within 0.018 and 0.022 of exact (same table)",
        "the same at σ = 1, relative L2 of dQ and dK",
        lambda n: ", ".join(
            f"{m} {n.sweep(1, m)[1]:.4f} and {n.sweep(1, m)[2]:.4f}" for m in ("block", "axis")
        ),
        lambda n: n.sweep(1, "block")[1] <= 1.15 * PUBLISHED[1][1],
        "not with a scale for each block of 64 × 64; scales along an axis come near it",
    ),
    Claim(
        "SageBwd",
        "dP must keep 16 bits (dQ: cosine 97.5 % with INT8, 99.8 % with FP16)",
        f"{LAYERS}; relative L2 of dQ, median of layers, δ from the output",
        lambda n: _lessons(n, "model", "as published", "dP in INT8"),
        lambda n: _lesson(n, "model", "dP in INT8") > 1.5 * _lesson(n, "model", "as published"),
        "only a little worse here",
    ),
    Claim(
        "SageBwd",
        "INT8 gives better gradients than FP8 (L1 of dQ 0.029 and 0.070)",
        f"{LAYERS}; median of layers, relative L2 of dQ, dK and dV, INT8 and E4M3",
        lambda n: ", ".join(
            f"{x} {_lesson(n, 'model', 'as published', x):.3f} and "
            f"{_lesson(n, 'model', 'E4M3 instead of INT8', x):.3f}"
            for x in ("dq", "dk", "dv")
        ),
        lambda n: all(
            _lesson(n, "model", "as published", x) < _lesson(n, "model", "E4M3 instead of INT8", x)
            for x in ("dq", "dk", "dv")
        ),
        "not for all three",
    ),
    Claim(
        "SageBwd",
        "K must be smoothed",
        "one head with offsets in channels of Q, K and V, relative L2 of dQ; the same model",
        lambda n: "; ".join(
            f"{study}: {_lessons(n, study, 'as published', 'K not smoothed')}"
            for study in ("offsets", "model")
        ),
        lambda n: all(
            _lesson(n, study, "K not smoothed") > 1.2 * _lesson(n, study, "as published")
            for study in ("offsets", "model")
        ),
        "under large offsets; less so in this model",
    ),
    Claim(
        "SageBwd",
        "dQ needs rowsum(dS)·k̄ for smoothed keys (first version; the second one leaves it out)",
        "one head with offsets, relative L2 of dQ",
        lambda n: _lessons(n, "offsets", "as published", "with the mean term"),
        lambda n: (
            _lesson(n, "offsets", "with the mean term") < _lesson(n, "offsets", "as published")
        ),
        "no: with δ from the rounded output it multiplies rounding errors by a large mean",
    ),
    Claim(
        "SageBwd (ours)",
        "δ from the products instead of the output makes dQ better",
        f"one head with offsets; {LAYERS}, worst layer; relative L2 of dQ",
        lambda n: "; ".join(
            f"{study}: {max(n.lesson(study, 'as published')):.3f} → "
            f"{max(n.lesson(study, 'δ from the products')):.3f}"
            for study in ("offsets", "model")
        ),
        lambda n: all(
            max(n.lesson(s, "δ from the products")) < 0.8 * max(n.lesson(s, "as published"))
            for s in ("offsets", "model")
        ),
        "in part",
    ),
    Claim(
        "SageBwd (ours)",
        "Scales along an axis and δ from the products halve the errors of real gradients",
        f"{LAYERS}, worst layer, relative L2 of dQ, dK and dV",
        lambda n: ", ".join(
            f"{x} {max(n.lesson('model', 'as published', x)):.3f} → {max(_default(n, x)):.3f}"
            for x in ("dq", "dk", "dv")
        ),
        lambda n: all(
            max(_default(n, x)) <= 0.5 * max(n.lesson("model", "as published", x))
            for x in ("dq", "dk", "dv")
        ),
        "in part",
    ),
    Claim(
        "SageBwd (ours)",
        "Smoothing Q pays in gradients once scales are fine and δ is exact (the paper: no benefit)",
        f"{LAYERS}, worst layer, relative L2 of dQ and dK",
        lambda n: ", ".join(
            f"{x} {max(_default(n, x)):.3f} → {max(n.lesson('model', SMOOTHED, x)):.3f}"
            for x in ("dq", "dk")
        ),
        lambda n: all(
            max(n.lesson("model", SMOOTHED, x)) <= 0.75 * max(_default(n, x)) for x in ("dq", "dk")
        ),
        "only a little",
    ),
    Claim(
        "SageBwd",
        "Fine-tuning loses nothing (GSM8K 0.521 and 0.520, MMLU 0.569 and 0.574, …)",
        f"{FINE}; loss above float's, nats",
        lambda n: _pair(n, "finetune", **_long(n)),
        lambda n: abs(_fine(n, "block")[0]) <= EQUAL,
        "a small loss",
    ),
    Claim(
        "SageBwd (ours)",
        "Fine-tuning loses nothing with scales along an axis and δ from the products",
        f"{FINE}; loss above float's, nats",
        lambda n: f"axis {shown(*_fine(n, 'axis')[:2])}",
        lambda n: abs(_fine(n, "axis")[0]) <= EQUAL,
        "a small loss",
    ),
    Claim(
        "SageBwd",
        "Pre-training with a large batch is worse (2.640 and 2.586 at 2.1 M tokens a step)",
        f"{SMALL}, 32,768 a step, QK-norm; held-out loss above float's, nats per byte",
        lambda n: _pair(n, "pretrain", batch="large", qk_norm=True),
        lambda n: _above(n, "block", batch="large", qk_norm=True) > SLOWER,
        "does not show at this scale",
    ),
    Claim(
        "SageBwd",
        "With a smaller batch it is as good as float (2.561 and 2.563 at 260 K tokens a step)",
        f"{SMALL}, 8,192 a step, QK-norm; the same",
        lambda n: _pair(n, "pretrain", batch="small", qk_norm=True),
        lambda n: abs(_above(n, "block", batch="small", qk_norm=True)) <= EQUAL,
        "a small difference",
    ),
    Claim(
        "SageBwd",
        "Without QK-norm a large batch diverges, a small one does not",
        f"{SMALL}, without QK-norm; the same",
        lambda n: "; ".join(
            f"{BATCHES[b]}: {_pair(n, 'pretrain', batch=b, qk_norm=False)}" for b in BATCHES
        ),
        lambda n: (
            not math.isfinite(_above(n, "block", batch="large", qk_norm=False))
            and math.isfinite(_above(n, "block", batch="small", qk_norm=False))
        ),
        "nothing diverges at this scale",
    ),
)


def _default(n: Numbers, name: str) -> list[float]:
    return n.lesson("model", "scales along an axis, δ from the products (default)", name)
