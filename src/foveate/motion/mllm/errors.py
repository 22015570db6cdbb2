"""What can go wrong between here and a model, each with its own type and one line."""

from __future__ import annotations

from typing import Any


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


def told(api: Any, error: Exception, url: str, model: str, hint: str) -> ProviderError:
    """What a client's error means, in one line.

    Args:
        api: The client's module; the openai and anthropic clients name their errors alike.
        error: An `api.APIError`.
        url: Who was asked.
        model: The model's name.
        hint: What to look at when the address cannot be reached.
    """
    why = one_line(error)
    match error:
        case api.AuthenticationError() | api.PermissionDeniedError():
            return Unreachable(f"{url} does not accept the key: {why}")
        case api.NotFoundError():
            return Unreachable(f"{url} has no model {model!r}: {why}")
        case api.RateLimitError():
            return Unreachable(f"{url} is busy, also after retries: {why}")
        case api.APITimeoutError():
            return Unreachable(f"{url} did not answer in time; raise timeout")
        case api.APIConnectionError():
            return Unreachable(f"cannot reach {url}; {hint}")
        case api.APIStatusError():
            return Unreachable(f"{url} failed: {why}")
    return ProviderError(f"{url} answered with something else: {why}")


def one_line(error: Exception) -> str:
    """The start of an error's text, without its line breaks."""
    return " ".join(str(error).split())[:200]
