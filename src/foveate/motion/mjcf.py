"""MJCF: the body and a scene as a MuJoCo model, generated.

The one thing to know: hinges appear in the order of `body.DOFS`, so qpos[7:], qvel[6:] and ctrl
are all in that order. The body's geoms are in collision group 1 and meet the scene (group 2);
they meet one another only if `self_collision` is set.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import numpy as np

from .body import DOFS, JOINT_DOFS, JOINTS, PARENTS, Body, BodyShape, Geom, body_of
from .scene import Scene, SceneObject

if TYPE_CHECKING:
    import mujoco

TIMESTEP = 0.002
"""Seconds. Contacts give way for about two steps: at 5 ms the light toes sink 2 cm at every
landing, at 2 ms 2 mm; below that only the time grows."""
NEARBY = 0.004
"""Metres at which what is round reports a contact; it bears only when it touches."""
COARSE = 0.005
"""For what only predicts, or only learns."""
LEFT, RIGHT, TRUNK, SKIN = ".25 .45 .85 1", ".95 .55 .2 1", ".55 .58 .62 1", ".85 .75 .68 1"


def mjcf(
    shape: BodyShape | None = None,
    scene: Scene | None = None,
    *,
    self_collision: bool = False,
    timestep: float = TIMESTEP,
) -> str:
    """The model as text.

    Args:
        shape: Whose body; the default one for None.
        scene: What stands around; an empty floor for None.
        self_collision: Let segments that are not neighbours meet.
        timestep: Of the simulation, seconds.

    Returns:
        MJCF (XML) with 22 bodies, 47 position servos, sites named as in `Body.sites`.
    """
    body = body_of(shape)
    scene = scene or Scene()
    assets, statics = _scene(scene)
    return f"""<mujoco model="foveate">
  <compiler angle="radian" inertiafromgeom="true"/>
  <option timestep="{timestep:g}" integrator="implicitfast" iterations="8" cone="elliptic"
    impratio="10"/>
  <visual><global offwidth="1920" offheight="1080"/></visual>
  <default>
    <geom condim="3" friction="0.9 0.005 0.0001" solref="{2 * timestep:g} 1"/>
    <joint type="hinge" limited="true"/>
    <site size="0.005" rgba="1 0 0 0"/>
  </default>
  <asset>
    <texture name="grid" type="2d" builtin="checker" width="256" height="256"
      rgb1=".82 .84 .86" rgb2=".76 .78 .8"/>
    <material name="grid" texture="grid" texrepeat="2 2" texuniform="true"/>
{assets}  </asset>
  <worldbody>
    <light pos="1 -2 4" dir="-.2 .4 -1" diffuse=".7 .7 .7"/>
{statics}{_tree(body, self_collision)}  </worldbody>
{_exclusions(self_collision)}  <actuator>
{_servos()}  </actuator>
</mujoco>
"""


def _numbers(values) -> str:
    return " ".join(f"{float(value):.6g}" for value in values)


def _tree(body: Body, self_collision: bool, joint: int = 0, indent: str = "    ") -> str:
    name = JOINTS[joint]
    lines = [f'{indent}<body name="{name}" pos="{_numbers(body.offsets[joint])}">']
    inner = indent + "  "
    if joint == 0:
        lines.append(f'{inner}<freejoint name="root"/>')
    for index in JOINT_DOFS[joint]:
        dof = DOFS[index]
        span = _numbers(np.radians([dof.low, dof.high]))
        lines.append(
            f'{inner}<joint name="{dof.name}" axis="{_numbers(dof.axis)}" range="{span}" '
            f'damping="{dof.damping:.6g}" armature="{dof.armature:.6g}"/>'
        )
    # bit 1: the body itself, bit 2: the scene; the body asks for the scene and, if told, itself
    affinity = 3 if self_collision else 2
    own = [geom for geom in body.geoms if geom.joint == joint]
    for number, geom in enumerate(own):
        lines.append(inner + _geom(geom, name + (f"_{number + 1}" if number else ""), affinity))
    for site, (owner, place) in body.sites.items():
        if owner == joint:
            lines.append(f'{inner}<site name="{site}" pos="{_numbers(place)}"/>')
    text = "\n".join(lines) + "\n"
    for child, parent in enumerate(PARENTS):
        if parent == joint:
            text += _tree(body, self_collision, child, inner)
    return text + f"{indent}</body>\n"


def _geom(geom: Geom, name: str, affinity: int) -> str:
    joint = JOINTS[geom.joint]
    colour = LEFT if joint[:2] == "L_" else RIGHT if joint[:2] == "R_" else TRUNK
    if joint in ("head", "neck"):
        colour = SKIN
    if geom.kind == "box":
        form = f'type="box" pos="{_numbers(geom.a)}" size="{_numbers(np.divide(geom.size, 2))}"'
    elif geom.b is None:
        form = f'type="sphere" pos="{_numbers(geom.a)}" size="{_numbers(geom.size)}"'
    else:
        ends = _numbers([*geom.a, *geom.b])
        form = f'type="capsule" fromto="{ends}" size="{_numbers(geom.size)}"'
    if geom.kind != "box":
        from .engine import looks_ahead

        form += f" {looks_ahead(NEARBY)}"
    return (
        f'<geom name="{name}" {form} mass="{geom.mass:.6g}" contype="1" conaffinity="{affinity}" '
        f'group="1" rgba="{colour}"/>'
    )


def _servos() -> str:
    lines = []
    for dof in DOFS:
        # control is clipped by torque, not by angle: the QP tracker speaks through these servos
        lines.append(
            f'    <position name="{dof.name}" joint="{dof.name}" kp="{dof.kp:g}" kv="{dof.kv:g}" '
            f'forcelimited="true" forcerange="{-dof.limit:g} {dof.limit:g}"/>'
        )
    return "\n".join(lines) + "\n"


def _exclusions(self_collision: bool) -> str:
    """Pairs that always overlap at the shoulder, hip and neck although they are not neighbours."""
    if not self_collision:
        return ""
    pairs = [("pelvis", "spine2"), ("spine1", "spine3"), ("spine3", "head"), ("neck", "spine2")]
    pairs += [("spine2", "neck"), ("pelvis", "spine3")]
    for s in "LR":
        pairs += [(f"{s}_shoulder", "spine3"), (f"{s}_shoulder", "spine2"), (f"{s}_collar", "neck")]
        pairs += [(f"{s}_collar", "spine2"), (f"{s}_hip", "spine1"), (f"{s}_hip", "spine2")]
        pairs += [(f"{s}_knee", f"{s}_foot"), (f"{s}_shoulder", "neck"), (f"{s}_collar", "head")]
    pairs += [("L_hip", "R_hip"), ("L_collar", "R_collar")]
    unique = dict.fromkeys(tuple(sorted(pair)) for pair in pairs)
    lines = [f'    <exclude body1="{a}" body2="{b}"/>' for a, b in unique]
    return "  <contact>\n" + "\n".join(lines) + "\n  </contact>\n"


def _scene(scene: Scene) -> tuple[str, str]:
    assets, statics = "", ""
    common = 'contype="2" conaffinity="1" group="2" friction="1 0.005 0.0001"'
    if scene.floor:
        statics += (
            f'    <geom name="floor" type="plane" size="20 20 .1" material="grid" {common}/>\n'
        )
    for item in scene.objects:
        asset, geom = _object(item)
        assets += asset
        statics += f"    <geom name={quoteattr(item.name)} {geom} {common}/>\n"
    return assets, statics


def _object(item: SceneObject) -> tuple[str, str]:
    colour = 'rgba=".72 .62 .5 1"'
    yaw = np.radians(item.yaw_deg)
    x, y, z = item.position
    turn = np.array([np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])
    if item.shape == "plane":
        from .rotations import axis_angle, multiply

        turn = multiply(turn, axis_angle([0, -1, 0], np.radians(item.slope_deg)))
        place = f'pos="{_numbers([x, y, z])}" quat="{_numbers(turn)}"'
        return "", f'type="plane" size="20 20 .1" {place} {colour}'
    length, width, height = item.size
    if item.shape == "heightfield":
        grid = np.array(item.heights, float)
        low, high = grid.min(), grid.max()
        span = max(high - low, 1e-3)
        data = _numbers(((grid - low) / span).ravel())
        asset = (
            f'    <hfield name={quoteattr(item.name)} nrow="{grid.shape[0]}" '
            f'ncol="{grid.shape[1]}" size="{_numbers([length / 2, width / 2, span, 0.2])}" '
            f'elevation="{data}"/>\n'
        )
        place = f'pos="{_numbers([x, y, z + low])}" quat="{_numbers(turn)}"'
        return asset, f'type="hfield" hfield={quoteattr(item.name)} {place} {colour}'
    place = f'pos="{_numbers([x, y, z + height / 2])}" quat="{_numbers(turn)}"'
    if item.shape == "box":
        return (
            "",
            f'type="box" size="{_numbers([length / 2, width / 2, height / 2])}" {place} {colour}',
        )
    radius, half = length / 2, height / 2
    if item.shape == "capsule":
        half = max(half - radius, 1e-3)
    return "", f'type="{item.shape}" size="{_numbers([radius, half])}" {place} {colour}'


@lru_cache(maxsize=16)
def _compiled(
    shape: BodyShape, scene_json: str, self_collision: bool, timestep: float
) -> mujoco.MjModel:
    from .engine import mujoco

    scene = Scene.model_validate_json(scene_json)
    text = mjcf(shape, scene, self_collision=self_collision, timestep=timestep)
    return mujoco.MjModel.from_xml_string(text)


def model_of(
    shape: BodyShape | None = None,
    scene: Scene | None = None,
    *,
    self_collision: bool = False,
    timestep: float = TIMESTEP,
) -> mujoco.MjModel:
    """The compiled model of a body in a scene; shared, so do not change it."""
    text = (scene or Scene()).model_dump_json()
    return _compiled(shape or BodyShape(), text, self_collision, timestep)
