"""Retrieval tasks with generated answers, in the style of RULER (Hsieh et al., 2024, §3).

Something is hidden in a long prompt and asked for at its end, so that a selection which skips the
wrong blocks is caught. A model needs no knowledge for them; a small one still fails the harder ones
when attending densely, which is why every table shows dense attention beside the rest.

The one thing to know: a sample is a function of (task, length, seed, tokenizer, text) and nothing
else; its prompt has exactly `length` tokens.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from .haystack import Sample, Wanted, prompt, sentences, woven
from .word_lists import common, frequent

_PLAIN = (  # a haystack without anything to hold on to
    "The river runs down to the sea. ",
    "Clouds come and go over the hills. ",
    "The mill turns all day long. ",
    "In the evening the lamps are lit. ",
)
_FIRST_WORDS = (
    "amber ashen brisk candid copper coral crimson dusty eager early faded fierce gentle gilded "
    "golden hidden hollow humble icy ivory jolly keen lively lonely lucky mellow misty mossy "
    "noble olive pale patient placid plain proud quiet rapid rocky rustic sandy scarlet silent "
    "silver solemn steady stormy sunny tender thorny timid tranquil velvet violet wary windy "
    "wooden "
)
_SECOND_WORDS = (
    "anchor anvil barrel basket beacon bridge button cabin candle canyon carpet castle chimney "
    "clover compass cradle dagger desert falcon feather fiddle forest garden glacier goblet "
    "hammer harbor hatchet island jacket kettle ladder lantern locket magnet marble meadow "
    "mirror needle orchard paddle parrot pebble pillow pocket quarry ribbon saddle shovel "
    "spider tunnel turtle violin wagon walnut whistle window "
)
_FIRST, _SECOND = _FIRST_WORDS.split(), _SECOND_WORDS.split()
_HEAD = "A secret number is hidden in the following text. Remember it: you will be asked for it."
_HEADS = "Secret numbers are hidden in the following text. Remember them: you will be asked."


@dataclass(frozen=True)
class Task:
    """A kind of question.

    Args:
        name: What it is called in tables and on the command line.
        title: What it is, in a few words.
        make: Function Wanted → (tokens, answers, others, question).
    """

    name: str
    title: str
    make: Callable[[Wanted], tuple[Tensor, list[str], list[str], str]]


def sample(task: str, tokenizer: Any, length: int, seed: int, text: str) -> Sample:
    """Make one sample of a task.

    Args:
        task: A key of `TASKS`.
        tokenizer: The model's tokenizer; its chat template is used if it has one.
        length: Tokens of the prompt.
        seed: The same seed gives the same sample; seeds in a row spread the depths evenly.
        text: A long real text, for the haystacks made of one.

    Raises:
        ValueError: The task is unknown, or the length too small for it.
    """
    if task not in TASKS:
        raise ValueError(f'unknown task "{task}"; tasks are {", ".join(TASKS)}')
    wanted = Wanted(random.Random(f"{task}/{seed}"), seed, tokenizer, length, text)
    tokens, answers, others, question = TASKS[task].make(wanted)
    return Sample(task, seed, tokens, tuple(answers), tuple(others), question)


def _depths(wanted: Wanted, count: int) -> list[float]:
    """Depths in random order, one in each of `count` equal parts; seeds in a row cover a part."""
    shift = (wanted.seed * 0.6180339887 + 0.3) % 1
    depths = [(i + (shift if count == 1 else wanted.draw.random())) / count for i in range(count)]
    wanted.draw.shuffle(depths)
    return depths


def _keys(draw: random.Random, count: int) -> list[str]:
    firsts, seconds = draw.sample(_FIRST, count), draw.sample(_SECOND, count)
    return [f"{a} {b}" for a, b in zip(firsts, seconds, strict=True)]


def _numbers(draw: random.Random, count: int) -> list[str]:
    return [str(n) for n in draw.sample(range(10_000, 100_000), count)]


def _plain(wanted: Wanted) -> Callable[[int], str]:
    return lambda unit: _PLAIN[unit % len(_PLAIN)]


def _real(wanted: Wanted) -> Callable[[int], str]:
    found = sentences(wanted.text)
    first = wanted.draw.randrange(len(found))
    return lambda unit: found[(first + unit) % len(found)]


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _single(haystack: Callable[..., Any], keys: int) -> Callable[..., Any]:
    """One key is asked for, the other keys distract; with one key only, nothing does."""

    def make(wanted: Wanted) -> Any:
        names, numbers = _keys(wanted.draw, keys), _numbers(wanted.draw, max(keys, 6))
        needles = [
            f"The secret number of the {a} is {b}."
            for a, b in zip(names, numbers[:keys], strict=True)
        ]
        question = f"What is the secret number of the {names[0]}?"
        tokens = prompt(
            wanted.tokenizer,
            wanted.length,
            _HEAD if keys == 1 else _HEADS,
            woven(haystack(wanted), needles, _depths(wanted, keys)),
            question,
            f"The secret number of the {names[0]} is",
            needles,
        )
        return tokens, numbers[:1], numbers[1:7], question

    return make


def _several_values(wanted: Wanted) -> Any:
    names, numbers = _keys(wanted.draw, 3), _numbers(wanted.draw, 9)
    needles = [
        f"A secret number of the {names[i // 3]} is {number}." for i, number in enumerate(numbers)
    ]
    question = f"What are the three secret numbers of the {names[0]}?"
    tokens = prompt(
        wanted.tokenizer,
        wanted.length,
        _HEADS,
        woven(_real(wanted), needles, _depths(wanted, 9)),
        question,
        f"The three secret numbers of the {names[0]} are",
        needles,
    )
    return tokens, numbers[:3], numbers[3:], question


def _several_keys(wanted: Wanted) -> Any:
    names, numbers = _keys(wanted.draw, 6), _numbers(wanted.draw, 6)
    needles = [f"The secret number of the {a} is {b}." for a, b in zip(names, numbers, strict=True)]
    asked = _listed([f"the {name}" for name in names[:3]])
    question = f"What are the secret numbers of {asked}?"
    tokens = prompt(
        wanted.tokenizer,
        wanted.length,
        _HEADS,
        woven(_real(wanted), needles, _depths(wanted, 6)),
        question,
        f"The secret numbers of {asked} are",
        needles,
    )
    return tokens, numbers[:3], numbers[3:], question


def _tracking(wanted: Wanted) -> Any:
    """Two chains of assignments; all variables of one are asked for."""
    letters, links = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 3
    names: list[str] = []
    while len(names) < 2 * links:
        name = "".join(wanted.draw.sample(letters, 4))
        names += [name] if name not in names else []
    values = _numbers(wanted.draw, 2)
    needles, depths = [], []
    for chain in range(2):
        mine = names[chain * links : (chain + 1) * links]
        needles.append(f"VAR {mine[0]} = {values[chain]}.")
        needles += [f"VAR {new} = VAR {old}." for old, new in pairwise(mine)]
        depths += sorted(
            wanted.draw.random() for _ in range(links)
        )  # an assignment follows its source
    question = f"Which variables have the value {values[0]}?"
    tokens = prompt(
        wanted.tokenizer,
        wanted.length,
        "Variables are assigned in the following text. Remember which has which value. For "
        "example, after VAR KEY = 11111. VAR NEW = VAR KEY. the variables with the value 11111 "
        "are VAR KEY and VAR NEW.",
        woven(_plain(wanted), needles, depths),
        question,
        f"The variables with the value {values[0]} are VAR",
        needles,
    )
    return tokens, names[:links], names[links:], question


TASKS = {
    task.name: task
    for task in (
        Task("needle", "one number in a plain haystack", _single(_plain, 1)),
        Task("needle_text", "one number in a novel", _single(_real, 1)),
        Task("multikey", "one number among six", _single(_real, 6)),
        Task("multivalue", "all three numbers of one thing", _several_values),
        Task("multiquery", "the numbers of three things", _several_keys),
        Task("tracking", "variables along chains of assignments", _tracking),
        Task("common", "the most common words of a list", common),
        Task("frequent", "the most frequent of made-up words", frequent),
    )
}
"""Every task by name, easy ones first."""
