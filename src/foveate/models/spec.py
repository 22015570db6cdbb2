"""Names of choices, such as `foveate:window(1024,64)+int8`, read and written.

A name is `foveate`, or `foveate:` and up to two terms joined by `+`: one selection and one
precision, in any order. A term is a name, or a name with arguments as in a Python call:

    foveate                           dense, precision "auto"
    foveate:sage2                     dense, sage2
    foveate:window(1024,64)+int8      Window(1024, 64), int8
    foveate:sage2(qk_bits=4)+topk(0.25)
    foveate:xattention(0.9,stride=8)+int8

The one thing to know: reading a name builds the objects, so a wrong argument fails here, before any
model runs.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

PREFIX = "foveate"
SELECTS = ("dense", "window", "topk", "sparge", "xattention", "vsa", "moa")
PRECISIONS = ("auto", "native", "int8", "sage", "sage2", "sage2++", "sage3", "sagebwd")
_CLASSES = {
    "window": "Window",
    "topk": "TopK",
    "sparge": "Sparge",
    "xattention": "XAttention",
    "moa": "MoA",
    "vsa": "VSA",
    "native": "Native",
    "int8": "Int8",
    "sage": "Sage",
    "sage2": "Sage2",
    "sage2++": "Sage2pp",
    "sage3": "Sage3",
    "sagebwd": "SageBwd",
}
_EXAMPLES = {  # those without defaults
    "window": "window(1024,64)",
    "topk": "topk(0.25)",
    "moa": "moa(0,0.5)",
    "vsa": "vsa((8,16,16),keep=4)",
}
_NAME = re.compile(r"[a-z_][a-z0-9_]*(?:\+\+)?")


@dataclass(frozen=True)
class Choice:
    """What a model's attention runs with; the arguments of `foveate.attention` that stay the same.

    Args:
        select: A selection or its name; a tuple gives one for each layer of the model, None for
            layers that visit everything.
        precision: A precision or its name; used when a call has more than `DECODE_QUERIES` queries.
        decode: The same for short steps. "native" because such a step reads every key once, and
            writing all of K and V in a new format would cost more than it saves; "same" uses
            `precision`.
        backend: A backend's name or "auto".
    """

    select: Any = "dense"
    precision: Any = "auto"
    decode: Any = "native"
    backend: str = "auto"


def parse(name: str) -> Choice:
    """Read a name such as `foveate:window(1024,64)+int8`.

    Args:
        name: The name, see the top of this file.

    Returns:
        The choice it stands for.

    Raises:
        ValueError: The name, a term or an argument is not known; the message lists what is.
        TypeError: An argument has the wrong type or is unknown to the term.
    """
    head, colon, body = name.replace(" ", "").partition(":")
    if head != PREFIX or (colon and not body):
        raise ValueError(
            f'unknown attention name "{name}"; expected "foveate" or '
            '"foveate:<select>+<precision>", '
            'e.g. "foveate:window(1024,64)+int8"'
        )
    chosen: dict[str, Any] = {}
    for term, call in _terms(body, name):
        kind = "select" if term in SELECTS else "precision"
        if kind in chosen:
            raise ValueError(
                f'"{name}" names more than one {kind}; expected at most one selection and one '
                "precision"
            )
        chosen[kind] = _build(term, call, name)
    return Choice(**chosen)


def _terms(body: str, name: str) -> list[tuple[str, str]]:
    """Split `window(1024,64)+sage2++` into (name, argument text) pairs."""
    terms, at = [], 0
    while at < len(body):
        match = _NAME.match(body, at)
        term = match.group() if match else ""
        if term not in SELECTS and term not in PRECISIONS:
            raise ValueError(
                f'"{name}" contains "{term or body[at:]}", which is no selection and no precision; '
                f"selections are {', '.join(SELECTS)}; precisions are {', '.join(PRECISIONS)}"
            )
        at += len(term)
        call = ""
        if body[at : at + 1] == "(":
            end = _closing(body, at)
            if end < 0:
                raise ValueError(f'"{name}" opens "(" after "{term}" and never closes it; add ")"')
            call, at = body[at : end + 1], end + 1
        terms.append((term, call))
        if at < len(body):
            if body[at] != "+" or at + 1 == len(body):
                raise ValueError(
                    f'"{name}" has "{body[at:]}" after "{term}"; expected "+" and another term, '
                    "or the end"
                )
            at += 1
    return terms


def _closing(body: str, at: int) -> int:
    """Where the bracket that opens at `at` closes, or −1."""
    depth = 0
    for place in range(at, len(body)):
        depth += (body[place] == "(") - (body[place] == ")")
        if depth == 0:
            return place
    return -1


def _build(term: str, call: str, name: str) -> Any:
    """The object behind a term; a bare name stays one, so that the engine's defaults hold."""
    if not call or call == "()":
        if term in _EXAMPLES:
            example = _EXAMPLES[term]
            raise ValueError(
                f'"{term}" in "{name}" needs its arguments; write for example {example}'
            )
        return term
    if term not in _CLASSES:
        raise ValueError(f'"{term}" in "{name}" takes no arguments here; write "{term}" alone')
    args, keywords = _arguments(call, term, name)
    import foveate

    try:
        return getattr(foveate, _CLASSES[term])(*args, **keywords)
    except (TypeError, ValueError) as error:
        raise type(error)(f'"{term}{call}" in "{name}": {error}') from None


def _arguments(call: str, term: str, name: str) -> tuple[list[Any], dict[str, Any]]:
    """Literal arguments of `(1024,sink=64)`; a bare word such as `e4m3` is a string."""

    def literal(node: ast.expr) -> Any:
        return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)

    try:
        node = ast.parse(f"f{call}", mode="eval").body
        if not isinstance(node, ast.Call) or any(k.arg is None for k in node.keywords):
            raise ValueError
        return [literal(a) for a in node.args], {
            str(k.arg): literal(k.value) for k in node.keywords
        }
    except (SyntaxError, ValueError):
        raise ValueError(
            f'cannot read the arguments "{call}" of "{term}" in "{name}"; '
            "expected numbers, words or keyword=value, separated by commas"
        ) from None
