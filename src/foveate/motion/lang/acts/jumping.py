"""Jumps and hops. `Root` with `ballistic` makes the flight; these set crouch, landing and arms."""

from __future__ import annotations

from ..score import ARM_JOINTS
from .common import (
    FEET,
    WORD,
    Frame,
    State,
    Step,
    arms_down,
    leg_side,
    on_one,
    rest_of,
    shift,
    step,
)
from .locomotion import rise_first


def jump(f: Frame, s: State) -> list[Step]:
    """Crouch, fly, land softly, stand; arms help."""
    where = f.direction("up", among=("forward", "back", "left", "right", "side"))
    far = min(f.metres or 0.5 * f.amount, 1.0)
    height = 0.24 if f.setting("height") or "high" in f.flags else 0.16
    if f.amount < 0.8:
        height = 0.1
    ahead, left = {
        "forward": (far, 0.0),
        "back": (-0.6 * far, 0.0),
        "left": (0.0, 0.6 * far),
        "right": (0.0, -0.6 * far),
        "side": (0.0, 0.6 * far),
    }.get(where, (0.0, 0.0))
    turn_deg = float(f.setting("turn", "0"))
    if turn_deg and f.degrees:
        turn_deg = f.degrees
    if f.direction(among=("right",)) and turn_deg:
        turn_deg, left = -turn_deg, 0.0
    made = rise_first(f, s)
    swing = "" if s.held else ", B_shoulder elev 42 plane -60, B_elbow 20"
    low = f"B_hip 66, B_knee 76, B_ankle 24, torso 22{swing}"
    made.append(step(0.55, "crouches to jump", low, hold=0.1, steady=True))
    count = f.count(int(f.setting("times", "1")), 8)
    text = "jumps" + ("" if where == "up" else f" {where}")
    for n in range(count):
        # between two jumps the landing is the next crouch already
        arms = "" if s.held else ", B_shoulder elev 50 plane 84, B_elbow 30"
        soft = low if n < count - 1 else f"B_hip 40, B_knee 50, B_ankle 17, torso 12{arms}"
        land = step(0.5, text, soft, steady=True, ease="ballistic")
        land.contacts = list(FEET)
        land.root = {
            "height_mode": "ballistic", "height": height, "spin_deg": turn_deg,
            "travel": (round(ahead, 3), round(left, 3)),
        }  # fmt: skip
        made.append(land)
    home = rest_of(n for st in made for n in st.dofs if not n[2:].startswith(ARM_JOINTS))
    made.append(Step(0.6, home | ({} if s.held else arms_down()), "stands up", steady=True))
    return made


def hop(f: Frame, s: State) -> list[Step]:
    """Small jumps on one leg (or on both, like a rabbit)."""
    limb = f.limb("leg", "foot")
    if limb is None or limb.side == "B":
        f.amount = min(f.amount, 0.75)
        return jump(f, s)
    side = leg_side(f)
    made = [
        shift(side, 0.5),
        on_one(
            side,
            step(
                0.5,
                f"stands on the {WORD[side]} leg",
                "O_hip 45, O_knee 95, A_hip 30, A_knee 40, A_ankle 15, B_shoulder elev 40 plane 5",
                side,
            ),
        ),
    ]
    forward = 0.2 if f.direction() == "forward" else 0.0
    for _ in range(f.count(3, 8)):
        low = "A_hip 38, A_knee 50, A_ankle 18"
        land = on_one(side, step(0.4, "hops", low, side, ease="ballistic"))
        land.root = {"height_mode": "ballistic", "height": 0.08, "travel": (forward, 0.0)}
        made.append(land)
    from .legs import stand_on_both

    return [*made, stand_on_both(s)]
