"""Calibration items: a long text, a question that reaches far back, and the model's own answer.

    "facts"     numbers of some persons' lockers are noted at all depths, and one is asked for
    "recall"    a passage from elsewhere in the text is put into it at some depth, and its beginning
                is quoted at the end: whoever goes on must look there
    "summary"   a summary is asked for
    records     questions that a data set asks about its own contexts

The answer is what the dense model itself writes, greedily: what it says without windows is what it
should still say with them. Only the answer's loss counts.

The one thing to know: an item has exactly length + 1 tokens; answers that end early are followed by
padding, which a causal model cannot see. "facts" resembles the usual tests of retrieval, so whoever
judges a plan by those should see one made without it, too; "recall" and "summary" do not.
Source: MoA (arXiv 2406.14909v3), §5; "facts" and "recall" are ours, so that any text will do.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from foveate.measure.haystack import prompt, sentences, woven

KINDS = ("facts", "recall", "summary")
ANSWER = 64  # tokens of an answer, at most; the original asks 128
_SHORT = {"facts": 8}  # what follows a number is about nothing far away
_PERSONS = (
    "Abigail Benedict Cecily Dorothea Edmund Felicity Gilbert Harriet Isidore Josephine Kenneth "
    "Lavinia Mortimer Nathaniel Octavia Percival Quentin Rosalind Sebastian Theodora"
)
_WORDS = 20  # of a unit, in texts without sentences


@dataclass(frozen=True, eq=False)
class Item:
    """One text with its answer.

    Args:
        tokens: int64 `[1, length + 1]`.
        answer: True for the tokens whose loss counts, bool `[length + 1]`.
        kind: What was asked.
    """

    tokens: Tensor
    answer: Tensor
    kind: str


@dataclass(frozen=True)
class Record:
    """One long context of a data set, and what is asked about it."""

    context: str
    question: str


def from_text(
    tokenizer: Any,
    text: str,
    length: int,
    kind: str,
    number: int,
    *,
    part: tuple[float, float] = (0.0, 1.0),
    answer: int = ANSWER,
) -> Tensor:
    """The prompt of one item made of any text.

    Args:
        tokenizer: A transformers tokenizer.
        text: The text.
        length: Tokens of the item but for the last.
        kind: What is asked, one of `KINDS`.
        number: Which item of its kind; each begins elsewhere and hides its passage at another
            depth.
        part: Where in the text the item may come from, as shares of it.
        answer: Tokens kept free for the answer.

    Returns:
        int64 `[1, L]` with room for the answer.

    Raises:
        ValueError: The text is too short, or the kind is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f'kind is "{kind}"; expected one of {", ".join(KINDS)}')
    if not text.strip():
        raise ValueError("the calibration text is empty; expected a long text of any kind")
    units = _units(text)
    units = units[int(part[0] * len(units)) : int(part[1] * len(units))]
    draw = random.Random(f"{kind}/{length}/{number}")
    first = draw.randrange(max(1, len(units)))
    needed = length + 1 - min(answer, _SHORT.get(kind, answer))
    had = _count(tokenizer, units)
    if had < needed:
        raise ValueError(
            f"the part of the text for this has {had} tokens; expected at least {needed} for "
            f"items of {length}"
        )
    write = {"facts": _facts, "recall": _recall, "summary": _summary}[kind]
    head, middle, question, opening, keep = write(units, first, number, draw)
    return prompt(tokenizer, needed, head, middle, question, opening, keep)


def from_record(tokenizer: Any, record: Record, length: int, *, answer: int = ANSWER) -> Tensor:
    """The prompt of one item of a data set; the middle of its context is cut to fit.

    Args:
        tokenizer: A transformers tokenizer.
        record: Context and question.
        length: Tokens of the item but for the last.
        answer: Tokens kept free for the answer.

    Raises:
        ValueError: The context is too short.
    """
    words = re.findall(r"\S+\s*", record.context)

    def middle(count: int) -> str:
        if count > len(words):
            raise ValueError(
                f"a context has {len(words)} words, too few for items of {length} tokens"
            )
        return "".join(words[: count // 2] + words[len(words) - (count - count // 2) :])

    return prompt(
        tokenizer, length + 1 - answer, "Read the following.", middle, record.question, ""
    )


def read_records(path: Path) -> list[Record]:
    """Contexts and questions of a data set on disk.

    A `.json` or `.jsonl` file, or a folder that `datasets.save_to_disk` wrote, with `context` and
    `questions` (or `question`) in each row, as in the original's calibration set; rows without a
    question ask for a summary.

    Raises:
        ValueError: Nothing can be read there.
        ModuleNotFoundError: A folder, and datasets is not installed.
    """
    if path.is_dir():
        from datasets import load_from_disk

        rows: Any = load_from_disk(str(path))
    else:
        try:
            text = path.read_text(encoding="utf-8")
            lines = path.suffix == ".jsonl"
            rows = [json.loads(x) for x in text.splitlines() if x] if lines else json.loads(text)
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} cannot be read as JSON ({error})") from None
    found = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("context"), str):
            raise ValueError(f'{path} has a row without "context"; expected one in each')
        questions = row.get("questions") or [row.get("question") or "Summarize the text above."]
        found += [Record(row["context"], str(question)) for question in questions]
    if not found:
        raise ValueError(f"{path} has no rows; expected some with context and questions")
    return found


