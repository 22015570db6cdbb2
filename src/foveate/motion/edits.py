"""The rules of editing without a model: tempo, size, side, count, pauses, style, leaving out.

The one thing to know: a rule gets the plan and the words and returns a changed plan, or None when
the words are not for it. Rules are tried in the order of `RULES`.
"""

from __future__ import annotations

import re

from .edits_common import CLAUSE, done
from .edits_side import other_side
from .plan import Gait, KeyframePlan, StyleSpec


def _tempo(plan: KeyframePlan, words: str) -> KeyframePlan | None:
    factor = None
    match = re.search(r" (\d+(?:\.\d+)?) ?(%|percent|times|x) (faster|slower|quicker)", words)
    slower = re.search(
        r" (slower|longer|slow it down|slow down|more slowly|slowly|calmer|less hast\w*) ", words
    )
    faster = re.search(
        r" (faster|quicker|shorter|speed it up|speed up|more quickly|quickly|hurry) ", words
    )
    double = re.search(
        r" (twice|double|half) as (fast|quick|slow)| (double|half) (the )?speed ", words
    )
    if double:
        factor = 0.5 if "half" in double[0] or double[2] == "slow" else 2.0
    elif match:
        number = float(match[1])
        share = 1 + number / 100 if match[2] in ("%", "percent") else number
        factor = share if match[3] != "slower" else 1 / share
    elif slower and _only_manner(words):
        factor = 0.72
    elif faster and _only_manner(words):
        factor = 1.35
    if factor is None:
        return None
    if re.search(r" (much|a lot|far|way) ", words):
        factor = factor**1.6
    if re.search(r" (slightly|a bit|a little|little) ", words):
        factor = factor**0.5
    factor = min(max(factor, 0.25), 3.0)
    _stretch(plan, 1 / factor)
    return done(plan, f"{factor:.2g} times as fast")


def _stretch(plan: KeyframePlan, by: float) -> None:
    """All times multiplied, gaits included."""
    from .lang.compose import SWING

    for key in plan.keys:
        key.t, key.hold = round(key.t * by, 4), round(key.hold * by, 4)
        if key.gait is not None:
            swing, double = SWING.get(key.gait.kind, (0.45, 0.2))
            data = key.gait.model_dump()
            data["swing_s"] = min(max((key.gait.swing_s or swing) * by, 0.15), 2.0)
            if (key.gait.double_s or double) > 0:
                data["double_s"] = min((key.gait.double_s or double) * by, 2.0)
            key.gait = Gait.model_validate(data)


def _only_manner(words: str) -> bool:
    """Whether a sentence speaks of manner only, so that it changes what is there already."""
    from .lang import NotUnderstood, understand

    try:
        reading = understand(words.strip())
    except (NotUnderstood, ValueError):
        return True
    return not reading.frames or any("names no action" in note for note in reading.notes)


def _amplitude(plan: KeyframePlan, words: str) -> KeyframePlan | None:
    more = re.search(
        r" (higher|bigger|larger|deeper|wider|further|farther|more|lower down|stronger) ", words
    )
    less = re.search(
        r" (lower|smaller|less|shallower|narrower|weaker|not so (high|deep|wide|far|much)) ", words
    )
    if not (more or less):
        return None
    factor = 1.25 if more else 0.75
    if re.search(r" (much|a lot|far|way) ", words):
        factor = 1.5 if more else 0.5
    if re.search(r" (slightly|a bit|a little|little) ", words):
        factor = 1.12 if more else 0.88
    joints, what = _joints(words)
    changed = _scale(plan, joints, factor)
    if not changed:
        raise ValueError(f"nothing in the plan moves the {what}; there is nothing to scale")
    return done(plan, f"{what} {'more' if more else 'less'} ({factor:.2g} times)")


_PART_JOINTS = {
    "arm": ("shoulder", "elbow", "collar"),
    "hand": ("shoulder", "elbow", "wrist"),
    "elbow": ("elbow",),
    "leg": ("hip", "knee", "ankle"),
    "knee": ("hip", "knee", "ankle"),
    "foot": ("hip", "knee", "ankle"),
    "feet": ("hip", "knee", "ankle"),
    "head": ("head_look",),
    "torso": ("torso",),
    "body": ("torso", "hip", "knee", "ankle"),
    "back": ("torso",),
    "upper-body": ("torso",),
    "jump": (),
    "squat": ("hip", "knee", "ankle"),
    "bow": ("hip", "torso"),
    "kick": ("hip",),
    "step": (),
    "steps": (),
}


def _joints(words: str) -> tuple[tuple[str, ...], str]:
    """Which joints a sentence speaks of, with a side if it names one; empty for all."""
    side = "L_" if " left " in words else "R_" if " right " in words else ""
    for word, joints in _PART_JOINTS.items():
        if re.search(rf" {word}s? ", words):
            if not joints:
                return (word.rstrip("s"),), word
            named = tuple(f"{side}{j}" if j not in ("torso", "head_look") else j for j in joints)
            return named, f"{'left ' * (side == 'L_')}{'right ' * (side == 'R_')}{word}"
    return (), "movement"


