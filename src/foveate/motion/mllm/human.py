"""A provider for people without keys: it prints the request and reads the answer.

The request can be pasted into any chat product, and what that says pasted back; the same checks and
repairs apply as to any model.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from .messages import Capabilities, Completion, Message, Provider, schema_hint


class HumanProvider(Provider):
    """Prints to `out`, reads from `source` up to an empty line after a complete object, or a dot.

    Args:
        out: Where requests go; standard error by default.
        source: Where answers come from; standard input by default.
        pictures: A folder that receives the pictures of each request; None leaves them out.
    """

    def __init__(
        self,
        out: TextIO | None = None,
        source: TextIO | None = None,
        pictures: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.name = "human"
        self.out, self.source = out or sys.stderr, source or sys.stdin
        self.pictures = None if pictures is None else Path(pictures)
        self.capabilities = Capabilities(vision=pictures is not None)
        self._count = 0

    def complete(
        self,
        messages: Sequence[Message],
        schema: dict[str, Any] | None = None,
        *,
        max_tokens: int = 4000,
        temperature: float = 0.5,
        seed: int | None = None,
    ) -> Completion:
        """One request on paper, one answer typed."""
        for message in messages:
            print(f"--- {message.role} ---\n{message.text}\n", file=self.out)
            for image in message.images if self.pictures else ():
                assert self.pictures is not None
                self.pictures.mkdir(parents=True, exist_ok=True)
                path = self.pictures / f"picture{self._count}.png"
                path.write_bytes(image.png)
                self._count += 1
                print(f"[picture: {path}]", file=self.out)
        if schema is not None:
            print(schema_hint(schema), file=self.out)
        print("--- paste the answer, end with a line that holds only a dot ---", file=self.out)
        lines = []
        for line in self.source:
            if line.strip() == ".":
                break
            lines.append(line)
        return Completion("".join(lines), model="human")
