"""OpenAI-compatible chat completions, through the `openai` client: hosted or on this machine.

The one thing to know: servers differ in what they accept, so a request that is turned down because
of one option (the schema, the seed, the temperature, the name of `max_tokens`) is sent again
without it, and that is remembered.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from typing import Any

from ...env import foreign
from .errors import ProviderError, Refused, Unreachable, one_line, told
from .messages import Capabilities, Completion, Image, Message, Provider, Usage, schema_hint

LOCAL = ("localhost", "127.0.0.1", "[::1]", "0.0.0.0")


class OpenAIProvider(Provider):
    """A model behind a chat completions endpoint.

    Args:
        model: As the server calls it.
        base_url: Of the API, as `http://localhost:8000/v1`; None is the client's default.
        key_env: Environment variable with the key. A server on this machine needs none.
        timeout: Seconds for one request.
        retries: Further tries after 429, 5xx and broken connections; the client waits longer each
            time, with jitter.
        vision: Whether the model takes pictures.

    Raises:
        ModuleNotFoundError: The `openai` package is missing.
        Unreachable: There is no key.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        key_env: str = "OPENAI_API_KEY",
        timeout: float = 120.0,
        retries: int = 4,
        vision: bool = True,
    ) -> None:
        super().__init__()
        try:
            import openai
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                'openai:MODEL needs the openai client; pip install "foveate[mllm]"', name=error.name
            ) from error
        key = foreign(key_env)
        url = base_url or foreign("OPENAI_BASE_URL")
        if not key and not (url and any(host in url for host in LOCAL)):
            raise Unreachable(
                f"no key for {url or 'the OpenAI API'}: set {key_env}, or name a server as in "
                "openai:MODEL@http://localhost:8000/v1"
            )
        self._errors = openai
        self._client = openai.OpenAI(
            api_key=key or "none", base_url=url, timeout=timeout, max_retries=retries
        )
        self.model, self.url = model, url or "the OpenAI API"
        self.name = model
        self.capabilities = Capabilities(vision=vision, json_schema=True, seed=True)
        self._without: set[str] = set()

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """One chat completion."""
        begin = time.monotonic()
        reply = self._send(messages, schema, max_tokens, temperature, seed)
        if not getattr(reply, "choices", None):
            raise ProviderError(f"{self.url} answered without a choice; is it a chat endpoint?")
        choice = reply.choices[0]
        if getattr(choice.message, "refusal", None):
            raise Refused(f"{self.model} declined: {choice.message.refusal}")
        if choice.finish_reason == "content_filter":
            raise Refused(f"{self.model}'s answer was withheld by a content filter")
        usage = reply.usage
        return Completion(
            choice.message.content or "",
            usage=Usage(
                getattr(usage, "prompt_tokens", None),
                getattr(usage, "completion_tokens", None),
                sum(len(m.images) for m in messages),
            ),
            model=reply.model or self.model,
            seconds=time.monotonic() - begin,
            truncated=choice.finish_reason == "length",
        )

    def _send(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None,
        max_tokens: int,
        temperature: float,
        seed: int | None,
    ) -> Any:
        api = self._errors
        for _ in range(6):
            options = self._options(schema, max_tokens, temperature, seed)
            plain = [_plain(m) for m in messages]
            if schema is not None and "json_schema" in self._without:
                plain.append({"role": "user", "content": schema_hint(schema)})
            try:
                return self._client.chat.completions.create(
                    model=self.model, messages=plain, **options
                )
            except api.BadRequestError as error:
                if not self._drop(str(error), schema):
                    raise ProviderError(
                        f"{self.url} turned the request down: {one_line(error)}"
                    ) from None
            except api.APIError as error:
                raise told(api, error, self.url, self.model, "is the server running?") from None
        raise ProviderError(f"{self.url} turned down every form of the request")

    def _options(
        self, schema: dict[str, Any] | None, max_tokens: int, temperature: float, seed: int | None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        name = "max_completion_tokens" if "max_tokens" in self._without else "max_tokens"
        found[name] = max_tokens
        if "temperature" not in self._without:
            found["temperature"] = temperature
        if seed is not None and "seed" not in self._without:
            found["seed"] = seed
        if schema is not None and "response_format" not in self._without:
            if "json_schema" in self._without:
                found["response_format"] = {"type": "json_object"}
            else:
                told = {"name": "answer", "schema": schema, "strict": False}
                found["response_format"] = {"type": "json_schema", "json_schema": told}
        return found

    def _drop(self, why: str, schema: dict[str, Any] | None) -> bool:
        """Remember which option the server does not take; False when none is to blame."""
        for name in ("max_tokens", "temperature", "seed"):
            if name in why and name not in self._without:
                self._without.add(name)
                return True
        if schema is not None:
            for name in ("json_schema", "response_format"):
                if name not in self._without:
                    self._without.add(name)
                    return True
        return False


def _plain(message: Message) -> dict[str, Any]:
    if not message.images:
        return {"role": message.role, "content": message.text}
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Image):
            data = base64.b64encode(part.png).decode()
            url = {"url": f"data:image/png;base64,{data}"}
            content.append({"type": "image_url", "image_url": url})
        else:
            content.append({"type": "text", "text": part.text})
    return {"role": message.role, "content": content}
