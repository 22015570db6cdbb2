"""One text, one model, several ways to attend: time, perplexity and agreement side by side.

The one thing to know: the result is plain data (numbers, strings, lists). Tables and reports are
views of it, so a report can be drawn again from its JSON without measuring anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .tasks import Reading, prefill_seconds, read
from .timing import Timings

WARMUP = 320  # tokens: more than a tile, so that every kernel and buffer has been used once


@dataclass(frozen=True)
class Way:
    """One row: what it is called, and the attention name a transformers model takes.

    `key` says what a name stands for where the name alone does not (a profile's content).
    """

    label: str
    name: str
    note: str = ""
    key: str = ""


BASELINE = Way("torch SDPA", "sdpa", "what transformers uses by default")


def compare(
    model: Any,
    tokens: Tensor,
    ways: Sequence[Way],
    rounds: int = 2,
    tick: Callable[[str], None] = lambda label: None,
) -> list[dict[str, Any]]:
    """Let a model read the same tokens in several ways, and in torch's.

    Args:
        model: A transformers model in eval mode; its attention is set back at the end.
        tokens: int64 `[1, L]`.
        ways: The rows besides `BASELINE`.
        rounds: Timed passes of each way, taken in turns; the first also scores.
        tick: Called before each pass with the label of its way.

    Returns:
        One record for each row, the baseline first: label, name, note, seconds (one per round),
        median, speedup (median of the ratios within rounds), perplexity, change (of perplexity, a
        share), agreement (share of equal next tokens), memory (bytes or None), error (why it could
        not run).
    """
    rows, before = [BASELINE, *ways], model.config._attn_implementation
    readings: dict[str, Reading] = {}
    seconds: dict[str, list[float]] = {way.label: [] for way in rows}
    errors: dict[str, str] = {}
    try:
        for turn in range(rounds):
            for way in rows:
                if way.label in errors:
                    continue
                tick(way.label)
                try:
                    model.set_attn_implementation(way.name)
                    if turn == 0:
                        prefill_seconds(model, tokens[:, :WARMUP])
                        readings[way.label] = read(model, tokens)
                        seconds[way.label].append(readings[way.label].seconds)
                    else:
                        seconds[way.label].append(prefill_seconds(model, tokens))
                except (RuntimeError, ValueError, TypeError) as error:
                    if way is BASELINE:
                        raise
                    errors[way.label] = str(error).splitlines()[0] if str(error) else repr(error)
    finally:
        model.set_attn_implementation(before)
    timings = Timings({label: taken for label, taken in seconds.items() if label not in errors})
    return [_record(way, timings, readings, errors.get(way.label)) for way in rows]


def _record(
    way: Way, timings: Timings, readings: dict[str, Reading], error: str | None
) -> dict[str, Any]:
    record: dict[str, Any] = {
        "label": way.label,
        "name": way.name,
        "note": way.note,
        "error": error,
    }
    if error is not None:
        return record
    reading, base = readings[way.label], readings[BASELINE.label]
    return record | {
        "seconds": timings.seconds[way.label],
        "median": timings.summary(way.label).median,
        "speedup": timings.ratio(BASELINE.label, way.label).median,
        "perplexity": reading.perplexity,
        "change": reading.perplexity / base.perplexity - 1,
        "agreement": reading.agreement(base),
        "memory": reading.memory,
    }
