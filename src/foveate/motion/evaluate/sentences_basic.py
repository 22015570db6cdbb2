"""Sentences: the twelve generic actions of HumanAct12, and what arms do."""

from __future__ import annotations

from . import rules as r
from .events import above, ahead, airborne, at_object, bent, beside, grounded, lowered, near, raised
from .prompts import Prompt, prompt

R_HIGH = above("R_wrist", "R_shoulder")
L_HIGH = above("L_wrist", "L_shoulder")
SEATED = lowered(0.25) & grounded("L") & grounded("R")


def generic() -> list[Prompt]:
    """The twelve classes of HumanAct12."""
    c = "actions"
    return [
        prompt(
            c,
            "warm-up",
            "a person warms up by swinging both arms",
            r.swings("L_wrist", 2),
            r.swings("R_wrist", 2),
            r.moves("L_wrist", 0.3),
        ),
        prompt(
            c,
            "walk",
            "a person walks forward",
            r.travels(forward=0.8),
            r.alternates(3),
            r.never(airborne()),
            r.upright_end(),
        ),
        prompt(
            c,
            "run",
            "a person runs forward",
            r.travels(forward=1.0),
            r.steps(4),
            r.speed(at_least=1.0),
        ),
        prompt(
            c,
            "jump",
            "a person jumps up",
            r.happens(airborne(), 0.12),
            r.happens(raised(0.05), 0.06),
            r.first(lowered(0.05), raised(0.05)),
            r.upright_end(),
        ),
        prompt(
            c,
            "drink",
            "a person drinks from a cup with the right hand",
            r.happens(near("R_hand", "mouth", 0.25), 0.3),
            r.happens(bent("R_elbow.flex", 80), 0.3),
            r.keeps("L_wrist", 0.25),
        ),
        prompt(
            c,
            "dumbbell",
            "a person lifts dumbbells with both arms",
            r.repeats(bent("B_elbow.flex", 90), 2),
            r.stays(0.4),
        ),
        prompt(
            c,
            "sit",
            "a person sits down on a chair",
            r.happens(SEATED, 0.5),
            r.ends(lowered(0.25)),
            r.ends(bent("B_knee.flex", 55)),
            r.happens(at_object("pelvis", "chair", 0.2), 0.5),
            scene="chair",
        ),
        prompt(
            c,
            "eat",
            "a person eats with the right hand",
            r.repeats(near("R_hand", "mouth", 0.25), 1),
            r.swings("R_wrist", 1, 0.1),
        ),
        prompt(
            c,
            "steering",
            "a person turns a steering wheel",
            r.happens(ahead("L_wrist", 0.2) & ahead("R_wrist", 0.2), 0.6),
            r.swings("L_wrist", 2, 0.06),
            r.swings("R_wrist", 2, 0.06),
            r.stays(0.3),
        ),
        prompt(
            c,
            "phone",
            "a person makes a phone call with the right hand",
            r.happens(near("R_hand", "ear_right", 0.28), 0.6),
            r.happens(bent("R_elbow.flex", 90), 0.6),
        ),
        prompt(
            c,
            "boxing",
            "a person is boxing",
            r.fast("L_wrist", 1.2),
            r.fast("R_wrist", 1.2),
            r.happens(bent("B_elbow.flex", 60), 0.3),
        ),
        prompt(
            c,
            "throw",
            "a person throws a ball with the right hand",
            r.happens(R_HIGH, 0.1),
            r.fast("R_wrist", 2.0),
            r.moves("R_wrist", 0.5),
        ),
    ]


def arms() -> list[Prompt]:
    c = "arms"
    return [
        prompt(
            c,
            "wave-right",
            "a person waves with the right hand",
            r.happens(R_HIGH, 0.5),
            r.swings("R_wrist", 3, 0.06),
            r.keeps("L_wrist"),
            r.upright_end(),
        ),
        prompt(
            c,
            "wave-left-3",
            "wave the left hand three times",
            r.happens(L_HIGH, 0.5),
            r.swings("L_wrist", 4, 0.06),
            r.keeps("R_wrist"),
        ),
        prompt(
            c,
            "both-up",
            "raise both arms",
            r.happens(above("R_wrist", "head") & above("L_wrist", "head"), 0.3),
        ),
        prompt(
            c,
            "left-side",
            "extend the left arm to the side",
            r.happens(beside("L_wrist", 0.5), 0.3),
            r.keeps("R_wrist", 0.25),
        ),
        prompt(
            c,
            "point",
            "point forward with the right hand",
            r.happens(ahead("R_wrist", 0.4), 0.4),
            r.happens(above("R_wrist", "pelvis", 0.2), 0.4),
            r.keeps("L_wrist", 0.25),
        ),
        prompt(
            c,
            "clap",
            "the person claps their hands",
            r.repeats(near("L_hand", "R_hand", 0.16), 2),
            r.swings("L_wrist", 2, 0.04),
        ),
        prompt(
            c,
            "salute",
            "a soldier salutes",
            r.happens(near("R_hand", "forehead", 0.25), 0.4),
            r.keeps("L_wrist", 0.25),
        ),
        prompt(
            c,
            "crossed",
            "she crosses her arms",
            r.happens(near("R_wrist", "L_elbow", 0.28), 0.4),
            r.happens(near("L_wrist", "R_elbow", 0.28), 0.4),
        ),
        prompt(
            c,
            "hips",
            "put both hands on the hips",
            r.happens(near("R_hand", "hip_right", 0.25), 0.4),
            r.happens(near("L_hand", "hip_left", 0.25), 0.4),
            r.happens(bent("B_elbow.flex", 50), 0.4),
        ),
        prompt(
            c,
            "scratch",
            "he scratches his head with the left hand",
            r.happens(near("L_hand", "head_top", 0.3) | near("L_hand", "head_back", 0.3), 0.4),
            r.keeps("R_wrist", 0.25),
        ),
        prompt(
            c,
            "shrug",
            "shrug the shoulders",
            r.happens(bent("L_collar.elev", 8) & bent("R_collar.elev", 8), 0.15),
        ),
        prompt(
            c,
            "punch",
            "punch forward with the left fist",
            r.happens(ahead("L_wrist", 0.4), 0.05),
            r.fast("L_wrist", 1.5),
        ),
    ]
