"""Messages, answers and the interface of a provider."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Text:
    """A piece of text."""

    text: str


@dataclass(frozen=True)
class Image:
    """A picture as the bytes of a PNG file."""

    png: bytes


@dataclass(frozen=True)
class Message:
    """What one side said.

    Attributes:
        role: "system", "user" or "assistant".
        parts: Texts and pictures in order.
    """

    role: Literal["system", "user", "assistant"]
    parts: tuple[Text | Image, ...]

    @classmethod
    def of(cls, role: Literal["system", "user", "assistant"], *parts: str | bytes) -> Message:
        """Texts as str, pictures as PNG bytes."""
        return cls(role, tuple(Text(p) if isinstance(p, str) else Image(p) for p in parts))

    @property
    def text(self) -> str:
        """The texts, a blank line between them."""
        return "\n\n".join(p.text for p in self.parts if isinstance(p, Text))

    @property
    def images(self) -> tuple[Image, ...]:
        return tuple(p for p in self.parts if isinstance(p, Image))


@dataclass(frozen=True)
class Usage:
    """Tokens and pictures of one call; None where the provider does not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    images: int = 0


@dataclass(frozen=True)
class Completion:
    """An answer.

    Attributes:
        text: As the model gave it.
        object: Already parsed, if the provider promises structure; still to be checked.
        usage: What it cost.
        model: Who answered.
        seconds: How long it took.
        truncated: Whether the answer was cut off at `max_tokens`.
    """

    text: str
    object: Any = None
    usage: Usage = Usage()
    model: str = ""
    seconds: float = 0.0
    truncated: bool = False


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do; the prompts are made accordingly."""

    vision: bool = True
    json_schema: bool = False
    seed: bool = False


@dataclass
class Provider(ABC):
    """A way to a model."""

    name: str = field(default="provider", init=False)
    capabilities: Capabilities = field(default=Capabilities(), init=False)

    @abstractmethod
    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """One answer.

        Args:
            messages: The conversation so far.
            schema: JSON Schema the answer should follow; None for free text.
            max_tokens: Longest answer.
            temperature: 0 is the likeliest answer.
            seed: For providers that can repeat themselves.

        Raises:
            Unreachable, Refused: See `errors`.
        """


def schema_hint(schema: dict[str, Any]) -> str:
    """What to add to a request for a model without structured output."""
    return (
        "Answer with one JSON object and nothing after it. It must follow this JSON Schema:\n"
        + json.dumps(schema, separators=(",", ":"))
    )
