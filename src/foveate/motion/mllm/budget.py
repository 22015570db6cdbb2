"""Budgets: how much a synthesis may ask of a model. Reaching one stops the asking, not the work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .errors import BudgetExceeded
from .messages import Completion, Message, Provider


@dataclass(frozen=True)
class Budget:
    """Limits of one synthesis.

    Args:
        calls: Requests.
        input_tokens: Tokens sent, as reported; estimated at 4 characters a token where they are
        not.
        output_tokens: Tokens received.
        images: Pictures sent.
        seconds: Time since the first request.

    Raises:
        ValueError: A limit is below 1.
    """

    calls: int = 60
    input_tokens: int = 400_000
    output_tokens: int = 100_000
    images: int = 80
    seconds: float = 900.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise ValueError(f"Budget.{name} is {value}; expected at least 1")


class Metered(Provider):
    """A provider that counts, and stops before a limit is passed.

    Attributes:
        spent: Calls, tokens, images and seconds so far.
    """

    def __init__(self, inner: Provider, budget: Budget | None = None) -> None:
        super().__init__()
        self.inner, self.budget = inner, budget or Budget()
        self.name, self.capabilities = inner.name, inner.capabilities
        self.spent = {"calls": 0, "input_tokens": 0, "output_tokens": 0, "images": 0}
        self._begin: float | None = None

    @property
    def seconds(self) -> float:
        """Since the first request."""
        return 0.0 if self._begin is None else time.monotonic() - self._begin

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """As the provider inside. Raises BudgetExceeded instead of passing a limit."""
        images = sum(len(m.images) for m in messages)
        for name, more in (
            ("calls", 1),
            ("input_tokens", 0),
            ("output_tokens", 0),
            ("images", images),
        ):
            limit, used = getattr(self.budget, name), self.spent[name]
            if used + more > limit or (more == 0 and used >= limit):
                raise BudgetExceeded(
                    f"the budget of {limit} {name.replace('_', ' ')} is spent; raise Budget.{name}"
                )
        if self.seconds > self.budget.seconds:
            raise BudgetExceeded(
                f"the budget of {self.budget.seconds:g} seconds is spent; raise Budget.seconds"
            )
        self._begin = self._begin or time.monotonic()
        self.spent["calls"] += 1
        self.spent["images"] += images
        found = self.inner.complete(
            messages, schema, max_tokens=max_tokens, temperature=temperature, seed=seed
        )
        estimate = sum(len(m.text) for m in messages) // 4
        self.spent["input_tokens"] += found.usage.input_tokens or estimate
        self.spent["output_tokens"] += found.usage.output_tokens or len(found.text) // 4
        return found
