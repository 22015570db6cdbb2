"""The backends, by name, and the choice among them.

The one thing to know: a backend that was named is used or refused; only "auto" may choose, and what
it passed over is kept, so that `Plan.explain()` and `BackendError` can say why.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import BackendError
from .base import Backend, Request

BACKENDS = ("cpu", "reference")
"""Every backend that exists, in the order in which "auto" asks."""

PLANNED = ("triton",)
"""Names that are reserved for backends which are not built yet."""

_generation = 0


def generation() -> int:
    """Grows whenever answers of `refuses` may have changed; plans are cached under it."""
    return _generation


def refresh() -> None:
    """Make plans anew; for a backend whose abilities changed (another instruction set, say)."""
    global _generation
    _generation += 1


@dataclass(frozen=True)
class Chosen:
    """A backend, and the others with their reasons."""

    kernels: Backend
    refusals: tuple[tuple[str, str], ...]


def backend_named(name: str) -> Backend:
    """The backend of that name; importing one is cheap, whatever it needs is loaded when it runs.

    Raises:
        ValueError: The name is unknown or planned only.
    """
    match name:
        case "cpu":
            from .cpu import backend
        case "reference":
            from .reference import backend
        case _ if name in PLANNED:
            raise ValueError(
                f'backend "{name}" is planned but not built yet; backends here are {_listed()}'
            )
        case _:
            raise ValueError(f'unknown backend "{name}"; backends are {_listed()}')
    return backend


def choose(name: str, request: Request, what: str) -> Chosen:
    """The backend for a request.

    Args:
        name: A backend, or "auto" for the first that does not refuse.
        request: The static facts of the call.
        what: The precision's name, for the message.

    Raises:
        BackendError: Every backend that was asked refuses.
    """
    asked = BACKENDS if name == "auto" else (name,)
    refusals: list[tuple[str, str]] = []
    for one in asked:
        kernels = backend_named(one)
        reason = kernels.refuses(request)
        if reason is None:
            return Chosen(kernels, tuple(refusals))
        refusals.append((one, reason))
    raise BackendError(_refusal(name, request, what, refusals), dict(refusals))


def fast_int8(kernels: Backend) -> bool:
    """Whether bytes multiply at several times the speed of floats here (AVX-512 VNNI)."""
    return bool(getattr(kernels, "fast_int8", False))


def _refusal(name: str, request: Request, what: str, refusals: list[tuple[str, str]]) -> str:
    if name == "auto":
        reasons = "; ".join(f'backend "{one}": {reason}' for one, reason in refusals)
        return f"no backend can run {what} here: {reasons}"
    able = [one for one in BACKENDS if one != name and backend_named(one).refuses(request) is None]
    way_out = f'; backend="{able[0]}" can' if able else ""
    return f'backend "{name}" cannot run {what} here: {refusals[0][1]}{way_out}'


def _listed() -> str:
    return ", ".join(["auto", *sorted(BACKENDS)])
