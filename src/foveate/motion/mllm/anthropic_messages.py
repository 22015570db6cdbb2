"""Anthropic's messages, through the `anthropic` client; structure by a tool the model must call."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from typing import Any

from ...env import foreign
from .errors import ProviderError, Refused, Unreachable, one_line, told
from .messages import Capabilities, Completion, Image, Message, Provider, Text, Usage


class AnthropicProvider(Provider):
    """A model behind the messages endpoint.

    Args:
        model: Its name.
        key_env: Environment variable with the key.
        base_url: Of the API; None is the client's default.
        timeout: Seconds for one request.
        retries: Further tries after 429, 5xx and broken connections.

    Raises:
        ModuleNotFoundError: The `anthropic` package is missing.
        Unreachable: There is no key.
    """

    def __init__(
        self,
        model: str,
        key_env: str = "ANTHROPIC_API_KEY",
        base_url: str | None = None,
        timeout: float = 120.0,
        retries: int = 4,
    ) -> None:
        super().__init__()
        try:
            import anthropic
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                'anthropic:MODEL needs the anthropic client; pip install "foveate[mllm]"',
                name=error.name,
            ) from error
        key = foreign(key_env)
        if not key:
            raise Unreachable(f"no key for the Anthropic API: set {key_env}")
        self._errors = anthropic
        self._client = anthropic.Anthropic(
            api_key=key, base_url=base_url, timeout=timeout, max_retries=retries
        )
        self.model = self.name = model
        self.url = base_url or "the Anthropic API"
        self.capabilities = Capabilities(vision=True, json_schema=True)
        self._without_temperature = False

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """One message; with a schema, the input of the tool `answer`."""
        begin = time.monotonic()
        options: dict[str, Any] = {}
        system = "\n\n".join(m.text for m in messages if m.role == "system")
        if system:
            options["system"] = system
        if schema is not None:
            options["tools"] = [
                {"name": "answer", "description": "Give the answer.", "input_schema": schema}
            ]
            options["tool_choice"] = {"type": "tool", "name": "answer"}
        plain = [_plain(m) for m in messages if m.role != "system"]
        reply = self._send(plain, options, max_tokens, temperature)
        if reply.stop_reason == "refusal":
            raise Refused(f"{self.model} declined to answer")
        calls = [block.input for block in reply.content if block.type == "tool_use"]
        text = "\n".join(block.text for block in reply.content if block.type == "text")
        made = calls[0] if calls else None
        return Completion(
            json.dumps(made) if made is not None and not text else text,
            object=made,
            usage=Usage(
                reply.usage.input_tokens,
                reply.usage.output_tokens,
                sum(len(m.images) for m in messages),
            ),
            model=reply.model,
            seconds=time.monotonic() - begin,
            truncated=reply.stop_reason == "max_tokens",
        )

    def _send(
        self, plain: list[Any], options: dict[str, Any], max_tokens: int, temperature: float
    ) -> Any:
        api = self._errors
        for _ in range(2):
            heat = {} if self._without_temperature else {"temperature": min(temperature, 1.0)}
            try:
                # the client's own options take the request apart from what this API version lacks
                return self._client.messages.create(
                    model=self.model,
                    max_tokens=max_tokens,
                    messages=plain,
                    extra_body=heat or None,
                    **options,
                )
            except api.BadRequestError as error:
                if "temperature" in str(error) and not self._without_temperature:
                    self._without_temperature = True
                    continue
                raise ProviderError(
                    f"{self.url} turned the request down: {one_line(error)}"
                ) from None
            except api.APIError as error:
                raise told(api, error, self.url, self.model, "is there a network?") from None
        raise ProviderError(f"{self.url} turned down every form of the request")


def _plain(message: Message) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Image):
            data = base64.b64encode(part.png).decode()
            source = {"type": "base64", "media_type": "image/png", "data": data}
            content.append({"type": "image", "source": source})
        elif isinstance(part, Text) and part.text:
            content.append({"type": "text", "text": part.text})
    return {"role": message.role, "content": content}
