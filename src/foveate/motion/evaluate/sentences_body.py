"""Sentences: postures and ways of going."""

from __future__ import annotations

from . import rules as r
from .events import (
    above,
    ahead,
    airborne,
    bent,
    facing_down,
    grounded,
    leaning,
    leaning_to,
    lifted,
    lower,
    lowered,
    raised,
)
from .prompts import Prompt, prompt

CROUCH = bent("B_knee.flex", 60)


def posture() -> list[Prompt]:
    c = "posture"
    return [
        prompt(
            c,
            "squat",
            "a person squats down and stands up again",
            r.happens(lowered(0.2), 0.3),
            r.happens(CROUCH, 0.3),
            r.upright_end(),
            r.stays(0.4),
        ),
        prompt(c, "squat-3", "do three squats", r.repeats(lowered(0.2), 3), r.upright_end()),
        prompt(c, "bow", "a person bows deeply", r.happens(leaning(40), 0.3), r.upright_end()),
        prompt(
            c,
            "kneel",
            "kneel down",
            r.happens(lower("R_kneecap", 0.15) | lower("L_kneecap", 0.15), 0.3),
            r.happens(lowered(0.25), 0.3),
        ),
        prompt(
            c,
            "lunge",
            "do a lunge with the left leg",
            r.happens(bent("L_knee.flex", 55), 0.2),
            r.happens(lowered(0.12), 0.2),
        ),
        prompt(
            c,
            "one-leg",
            "balance on the left leg",
            r.happens(lifted("R") & grounded("L"), 0.8),
            r.never(airborne()),
        ),
        prompt(
            c,
            "knee-up",
            "lift the right knee",
            r.happens(bent("R_hip.flex", 60), 0.2),
            r.happens(lifted("R") & grounded("L"), 0.3),
        ),
        prompt(
            c,
            "side-bend",
            "bend to the left side",
            r.happens(leaning_to("L", 15), 0.3),
            r.stays(0.4),
        ),
        prompt(
            c,
            "pick-up",
            "pick something up from the floor",
            r.happens(lower("R_hand", 0.3) | lower("L_hand", 0.3), 0.15),
            r.upright_end(),
        ),
        prompt(
            c, "lie", "lie down on the floor", r.happens(facing_down() & lower("head", 0.5), 0.5)
        ),
        prompt(c, "nod", "the person nods", r.swings("nose", 2, 0.01), r.stays(0.3)),
        prompt(c, "look-around", "look left and right", r.looks("B", 25), r.stays(0.3)),
        prompt(
            c,
            "kick",
            "kick with the right foot",
            r.happens(lifted("R", 0.15) & grounded("L"), 0.1),
            r.happens(ahead("R_ankle", 0.3), 0.1),
            r.upright_end(),
        ),
        prompt(c, "tiptoe", "stand on tiptoes", r.happens(raised(0.03), 0.3), r.stays(0.4)),
        prompt(
            c,
            "jacks",
            "do jumping jacks",
            r.repeats(above("R_wrist", "head") & above("L_wrist", "head"), 2),
            r.repeats(airborne(), 2),
        ),
    ]


def locomotion() -> list[Prompt]:
    c = "locomotion"
    return [
        prompt(c, "four-steps", "take four steps forward", r.steps(4), r.travels(forward=0.6)),
        prompt(c, "backwards", "walk backwards", r.travels(forward=-0.4), r.alternates(3)),
        prompt(c, "side-steps", "step to the left three times", r.travels(left=0.3), r.steps(3)),
        prompt(c, "turn-left", "turn left by 90 degrees", r.turns(90), r.stays(0.5)),
        prompt(c, "turn-round", "turn around", r.turns_either(180), r.stays(0.6)),
        prompt(c, "walk-slow", "walk slowly", r.travels(forward=0.5), r.speed(at_most=0.7)),
        prompt(
            c,
            "march",
            "march in place",
            r.alternates(4),
            r.happens(bent("L_hip.flex", 40), 0.1),
            r.happens(bent("R_hip.flex", 40), 0.1),
            r.stays(0.6),
        ),
        prompt(
            c, "hop", "hop on the right leg", r.happens(airborne(), 0.1), r.repeats(lifted("L"), 1)
        ),
        prompt(
            c, "jump-forward", "jump forward", r.happens(airborne(), 0.12), r.travels(forward=0.25)
        ),
        prompt(
            c,
            "sneak",
            "sneak forward",
            r.travels(forward=0.4),
            r.happens(lowered(0.03) | leaning(12), 0.5),
        ),
        prompt(c, "circle", "walk in a circle", r.steps(6), r.winds(180)),
    ]
