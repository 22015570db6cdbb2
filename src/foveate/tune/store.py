"""What a long run has found so far, on disk, so that it goes on where it was stopped.

The one thing to know: the file is replaced as a whole after every piece of work, so it is never
half written; and it is only read by a run with the same settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Store:
    """Tensors by name, in a file.

    Args:
        path: The file; None keeps everything in memory.
        settings: What the results depend on, as plain values.
    """

    def __init__(self, path: Path | None, settings: dict[str, Any]) -> None:
        self.path = path
        text = json.dumps(settings, sort_keys=True, default=str)
        self.key = hashlib.sha256(text.encode()).hexdigest()
        self.found: dict[str, dict[str, Tensor]] = self._read()
        self.resumed = len(self.found)

    def get(self, name: str) -> dict[str, Tensor] | None:
        """What was put under a name."""
        return self.found.get(name)

    def put(self, name: str, values: dict[str, Tensor]) -> None:
        """Keep values under a name, also on disk."""
        self.found[name] = values
        if self.path is None:
            return
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                torch.save({"key": self.key, "found": self.found}, file)
            os.replace(temporary, self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """The run is done: delete the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _read(self) -> dict[str, dict[str, Tensor]]:
        if self.path is None or not self.path.exists():
            return {}
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            return dict(content["found"]) if content["key"] == self.key else {}
        except Exception:  # of another version or damaged: start anew
            return {}