def _scale(plan: KeyframePlan, joints: tuple[str, ...], factor: float) -> bool:
    from .lang.acts.locomotion import STRIDE
    from .lang.compose import RANGES
    from .lang.score import STANCE

    changed = False
    for key in plan.keys:
        for name, value in list(key.dofs.items()):
            joint = name.partition(".")[0]
            plain = joint[2:] if joint[:2] in ("L_", "R_", "B_") else joint
            if joints and joint not in joints and plain not in joints:
                continue
            if name.endswith((".plane", ".axial", ".pron")):
                continue
            rest = STANCE.get(name.replace("B_", "L_"), 0.0)
            low, high = RANGES.get(name.replace("B_", "L_"), (-180.0, 180.0))
            if name.endswith(".elevation"):
                low, high = 0.0, 178.0
            scaled = min(max(rest + (value - rest) * factor, low), high)
            if abs(scaled - value) > 0.5:
                key.dofs[name], changed = round(scaled, 1), True
        if key.root.height_mode == "ballistic" and (not joints or "jump" in joints):
            key.root.height, changed = round((key.root.height or 0.15) * factor, 3), True
        if key.gait is not None and (not joints or "step" in joints):
            stride = key.gait.length or STRIDE.get(key.gait.kind, 0.4)
            key.gait.length, changed = round(min(stride * factor, 1.6), 3), True
    return changed


def _count(plan: KeyframePlan, words: str) -> KeyframePlan | None:
    match = re.search(r" (once more|one more time|again|twice|thrice|repeat\w*|\w+ times) ", words)
    if not match or not _only_manner(words.replace(match[1], "")):
        return None
    from .lang.words import NUMBERS, TIMES

    word = match[1].split()[0]
    word = "2" if word in ("once", "one", "again") or word.startswith("repeat") else word
    count = NUMBERS.get(word, TIMES.get(word, float(word) if word.isdigit() else 2.0))
    count = min(max(int(count), 1), 12)
    number = re.search(r" (\w+) times", words)
    if number and (number[1].isdigit() or number[1] in NUMBERS):
        count = int(float(number[1]) if number[1].isdigit() else NUMBERS[number[1]])
    if count < 2:
        return None
    keys, span = list(plan.keys), plan.duration
    for n in range(1, count):
        for key in plan.keys[1:]:
            moved = key.model_copy(deep=True, update={"id": f"{key.id}r{n}", "t": key.t + n * span})
            keys.append(moved)
    plan.keys = keys
    return done(plan, f"played {count} times")


def _pause(plan: KeyframePlan, words: str) -> KeyframePlan | None:
    match = re.search(
        r" (hold|pause|wait|keep) .*?(longer|(\d+(?:\.\d+)?) (more )?(seconds?|s)) ", words
    )
    if not match:
        return None
    more = float(match[3]) if match[3] else 1.0
    key = max(plan.keys[1:] or plan.keys, key=lambda k: (k.hold, k.t if not k.layer else -1.0))
    at = plan.keys.index(key)
    key.hold = round(key.hold + more, 3)
    for later in plan.keys[at + 1 :]:
        later.t = round(later.t + more, 4)
    return done(plan, f"{key.description or key.id} held {more:g} s longer")


def _style(plan: KeyframePlan, words: str) -> KeyframePlan | None:
    from .lang.words import STYLES

    for word in words.split():
        if word in STYLES and _only_manner(words):
            name, strength = STYLES[word]
            if re.search(r" (less|not so) ", words):
                plan.style = None
                return done(plan, "without a style")
            plan.style = StyleSpec(name=name, amount=strength)
            return done(plan, f"in the style {name}")
    return None


def _remove(plan: KeyframePlan, words: str) -> KeyframePlan | None:
    match = re.search(
        r" (remove|delete|without|leave out|skip|no|not|never|drop|stop) (the )?(\w+)", words
    )
    if not match:
        return None
    from .lang.tokens import lemmas

    asked = set(lemmas(match[3]))

    def speaks(text: str) -> bool:
        return bool(asked & {x for w in re.findall(r"[a-z]+", text.lower()) for x in lemmas(w)})

    clauses = [c.strip() for c in re.split(CLAUSE, plan.text) if c and c.strip()]
    kept_text = [c for c in clauses if not speaks(c)]
    if plan.source == "offline" and kept_text and len(kept_text) < len(clauses):
        from .lang import design_offline

        made = design_offline(
            ", then ".join(kept_text), plan.scene, style=plan.style, seed=plan.seed
        )
        made.body = plan.body
        return done(made, f"left out {match[3]!r}")
    gone = [k for k in plan.keys[1:] if speaks(k.description)]
    if not gone or len(gone) == len(plan.keys) - 1:
        raise ValueError(f"nothing that could be left out is about {match[3]!r} in {plan.text!r}")
    names = {k.id for k in gone}
    kept, shift, before = [], 0.0, plan.keys[0]
    for key in plan.keys:
        if key.id in names:
            shift += key.t - (before.t + before.hold) + key.hold
        else:
            kept.append(key.model_copy(update={"t": max(round(key.t - shift, 4), 0.0)}))
        before = key
    plan.keys = kept
    return done(plan, f"left out {len(gone)} keys about {match[3]!r}")


RULES = (_pause, _tempo, _count, other_side, _style, _amplitude, _remove)
PLAYED_AGAIN = (_pause, _tempo, _count, _style, _amplitude)
"""Rules that change numbers only: what they did is done again when the text is designed anew."""
