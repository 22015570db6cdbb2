"""Record and replay: whole conversations as JSON lines.

The one thing to know: a request is known by a hash of its texts and of coarse thumbnails of its
pictures, so that a slightly different renderer does not break a recording. Pictures themselves and
anything secret are never written.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import ProviderError
from .messages import Capabilities, Completion, Image, Message, Provider, Text, Usage

THUMBNAIL = 8
LEVELS = 4


def request_hash(messages: Sequence[Message], schema: dict[str, Any] | None = None) -> str:
    """SHA-256 over the canonical JSON of a request, pictures as `thumbnail_hash`."""
    plain = {
        "messages": [
            [m.role, [p.text if isinstance(p, Text) else thumbnail_hash(p) for p in m.parts]]
            for m in messages
        ],
        "schema": schema,
    }
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def thumbnail_hash(image: Image) -> str:
    """SHA-256 of an 8 × 8 grey thumbnail in 4 levels: the same for nearly the same picture."""
    from PIL import Image as Pictures

    with Pictures.open(io.BytesIO(image.png)) as picture:
        small = picture.convert("L").resize((THUMBNAIL, THUMBNAIL), Pictures.Resampling.BOX)
    levels = bytes(value * LEVELS // 256 for value in small.tobytes())
    return hashlib.sha256(levels).hexdigest()


class RecordingProvider(Provider):
    """Passes requests on and writes each with its answer to a file.

    Args:
        inner: Who answers.
        path: JSON lines; appended to.
        reuse: Answer requests that the file already knows without asking again, so that an
            interrupted synthesis goes on where it stopped.
    """

    def __init__(self, inner: Provider, path: str | Path, reuse: bool = False) -> None:
        super().__init__()
        self.inner, self.path = inner, Path(path)
        self.name, self.capabilities = inner.name, inner.capabilities
        rows = _rows(self.path) if self.path.exists() else []
        self._known = {row["hash"]: row for row in rows} if reuse else {}
        self._count = len(rows)

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """As the provider inside."""
        key = request_hash(messages, schema)
        if key in self._known:
            return _completion(self._known[key])
        found = self.inner.complete(
            messages, schema, max_tokens=max_tokens, temperature=temperature, seed=seed
        )
        row = {
            "key": self._count,
            "hash": key,
            "request": [
                {"role": m.role, "text": m.text,
                 "images": [hashlib.sha256(i.png).hexdigest() for i in m.images]}
                for m in messages
            ],
            "response": found.object if found.object is not None else found.text,
            "usage": vars(found.usage),
            "model": found.model or self.inner.name,
            "seconds": round(found.seconds, 3),
            "truncated": found.truncated,
        }  # fmt: skip
        self._count += 1
        self._known[key] = row
        with self.path.open("a", encoding="utf-8") as file:  # one whole line at a time
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return found


class ReplayProvider(Provider):
    """Answers from a recording.

    Args:
        path: Written by RecordingProvider, or by hand (`response` alone is enough).
        strict: Only by hash; otherwise an unknown request gets the next answer not yet used.

    Raises:
        ValueError: The file cannot be read or is not a recording.
    """

    def __init__(self, path: str | Path, strict: bool = False) -> None:
        super().__init__()
        self.path, self.strict = Path(path), strict
        self._rows = _rows(self.path)
        self._used = [False] * len(self._rows)
        self.capabilities = Capabilities(vision=True, json_schema=True, seed=True)
        self.name = next((r["model"] for r in self._rows if r.get("model")), "replay")

    @property
    def left(self) -> int:
        """How many recorded answers have not been used yet."""
        return self._used.count(False)

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """The recorded answer. Raises ProviderError when there is none."""
        key = request_hash(messages, schema)
        by_hash = [i for i, row in enumerate(self._rows) if row.get("hash") == key]
        for i in [*by_hash, *([] if self.strict or by_hash else range(len(self._rows)))]:
            if not self._used[i] or by_hash:
                self._used[i] = True
                return _completion(self._rows[i])
        why = "knows no such request" if self.strict else "has no answers left"
        raise ProviderError(
            f"the recording {self.path.name} {why} ({len(self._rows)} answers in all); record it "
            "again with RecordingProvider"
        )


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ValueError(f"cannot read the recording {str(path)!r}: {reason}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            row = None
        if not isinstance(row, dict) or "response" not in row:
            raise ValueError(
                f"{str(path)!r} line {number} is not a recorded answer; expected an object with a "
                "`response`"
            )
        found.append(row)
    if not found:
        raise ValueError(f"the recording {str(path)!r} is empty")
    return found


def _completion(row: dict[str, Any]) -> Completion:
    response = row["response"]
    text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
    usage = row.get("usage") or {}
    return Completion(
        text,
        object=None if isinstance(response, str) else response,
        usage=Usage(usage.get("input_tokens"), usage.get("output_tokens"), usage.get("images", 0)),
        model=row.get("model", "replay"),
        truncated=bool(row.get("truncated", False)),
    )
