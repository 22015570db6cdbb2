"""The one error of our own: no backend can do what was asked."""

from __future__ import annotations

from collections.abc import Mapping


class BackendError(RuntimeError):
    """No backend that was asked can run this call.

    Attributes:
        refusals: The name of each backend that was asked, and its reason in one line.
    """

    def __init__(self, message: str, refusals: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.refusals = dict(refusals or {})
