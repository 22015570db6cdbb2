"""The words that models are given. Pure functions: the same arguments give the same request.

The one thing to know: what never changes comes first (role, conventions, examples), so that
providers can cache it; what changes from key to key comes last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..body import DOFS, BodyShape
from ..mllm import Message
from ..plan import PARTS
from ..pose import Pose
from ..scene import Scene
from .examples import examples

START = (
    "Stands relaxed, feet a hip's width apart, arms hanging, palms to the thighs, looking ahead."
)
"""D_0: the description of the pose every motion starts from."""

CONVENTIONS = f"""\
Conventions
- The figure is a generic adult. Left and right are the FIGURE's own. Its left limbs are blue, its
  right limbs orange in pictures.
- Directions are the figure's: forward, backward, left, right, up, down. Lengths in metres, angles
  in
  degrees, times in seconds.
- Body parts: {", ".join(PARTS)}.
- Angles, where you give any, are named joint.dof with L_ or R_ (or B_ for both) in front, and are
  absolute; 0 is standing at attention. A positive sign means: flex = forward or bent (knee: heel
  backwards; elbow: hand up); abd = away from the midline; rot = inwards for limbs, to the left for
  torso and head_look; lat = leaning to the left; dorsi = toes up.
- A shoulder is best told as shoulder.elevation (0 hanging, 90 level, 180 up) and shoulder.plane
  (0 to the side, 90 straight ahead, above 90 across the chest, below 0 behind), with shoulder.axial
  (positive turns the elbow outwards, hand inwards)."""


def limits() -> str:
    """The range of every angle, one line each, left and right alike."""
    rows = [
        f"  {d.name.removeprefix('L_')} {d.low:g} … {d.high:g}" for d in DOFS if d.name[:2] != "R_"
    ]
    return (
        "Ranges in degrees\n"
        + "\n".join(rows)
        + "\n  torso.* and head_look.* share theirs out over the spine and the neck"
    )


DESIGNER = """\
You are the lead animator. You plan KEY POSES, never frames; the frames between are filled in and
then
tracked by a physics engine, so every key must be possible to stand in or to pass through.

