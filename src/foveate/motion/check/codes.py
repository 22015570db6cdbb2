"""What each code means, in one line; `foveate move lint --codes` prints this table."""

from __future__ import annotations

CODES = {
    "J-RANGE": "a joint is bent further than it can",
    "J-COUPLED": "a joint moved without the one that must go with it",
    "J-SPEED": "a joint turns faster than a person can",
    "LR": "the text names one side and the other one moves",
    "SIGN": "the text names a direction and the hand goes the other way",
    "SELF": "body parts pass through each other",
    "GROUND": "the lowest point is below the floor, or nothing reaches it",
    "FOOT": "a standing sole is tilted",
    "BAL": "the centre of mass is beside the feet while the body is still",
    "T-DT": "two keys are too close in time",
    "T-SPEED": "a joint would have to turn too fast between two keys",
    "T-SLOW": "a long time with no key in it",
    "C-LIFT": "a foot leaves the floor while it carries the weight",
    "C-NONE": "nothing carries the body, and it does not fall freely",
    "P-LOOP": "a cycle does not end as it began",
    "S-COVER": "words of the text that no key reflects",
    "D-DUP": "two keys in a row show the same pose",
    "SLIDE": "a standing foot slides",
    "SINK": "the body sinks into the floor or an object",
    "FLOAT": "a part that should touch hovers",
    "JITTER": "the motion trembles",
    "JUMP": "the motion jumps from one frame to the next",
    "FALL": "the simulated body fell",
    "TRACK": "the simulated body strays from the motion it follows",
    "HELPER": "a helper force held the body",
}
