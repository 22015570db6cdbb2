"""MoAPlan: the rule (α, β) of every layer and head of one model, as a readable JSON file.

    plan = MoAPlan.load("plan.json")            # ours, or the original's {"alphas", "betas"}
    plan.cache_sizes(7168)                      # keys that each head keeps
    foveate.accelerate(model, profile=plan)

The one thing to know: a plan without a fingerprint (the original's have none) fits every model with
as many layers and heads; with one it fits the model it was made for.
Source: MoA (arXiv 2406.14909v3), §4.4; cache sizes as in its published code.
"""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foveate.attn.select.moa import MoA, cache_size

from ..files import write_text
from ..fingerprint import differences, fingerprint
from .rows import PlanError, Rows, check_length, rows_of, shape_of

FORMAT, VERSION = "foveate moa plan", 1
RULES_PER_LAYER = 2  # of published plans; kernels group heads with equal caches
RESERVE = 1024  # tokens still to be written, as the published code counts them


@dataclass(frozen=True)
class MoAPlan:
    """Rules of all heads.

    Args:
        alphas: α for each layer and head, `[layers][heads]`; None for a layer that stays as it is.
            heads are a model's query heads, or its key heads.
        betas: β, the same.
        sink: First keys that every head keeps.
        block: Tokens of a block; caches have whole blocks.
        model: What `fingerprint` says of the model; None if it is not known.
        notes: How it was made and what it reached. Not needed to use it.

    Raises:
        PlanError: alphas and betas do not belong together, or a number is none.
    """

    alphas: Rows
    betas: Rows
    sink: int = 64
    block: int = 64
    model: dict[str, Any] | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("alphas", "betas"):
            object.__setattr__(self, name, rows_of(name, getattr(self, name)))
        shapes = [
            [None if row is None else len(row) for row in x] for x in (self.alphas, self.betas)
        ]
        if shapes[0] != shapes[1]:
            raise PlanError(
                f"alphas have {shape_of(shapes[0])}, betas {shape_of(shapes[1])}; expected the same"
            )
        sizes = {size for size in shapes[0] if size is not None}
        if len(sizes) != 1:
            raise PlanError(
                f"layers have {' and '.join(map(str, sorted(sizes))) or 'no'} heads; expected one "
                "number for all layers"
            )
        if not isinstance(self.model, dict | None):
            raise PlanError(
                f"model is {type(self.model).__name__}; expected what a model looks like, or null"
            )
        if min(b for row in self.betas if row for b in row) < 0:
            raise PlanError("betas has a number below 0; expected spans that grow with the length")
        try:
            object.__setattr__(self, "_selections", self.at())
        except ValueError as error:
            raise PlanError(str(error)) from None
        most = max(self.rules_per_layer())
        if most > RULES_PER_LAYER:
            warnings.warn(
                f"a layer of this plan has {most} different rules; kernels that group heads by "
                f"rule expect at most {RULES_PER_LAYER}",
                stacklevel=3,
            )

    @property
    def select(self) -> str:
        """Name of the selection."""
        return MoA.name

    @property
    def heads(self) -> int:
        """Heads of a layer that have a rule."""
        return next(len(row) for row in self.alphas if row is not None)

    @property
    def planned(self) -> tuple[int, ...]:
        """Numbers of the layers that have rules."""
        return tuple(number for number, row in enumerate(self.alphas) if row is not None)

    @property
    def selections(self) -> tuple[MoA | None, ...]:
        """The selection of each layer; None for layers that stay as they are."""
        return self._selections  # type: ignore[attr-defined]

    def at(self, length: int | None = None, rule: str = "blocks") -> tuple[MoA | None, ...]:
        """The selection of each layer for a text of a known length.

        Args:
            length: N, tokens that will have been read and written; None takes those of each call.
            rule: Which pairs exactly, see `foveate.MoA`.
        """
        return tuple(
            None if a is None else MoA(a, b, self.sink, length, rule, self.block)
            for a, b in zip(self.alphas, self.betas, strict=True)
        )

    def rules_per_layer(self) -> tuple[int, ...]:
        """Different rules of each layer that has some."""
        return tuple(
            len(set(zip(a, b, strict=True)))
            for a, b in zip(self.alphas, self.betas, strict=True)
            if a is not None
        )

    def spans(self, length: int) -> list[list[int] | None]:
        """S(N) = α + β·N of each head in tokens, clipped to 0 … N; None for layers without.

        Args:
            length: N.
        """
        return [
            None
            if a is None
            else [min(max(int(x + y * length), 0), length) for x, y in zip(a, b, strict=True)]
            for a, b in zip(self.alphas, self.betas, strict=True)
        ]

    def density(self, length: int) -> float:
        """Mean of S(N) / N over all heads that have a rule."""
        check_length(length)
        found = [span for row in self.spans(length) if row is not None for span in row]
        return sum(found) / len(found) / length

    def cache_sizes(
        self, length: int, reserve: int = RESERVE, kv_heads: int | None = None
    ) -> list[list[int] | None]:
        """C of each head: keys that its cache keeps, sink included, whole blocks.

        Args:
            length: Tokens of the prompt.
            reserve: Tokens to be written after it.
            kv_heads: Key heads of the model, if the plan names query heads: the largest of each
                group is what must be kept.

        Returns:
            `[layers][heads or kv_heads]`; None for layers that stay as they are.
        """
        check_length(length)
        group = 1 if kv_heads is None else self.heads // max(kv_heads, 1)
        if kv_heads is not None and group * kv_heads != self.heads:
            raise ValueError(
                f"kv_heads is {kv_heads}, which does not divide the plan's {self.heads} heads"
            )
        total = length + reserve
        found: list[list[int] | None] = []
        for a, b in zip(self.alphas, self.betas, strict=True):
            if a is None:
                found.append(None)
                continue
            sizes = [
                cache_size(x, y, total, self.sink, self.block) for x, y in zip(a, b, strict=True)
            ]
            found.append([max(sizes[i : i + group]) for i in range(0, len(sizes), group)])
        return found

    def cache_totals(
        self, length: int, reserve: int = RESERVE, kv_heads: int | None = None
    ) -> dict[str, float]:
        """Sum, mean share of length + reserve, least and largest of `cache_sizes`."""
        sizes = [
            size
            for row in self.cache_sizes(length, reserve, kv_heads)
            if row is not None
            for size in row
        ]
        return {
            "sum": sum(sizes),
            "ratio": sum(sizes) / len(sizes) / (length + reserve),
            "min": min(sizes),
            "max": max(sizes),
        }

    def check(self, model: Any) -> None:
        """Make sure that this plan fits a model.

        Raises:
            PlanError: It was made for another one.
        """
        if self.model is not None:
            wrong = differences(self.model, model)
        else:
            here = fingerprint(model)
            wrong = []
            if len(self.alphas) != here["layers"]:
                wrong.append(f"layers {len(self.alphas)}, here {here['layers']}")
            if self.heads not in (here["heads"], here["kv_heads"]):
                wrong.append(
                    f"heads {self.heads}, here {here['heads']} (or {here['kv_heads']} of keys)"
                )
        if wrong:
            raise PlanError(
                f"this plan was made for another model: {'; '.join(wrong)}. Make one with "
                "`foveate tune --select moa`"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, all or nothing."""
        write_text(path, self.text())

    def save_original(self, path: str | os.PathLike[str]) -> None:
        """Write the two lists alone, as the original reads them, all or nothing.

        Raises:
            PlanError: A layer has no rules, which that format cannot say.
        """
        if len(self.planned) < len(self.alphas):
            raise PlanError("a layer has no rules, which the original's format cannot say")
        write_text(path, json.dumps({"alphas": self.alphas, "betas": self.betas}) + "\n")

    def text(self) -> str:
        """The file's content: JSON, one line for each layer."""
        head = {
            "format": FORMAT,
            "version": VERSION,
            "sink": self.sink,
            "block": self.block,
            "model": self.model,
            **self.notes,
        }
        lines = json.dumps(head, indent=2, ensure_ascii=False)[:-2]
        for name in ("alphas", "betas"):
            rows = ",\n".join(f"    {json.dumps(row)}" for row in getattr(self, name))
            lines += f',\n  "{name}": [\n{rows}\n  ]'
        return lines + "\n}\n"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MoAPlan:
        """Read a plan, ours or the original's.

        Raises:
            PlanError: There is none, or it is not complete; the message says what is wrong.
        """
        try:
            return cls.read(Path(path).expanduser().read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            raise PlanError(f'plan "{os.fspath(path)}": no such file') from None
        except (OSError, UnicodeDecodeError, PlanError) as error:
            raise PlanError(f'plan "{os.fspath(path)}": {error}') from None

    @classmethod
    def read(cls, text: str) -> MoAPlan:
        """Make a plan of the content of a file."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise PlanError(f"this is not JSON ({error})") from None
        if not isinstance(data, dict) or not {"alphas", "betas"} <= set(data):
            raise PlanError('this is no plan; expected an object with "alphas" and "betas"')
        rows = [data.pop(name) for name in ("alphas", "betas")]
        if not data:
            return cls(*rows)
        if data.pop("format", None) != FORMAT:
            raise PlanError(
                f'beside alphas and betas it has {", ".join(data)}, but not "format": "{FORMAT}"; '
                "expected a plan of foveate, or the two lists alone"
            )
        if (version := data.pop("version", None)) != VERSION:
            raise PlanError(f"its version is {version}; this foveate reads version {VERSION}")
        sizes = [data.pop(name, 64) for name in ("sink", "block")]
        return cls(*rows, *sizes, data.pop("model", None), data)

    @classmethod
    def uniform(cls, layers: int, heads: int, beta: float, alpha: float = 0.0) -> MoAPlan:
        """One rule for all heads: a sliding window with a sink, as StreamingLLM has.

        Args:
            layers: Layers of the model.
            heads: Heads of a layer.
            beta: Share of a text that every head keeps.
            alpha: Keys beside it.
        """
        return cls(((alpha,) * heads,) * layers, ((beta,) * heads,) * layers)