How good keys are made
- Extremes, not in-betweens. One key per 0.3 to 1.0 s of ordinary action, closer for fast ones.
- Before a fast action a wind-up, after it a follow-through.
- Before a foot leaves the floor, a key in which the weight is on the other foot.
- Uneven times (0.35, 0.6, 1.15), as real motion has, not multiples of 0.5.
- Name every part that moves, in its own sentence with a direction and an amount ("upper arm level
  to
  the side, forearm up"). Parts you do not name stay as they are.
- Say what is planted whenever that changes.
- For a periodic action plan one cycle whose last pose equals its first, and say so in `cycle`.
- End in a stable pose, standing unless the instruction ends elsewhere."""


def scene_text(scene: Scene | None) -> str:
    """What stands around, one line each."""
    if scene is None or not scene.objects:
        return "Scene: an empty floor."
    rows = ["Scene (metres; forward and left of where the figure starts):"]
    for item in scene.objects:
        x, y, z = item.position
        size = " × ".join(f"{s:.2f}" for s in item.size)
        use = f", for: {', '.join(item.affordances)}" if item.affordances else ""
        rows.append(
            f"- {item.name}: {item.shape} {size} at {x:.2f}, {y:.2f}, underside {z:.2f}, top"
            f" {item.top:.2f}{use}"
        )
    return "\n".join(rows)


def joint_table(pose: Pose) -> str:
    """Where the joints are, in centimetres forward, left and up of the point under the pelvis."""
    import numpy as np

    from .. import rotations as rot
    from ..body import JOINTS

    places = pose.fk()
    yaw = float(rot.yaw_of(pose.root_quat))
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    flat = (places[:, :2] - places[0, :2]) @ turn.T
    rows = [
        f"{name} {100 * f:.0f} {100 * s:.0f} {100 * z:.0f}"
        for name, (f, s), z in zip(JOINTS, flat, places[:, 2], strict=True)
    ]
    return "Joints (forward left up, cm): " + "; ".join(rows)


def outline(
    text: str, scene: Scene | None, body: BodyShape, style: str = "", turn: int = 0
) -> list[Message]:
    """The request for a whole plan."""
    fixed = "\n\n".join([DESIGNER, CONVENTIONS, limits(), examples(text, 2, turn)])
    asked = (
        f"{scene_text(scene)}\nThe figure is {body.height:.2f} m tall. It starts like this:"
        f" {START}\n"
        + (f"Style: {style}\n" if style else "")
        + f'Instruction: "{text}"\n\nFirst think in `reasoning`: which phases, which side, how'
        " often, how long. Then give all keys (at most 16, at most 30 s in all)."
    )
    return [Message.of("system", fixed), Message.of("user", asked)]


def next_key(
    text: str,
    scene: Scene | None,
    body: BodyShape,
    description: str,
    pose: Pose,
    picture: bytes | None,
    t: float,
    planted: Sequence[str],
    done: Sequence[str],
    left: int,
) -> list[Message]:
    """The request for the next key (sequential mode, as in the paper)."""
    fixed = "\n\n".join([DESIGNER, CONVENTIONS, examples(text, 1)])
    so_far = "\n".join(f"{i + 1}. {d}" for i, d in enumerate(done)) or "none yet"
    asked = (
        f"{scene_text(scene)}\nThe figure is {body.height:.2f} m tall.\n"
        f'Instruction: "{text}"\n\nKeys so far:\n{so_far}\n\nNow, at {t:.2f} s: {description}\n'
        f"Planted: {', '.join(planted) or 'nothing'}.\n{joint_table(pose)}\n\n"
        f"Think in `reasoning`, then give the next key, or done = true when the instruction is "
        f"complete (one full cycle of a periodic action). At most {left} more keys."
    )
    return [Message.of("system", fixed), _with_picture(asked, picture)]


REVISE = (
    "The plan leaves out part of the instruction: {missing}. Give the whole plan again with that "
    "included."
)

CHANGE = (
    'The director says: "{change}". Give the whole plan again with that change and nothing else '
    "changed."
)

ANIMATOR = """\
You are the keyframe animator. You put a jointed figure into the pose that is described, part by
part,
with commands; after each you see the figure again. Stop a part with done = true as soon as it fits
its
sentence: small errors do not matter, wrong sides and wrong directions do."""

CRITIC = """\
You are the critic. You look at numbered key poses and judge whether they show what was asked.
First say
in `shown` what the sequence shows, without regard to the instruction. Then give every key a score
from
0 to 10 for how well it fits its own description, and name problems by body part. Be strict about
left
and right, about directions, and about poses no person could stand in."""


def animate_part(
    part: str, sentence: str, whole: str, before: str, pose: Pose, commands: str,
    last: Sequence[str], left: int, picture: bytes | None,
) -> list[Message]:  # fmt: skip
    """The request for one turn of the animator on one part."""
    fixed = "\n\n".join([ANIMATOR, CONVENTIONS, limits(), commands])
    results = "\n".join(f"- {r}" for r in last) or "- none yet"
    asked = (
        f"The key pose: {whole}\nThe pose before: {before}\nThe part now: {part}: {sentence}\n"
        f"{joint_table(pose)}\nLast commands:\n{results}\nAdjustments left for this part: {left}.\n"
        "Think in `reasoning`, then give commands, or done = true."
    )
    return [Message.of("system", fixed), _with_picture(asked, picture)]


def direct(
    text: str, scene: Scene | None, keys: Sequence[dict], problems: Sequence[str] = ()
) -> list[Message]:
    """The request for the angles of all keys at once."""
    fixed = "\n\n".join([ANIMATOR, CONVENTIONS, limits()])
    asked = (
        f'{scene_text(scene)}\nInstruction: "{text}"\nKeys:\n'
        + "\n".join(f"{i}. {json.dumps(k)}" for i, k in enumerate(keys))
        + "\n\nGive angles (absolute, only those that change at the key) and, where a hand or foot"
        " must be somewhere exactly, a reach: effector L_hand, R_hand, L_foot, R_foot, L_elbow,"
        " R_elbow, L_knee, R_knee or head; target a landmark (mouth, chin, nose, forehead,"
        " ear_left, ear_right, head_top, chest, stomach, lower_back, shoulder_left,"
        " shoulder_right, hip_left, hip_right, knee_left, knee_right, L_toe_tip, R_toe_tip,"
        " floor) or an object of the scene."
    )
    if problems:
        asked += "\n\nA critic looked at the result and says:\n- " + "\n- ".join(problems)
    return [Message.of("system", fixed), Message.of("user", asked)]


def critique(text: str, keys: Sequence[str], picture: bytes | None) -> list[Message]:
    """The request to the critic: a contact sheet and what each key should be."""
    asked = "Keys:\n" + "\n".join(f"{i}. {k}" for i, k in enumerate(keys))
    asked += f'\n\nThe instruction was: "{text}"'
    return [Message.of("system", CRITIC), _with_picture(asked, picture)]


def _with_picture(text: str, picture: bytes | None) -> Message:
    return Message.of("user", text) if picture is None else Message.of("user", text, picture)
