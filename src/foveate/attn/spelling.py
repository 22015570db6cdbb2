"""Choices as text and back: `Window(span=64, sink=0, block=(64, 128))|Int8(smooth_k=True, …)|auto`.

The text reads like the call that was written, and it means the same in a fresh process (compiled
programs are cached on disk). Written by code that the compiler can trace; parsed, never evaluated.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache

from .check import check_name
from .layouts.blocks import Band, BlockLayout
from .layouts.orders import Order
from .precision import Precision
from .select import Selection


@dataclass(frozen=True)
class Blocks:
    """A BlockLayout without its two tensors, which travel beside the text."""

    block: tuple[int, int]
    lengths: tuple[int, int]
    band: Band | None
    skip: float | tuple[float, ...] | None


def spell_choice(select: object, precision: object, backend: object) -> str:
    """Write select, precision and backend as text."""
    check_name("backend", backend)
    if isinstance(select, BlockLayout):
        select = _spell_fields(Blocks(select.block, select.lengths, select.band, select.skip))
    elif not isinstance(select, str):
        select = _spell(select)
    if not isinstance(precision, str):
        precision = _spell(precision)
    return f"{select}|{precision}|{backend}"


def _spell(value: object) -> str:
    if not isinstance(value, (Selection, Precision)):
        raise TypeError(f"{type(value).__name__} is neither a selection, a precision nor a name")
    return _spell_fields(value)


def _spell_fields(value: object) -> str:
    # spelled out field by field because the compiler cannot trace a dataclass's own repr
    fields = [f"{name}={_spell_value(getattr(value, name))}" for name in value.__match_args__]
    if isinstance(value, Selection):  # keyword-only, so not among the others
        fields += [f"skip={_spell_value(value.skip)}", f"correct={value.correct}"]
    return f"{type(value).__name__}({', '.join(fields)})"


def _spell_value(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + "".join([f"{_spell_value(x)}, " for x in value]) + ")"
    if isinstance(value, str):
        return f"'{value}'"
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    return _spell_fields(value)


@lru_cache(maxsize=256)
def read_choice(text: str) -> tuple[object, object, str]:
    """Read what `spell_choice` wrote: select (or `Blocks`), precision, backend."""
    parts = text.split("|")
    if len(parts) != 3:
        raise ValueError(f'choice is "{text}"; expected select|precision|backend')
    return _read(parts[0]), _read(parts[1]), parts[2]


def _read(text: str) -> object:
    if "(" not in text:
        return text
    bases = (Selection, Precision, Order)
    known = {cls.__name__: cls for base in bases for cls in _below(base)}
    return _value(ast.parse(text, mode="eval").body, known | {"Band": Band, "Blocks": Blocks})


def _value(node: ast.expr, known: dict[str, type]) -> object:
    match node:
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in known:
            return known[name](
                *(_value(x, known) for x in args),
                **{x.arg: _value(x.value, known) for x in keywords},
            )
        case ast.Tuple(elts=elts):
            return tuple(_value(x, known) for x in elts)
        case ast.Name(id="inf" | "nan" as name):
            return float(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, known)
    return ast.literal_eval(node)


def _below(base: type) -> list[type]:
    """The subclasses of a class, at any depth."""
    return [found for cls in base.__subclasses__() for found in (cls, *_below(cls))]
