"""Bits: the precision of every layer (and step of a sampler), as cheap as its scores allow.

    scores = similarity(model, pieces, ("sage2(qk_bits=4)", "sage2"), tick)   # [inputs, layers, 2]
    policy = choose(scores, ("sage2(qk_bits=4)", "sage2"), cost=(4, 8), budget=6)
    foveate.accelerate(model, precision=policy.precisions())

The similarity of a layer in a precision is cosine · (1 − relative L1) of its output against exact
attention; its score is mean − spread · standard deviation over inputs. Either every layer takes the
cheapest precision that reaches a floor, or one budget of mean cost is spent so that Σ (1 − score)
is least.

The one thing to know: layers are judged one by one with exact inputs, as everywhere in this room;
how errors add up along the layers is for an evaluation to say.
Source: SageAttention (arXiv 2410.02367), §4.5, and SageAttention2 (arXiv 2411.10958v1), whose
threshold is not published; the rule here is ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from foveate import attention

from .allocate import allocate
from .capture import Captured, capture
from .files import write_text
from .profile import ProfileError

FORMAT = "foveate precisions"


@dataclass(frozen=True)
class Policy:
    """The precision of each layer, for each range of steps.

    Args:
        modes: Names of precisions, as in attention names: "sage2(qk_bits=4)".
        layers: For each layer the number of its mode at each step, `[layers][steps]`; models
            without steps have one.
        notes: Scores and costs; not needed to use it.

    Raises:
        ProfileError: A mode does not exist, or layers differ in steps.
    """

    modes: tuple[str, ...]
    layers: tuple[tuple[int, ...], ...]
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.layers or len({len(row) for row in self.layers}) != 1 or not self.layers[0]:
            raise ProfileError("layers differ in their number of steps, or there are none")
        for layer, row in enumerate(self.layers):
            if not all(isinstance(x, int) and 0 <= x < len(self.modes) for x in row):
                raise ProfileError(
                    f"layer {layer} has {list(row)}; expected numbers below {len(self.modes)}"
                )

    def precisions(self, step: int = 0) -> tuple[Any, ...]:
        """The precision of every layer at a step, for `foveate.accelerate`."""
        from foveate.models.spec import parse

        if not 0 <= step < len(self.layers[0]):
            raise ValueError(f"step is {step}; expected 0 to {len(self.layers[0]) - 1}")
        made = [parse(f"foveate:{mode}").precision for mode in self.modes]
        return tuple(made[row[step]] for row in self.layers)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, all or nothing: for each layer, ranges of steps and their modes."""
        rows = [
            [
                {"steps": [first, last], "precision": self.modes[mode]}
                for first, last, mode in _ranges(row)
            ]
            for row in self.layers
        ]
        data = {"format": FORMAT, "version": 1, "modes": self.modes, **self.notes, "layers": rows}
        write_text(path, json.dumps(data, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Policy:
        """Read a policy.

        Raises:
            ProfileError: There is none, or it is not complete.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            if data.pop("format") != FORMAT or data.pop("version") != 1:
                raise ProfileError(f'expected "format": "{FORMAT}" and "version": 1')
            modes = tuple(data.pop("modes"))
            layers = []
            for row in data.pop("layers"):
                steps: list[int] = []
                for part in row:
                    first, last = part["steps"]
                    if first != len(steps) or last < first:
                        raise ProfileError(f"steps {first} to {last} do not follow each other")
                    steps += [modes.index(part["precision"])] * (last - first + 1)
                layers.append(tuple(steps))
            return cls(modes, tuple(layers), data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProfileError(f'precisions "{os.fspath(path)}" cannot be read: {error}') from None


def similarity(
    model: Any,
    pieces: Sequence[tuple[int, Tensor]],
    modes: Sequence[str],
    tick: Callable[[str], None] = lambda label: None,
    backend: str = "auto",
) -> Tensor:
    """cosine · (1 − relative L1) of every layer in every precision.

    Args:
        model: A transformers model.
        pieces: Texts, as `samples` makes them.
        modes: Names of precisions.
        tick: Called after each layer.
        backend: Who computes.

    Returns:
        float64 `[pieces, layers, modes]`.
    """
    from foveate.models.spec import parse

    precisions = [parse(f"foveate:{mode}").precision for mode in modes]
    found: list[Tensor] = []
    for _, tokens in pieces:
        rows: list[Tensor] = []

        def visit(seen: Captured, rows: list[Tensor] = rows) -> None:
            rows.append(torch.stack([_similarity(seen, p, backend) for p in precisions]))
            tick(f"layer {seen.layer}")

        capture(model, tokens, visit)
        found.append(torch.stack(rows))
    return torch.stack(found)


def choose(
    similarities: Tensor,
    modes: Sequence[str],
    cost: Sequence[float],
    *,
    budget: float | None = None,
    floor: float | None = None,
    spread: float = 1.0,
) -> Policy:
    """A precision for every layer and step.

    Args:
        similarities: `[inputs, layers, modes]` or `[inputs, layers, steps, modes]`.
        modes: Names of precisions.
        cost: What each of them costs: bits, or seconds.
        budget: Mean cost over layers and steps, at most; Σ (1 − score) is minimised.
        floor: The cheapest precision with at least this score instead; where none reaches it, the
            one with the best score.
        spread: Standard deviations over inputs that a score is below the mean.

    Raises:
        ValueError: Not exactly one of budget and floor is given, sizes do not fit, or the budget is
            below the cheapest precision.
    """
    if (budget is None) == (floor is None):
        raise ValueError("expected exactly one of budget and floor")
    x = similarities.double()
    x = x[:, :, None] if x.dim() == 3 else x
    if x.dim() != 4 or not x.shape[-1] == len(modes) == len(cost):
        raise ValueError(
            f"similarities has shape {list(similarities.shape)}; expected [inputs, layers, modes] "
            f"or [inputs, layers, steps, modes] with {len(modes)} modes and as many costs"
        )
    score = x.mean(0) - spread * (x.std(0) if len(x) > 1 else 0.0)  # [layers, steps, modes]
    layers, steps, count = score.shape
    prices = torch.tensor(list(cost), dtype=torch.float64)
    if floor is not None:
        priced = prices.expand(score.shape).masked_fill(score < floor, float("inf"))
        best = torch.where((score >= floor).any(-1), priced.argmin(-1), score.argmax(-1))
    else:
        loss = (1 - score).reshape(layers * steps, count)
        found = allocate(prices.expand(loss.shape), loss, budget * len(loss))
        best = torch.tensor(found.choice).view(layers, steps)
    picked = score.gather(2, best[..., None])
    notes = {
        "cost": float(prices[best].mean()),
        "score": {"mean": float(picked.mean()), "least": float(picked.min())},
        "spread": spread,
    }
    return Policy(tuple(modes), tuple(map(tuple, best.tolist())), notes)


def _similarity(seen: Captured, precision: Any, backend: str) -> Tensor:
    options = {"causal": seen.causal, "scale": seen.scale}
    out = attention(seen.q, seen.k, seen.v, precision=precision, backend=backend, **options)
    exact = F.scaled_dot_product_attention(
        seen.q, seen.k, seen.v, is_causal=seen.causal, scale=seen.scale, enable_gqa=True
    )
    out, exact = out.double().flatten(), exact.double().flatten()
    error = (out - exact).abs().sum() / exact.abs().sum()
    return torch.cosine_similarity(out, exact, dim=0) * (1 - error)


def _ranges(row: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """(first, last, mode) of equal neighbours."""
    found: list[tuple[int, int, int]] = []
    for step, mode in enumerate(row):
        if found and found[-1][2] == mode:
            found[-1] = (found[-1][0], step, mode)
        else:
            found.append((step, step, mode))
    return found
