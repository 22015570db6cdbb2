"""What can go wrong between here and a model, each with its own type and one line."""

from __future__ import annotations


class ProviderError(RuntimeError):
    """Something about a model or the way to it."""


class Unreachable(ProviderError):
    """No answer came: wrong address, no network, no key, too many requests."""


class Refused(ProviderError):
    """The model declined to answer."""


class BadAnswer(ProviderError):
    """The answer cannot be used, also after asking again.

    Attributes:
        problems: What was wrong with it, a line each.
    """

    def __init__(self, message: str, problems: list[str] | None = None) -> None:
        super().__init__(message)
        self.problems = problems or []


class BudgetExceeded(ProviderError):
    """The limit of calls, tokens, pictures or seconds is reached."""