@torch.inference_mode()
def answered(model: Any, tokens: Tensor, kind: str, length: int) -> Item:
    """An item, in memory of the CPU: the prompt, and what the model answers greedily.

    Args:
        model: A transformers model in eval mode.
        tokens: The prompt, int64 `[1, L]`, L ≤ length.
        kind: What is asked.
        length: Tokens of the item but for the last.
    """
    room = length + 1 - tokens.shape[1]
    padding = getattr(model.config, "pad_token_id", None) or 0
    tokens = tokens.to(model.device)
    whole = model.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=room,
        do_sample=False,
        pad_token_id=padding,
    ).cpu()
    written = whole.shape[1] - tokens.shape[1]
    padded = torch.nn.functional.pad(whole, (0, room - written), value=padding)
    answer = torch.zeros(length + 1, dtype=torch.bool)
    answer[tokens.shape[1] : tokens.shape[1] + written] = True
    return Item(padded.clone(), answer, kind)


def _facts(units: list[str], first: int, number: int, draw: random.Random) -> tuple:
    names = draw.sample(_PERSONS.split(), 4)
    facts = [
        f"Note: the locker of {x} has the number {draw.randrange(1000, 10000)}." for x in names
    ]
    turn = number * 0.6180339887  # golden steps: the depths of what is asked for spread evenly
    depths = [(turn + 0.25 * i) % 1 * 0.98 for i in range(4)]
    return (
        "Read the following text with care. Some notes are hidden in it.",
        woven(_cycle(units, first), facts, depths),
        f"Which number does the locker of {names[0]} have?",
        f"The locker of {names[0]} has the number",
        facts,
    )


def _recall(units: list[str], first: int, number: int, draw: random.Random) -> tuple:
    passage = _passage(units, first + len(units) // 2)
    words = passage.split()
    begin = " ".join(words[: max(3, len(words) // 4)])
    depth = (0.09 + number * 0.6180339887) % 0.9
    return (
        "Read the following text with care. You will be asked to quote from it.",
        woven(_cycle(units, first), [passage], [depth]),
        f'Quote the passage that begins with "{begin}" and go on to its end.',
        f'The text says: "{begin}',
        [passage],
    )


def _summary(units: list[str], first: int, number: int, draw: random.Random) -> tuple:
    filler = _cycle(units, first)
    return (
        "Read the following text. You will be asked to summarize it.",
        lambda count: "".join(filler(i) for i in range(count)),
        "Write a summary of the text above. Name the persons and say what happens.",
        "",
        [],
    )


def _units(text: str) -> list[str]:
    """Sentences; or so many words each, where a text has none."""
    found = sentences(text)
    if sum(map(len, found)) > 0.3 * len(text):
        return found
    words = text.split()
    return [" ".join(words[i : i + _WORDS]) + " " for i in range(0, len(words), _WORDS)]


def _count(tokenizer: Any, units: list[str]) -> int:
    """About how many tokens the units have, from a sample of them."""
    some = units[:: max(1, len(units) // 50)]
    tokens = len(tokenizer("".join(some), add_special_tokens=False).input_ids)
    return round(tokens * len(units) / max(1, len(some)))


def _cycle(units: list[str], first: int) -> Any:
    return lambda i: units[(first + i) % len(units)]


def _passage(units: list[str], at: int) -> str:
    """Two units in a row, on one line and without marks that a quotation would end with."""
    return re.sub(r'["“”]', "", "".join(units[(at + i) % len(units)] for i in range(2))).strip()
