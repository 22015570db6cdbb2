"""Sentences: sports, and the paper's eight styles."""

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
    lifted,
    lower,
    lowered,
    near,
)
from .prompts import Prompt, prompt

R_HIGH = above("R_wrist", "R_shoulder")
L_HIGH = above("L_wrist", "L_shoulder")
SEATED = lowered(0.25) & grounded("L") & grounded("R")


def sports() -> list[Prompt]:
    c = "sports"
    overhead = above("R_wrist", "head") | above("L_wrist", "head")
    both_up = above("R_wrist", "head") & above("L_wrist", "head")
    return [
        prompt(
            c,
            "shot-put",
            "a shot putter puts the shot",
            r.happens(R_HIGH, 0.1),
            r.fast("R_wrist", 1.5),
        ),
        prompt(
            c,
            "javelin",
            "an athlete throws the javelin",
            r.happens(R_HIGH, 0.1),
            r.fast("R_wrist", 2.0),
        ),
        prompt(
            c,
            "weightlifting",
            "a weightlifter cleans and jerks a barbell",
            r.happens(both_up, 0.2),
            r.first(lowered(0.1), both_up),
        ),
        prompt(
            c, "basketball", "shoot a basketball", r.happens(overhead, 0.1), r.fast("R_wrist", 1.0)
        ),
        prompt(
            c, "tennis-serve", "serve in tennis", r.happens(overhead, 0.1), r.fast("R_wrist", 2.0)
        ),
        prompt(
            c,
            "golf",
            "swing a golf club",
            r.moves("R_wrist", 0.5),
            r.happens(near("L_hand", "R_hand", 0.25), 0.3),
            r.fast("R_wrist", 2.0),
        ),
        prompt(
            c,
            "archery",
            "an archer draws the bow and releases the arrow",
            r.happens(ahead("L_wrist", 0.3) | above("L_wrist", "spine3"), 0.5),
            r.happens(bent("R_elbow.flex", 80), 0.3),
        ),
        prompt(
            c,
            "fencing",
            "a fencer lunges",
            r.happens(lowered(0.1), 0.15),
            r.moves("R_wrist", 0.25),
            r.happens(bent("R_knee.flex", 40) | bent("L_knee.flex", 40), 0.15),
        ),
        prompt(
            c,
            "football",
            "kick a football with the left foot",
            r.happens(lifted("L", 0.12), 0.05),
            r.fast("L_ankle", 1.5),
            r.happens(grounded("R"), 0.5),
        ),
        prompt(
            c,
            "baseball",
            "swing a baseball bat",
            r.moves("R_wrist", 0.4),
            r.fast("R_wrist", 2.0),
            r.happens(near("L_hand", "R_hand", 0.25), 0.3),
        ),
        prompt(
            c,
            "hurdle",
            "a hurdler jumps over a hurdle",
            r.happens(airborne(), 0.1),
            r.travels(forward=0.3),
        ),
        prompt(
            c,
            "swim",
            "swim the front crawl strokes standing",
            r.repeats(R_HIGH, 1),
            r.repeats(L_HIGH, 1),
            r.moves("R_wrist", 0.6),
            r.moves("L_wrist", 0.6),
        ),
        prompt(
            c,
            "push-up",
            "do push-ups",
            r.happens(facing_down(), 0.5),
            r.happens(lower("L_hand", 0.12) & lower("R_hand", 0.12), 0.5),
        ),
    ]


def styles() -> list[Prompt]:
    """The paper's eight styles on walking, and some on other actions."""
    c = "styles"
    walks = r.travels(forward=0.4)
    return [
        prompt(c, "walk-happy", "walk happily", walks, r.alternates(3), r.speed(at_least=0.5)),
        prompt(c, "walk-proud", "walk proudly", walks, r.never(leaning(12), 0.5)),
        prompt(c, "walk-angry", "walk angrily", walks, r.speed(at_least=0.55)),
        prompt(c, "walk-childlike", "walk like a child", walks, r.alternates(3)),
        prompt(
            c,
            "walk-depressed",
            "walk in a depressed way",
            walks,
            r.happens(leaning(8), 1.0),
            r.speed(at_most=0.8),
        ),
        prompt(c, "walk-drunk", "walk like a drunk person", walks, r.steps(3)),
        prompt(
            c,
            "walk-old",
            "an old person walks",
            walks,
            r.happens(leaning(10), 1.0),
            r.speed(at_most=0.7),
        ),
        prompt(c, "walk-heavy", "walk heavily", walks, r.alternates(3), r.speed(at_most=1.0)),
        prompt(
            c,
            "wave-happy",
            "wave happily with the right hand",
            r.happens(R_HIGH, 0.4),
            r.swings("R_wrist", 3),
        ),
        prompt(
            c,
            "sit-tired",
            "sit down slowly like an old man",
            r.happens(SEATED, 0.4),
            r.lasts(2.0),
            scene="chair",
        ),
        prompt(c, "bow-proud", "bow quickly", r.happens(leaning(25), 0.1), r.lasts(0, 4.5)),
    ]
