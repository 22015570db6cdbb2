"""The benchmark: every sentence through the system, judged by its rules and by physics.

The one thing to know: nothing is retried and nothing is left out. A sentence that is not understood
counts as failed in the summary of its category; `beyond` is a category of its own, so that its
failures neither hide nor spoil the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..check import measure
from ..clip import MotionClip
from ..plan import KeyframePlan, StyleSpec
from ..scene import Scene
from .prompts import Prompt

Designer = Callable[[Prompt, int], KeyframePlan]
SLIDE_CM, SINK_CM = 1.0, 1.0  # targets of a physically sound clip


@dataclass
class Outcome:
    """What became of one sentence.

    Attributes:
        name, category, text: Of the prompt.
        status: "done", "not understood" or "failed".
        note: Why, if not done.
        passed, asked: Rules fulfilled and rules in all.
        rules: (rule, whether it holds, what was measured).
        physical: Performed by the simulated body without a helper force; None if not simulated.
        fell: The simulated body fell.
        measures: Of `foveate.motion.check.measure`.
        unmatched: Words that were not understood.
        source: Who planned: "offline", or "mllm:" and the model as a plan names it.
        seconds: From the sentence to the clip.
        length_s: Of the clip.
    """

    name: str
    category: str
    text: str
    status: str = "done"
    note: str = ""
    passed: int = 0
    asked: int = 0
    rules: list[tuple[str, bool, str]] = field(default_factory=list)
    physical: bool | None = None
    fell: bool | None = None
    measures: dict[str, Any] = field(default_factory=dict)
    unmatched: list[str] = field(default_factory=list)
    source: str = ""
    seconds: float = 0.0
    length_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def shown(self) -> bool:
        """All rules hold."""
        return self.status == "done" and self.passed == self.asked


def offline(prompt: Prompt, seed: int) -> KeyframePlan:
    """The built-in designer."""
    from ..lang import design_offline

    style = StyleSpec(name=prompt.style) if prompt.style else None
    scene = Scene.named(prompt.scene) if prompt.scene else None
    return design_offline(prompt.text, scene, style=style, seed=seed)


def run(
    prompts: Iterable[Prompt],
    designer: Designer = offline,
    *,
    physics: str = "auto",
    seed: int = 0,
    fps: float = 30.0,
    keep: Callable[[Prompt, Outcome, MotionClip | None], None] | None = None,
) -> Iterator[Outcome]:
    """Run prompts one after the other.

    Args:
        prompts: What to run.
        designer: Prompt and seed → plan; `offline`, or one that asks or replays a model.
        physics: As `method` of `track`; "auto" slows a plan down before it helps.
        seed: Of everything random.
        fps: Frames per second.
        keep: Called with each prompt, its outcome, and its clip if there is one.

    Yields:
        Outcomes in the order of the prompts.
    """
    for prompt in prompts:
        outcome, clip = one(prompt, designer, physics=physics, seed=seed, fps=fps)
        if keep:
            keep(prompt, outcome, clip)
        yield outcome


def one(
    prompt: Prompt,
    designer: Designer = offline,
    *,
    physics: str = "auto",
    seed: int = 0,
    fps: float = 30.0,
) -> tuple[Outcome, MotionClip | None]:
    """One prompt: its outcome, and its clip if there is one."""
    from ..lang import NotUnderstood
    from ..synthesis import perform

    outcome = Outcome(prompt.name, prompt.category, prompt.text, asked=len(prompt.rules))
    begin = time.perf_counter()
    clip = None
    try:
        plan = designer(prompt, seed)
        outcome.source = plan.source
        outcome.unmatched = list(plan.coverage.unmatched) if plan.coverage else []
        clip = perform(plan, physics=physics, fps=fps)
    except NotUnderstood as error:
        outcome.status, outcome.note = "not understood", str(error)
    except (ValueError, RuntimeError, ArithmeticError, LookupError) as error:
        # a defect of one sentence must not end the run, but it must be seen
        outcome.status, outcome.note = "failed", f"{type(error).__name__}: {error}"
    outcome.seconds = round(time.perf_counter() - begin, 3)
    if clip is not None:
        _judge(outcome, prompt, clip)
    return outcome, clip


def _judge(outcome: Outcome, prompt: Prompt, clip: MotionClip) -> None:
    for rule in prompt.rules:
        try:
            ok, said = rule.check(clip)
        except (ValueError, LookupError) as error:  # an object that this scene does not have
            ok, said = False, str(error)
        outcome.rules.append((rule.text, bool(ok), said))
        outcome.passed += bool(ok)
    outcome.physical, outcome.fell = clip.report.physical, clip.report.fell
    outcome.measures = measure(clip).to_json()
    outcome.length_s = round(clip.duration, 3)


def summary(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """One row a category, one for all but `beyond`, and one for `beyond` last."""
    outcomes = list(outcomes)
    names = [c for c in dict.fromkeys(o.category for o in outcomes) if c != "beyond"]
    rows = [_row(c, [o for o in outcomes if o.category == c]) for c in names]
    usual = [o for o in outcomes if o.category != "beyond"]
    if len(names) > 1:
        rows.append(_row("all of these", usual))
    beyond = [o for o in outcomes if o.category == "beyond"]
    if beyond:
        rows.append(_row("beyond", beyond))
    return rows


def _row(name: str, outcomes: list[Outcome]) -> dict[str, Any]:
    made = [o for o in outcomes if o.status == "done"]
    asked = sum(o.asked for o in outcomes)
    slides = [o.measures["slide_cm"] for o in made]
    sinks = [o.measures["sink_cm"] for o in made]
    return {
        "category": name,
        "prompts": len(outcomes),
        "understood": sum(o.status != "not understood" for o in outcomes),
        "failed": sum(o.status == "failed" for o in outcomes),
        "shown": sum(o.shown for o in outcomes),
        "rules": sum(o.passed for o in outcomes) / asked if asked else None,
        "made": len(made),
        "unaided": sum(o.physical is True and not o.fell for o in made),
        "slide_cm": float(np.max(slides)) if slides else None,
        "slide_ok": sum(v < SLIDE_CM for v in slides),
        "sink_cm": float(np.max(sinks)) if sinks else None,
        "sink_ok": sum(v < SINK_CM for v in sinks),
        "seconds": float(np.median([o.seconds for o in made])) if made else None,
    }


HEADER = (
    "category", "prompts", "understood", "shown", "rules held", "tracked unaided",
    "slide < 1 cm", "sink < 1 cm", "median s",
)  # fmt: skip


def cells(row: dict[str, Any]) -> list[str]:
    """A row of the summary as text, under `HEADER`."""
    made = row["made"]

    def share(count: int) -> str:
        return f"{count}/{made}" if made else "–"

    return [
        row["category"],
        str(row["prompts"]),
        str(row["understood"]),
        str(row["shown"]),
        "–" if row["rules"] is None else f"{100 * row['rules']:.0f} %",
        share(row["unaided"]),
        share(row["slide_ok"]),
        share(row["sink_ok"]),
        "–" if row["seconds"] is None else f"{row['seconds']:.1f}",
    ]


def markdown(outcomes: Iterable[Outcome]) -> str:
    """The summary as a Markdown table."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---" * len(HEADER) + "|"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in summary(outcomes)]
    return "\n".join(lines) + "\n"
