"""Things in the scene: found in the one that was given, or put up because the text needs them.

The one thing to know: a seat that no scene has is put behind the place where the character will
stand, or some steps ahead when the text walks to it.
"""

from __future__ import annotations

import math
from typing import Any

from ..scene import Scene, SceneObject
from .frames import Frame

NEEDS = {
    "sit": "seat",
    "lie_bed": "bed",
    "stairs_up": "stairs",
    "stairs_down": "down",
    "stones": "stones",
}
AWAY = 2.2
"""Metres to a thing that the text walks to."""
WIDTHS = {"sofa": 1.7, "couch": 1.7, "bench": 1.4, "armchair": 0.8, "throne": 0.8}
"""Metres from side to side of seats that are wider than a chair."""
TABLES = ("table", "desk", "counter")


def bearing(item: SceneObject, where: tuple[float, float, float]) -> dict[str, float]:
    """Distance in metres to the front of a thing, and the turn (degrees to the left) to sit on
    it."""
    yaw = math.radians(item.yaw_deg)
    reach = item.size[0] / 2 + 0.2
    x = item.position[0] + reach * math.cos(yaw) - where[0]
    y = item.position[1] + reach * math.sin(yaw) - where[1]
    turn = (item.yaw_deg - where[2] + 180.0) % 360.0 - 180.0
    return {"away": math.hypot(x, y), "turn": turn}


def seat_behind(where: tuple[float, float, float], name: str = "chair") -> SceneObject:
    """A chair whose seat is right behind somebody who stands at (x, y, heading)."""
    x, y = _ahead(where, -0.44)
    return SceneObject(
        name=name, size=_seat_size(name), position=(x, y, 0.0), yaw_deg=where[2],
        affordances=["sit"],
    )  # fmt: skip


def seat_before(where: tuple[float, float, float], name: str, bed: bool = False) -> SceneObject:
    """A chair or bed right in front of somebody who walked here: to sit on after turning round.

    Behind would be on the way that was walked.
    """
    x, y = _ahead(where, 1.3 if bed else 0.48)
    return SceneObject(
        name=name, size=(2.1, 1.0, 0.45) if bed else _seat_size(name), position=(x, y, 0.0),
        yaw_deg=where[2] + 180.0, affordances=["sit", "lie"] if bed else ["sit"],
    )  # fmt: skip


def bed_behind(where: tuple[float, float, float]) -> SceneObject:
    """A bed whose foot end is right behind somebody who stands at (x, y, heading)."""
    x, y = _ahead(where, -1.27)
    return SceneObject(
        name="bed", size=(2.1, 1.0, 0.45), position=(x, y, 0.0), yaw_deg=where[2],
        affordances=["sit", "lie"],
    )  # fmt: skip


def seat_ahead(where: tuple[float, float, float], name: str, bed: bool = False) -> SceneObject:
    """A chair or bed some steps ahead that faces somebody who stands at (x, y, heading)."""
    x, y = _ahead(where, AWAY)
    size = (2.1, 1.0, 0.45) if bed else _seat_size(name)
    if bed:
        x, y = _ahead(where, AWAY + 0.8)
    return SceneObject(
        name=name, size=size, position=(x, y, 0.0), yaw_deg=where[2] + 180.0,
        affordances=["sit", "lie"] if bed else ["sit"],
    )  # fmt: skip


def table_ahead(where: tuple[float, float, float], name: str, far: float) -> SceneObject:
    """A table whose middle is `far` metres ahead of somebody who stands at (x, y, heading)."""
    x, y = _ahead(where, far)
    return SceneObject(
        name=name, size=(0.6, 1.0, 0.74), position=(x, y, 0.0), yaw_deg=where[2] + 180.0,
        affordances=["reach", "lean"],
    )  # fmt: skip


def thing_on(table: SceneObject, name: str) -> SceneObject:
    """A thing as large as a cup on a table, near the edge and to the right of who faces it."""
    x, y, z = table.world([0.2, 0.18, table.size[2]])
    return SceneObject(
        name=name, shape="cylinder", size=(0.07, 0.07, 0.1),
        position=(round(float(x), 4), round(float(y), 4), round(float(z), 4)),
        affordances=["reach"],
    )  # fmt: skip


def stairs_ahead(where: tuple[float, float, float], count: int = 4) -> list[SceneObject]:
    """Steps of 0.16 m that lead up, the last one a landing."""
    found = []
    for i in range(count):
        last = i == count - 1
        x, y = _ahead(where, 0.45 + 0.3 * i + (0.35 if last else 0.0))
        found.append(
            SceneObject(
                name=f"step{i + 1}", size=(1.0 if last else 0.3, 1.2, 0.16 * (i + 1)),
                position=(x, y, 0.0), yaw_deg=where[2], affordances=["step"],
            )
        )  # fmt: skip
    return found


