"""A model on this machine, through transformers. Nothing is ever downloaded.

The one thing to know: an image-text model is tried first; a text model serves too and is then never
sent a picture. Output is not constrained; the checks of `asking` repair it or ask again.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import ProviderError
from .messages import Capabilities, Completion, Image, Message, Provider, Text, Usage, schema_hint


class TransformersProvider(Provider):
    """A chat model in a folder.

    Args:
        folder: With config, weights, tokenizer (and processor, for pictures).
        device: Where to run; "auto" is a GPU if there is one.
        dtype: Name of a torch type, "auto" is the one of the weights.

    Raises:
        ValueError: The folder is missing or holds no model with a chat template.
        ModuleNotFoundError: transformers is missing.
    """

    def __init__(self, folder: str | Path, device: str = "auto", dtype: str = "auto") -> None:
        super().__init__()
        self.folder = Path(folder)
        if not (self.folder / "config.json").is_file():
            raise ValueError(
                f"{str(folder)!r} holds no model (no config.json); give the folder of a model that "
                "is on this machine"
            )
        try:
            import torch
            import transformers
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                'transformers:FOLDER needs transformers; pip install "foveate[models]"',
                name=error.name,
            ) from error
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._torch = torch
        kind = dtype if dtype == "auto" else getattr(torch, dtype)
        self.name = self.folder.name
        options = {"local_files_only": True, "dtype": kind}
        self._processor: Any
        self._model, self._processor, vision = _load(transformers, self.folder, options)
        self._model.to(device).eval()
        template = getattr(self._processor, "chat_template", None) or getattr(
            getattr(self._processor, "tokenizer", None), "chat_template", None
        )
        if not template:
            raise ValueError(f"the model in {str(folder)!r} has no chat template; use a chat model")
        self.capabilities = Capabilities(vision=vision, json_schema=False, seed=True)

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """One generated answer."""
        torch = self._torch
        begin = time.monotonic()
        told = list(messages)
        if schema is not None:
            told.append(Message.of("user", schema_hint(schema)))
        inputs = self._inputs(_merged(told))
        length = inputs["input_ids"].shape[1]
        room = getattr(self._text_config(), "max_position_embeddings", None)
        if room is not None and length >= room:
            raise ProviderError(f"the request has {length} tokens; {self.name} takes {room}")
        allowed = max_tokens if room is None else min(max_tokens, room - length)
        if seed is not None:
            torch.manual_seed(seed)
        sampling = {"do_sample": temperature > 0}
        if temperature > 0:
            sampling["temperature"] = temperature
        with torch.inference_mode():
            out = self._model.generate(**inputs, max_new_tokens=allowed, **sampling)
        fresh = out[0, length:]
        text = self._processor.decode(fresh, skip_special_tokens=True)
        return Completion(
            text,
            usage=Usage(length, len(fresh), sum(len(m.images) for m in messages)),
            model=self.name,
            seconds=time.monotonic() - begin,
            truncated=len(fresh) >= allowed,
        )

    def _text_config(self) -> Any:
        config = self._model.config
        return getattr(config, "text_config", None) or config

    def _inputs(self, messages: Sequence[Message]) -> Any:
        vision = self.capabilities.vision
        chat = [_plain(m, vision) for m in messages]
        options = {
            "add_generation_prompt": True,
            "tokenize": True,
            "return_dict": True,
            "return_tensors": "pt",
        }
        found = self._processor.apply_chat_template(chat, **options)
        return found.to(self._model.device)


def _load(transformers: Any, folder: Path, options: dict[str, Any]) -> tuple[Any, Any, bool]:
    """(model, processor or tokenizer, whether it sees)."""
    if (folder / "preprocessor_config.json").exists() or (
        folder / "processor_config.json"
    ).exists():
        model = transformers.AutoModelForImageTextToText.from_pretrained(folder, **options)
        processor = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
        return model, processor, True
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        line = str(error).splitlines()[0][:200]
        raise ValueError(f"cannot load the model in {str(folder)!r}: {line}") from None
    return model, tokenizer, False


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Neighbours of one role as one message; many templates insist on turns."""
    found: list[Message] = []
    for message in messages:
        if found and found[-1].role == message.role:
            found[-1] = Message(message.role, (*found[-1].parts, *message.parts))
        else:
            found.append(message)
    return found


def _plain(message: Message, vision: bool) -> dict[str, Any]:
    if not vision:
        return {"role": message.role, "content": message.text}
    from PIL import Image as Pictures

    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Image):
            picture = Pictures.open(io.BytesIO(part.png)).convert("RGB")
            content.append({"type": "image", "image": picture})
        elif isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
    return {"role": message.role, "content": content}
