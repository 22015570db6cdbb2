"""Reaching multimodal language models: one interface, several ways to a model.

The one thing to know: nothing here is imported until it is used, keys come from the environment
only, and what a model answers is untrusted text until `asking` has checked it. `connect` turns a
short text into a provider:

    openai:MODEL               api.openai.com, key in OPENAI_API_KEY
    openai:MODEL@BASE_URL      any compatible server (vLLM, llama.cpp, Ollama, LM Studio)
    anthropic:MODEL            key in ANTHROPIC_API_KEY
    transformers:FOLDER        a model on this machine; nothing is downloaded
    replay:FILE                a recorded conversation
    human                      prints the request, reads the answer
"""

from __future__ import annotations

from typing import Any

from .budget import Budget, Metered
from .errors import BadAnswer, BudgetExceeded, ProviderError, Refused, Unreachable
from .messages import Capabilities, Completion, Image, Message, Provider, Text, Usage
from .replay import RecordingProvider, ReplayProvider
from .scripted import ScriptedProvider

__all__ = [
    "BadAnswer", "Budget", "BudgetExceeded", "Capabilities", "Completion", "Image", "Message",
    "Metered", "Provider", "ProviderError", "RecordingProvider", "Refused", "ReplayProvider",
    "ScriptedProvider", "Text", "Unreachable", "Usage", "connect",
]  # fmt: skip


def connect(told: str, **options: Any) -> Provider:
    """The provider that a text names; see above.

    Args:
        told: As `"openai:gpt-4o"` or `"transformers:/models/vlm"`.
        options: Passed to the provider's class.

    Raises:
        ValueError: The text names no provider, or leaves out what it needs.
        ModuleNotFoundError: The client library is missing; the message says how to install it.
    """
    kind, _, rest = told.partition(":")
    if kind == "human":
        from .human import HumanProvider

        return HumanProvider(**options)
    if kind in ("openai", "anthropic", "transformers", "replay") and not rest:
        raise ValueError(f'provider "{told}" names no model; expected for example "{kind}:NAME"')
    match kind:
        case "openai":
            from .openai_chat import OpenAIProvider

            model, _, url = rest.partition("@")
            return OpenAIProvider(model, base_url=url or None, **options)
        case "anthropic":
            from .anthropic_messages import AnthropicProvider

            return AnthropicProvider(rest, **options)
        case "transformers":
            from .local import TransformersProvider

            return TransformersProvider(rest, **options)
        case "replay":
            return ReplayProvider(rest, **options)
    raise ValueError(
        f'unknown provider "{told}"; providers are openai:MODEL[@URL], anthropic:MODEL, '
        "transformers:FOLDER, replay:FILE, human"
    )