def stairs_down(count: int = 3) -> list[SceneObject]:
    """A landing under the start and steps of 0.16 m that lead down from it."""
    top = SceneObject(
        name="landing", size=(0.9, 1.2, 0.16 * count), position=(-0.2, 0, 0), affordances=["step"]
    )
    steps = [
        SceneObject(
            name=f"step{i}", size=(0.3, 1.2, 0.16 * (count - i)),
            position=(0.25 + 0.3 * i - 0.15, 0, 0), affordances=["step"],
        )
        for i in range(1, count)
    ]  # fmt: skip
    return [top, *steps]


def _seat_size(name: str) -> tuple[float, float, float]:
    return 0.45, WIDTHS.get(name, 0.5), 0.44


def _ahead(where: tuple[float, float, float], by: float) -> tuple[float, float]:
    yaw = math.radians(where[2])
    return round(where[0] + by * math.cos(yaw), 4), round(where[1] + by * math.sin(yaw), 4)


def place(frames: list[Frame], index: int, where: tuple[float, float, float], have: dict[str, Any],
          given: Scene | None) -> list[SceneObject]:  # fmt: skip
    """What must be put up before the action of `frames[index]` begins, seen from there.

    Args:
        frames: All of the text.
        index: The action that is about to be made.
        where: (x, y, heading) of the character.
        have: Things that stand already, by name.
        given: The scene that came with the text; nothing is put up beside it, except for a seat
            when it has none.
    """
    frame = frames[index]
    name = frame.sense.name if frame.sense else ""
    affordances = {a for item in have.values() for a in item.affordances}
    seats = [w for f in frames[: index + 1] for k, w, _ in f.objects if k == "seat"]
    seat_word = (seats[-1] if seats else "chair").replace(" ", "_")
    bed = any(k == "bed" for k, _, _ in frame.objects)
    if frame.sense and frame.sense.primitive == "gait" and "sit" not in affordances:
        to = next(((k, w) for k, w, p in frame.objects if k in ("seat", "bed") and p), None)
        if to:
            return [seat_ahead(where, to[1], to[0] == "bed")]
    walked = where[:2] != (0.0, 0.0)
    if walked and (name == "sit" or (name == "lie" and bed)) and "sit" not in affordances:
        return [seat_before(where, "bed" if bed else seat_word, bed)]
    if name == "sit" and "sit" not in affordances:
        return [bed_behind(where) if bed else seat_behind(where, seat_word)]
    if name == "lie" and bed and "lie" not in affordances:
        return [bed_behind(where)]
    if given is not None and given.objects:
        return []
    if "reach" not in affordances:
        made = _tables(frames, index, where)
        if made:
            return made
    if name == "stairs_up" and "step" not in affordances:
        one = any(k == "box" for k, _, _ in frame.objects)
        return stairs_ahead(where, 1) if one else stairs_ahead(where)
    if name == "stairs_down" and "step" not in affordances and where == (0.0, 0.0, 0.0):
        return stairs_down()
    if name == "stones" and "step" not in affordances and where == (0.0, 0.0, 0.0):
        return list(Scene.named("stones").objects)
    return []


def _tables(
    frames: list[Frame], index: int, where: tuple[float, float, float]
) -> list[SceneObject]:
    """A table that is walked or reached to, with the thing on it that a hand goes to later."""
    frame = frames[index]
    name = frame.sense.name if frame.sense else ""
    table = next((w for k, w, _ in frame.objects if k == "wall" and w in TABLES), "")
    other = any(k == "wall" and w not in TABLES for f in frames for k, w, _ in f.objects)
    thing = _small(frame) if name == "reach" and not other else ""
    if name in ("walk", "run", "jog") and any(w == table and p for _, w, p in frame.objects):
        far = AWAY
    elif (name in ("reach", "pick_up", "put_down", "lean") and table) or thing:
        far = 0.75
    else:
        return []
    stand = table_ahead(where, table or "table", far)
    later = [t for f in frames[index:] if f.sense and f.sense.name == "reach" and (t := _small(f))]
    return [stand, *(thing_on(stand, t) for t in later[:1])]


def _small(frame: Frame) -> str:
    """What a hand reaches for, if it is a thing that stands on a table."""
    if frame.direction() in ("up", "overhead", "down"):
        return ""
    return next((w for k, w, p in frame.objects if k in ("drink", "food") and p != "with"), "")
