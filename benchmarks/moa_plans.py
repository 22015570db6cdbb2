"""The plans that benchmarks/moa_quality.py compares, and how they are found.

    MoA          as `foveate tune` makes them, profiled at 2048, 4096 and 8192 tokens
    MoA-joint    the same, with the joint score instead of the paper's
    MoA-plain    the same without "facts", the kind of calibration that resembles the tests
    MoA-short    profiled at 2048 tokens only, to be used on longer texts
    split        heads that lose most by streaming see everything (as DuoAttention splits them)
    uniform      one window with a sink for all heads (StreamingLLM)

The one thing to know: calibration and validation read the first part of the novel, the evaluation
reads the rest. A search has three steps that may run on different machines: the profile (a GPU is
welcome), the front (scipy) and its validation; each is kept, and none is made twice.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from foveate.models import assets
from foveate.tune.fingerprint import fingerprint
from foveate.tune.moa import pipeline
from foveate.tune.moa.items import item_of
from foveate.tune.moa.optimise import shared
from foveate.tune.moa.plan import MoAPlan
from foveate.tune.moa.settings import Settings
from foveate.tune.moa.validate import Attending, validated
from foveate.tune.store import Store

DENSITIES = (0.75, 0.5, 0.25)
CALIBRATED = 0.45  # share of the novel that plans may come from
STREAMING = 256  # tokens of a head that only streams, sink included
_FULL = Settings(
    (2048, 4096, 8192), 0.5, beyond=(3072,), samples=(12, 12, 3), validation=5120, items=6, plans=6
)
SEARCHES = {
    "MoA": _FULL,
    "MoA-joint": replace(_FULL, score="joint"),
    "MoA-plain": replace(_FULL, kinds=("recall", "summary"), samples=(8, 8, 2)),
    "MoA-short": replace(_FULL, lengths=(2048,), samples=12, beyond=(3072, 4096, 8192)),
}
FEW = ("MoA-joint", "MoA-plain", "MoA-short")  # not at every density
WAYS = (
    "dense",
    *(
        f"{kind} {density:g}"
        for density in DENSITIES
        for kind in ("MoA", "split", "uniform", *FEW)
        if kind not in FEW or density < 0.75
    ),
)


def texts() -> tuple[str, str]:
    """The novel: what plans are made from, and what they are judged on."""
    text = assets.text()
    cut = text.index("\n", int(CALIBRATED * len(text)))
    return text[:cut], text[cut:]


def settings_of(way: str) -> Settings:
    """How the plan of a way is found."""
    kind, _, density = way.partition(" ")
    return replace(SEARCHES[kind], density=float(density))


def profile(model: Any, tokenizer: Any, store: Store, say: Any) -> None:
    """Everything that the searches need of gradients, and the answers that plans are judged by."""
    text = texts()[0]
    for settings in SEARCHES.values():
        pipeline.profile(model, tokenizer, text, settings, store, say)
        for number in range(settings.items):
            length = settings.validation
            item_of(model, tokenizer, text, "validation", length, number, settings, store)
            say(f"validation at {length}, answer {number + 1}")


def front(model: Any, tokenizer: Any, store: Store, way: str, folder: Path, say: Any) -> None:
    """Candidates of one way, written to a folder unless they are there."""
    if (folder / f"{way}-0.json").exists():
        return
    settings = settings_of(way)
    windows = pipeline.profile(model, tokenizer, texts()[0], settings, store, lambda text: None)
    found = pipeline.plans(model, windows, settings, seconds=10.0)
    for number, plan in reversed(list(enumerate(found))):  # the first is the last to be written
        plan.save(folder / f"{way}-{number}.json")
    gap = max(plan.notes["solver"]["gap"] for plan in found)
    say(f"{way}: {len(found)} plans, largest gap {gap:.2%}")


def chosen(
    model: Any,
    tokenizer: Any,
    store: Store,
    way: str,
    folder: Path,
    attending: Attending,
    say: Any,
) -> MoAPlan:
    """The candidate of one way that answers best."""
    found = []
    while (path := folder / f"{way}-{len(found)}.json").exists():
        found.append(MoAPlan.load(path))
    if not found:
        raise FileNotFoundError(f"no front of {way} in {folder}; make it first")
    text = texts()[0]
    return validated(model, tokenizer, text, found, settings_of(way), store, say, attending)


def split(loss: torch.Tensor, density: float, length: int) -> MoAPlan:
    """Heads that lose most by streaming see everything, as many as the density allows.

    Args:
        loss: Loss of each head for windows of 0 … n blocks of 64 tokens, `[layers, heads, n + 1]`.
        density: Mean density at `length`.
        length: N.
    """
    lost = loss[..., (STREAMING - 64) // 64].flatten()
    thin = STREAMING / length
    full = int(len(lost) * (density - thin) / (1 - thin))
    kept = torch.zeros(len(lost), dtype=torch.bool, device=lost.device)
    kept[lost.argsort(descending=True)[:full]] = True
    rows = kept.view(loss.shape[:2]).tolist()
    return MoAPlan(
        tuple(tuple(0.0 if x else float(STREAMING) for x in row) for row in rows),
        tuple(tuple(1.0 if x else 0.0 for x in row) for row in rows),
    )


def split_of(model: Any, tokenizer: Any, store: Store, density: float) -> MoAPlan:
    """The split by the profile of the longest length."""
    settings, known = SEARCHES["MoA"], fingerprint(model)
    found = pipeline.profile(model, tokenizer, texts()[0], settings, store, lambda text: None)
    longest = max(settings.lengths)
    loss = shared(found[longest][settings.score], known["heads"] // known["kv_heads"])
    return replace(split(loss, density, longest), model=known)


def plan_of(
    model: Any,
    tokenizer: Any,
    store: Store,
    way: str,
    folder: Path,
    fronts: Path,
    attending: Attending,
    say: Any,
) -> MoAPlan | None:
    """The plan of a way: from a folder of results, or made now and put there; None is dense."""
    kind, _, density = way.partition(" ")
    if kind == "dense":
        return None
    known = fingerprint(model)
    if kind == "uniform":
        return MoAPlan.uniform(known["layers"], known["kv_heads"], float(density))
    longest = max(SEARCHES.get(kind, _FULL).lengths)
    path = folder / f"moa-{longest}-{kind.lower().removeprefix('moa-')}-{density}.json"
    if not path.exists():
        if kind == "split":
            plan = split_of(model, tokenizer, store, float(density))
        else:
            front(model, tokenizer, store, way, fronts, say)
            plan = chosen(model, tokenizer, store, way, fronts, attending, say)
        plan.save(path)
    return MoAPlan.load(path)
