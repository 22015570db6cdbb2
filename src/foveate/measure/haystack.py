"""A prompt of an exact number of tokens: something to remember inside something long.

The one thing to know: a prompt is put together as token ids. Its middle is written a little too
long and cut at the front, where nothing matters, so every length is met exactly and nothing that is
asked for can be cut.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

LEAD = 12  # units before the first needle: more than the cut at the front can reach
_MARK = "\u241f"  # stands for the content while a chat template is split around it


@dataclass(frozen=True, eq=False)
class Sample:
    """One question about one long prompt.

    Args:
        task: Name of the task.
        seed: What it was drawn with.
        tokens: The whole prompt, int64 `[1, L]`; the model goes on right where the answer begins.
        answers: What must be written, in any order.
        others: Wrong answers of the same kind; where the task allows it they stand in the prompt.
        question: What is asked, for reports.
    """

    task: str
    seed: int
    tokens: Tensor
    answers: tuple[str, ...]
    others: tuple[str, ...]
    question: str


@dataclass(frozen=True)
class Wanted:
    """What a sample is made of.

    Args:
        draw: Source of everything random.
        seed: Number of the sample, for what should spread evenly over samples.
        tokenizer: The model's tokenizer.
        length: Tokens of the prompt.
        text: A long real text.
    """

    draw: random.Random
    seed: int
    tokenizer: Any
    length: int
    text: str


@dataclass(frozen=True)
class Frame:
    """What stands around the user's words: a chat template's parts, or nothing.

    Args:
        before: Token ids before the content.
        after: Text between the content and the answer.
    """

    before: tuple[int, ...]
    after: str


def frame(tokenizer: Any) -> Frame:
    """The frame of a tokenizer: its chat template if it has one, else its first tokens only."""
    if getattr(tokenizer, "chat_template", None):
        whole = tokenizer.apply_chat_template(
            [{"role": "user", "content": _MARK}], add_generation_prompt=True, tokenize=False
        )
        before, found, after = whole.partition(_MARK)
        if found:
            return Frame(tuple(encode(tokenizer, before)), after)
    return Frame(tuple(tokenizer("").input_ids), "\n\n")


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text, no special tokens added."""
    return list(tokenizer(text, add_special_tokens=False).input_ids)


def prompt(
    tokenizer: Any,
    length: int,
    head: str,
    middle: Callable[[int], str],
    question: str,
    opening: str,
    keep: Sequence[str] = (),
) -> Tensor:
    """Put a prompt together.

    Args:
        tokenizer: A transformers tokenizer.
        length: Tokens of the whole prompt.
        head: Instructions before the middle.
        middle: The middle made of so many units; more units make it longer.
        question: The question after the middle.
        opening: How the answer begins.
        keep: Parts of the middle that must be in the prompt unharmed.

    Returns:
        int64 `[1, length]`.

    Raises:
        ValueError: The length leaves too little room.
    """
    around = frame(tokenizer)
    start = [*around.before, *encode(tokenizer, head + "\n\n")]
    end = encode(tokenizer, f"\n\n{question}{around.after}{opening}")
    room = length - len(start) - len(end)
    needed = 8 * LEAD + sum(len(encode(tokenizer, part)) for part in keep)
    if room < needed:
        raise ValueError(
            f"length is {length}; expected at least {length - room + needed} tokens, which this "
            "task's instructions, question and hidden parts need"
        )
    body = _at_least(room, lambda units: encode(tokenizer, middle(units)))[-room:]
    text = tokenizer.decode(body)
    for part in keep:
        if part.strip() not in text:
            raise ValueError(
                f"length is {length}; expected more tokens: no room is left around {part!r}"
            )
    return torch.tensor([[*start, *body, *end]])


def _at_least(room: int, write: Callable[[int], list[int]]) -> list[int]:
    """The shortest writing of at least `room` tokens."""
    units = 2 * LEAD
    for _ in range(8):  # proportional steps land within a few units
        found = len(write(units))
        if abs(found - room) * units <= 2 * found:
            break
        units = max(LEAD + 1, round(units * room / max(found, 1)))
    body = write(units)
    while len(body) >= room and units > 1 and len(fewer := write(units - 1)) >= room:
        body, units = fewer, units - 1
    while len(body) < room:
        units += 1
        body = write(units)
    return body


def woven(
    filler: Callable[[int], str], needles: Sequence[str], depths: Sequence[float]
) -> Callable[[int], str]:
    """A middle: filler, with each needle at its depth.

    Args:
        filler: The i-th unit of the filler, with its space at the end.
        needles: What to hide, whole sentences.
        depths: Where, as shares of the middle; one for each needle.
    """

    def write(units: int) -> str:
        places: dict[int, list[str]] = {}
        for needle, depth in zip(needles, depths, strict=True):
            at = LEAD + int(depth * max(0, units - LEAD))
            places.setdefault(min(at, units), []).append(needle.strip() + " ")
        parts = []
        for unit in range(units + 1):
            parts += places.get(unit, [])
            if unit < units:
                parts.append(filler(unit))
        return "".join(parts).rstrip()

    return write


def sentences(text: str) -> list[str]:
    """Sentences of 30 to 300 letters, in order, each on one line with a space at the end."""
    parts = re.split(r"(?<=[.!?])[\"”’_)]*\s+", re.sub(r"\s+", " ", text))
    return [f"{part} " for part in parts if 30 <= len(part) <= 300]
