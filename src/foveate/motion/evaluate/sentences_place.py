"""Sentences: scenes, stones, several clauses, and what is beyond an offline grammar."""

from __future__ import annotations

from . import rules as r
from .events import (
    above,
    ahead,
    airborne,
    at_object,
    facing_down,
    grounded,
    higher,
    leaning,
    lifted,
    lower,
    lowered,
    near,
    raised,
)
from .prompts import Prompt, prompt

R_HIGH = above("R_wrist", "R_shoulder")
L_HIGH = above("L_wrist", "L_shoulder")
SEATED = lowered(0.25) & grounded("L") & grounded("R")


def scenes() -> list[Prompt]:
    c = "scene"
    return [
        prompt(
            c,
            "sit-stand",
            "sit down on the chair, then stand up",
            r.happens(SEATED & at_object("pelvis", "chair", 0.2), 0.4),
            r.upright_end(),
            scene="chair",
        ),
        prompt(
            c,
            "sit-cross",
            "sit on the chair and raise the right hand",
            r.happens(SEATED, 0.5),
            r.happens(R_HIGH, 0.2),
            r.ends(lowered(0.25)),
            scene="chair",
        ),
        prompt(
            c,
            "sit-bed",
            "sit down on the bed",
            r.happens(at_object("pelvis", "bed", 0.2), 0.5),
            r.ends(lowered(0.25)),
            scene="bed",
        ),
        prompt(
            c,
            "lie-bed",
            "lie down on the bed",
            r.happens(at_object("pelvis", "bed", 0.25), 0.5),
            r.happens(facing_down() & higher("head", 0.3) & lower("head", 0.9), 0.4),
            scene="bed",
        ),
        prompt(
            c,
            "reach-cup",
            "reach for the cup with the right hand",
            r.happens(at_object("R_hand", "cup", 0.12), 0.2),
            r.keeps("L_wrist", 0.35),
            scene="table",
        ),
        prompt(
            c,
            "touch-table",
            "touch the table with the left hand",
            r.happens(at_object("L_hand", "table", 0.12), 0.2),
            scene="table",
        ),
        prompt(
            c,
            "stairs",
            "walk up the stairs",
            r.travels(forward=0.5),
            r.ends(raised(0.25)),
            scene="stairs",
        ),
        prompt(
            c,
            "slope",
            "walk up the slope",
            r.travels(forward=0.5),
            r.ends(raised(0.02)),
            scene="slope",
        ),
    ]


def stones() -> list[Prompt]:
    c = "stones"
    safe = r.never(lower("L_ankle", -0.25) | lower("R_ankle", -0.25))
    return [
        prompt(
            c,
            "stones-walk",
            "walk over the stepping stones",
            r.travels(forward=1.0),
            r.alternates(3),
            safe,
            scene="stones",
        ),
        prompt(
            c,
            "stones-slow",
            "walk slowly over the stepping stones",
            r.travels(forward=1.0),
            safe,
            scene="stones",
        ),
        prompt(
            c,
            "uneven",
            "walk over the uneven ground",
            r.travels(forward=0.8),
            r.alternates(3),
            scene="uneven",
        ),
    ]


def several() -> list[Prompt]:
    c = "several"
    return [
        prompt(
            c,
            "wave-sit",
            "a person waves with the right hand, then sits down",
            r.first(R_HIGH, lowered(0.25)),
            r.swings("R_wrist", 3),
            r.ends(lowered(0.25)),
        ),
        prompt(
            c,
            "walk-wave",
            "walk forward, stop, and wave with the left hand",
            r.travels(forward=0.5),
            r.happens(L_HIGH, 0.4),
            r.swings("L_wrist", 2),
        ),
        prompt(
            c,
            "squat-jump",
            "squat down and then jump as high as you can",
            r.first(lowered(0.2), raised(0.08)),
            r.happens(airborne(), 0.12),
        ),
        prompt(
            c, "turn-walk", "turn right, then walk forward", r.turns(-90, 45), r.travels(left=-0.4)
        ),
        prompt(
            c,
            "walk-while-waving",
            "walk forward while waving the right hand",
            r.travels(forward=0.5),
            r.happens(R_HIGH, 0.5),
            r.swings("R_wrist", 2),
        ),
        prompt(
            c,
            "kick-punch",
            "kick with the left leg, then punch with the right hand",
            r.happens(lifted("L", 0.12), 0.05),
            r.fast("R_wrist", 1.2),
            r.first(lifted("L", 0.12), ahead("R_wrist", 0.35)),
        ),
        prompt(
            c,
            "bow-clap",
            "bow and then clap twice",
            r.first(leaning(30), near("L_hand", "R_hand", 0.16)),
            r.repeats(near("L_hand", "R_hand", 0.16), 2),
        ),
        prompt(
            c,
            "raise-lower",
            "raise the right arm, hold it for two seconds, then lower it",
            r.happens(R_HIGH, 1.5),
            r.ends(lower("R_wrist", 1.2)),
            r.keeps("L_wrist", 0.25),
        ),
        prompt(
            c,
            "look-point",
            "look to the left and point to the left with the left hand",
            r.looks("L", 20),
            r.happens(above("L_wrist", "pelvis", 0.2), 0.3),
        ),
        prompt(
            c,
            "three",
            "step forward, pick up a box, and put it down again",
            r.travels(forward=0.15),
            r.happens(lower("R_hand", 0.35) | lower("L_hand", 0.35), 0.1),
        ),
    ]


def beyond() -> list[Prompt]:
    """What asks for knowledge, stories or fingers: counted apart."""
    c = "beyond"
    return [
        prompt(
            c,
            "juggle",
            "juggle three flaming torches while riding a unicycle",
            r.swings("L_wrist", 3),
            r.swings("R_wrist", 3),
        ),
        prompt(
            c,
            "thriller",
            "do the zombie dance from that famous music video",
            r.moves("R_wrist", 0.4),
            r.steps(2),
        ),
        prompt(c, "backflip", "do a backflip", r.happens(airborne(), 0.2)),
        prompt(
            c,
            "sign",
            "say thank you in sign language",
            r.happens(near("R_hand", "chin", 0.25), 0.2),
        ),
        prompt(c, "moonwalk", "moonwalk across the stage", r.travels(forward=-0.5)),
        prompt(
            c,
            "tie",
            "tie your shoelaces",
            r.happens(lower("R_hand", 0.25) & lower("L_hand", 0.25), 0.5),
        ),
        prompt(
            c, "mime", "pretend to be stuck in a glass box", r.happens(ahead("R_hand", 0.2), 0.4)
        ),
        prompt(c, "cartwheel", "turn a cartwheel", r.happens(lower("head", 0.8), 0.1)),
    ]
