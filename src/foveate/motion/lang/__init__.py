"""The offline designer: free English text to a plan, without a model and without a network.

The one thing to know: text → tokens → clauses → frames → steps → plan, by a lexicon of actions, a
grammar of slots and a library of movements. It says what it did not understand (`plan.coverage`,
`plan.notes`), and raises `NotUnderstood` rather than inventing something. It knows no metaphor, no
story and no acrobatics; dances are groove templates; a style holds for the whole motion.

    from foveate.motion.lang import design_offline
    plan = design_offline("a person waves with the right hand, then sits down")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .understanding import NotUnderstood, Reading, understand

if TYPE_CHECKING:
    from ..plan import KeyframePlan, StyleSpec
    from ..scene import Scene

__all__ = ["NotUnderstood", "Reading", "design_offline", "style_named", "understand"]


def design_offline(
    text: str,
    scene: Scene | None = None,
    *,
    style: StyleSpec | None = None,
    seed: int = 0,
    best_effort: bool = False,
) -> KeyframePlan:
    """A plan for a sentence (or a few).

    Args:
        text: English; clauses may follow each other ("then") or go together ("while").
        scene: Where it happens; None puts up a chair, a bed or stairs where the text needs them.
        style: Wins over styles that the text names.
        seed: Recorded in the plan; nothing here is random.
        best_effort: Stand idle where no action was understood, instead of raising.

    Returns:
        A plan whose `coverage` and `notes` say what was understood and what was not.

    Raises:
        ValueError: The text is empty.
        NotUnderstood: No action was found in it.
    """
    from .compose import compose
    from .frames import Frame
    from .lexicon import senses

    try:
        reading = understand(text)
    except NotUnderstood as error:
        if not best_effort:
            raise
        idle = Frame(sense=senses()["stand"], verb="wait", text="stands", seconds=2.0)
        reading = Reading(
            frames=[idle], notes=[f"{error}; standing idle instead"], unmatched=error.tokens,
            confidence=0.0,
        )  # fmt: skip
    return compose(reading, text, scene=scene, style=style, seed=seed)


def style_named(word: str) -> StyleSpec:
    """The style that a word stands for: one of the eight, or a word for one ("sad", "tired").

    Raises:
        ValueError: The word stands for none.
    """
    from ..plan import StyleSpec
    from .words import STYLES

    plain = word.strip().lower()
    names = list(dict.fromkeys(name for name, _ in STYLES.values()))
    if plain not in names and plain not in STYLES:
        raise ValueError(
            f'unknown style "{word}"; styles are {", ".join(names)}, and words for them such as '
            "sad, tired, confident, furious"
        )
    name, amount = STYLES.get(plain, (plain, 1.0))
    return StyleSpec(name=plain if plain in names else name, amount=amount)
