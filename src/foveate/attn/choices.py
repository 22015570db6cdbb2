"""What a caller's choice stands for: names become selections and precisions, "auto" is decided.

The one thing to know: everything here looks at sizes, types and the machine, never at data.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from .backends import backend_named, fast_int8
from .backends.base import Request
from .layouts.blocks import Outline
from .precision import Int8, Native, Precision, precision_named
from .select import Given, Selection, selection_named

INT8_LEAST_QUERIES = 16
"""Up to this many queries, reading K and V once costs less than encoding them first."""

INT8_LEAST_KEYS = 256
"""With fewer keys "auto" keeps the exact numbers: int8 takes as long as native at 64 keys and gains
little up to here (one Zen 4 core, D 64 and 128)."""


def selection_of(select: object) -> Selection:
    """A selection from a name, an instance, or the outline of a layout."""
    if isinstance(select, str):
        return selection_named(select)
    if isinstance(select, Outline):
        return Given(select, skip=select.skip)
    if isinstance(select, Selection):
        return select
    if isinstance(select, type) and issubclass(select, Selection):
        raise TypeError(
            f"select is the class {select.__name__}; expected an instance, {select.__name__}(…)"
        )
    raise TypeError(
        f"select is {type(select).__name__}; expected a name, a selection such as Window(1024), "
        "or a BlockLayout"
    )


def precision_of(precision: object) -> Precision:
    """A precision from a name or an instance."""
    if isinstance(precision, str):
        return precision_named(precision)
    if isinstance(precision, Precision):
        return precision
    if isinstance(precision, type) and issubclass(precision, Precision):
        raise TypeError(
            f"precision is the class {precision.__name__}; expected an instance, "
            f"{precision.__name__}()"
        )
    raise TypeError(
        f"precision is {type(precision).__name__}; expected a name or a precision such as Int8()"
    )


def auto_precision(backend: str, facts: Request) -> tuple[Precision, str]:
    """The fastest precision whose relative L1 error stays below 0.02 on N(0, 1) data, and why."""
    native, int8 = Native(), Int8()
    if facts.dtype == torch.float64:
        return native, "float64 asks for exact numbers"
    if backend == "reference":
        return native, "the reference backend gains nothing from fewer bits"
    if facts.k_length < INT8_LEAST_KEYS:
        return native, f"fewer than {INT8_LEAST_KEYS} keys do not repay encoding"
    if facts.q_length <= INT8_LEAST_QUERIES:
        return native, f"{INT8_LEAST_QUERIES} or fewer queries do not repay encoding (see PackedKV)"
    name = "cpu" if backend == "auto" else backend
    kernels = backend_named(name)
    reason = kernels.refuses(replace(facts, recipe=int8.recipe(facts.head_dim)))
    if reason is not None:
        return native, f"int8 is not possible on {name}: {reason}"
    if not fast_int8(kernels):
        return native, f"{name} has no fast 8-bit products here (AVX-512 VNNI)"
    return int8, "the fastest within relative L1 0.02 on N(0, 1) data"
