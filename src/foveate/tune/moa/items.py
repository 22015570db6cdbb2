"""Calibration and validation items, answered once and kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..store import Store
from .calibrate import Item, Record, answered, from_record, from_text
from .settings import PARTS, Settings


def item_of(
    model: Any,
    tokenizer: Any,
    source: str | Sequence[Record],
    purpose: str,
    length: int,
    number: int,
    settings: Settings,
    store: Store,
) -> Item:
    """An item, answered now or before.

    Args:
        model: A transformers model in eval mode.
        tokenizer: Its tokenizer.
        source: A long text, or the records of a data set.
        purpose: A key of `PARTS`, which says where in the source it comes from.
        length: Tokens of the item but for the last.
        number: Which item.
        settings: How.
        store: Where answers are kept.
    """
    name = f"item/{name_of(source, purpose, length, number, settings)}"
    kind, turn = _turn(source, settings, number)
    done = store.get(name)
    if done is None:
        if isinstance(source, str):
            prompt = from_text(
                tokenizer, source, length, kind, turn, part=PARTS[purpose], answer=settings.answer
            )
        else:
            first, last = (int(x * len(source)) for x in PARTS[purpose])
            record = source[first + turn % max(1, last - first)]
            prompt = from_record(tokenizer, record, length, answer=settings.answer)
        item = answered(model, prompt, kind, length)
        done = {"tokens": item.tokens, "answer": item.answer}
        store.put(name, done)
    return Item(done["tokens"], done["answer"], kind)


def name_of(
    source: str | Sequence[Record], purpose: str, length: int, number: int, settings: Settings
) -> str:
    """What an item is called in a store; searches with other kinds beside it find it, too."""
    kind, turn = _turn(source, settings, number)
    return f"{settings.tag}/{purpose}/{kind}/{length}/{turn}"


def _turn(source: str | Sequence[Record], settings: Settings, number: int) -> tuple[str, int]:
    """Of which kind an item is, and how many of that kind came before it."""
    if not isinstance(source, str):
        return "record", number
    return settings.kinds[number % len(settings.kinds)], number // len(settings.kinds)
