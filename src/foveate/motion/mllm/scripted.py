"""A provider that follows a script: for tests, for demonstrations, for trying prompts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .errors import ProviderError
from .messages import Capabilities, Completion, Message, Provider, Usage

Answer = str | dict[str, Any] | list[Any] | Completion | Exception
Rule = Callable[[Sequence[Message]], "Answer | None"]


class ScriptedProvider(Provider):
    """Answers from a list in order, or by a rule.

    Args:
        script: Answers (text, JSON values, Completions, exceptions to raise), or a function of the
            messages.
        name: What plans record as their source.
        vision: Whether it claims to see pictures.

    Attributes:
        asked: Every request so far, as its messages.
    """

    def __init__(
        self, script: Iterable[Answer] | Rule, name: str = "scripted", vision: bool = True
    ) -> None:
        super().__init__()
        self.name = name
        self.capabilities = Capabilities(vision=vision, json_schema=True, seed=True)
        self._rule = script if callable(script) else None
        self._left = iter(()) if callable(script) else iter(script)
        self.asked: list[Sequence[Message]] = []

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """The next answer. Raises ProviderError when the script has none left."""
        self.asked.append(list(messages))
        answer = self._rule(messages) if self._rule else next(self._left, None)
        if answer is None:
            raise ProviderError(f"the script has no answer to request {len(self.asked)}")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Completion):
            return answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        usage = Usage(sum(len(m.text) for m in messages) // 4, len(text) // 4,
                      sum(len(m.images) for m in messages))  # fmt: skip
        return Completion(text, usage=usage, model=self.name)
