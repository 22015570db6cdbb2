"""The benchmark's sentences, with the rules that a motion must fulfil to show them.

The one thing to know: the categories are those of the paper (generic actions as in HumanAct12,
Olympic sports, styles, human–scene interaction, stepping stones), and what people type on their
own: arms, postures, several clauses. `beyond` holds sentences that an offline grammar is not
expected to understand; they are counted apart, as an honest limit. The sentences stand in
`sentences_*.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import rules as r


@dataclass(frozen=True)
class Prompt:
    """One sentence of the benchmark.

    Args:
        name: Short and unique.
        category: Of the paper or our own.
        text: What is asked for.
        rules: What must be true.
        scene: Name of a ready-made scene.
        style: Style word given apart from the text.
    """

    name: str
    category: str
    text: str
    rules: tuple[r.Rule, ...]
    scene: str = ""
    style: str = ""


def prompt(
    category: str, name: str, text: str, *rules: r.Rule, scene: str = "", style: str = ""
) -> Prompt:
    """A prompt with its rules written one after the other."""
    return Prompt(name, category, text, rules, scene, style)


def prompts(category: str | None = None) -> tuple[Prompt, ...]:
    """All prompts, or those of one category.

    Raises:
        ValueError: No such category.
    """
    from . import sentences_basic, sentences_body, sentences_place, sentences_sport

    found = (
        *sentences_basic.generic(),
        *sentences_basic.arms(),
        *sentences_body.posture(),
        *sentences_body.locomotion(),
        *sentences_sport.sports(),
        *sentences_sport.styles(),
        *sentences_place.scenes(),
        *sentences_place.stones(),
        *sentences_place.several(),
        *sentences_place.beyond(),
    )
    if category is None:
        return found
    chosen = tuple(p for p in found if p.category == category)
    if not chosen:
        known = ", ".join(dict.fromkeys(p.category for p in found))
        raise ValueError(f'no category "{category}"; the benchmark has {known}')
    return chosen
