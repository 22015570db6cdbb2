"""Asking for an object: extract it, check it, ask again with the list of what is wrong.

The one thing to know: a model's answer is text from outside. It is parsed (with a tolerant parser
where it is nearly JSON), checked against a pydantic class, and never executed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .errors import BadAnswer
from .messages import Completion, Message, Provider

T = TypeVar("T", bound=BaseModel)

NUMBER = re.compile(
    r"^\s*([-+]?\d+(?:\.\d+)?)\s*(°|deg|degrees?|s|sec|seconds?|m|metres?|meters?|cm)?\s*$"
)
SCALE = {"cm": 0.01}


def ask(
    provider: Provider,
    messages: Sequence[Message],
    kind: type[T],
    *,
    clean: Callable[[Any], Any] | None = None,
    tries: int = 2,
    max_tokens: int = 4000,
    temperature: float = 0.5,
    seed: int | None = None,
) -> T:
    """An answer of the given kind.

    Args:
        provider: Whom to ask.
        messages: The request.
        kind: What the answer must be.
        clean: Mends the parsed value before it is checked (names, units).
        tries: Requests in all; the second carries the problems of the first.
        max_tokens, temperature, seed: As in `Provider.complete`.

    Raises:
        BadAnswer: No usable answer came; `problems` lists why.
    """
    told = list(messages)
    problems: list[str] = []
    schema = kind.model_json_schema()
    for attempt in range(tries):
        found = provider.complete(
            told, schema, max_tokens=max_tokens, temperature=temperature,
            seed=None if seed is None else seed + attempt,
        )  # fmt: skip
        try:
            return read(found, kind, clean)
        except BadAnswer as error:
            problems = error.problems
            told = [
                *messages,
                Message.of("assistant", found.text[:4000] or "(nothing)"),
                Message.of("user", "That cannot be used:\n- " + "\n- ".join(problems[:12])
                           + "\nAnswer again with the whole corrected object."),
            ]  # fmt: skip
    raise BadAnswer(
        f"{provider.name} gave no usable answer in {tries} tries: {problems[0]}", problems
    )


def read(found: Completion, kind: type[T], clean: Callable[[Any], Any] | None = None) -> T:
    """The object in an answer.

    Raises:
        BadAnswer: There is none, or it does not fit; `problems` lists why.
    """
    value = found.object if found.object is not None else extract(found.text)
    if value is None:
        text = " ".join(found.text.split())[:80]
        what = "was cut off" if found.truncated else "holds no JSON object"
        raise BadAnswer("no object", [f"the answer {what}: {text!r}"])
    if clean is not None:
        value = clean(value)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg'].removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise BadAnswer("wrong object", problems) from None


def extract(text: str) -> Any:
    """The JSON object in a text that may have prose around it, or None.

    Fenced blocks and balanced braces are tried as they stand, the last one first (models reason
    before they answer); then a tolerant parser mends commas, quotes and comments.
    """
    candidates = re.findall(r"```(?:json)?\s*\n?(.*?)```", text, re.DOTALL) + _balanced(text)
    whole = [c for c in candidates if c.lstrip().startswith("{")]
    for candidate in sorted(whole, key=len, reverse=True):
        try:
            value = json.loads(candidate)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            return value
    start = text.find("{")
    if start < 0:
        return None
    try:
        from json_repair import repair_json
    except ModuleNotFoundError:
        return None
    longest = max(whole, key=len, default=text[start:])
    value = repair_json(longest, return_objects=True)
    return value if isinstance(value, dict) and value else None


def _balanced(text: str) -> list[str]:
    """Every outermost `{…}` of a text, quotes respected."""
    found, depth, start, quoted, escaped = [], 0, 0, False, False
    for i, letter in enumerate(text):
        if quoted:
            if letter == '"' and not escaped:
                quoted = False
            escaped = letter == "\\" and not escaped
            continue
        if letter == '"' and depth:
            quoted, escaped = True, False
        elif letter == "{":
            start = i if depth == 0 else start
            depth += 1
        elif letter == "}" and depth:
            depth -= 1
            if depth == 0:
                found.append(text[start : i + 1])
    return found


def number(value: Any) -> Any:
    """`"45°"`, `"0.5 s"` and `"20 cm"` as numbers (degrees, seconds, metres); others unchanged."""
    if isinstance(value, str):
        match = NUMBER.match(value)
        if match:
            return float(match[1]) * SCALE.get(match[2] or "", 1.0)
    return value
