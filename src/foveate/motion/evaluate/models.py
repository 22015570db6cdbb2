"""Designers for the benchmark that ask a model, or repeat what was recorded of one.

The one thing to know: a folder of recordings holds one file a sentence, `NAME.jsonl`; answers that
were written by hand carry the model's name "by-hand" and are reported under it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..plan import KeyframePlan, StyleSpec
from ..scene import Scene
from .bench import Designer
from .prompts import Prompt, prompts


def recordings(folder: str | Path) -> dict[str, Path]:
    """Name of a sentence of the benchmark → its recording in a folder.

    Raises:
        ValueError: The folder has no recording of any sentence.
    """
    names = {p.name for p in prompts()}
    found = {p.stem: p for p in sorted(Path(folder).glob("*.jsonl")) if p.stem in names}
    if not found:
        raise ValueError(
            f"{str(folder)!r} holds no recordings; expected a folder with NAME.jsonl for sentences "
            "of the benchmark, e.g. walk.jsonl"
        )
    return found


def replaying(folder: str | Path, feedback: str = "direct") -> Designer:
    """A designer that answers from the recordings of a folder."""
    from ..mllm import ReplayProvider

    files = recordings(folder)

    def designer(prompt: Prompt, seed: int) -> KeyframePlan:
        if prompt.name not in files:
            raise ValueError(f"no recording of {prompt.name!r} in {str(folder)!r}")
        provider = ReplayProvider(files[prompt.name])
        plan = _designed(prompt, provider, seed)
        return _animated(plan, provider, feedback) if provider.left else plan

    return designer


def asking(
    model: str, record: str | Path | None = None, feedback: str = "direct", calls: int = 60
) -> Designer:
    """A designer that asks a model for every sentence.

    Args:
        model: As for `mllm.connect`.
        record: A folder that keeps each conversation; what it already knows is not asked again.
        feedback: How the model sees its poses.
        calls: Most requests for one sentence.
    """
    from .. import mllm

    inner = mllm.connect(model)

    def designer(prompt: Prompt, seed: int) -> KeyframePlan:
        provider: Any = inner
        if record is not None:
            path = Path(record) / f"{prompt.name}.jsonl"
            provider = mllm.RecordingProvider(inner, path, reuse=True)
        metered = mllm.Metered(provider, mllm.Budget(calls=calls))
        return _animated(_designed(prompt, metered, seed), metered, feedback)

    return designer


def _designed(prompt: Prompt, provider: Any, seed: int) -> KeyframePlan:
    from .. import design

    style = StyleSpec(name=prompt.style) if prompt.style else None
    scene = Scene.named(prompt.scene) if prompt.scene else None
    return design(prompt.text, scene, provider, style=style, seed=seed)


def _animated(plan: KeyframePlan, provider: Any, feedback: str) -> KeyframePlan:
    from .. import animate

    return animate(plan, provider, feedback=feedback)
