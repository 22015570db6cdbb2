"""The files that `foveate eval` writes: a page, the record, a picture."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from .console import BadInput

SUFFIXES = (".html", ".json", ".png")


def output(name: str) -> Path:
    """The path of an output, or BadInput if it cannot be written."""
    path = Path(name).expanduser()
    if path.suffix not in SUFFIXES:
        raise BadInput(f"--out {name}: expected a name that ends in {', '.join(SUFFIXES)}")
    if not path.resolve().parent.is_dir():
        raise BadInput(f"--out {name}: the folder does not exist; create it first")
    if path.is_dir() or not os.access(path.resolve().parent, os.W_OK):
        raise BadInput(f"--out {name} cannot be written; name a file in a folder of yours")
    if path.suffix == ".png":
        try:
            import matplotlib  # noqa: F401  better now than after the evaluation
        except ModuleNotFoundError:
            raise BadInput(
                f"--out {name} needs matplotlib; pip install matplotlib, or write .html"
            ) from None
    return path


def write(record: dict[str, Any], path: Path) -> None:
    """One output file, all or nothing."""
    from ..report import evaluation as view

    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.resolve().parent)
    os.close(handle)
    fresh = Path(name)
    try:
        if path.suffix == ".png":
            view.picture(record, fresh)
        elif path.suffix == ".html":
            fresh.write_text(view.page(record), encoding="utf-8")
        else:
            fresh.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        fresh.chmod(0o644)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
