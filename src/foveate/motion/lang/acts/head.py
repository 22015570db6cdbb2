"""Actions of the head: nodding, shaking, looking, tilting, rolling."""

from __future__ import annotations

from .common import Frame, State, Step, step

LOOKS = {
    "left": {"head_look.rot": 60.0},
    "right": {"head_look.rot": -60.0},
    "up": {"head_look.flex": -32.0},
    "overhead": {"head_look.flex": -40.0, "torso.flex": -6.0},
    "down": {"head_look.flex": 32.0},
    "low": {"head_look.flex": 26.0},
    "back": {"head_look.rot": 68.0, "torso.rot": 32.0},
    "forward": {"head_look.rot": 0.0, "head_look.flex": 0.0},
}
LEVEL = {"head_look.rot": 0.0, "head_look.flex": 0.0, "head_look.lat": 0.0, "torso.rot": 0.0}


def nod(f: Frame, s: State) -> list[Step]:
    """Down and up, a few times."""
    base = s.dofs.get("head_look.flex", 0.0)
    deep, dt = (34.0, 0.22) if f.setting("kind") == "bang" else (20.0, 0.28)
    made = []
    for _ in range(f.count(2)):
        made.append(Step(dt, {"head_look.flex": base + deep}, "nods"))
        made.append(Step(dt, {"head_look.flex": base - 4.0}, "raises the head"))
    made.append(Step(0.25, {"head_look.flex": base}, "looks ahead"))
    return made


def shake_head(f: Frame, s: State) -> list[Step]:
    """Left and right, a few times."""
    made = []
    for _ in range(f.count(2)):
        made.append(step(0.3, "shakes the head", "head_look rot 28"))
        made.append(step(0.36, "shakes the head", "head_look rot -28"))
    made.append(step(0.3, "looks ahead", "head_look rot 0"))
    return made


def look(f: Frame, s: State) -> list[Step]:
    """Towards where the text says; `around` and `both ways` look left and right."""
    text = f.text
    around = "around" in f.directions or "sidetoside" in f.flags or "both way" in text
    where = [d for d in f.directions if d in LOOKS]
    if "shoulder" in text:
        side = f.side("shoulder", default="L")
        sign = -1.0 if side == "R" else 1.0
        turned = {"head_look.rot": 68.0 * sign, "torso.rot": 30.0 * sign}
        return [Step(0.7, turned, "looks over the shoulder", hold=f.seconds or 0.8),
                Step(0.7, LEVEL, "looks ahead", free=True)]  # fmt: skip
    lower = any(w in text for w in ("lower", "drop", "hang", "bow", "tuck"))
    if not where and lower:
        where = ["down"]
    if (not where and any(w in text for w in ("raise", "lift"))) or f.object("sky"):
        where = ["up"]
    if f.object("floor"):
        where = ["down"]
    if around or (not where and f.verb in ("search", "scan", "look", "observe", "survey", "view")):
        made = []
        for _ in range(f.count(1, 4)):
            made.append(step(0.7, "looks left", "head_look rot 55, torso rot 12", hold=0.5))
            made.append(step(1.0, "looks right", "head_look rot -55, torso rot -12", hold=0.5))
        return [*made, Step(0.7, LEVEL, "looks ahead")]
    made = []
    if not where:
        return [step(0.5, "looks ahead", "head_look 4 rot 0", hold=f.seconds or 1.0)]
    for direction in where:
        turned = {**LEVEL, **LOOKS[direction]}
        made.append(Step(0.6, turned, f"looks {direction}", hold=f.seconds or 0.8))
    if ((lower or "down" in f.flags) and where == ["down"]) or f.relation == "while":
        return made  # a lowered head stays so
    return [
        *made,
        Step(0.6, LEVEL | {"torso.flex": s.base("torso.flex")}, "looks ahead", free=True),
    ]


def tilt_head(f: Frame, s: State) -> list[Step]:
    """The ear goes towards the shoulder; forwards and backwards too."""
    where = f.direction("right")
    amount = min(f.degrees or 24.0, 40.0)
    turned = {
        "left": {"head_look.lat": amount},
        "forward": {"head_look.flex": amount},
        "down": {"head_look.flex": amount},
        "back": {"head_look.flex": -amount},
        "up": {"head_look.flex": -amount},
    }.get(where, {"head_look.lat": -amount})
    both = "sidetoside" in f.flags or {"left", "right"} <= set(f.directions)
    made = [Step(0.6, turned, f"tilts the head {where}", hold=f.seconds or 0.7)]
    if both:
        made.append(
            Step(
                0.9,
                {"head_look.lat": -turned.get("head_look.lat", amount)},
                "to the other side",
                hold=0.7,
            )
        )
    return [*made, Step(0.6, LEVEL, "holds the head straight", free=True)]


def roll_head(f: Frame, s: State) -> list[Step]:
    """Around: chin to chest, ear to shoulder, back, other ear."""
    made = []
    for _ in range(f.count(2, 6)):
        for told in (
            "head_look 28 lat 0",
            "head_look 4 lat 26",
            "head_look -26 lat 0",
            "head_look 4 lat -26",
        ):
            made.append(step(0.4, "rolls the head", told))
    return [*made, Step(0.4, LEVEL, "holds the head straight")]
