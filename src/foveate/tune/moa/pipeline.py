"""The whole way from a model and a text to a plan: answer, profile, optimise, validate.

The one thing to know: everything that takes time is kept in a `Store` as soon as it is there, under
names that do not contain the density, so another density needs only other plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..capture import full_layers
from ..fingerprint import fingerprint
from ..store import Store
from .calibrate import ANSWER, KINDS, Item, Record, answered, from_record, from_text
from .gradients import backward
from .influence import SCORES, influence
from .optimise import Found, Problem, front, normalised, shared
from .plan import MoAPlan
from .rules import candidates
from .validate import answer_loss

Tick = Callable[[str], None]
PARTS = {"calibration": (0.0, 0.6), "validation": (0.65, 1.0)}  # of the text; nothing is in both


@dataclass(frozen=True)
class Settings:
    """How a plan is found.

    Args:
        lengths: Profiled lengths, whole blocks.
        density: Largest mean density at each of `lengths` and `beyond`.
        beyond: Further lengths with the same budget.
        samples: Calibration items of each length.
        kinds: What they ask, see `calibrate`.
        answer: Tokens of an answer, at most.
        score: What counts as a rule's loss, one of `influence.SCORES`.
        per_query: A rule for each query head, not for each key head; caches then keep what the
            neediest query head of each group wants.
        share: How losses of query heads that share keys are joined, "sum" or "max".
        normalise: Losses as shares of their "head" or "layer", or None.
        distinct: Different rules in a layer, at most: 1, 2 or None.
        meaning: "deployment" or "profile", see `rules`.
        intervals: Parts of each loss's range on the front, see `optimise.front`.
        plans: Plans of the front that are validated, at most.
        validation: Length of the validation items.
        items: Number of validation items.
        sink: First keys, always visible.
        block: Tokens of a block.
    """

    lengths: tuple[int, ...]
    density: float
    beyond: tuple[int, ...] = ()
    samples: int = 3
    kinds: tuple[str, ...] = KINDS
    answer: int = ANSWER
    score: str = "abs"
    per_query: bool = False
    share: str = "sum"
    normalise: str | None = None
    distinct: int | None = 2
    meaning: str = "deployment"
    intervals: int = 4
    plans: int = 4
    validation: int = 0
    items: int = 3
    sink: int = 64
    block: int = 64

    def __post_init__(self) -> None:
        if self.score not in SCORES:
            raise ValueError(f'score is "{self.score}"; expected one of {", ".join(SCORES)}')
        for length in (*self.lengths, self.validation):
            if length % self.block:
                raise ValueError(
                    f"a length is {length}; expected whole blocks, a multiple of {self.block}"
                )


def find(
    model: Any,
    tokenizer: Any,
    source: str | Sequence[Record],
    settings: Settings,
    store: Store,
    tick: Tick,
) -> MoAPlan:
    """Find a plan for a model.

    Args:
        model: A transformers model in eval mode.
        tokenizer: Its tokenizer.
        source: A long text, or the records of a data set.
        settings: How.
        store: Where results are kept on the way.
        tick: Called with a short text after each step; `steps` says how many there are.

    Returns:
        The plan; its notes say what was measured.

    Raises:
        ValueError: The text is too short, or no plan keeps within the density.
    """
    windows = profile(model, tokenizer, source, settings, store, tick)
    found = plans(model, windows, settings)
    tick(f"{len(found)} plans")
    return validated(model, tokenizer, source, found, settings, store, tick)


def steps(model: Any, settings: Settings) -> int:
    """How often `find` calls its tick, at most."""
    layers = len(full_layers(model.config))
    read = len(settings.lengths) * settings.samples * (1 + layers)
    return read + 1 + settings.items * (1 + settings.plans + 2)


def profile(
    model: Any,
    tokenizer: Any,
    source: str | Sequence[Record],
    settings: Settings,
    store: Store,
    tick: Tick,
) -> dict[int, dict[str, Tensor]]:
    """Loss of every width of every head's window, mean over calibration items.

    Returns:
        For each length and score, `[layers, Hq, n + 1]`.
    """
    found: dict[int, dict[str, Tensor]] = {}
    for length in settings.lengths:
        each = []
        for number in range(settings.samples):
            name = f"{_tag(settings)}/{length}/{number}"
            item = _item(model, tokenizer, source, "calibration", length, number, settings, store)
            tick(f"{length} tokens, answer {number + 1}")
            windows = store.get(f"windows/{name}")
            if windows is None:
                windows = _windows(model, item, settings, partial(tick, f"{length} tokens"))
                store.put(f"windows/{name}", windows)
            else:
                for _ in full_layers(model.config):
                    tick(f"{length} tokens")
            each.append(windows)
        found[length] = {s: torch.stack([w[s].double() for w in each]).mean(0) for s in SCORES}
    return found


def plans(
    model: Any, windows: dict[int, dict[str, Tensor]], settings: Settings, **options: Any
) -> list[tuple[Found, MoAPlan]]:
    """The front of plans for profiles.

    Args:
        model: The model they are for.
        windows: From `profile`.
        settings: How.
        **options: Of `optimise.front`.
    """
    known = fingerprint(model)
    group = 1 if settings.per_query else known["heads"] // known["kv_heads"]
    losses = {
        length: normalised(
            shared(scores[settings.score], group, settings.share), settings.normalise
        )
        for length, scores in windows.items()
    }
    rules = candidates(
        settings.lengths,
        settings.beyond,
        sink=settings.sink,
        block=settings.block,
        meaning=settings.meaning,
    )
    problem = Problem(rules, losses, settings.density, settings.beyond, settings.distinct)
    layers = full_layers(model.config)
    made = []
    for one in front(problem, settings.intervals, **options):
        alphas: list[Any] = [None] * known["layers"]
        betas: list[Any] = [None] * known["layers"]
        for layer, row in zip(layers, one.choice.tolist(), strict=True):
            alphas[layer] = [rules.alphas[r] for r in row]
            betas[layer] = [rules.betas[r] for r in row]
        made.append(
            (one, MoAPlan(tuple(alphas), tuple(betas), settings.sink, settings.block, known))
        )
    return made


def validated(
    model: Any,
    tokenizer: Any,
    source: str | Sequence[Record],
    found: list[tuple[Found, MoAPlan]],
    settings: Settings,
    store: Store,
    tick: Tick,
) -> MoAPlan:
    """The plan of the front with the least loss on other items; its notes say what each reached."""
    length = settings.validation or max(settings.lengths)
    tried = _spread(found, settings.plans)
    known = fingerprint(model)
    heads = known["heads"] if settings.per_query else known["kv_heads"]
    uniform = MoAPlan.uniform(known["layers"], heads, settings.density)
    ways: dict[str, MoAPlan | None] = {"dense": None, "uniform": uniform}
    ways |= {f"plan {i + 1}": plan for i, (_, plan) in enumerate(tried)}
    losses: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(settings.items):
        item = _item(model, tokenizer, source, "validation", length, number, settings, store)
        tick(f"validation at {length}, answer {number + 1}")
        for name, plan in ways.items():
            key = f"loss/{_tag(settings)}/{length}/{number}/{_rules(plan)}"
            done = store.get(key)
            if done is None:
                done = {"loss": torch.tensor(answer_loss(model, item, plan), dtype=torch.float64)}
                store.put(key, done)
            losses[name].append(float(done["loss"]))
            tick(f"validation at {length}, {name}")
    means = {name: sum(x) / len(x) if x else float("nan") for name, x in losses.items()}
    best = min(range(len(tried)), key=lambda i: means[f"plan {i + 1}"] if settings.items else -i)
    one, plan = tried[best]
    notes = {
        "lengths": list(settings.lengths),
        "density": settings.density,
        "score": settings.score,
        "losses": dict(zip(map(str, settings.lengths), one.losses.tolist(), strict=True)),
        "densities": {str(n): plan.density(n) for n in (*settings.lengths, *settings.beyond)},
        "solver": {
            "method": one.solution.method,
            "gap": one.solution.gap,
            "seconds": one.solution.seconds,
            "plans_on_the_front": len(found),
        },
        "validation": {"length": length, "items": settings.items, "chosen": f"plan {best + 1}"}
        | {"loss": means},
    }
    return replace(plan, notes=notes)


def _windows(model: Any, item: Item, settings: Settings, tick: Callable[[], None]) -> dict:
    """The scores of every layer for one item, `[layers, Hq, n + 1]` each."""
    found: dict[int, dict[str, Tensor]] = {}
    sink = settings.sink // settings.block

    def visit(layer: int, q: Tensor, k: Tensor, v: Tensor, d_out: Tensor, scale: float) -> None:
        seen = influence(q, k, v, d_out, scale, settings.block, sink)
        found[layer] = {score: seen.windows(score) for score in SCORES}

    backward(model, item.tokens, item.answer, visit, tick)
    return {score: torch.stack([found[n][score] for n in sorted(found)]) for score in SCORES}


def _item(
    model: Any,
    tokenizer: Any,
    source: str | Sequence[Record],
    purpose: str,
    length: int,
    number: int,
    settings: Settings,
    store: Store,
) -> Item:
    """An item, answered now or before."""
    name = f"item/{_tag(settings)}/{purpose}/{length}/{number}"
    done = store.get(name)
    if done is None:
        if isinstance(source, str):
            prompt, kind = from_text(
                tokenizer,
                source,
                length,
                number,
                kinds=settings.kinds,
                part=PARTS[purpose],
                answer=settings.answer,
            )
        else:
            first, last = (int(x * len(source)) for x in PARTS[purpose])
            record = source[first + number % max(1, last - first)]
            prompt, kind = from_record(tokenizer, record, length, answer=settings.answer)
        item = answered(model, prompt, kind, length)
        done = {"tokens": item.tokens, "answer": item.answer}
        store.put(name, done)
    kind = settings.kinds[number % len(settings.kinds)] if isinstance(source, str) else "record"
    return Item(done["tokens"], done["answer"], kind)


def _tag(settings: Settings) -> str:
    """What items depend on beside length and number."""
    return f"{'+'.join(settings.kinds)}/{settings.answer}/{settings.sink}/{settings.block}"


def _rules(plan: MoAPlan | None) -> str:
    """A name for a plan's rules; equal rules share it."""
    import hashlib

    if plan is None:
        return "dense"
    text = repr((plan.alphas, plan.betas, plan.sink, plan.block))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _spread(found: list, most: int) -> list:
    """At most so many of a list, both ends included."""
    if len(found) <= most:
        return found
    if most == 1:
        return found[:1]
    return [found[round(i * (len(found) - 1) / (most - 1))] for i in range(most)]
