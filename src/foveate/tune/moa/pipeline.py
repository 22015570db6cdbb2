"""The whole way from a model and a text to a plan: answer, profile, optimise, validate.

The one thing to know: everything that takes time is kept in a `Store` as soon as it is there, under
names that do not contain the density, so another density needs only other plans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..capture import full_layers
from ..fingerprint import fingerprint
from ..store import Store
from .calibrate import Item, Record
from .gradients import backward
from .influence import SCORES, influence
from .items import item_of, name_of
from .optimise import Found, Problem, front, normalised, shared
from .plan import MoAPlan
from .rules import Rules, candidates, told_apart
from .settings import Settings
from .validate import Attending, validated

Tick = Callable[[str], None]


def find(
    model: Any,
    tokenizer: Any,
    source: str | Sequence[Record],
    settings: Settings,
    store: Store,
    tick: Tick,
    attending: Attending | None = None,
) -> MoAPlan:
    """Find a plan for a model.

    Args:
        model: A transformers model in eval mode.
        tokenizer: Its tokenizer.
        source: A long text, or the records of a data set.
        settings: How.
        store: Where results are kept on the way.
        tick: Called with a short text after each step; `steps` says how many there are.
        attending: How plans are tried out, see `validate.answer_loss`.

    Returns:
        The plan; its notes say what was measured.

    Raises:
        ValueError: The text is too short, or no plan keeps within the density.
    """
    _check_budget(settings)  # before the hours that a profile may take
    windows = profile(model, tokenizer, source, settings, store, tick)
    found = plans(model, windows, settings)
    tick(f"{len(found)} plans")
    return validated(model, tokenizer, source, found, settings, store, tick, attending)


def steps(model: Any, settings: Settings) -> int:
    """How often `find` calls its tick, at most."""
    layers = len(full_layers(model.config))
    read = sum(settings.read.values()) * (1 + layers)
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
        For each length and score, `[layers, Hq, n + 1]`, in memory of the CPU.
    """
    found: dict[int, dict[str, Tensor]] = {}
    for length, samples in settings.read.items():
        each = []
        for number in range(samples):
            name = f"windows/{name_of(source, 'calibration', length, number, settings)}"
            item = item_of(model, tokenizer, source, "calibration", length, number, settings, store)
            tick(f"{length} tokens, answer {number + 1}")
            windows = store.get(name)
            if windows is None:
                windows = _windows(model, item, settings, partial(tick, f"{length} tokens"))
                store.put(name, windows)
            else:
                for _ in full_layers(model.config):
                    tick(f"{length} tokens")
            each.append(windows)
        found[length] = {s: torch.stack([w[s].double() for w in each]).mean(0) for s in SCORES}
    return found


def plans(
    model: Any, windows: dict[int, dict[str, Tensor]], settings: Settings, **options: Any
) -> list[MoAPlan]:
    """The front of plans for profiles; their notes say what the optimiser knows of them.

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
    rules = _rules(settings)
    problem = Problem(
        rules, losses, settings.density, settings.budgeted, settings.distinct, settings.least
    )
    found = _front(problem, settings.intervals, **options)
    return [
        _plan(one, rules, known, full_layers(model.config), settings, len(found)) for one in found
    ]


def _rules(settings: Settings) -> Rules:
    """What every head may have."""
    rules = candidates(
        settings.lengths,
        settings.budgeted,
        sink=settings.sink,
        block=settings.block,
        meaning=settings.meaning,
    )
    return told_apart(rules, (*settings.lengths, *settings.budgeted))


def _check_budget(settings: Settings) -> None:
    """Refuse a density that even the narrowest rule exceeds."""
    rules = _rules(settings)
    for length in (*settings.lengths, *settings.budgeted):
        least = float(rules.density(length).min())
        if settings.density < least:
            raise ValueError(
                f"budget {settings.density:g} is below {least:.4g}, what the narrowest rule keeps "
                f"of {length} tokens; expected more, or longer texts"
            )


def _plan(
    one: Found, rules: Rules, known: dict, layers: Sequence[int], settings: Settings, count: int
) -> MoAPlan:
    """One of `count` plans of a front."""
    alphas: list[Any] = [None] * known["layers"]
    betas: list[Any] = [None] * known["layers"]
    for layer, row in zip(layers, one.choice.tolist(), strict=True):
        alphas[layer] = [rules.alphas[r] for r in row]
        betas[layer] = [rules.betas[r] for r in row]
    plan = MoAPlan(tuple(alphas), tuple(betas), settings.sink, settings.block, known)
    notes = {
        "lengths": list(settings.lengths),
        "density": settings.density,
        "least": settings.least,
        "kinds": list(settings.kinds),
        "score": settings.score,
        "losses": dict(zip(map(str, settings.lengths), one.losses.tolist(), strict=True)),
        "densities": {str(n): plan.density(n) for n in (*settings.lengths, *settings.budgeted)},
        "solver": {
            "method": one.solution.method,
            "gap": one.solution.gap,
            "seconds": one.solution.seconds,
            "plans_on_the_front": count,
        },
    }
    return replace(plan, notes=notes)


def _front(problem: Problem, intervals: int, **options: Any) -> list[Found]:
    """The front; where no plan is as dense as it should be, as few heads may have it, without."""
    try:
        return front(problem, intervals, **options)
    except ValueError:
        if not problem.least:
            raise
        return front(replace(problem, least=0.0), intervals, **options)


def _windows(model: Any, item: Item, settings: Settings, tick: Callable[[], None]) -> dict:
    """The scores of every layer for one item, `[layers, Hq, n + 1]` each."""
    found: dict[int, dict[str, Tensor]] = {}
    sink = settings.sink // settings.block

    def visit(layer: int, q: Tensor, k: Tensor, v: Tensor, d_out: Tensor, scale: float) -> None:
        seen = influence(q, k, v, d_out, scale, settings.block, sink)
        found[layer] = {score: seen.windows(score) for score in SCORES}

    backward(model, item.tokens, item.answer, visit, tick)
    return {score: torch.stack([found[n][score] for n in sorted(found)]).cpu() for score in SCORES}
