"""Whatever tuning has written: thresholds (`Profile`) or spans (`MoAPlan`), told by the content."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .moa.plan import MoAPlan
from .profile import Profile, shipped


def load(source: str | os.PathLike[str]) -> Profile | MoAPlan:
    """Read a profile or a plan.

    Args:
        source: A path, or the name of a profile that ships with foveate.

    Raises:
        ProfileError: There is none, or it is not complete; the message says what is wrong.
    """
    name = os.fspath(source)
    if name not in shipped():
        with suppress(OSError, UnicodeDecodeError):  # Profile says what is wrong with the file
            if '"alphas"' in Path(name).expanduser().read_text(encoding="utf-8"):
                return MoAPlan.load(name)
    return Profile.load(name)
