"""The stage: what a picture of a pose or a clip consists of, besides the figure.

The one thing to know: this is where overlays are decided (contact discs, centre of mass, support
polygon, forward arrow, ghost of the key before); the renderers only draw solids and decals.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import rotations as rot
from ..body import Body
from ..kinematics import centre_of_mass, fk, site_positions
from ..pose import Pose
from ..scene import Scene, SceneObject
from .backdrop import convex_hull
from .camera import Camera, framing
from .figure import GHOST, figure
from .solids import Colour, Solid, box

Decal = tuple[np.ndarray, tuple[int, int, int, int]]

WOOD: Colour = (0.80, 0.70, 0.56)
CLOTH: Colour = (0.62, 0.70, 0.74)
STONE: Colour = (0.66, 0.65, 0.62)
GROUND: Colour = (0.74, 0.74, 0.66)
MOST_DISTANT = 4.2  # metres: a camera farther away than this follows instead
CONTACT = (22, 140, 120, 150)
SUPPORT = (22, 140, 120, 60)
MASS = (196, 40, 60, 235)
ARROW = (90, 90, 96, 150)


def scene_solids(scene: Scene | None) -> list[Solid]:
    """The objects of a scene."""
    return [] if scene is None else [solid for item in scene.objects for solid in _object(item)]


def has_floor(scene: Scene | None) -> bool:
    """Whether there is a floor at height 0."""
    return scene is None or scene.floor


def _object(item: SceneObject) -> list[Solid]:
    colour = GROUND
    if "lie" in item.affordances:
        colour = CLOTH
    elif {"sit", "reach", "lean"} & set(item.affordances):
        colour = WOOD
    elif "step" in item.affordances:
        colour = STONE
    yaw = rot.to_matrix(rot.yaw_quat(np.radians(item.yaw_deg)))
    x, y, z = item.size
    centre = np.add(item.position, (0, 0, z / 2))
    if item.shape == "box":
        return [box(centre, yaw, np.array([x, y, z]) / 2, colour)]
    if item.shape == "cylinder":
        return [Solid("cylinder", centre, yaw, np.array([x / 2, x / 2, z / 2]), colour)]
    if item.shape == "capsule":
        reach = max(0.0, z / 2 - x / 2)
        ends = (np.add(centre, (0, 0, -reach)), np.add(centre, (0, 0, reach)))
        return [Solid("cone", ends[0], np.eye(3), np.array([x / 2, x / 2, 0]), colour, end=ends[1])]
    return [_surface(item, colour)]


def _surface(item: SceneObject, colour: Colour) -> Solid:
    """A slope or a height field as triangles."""
    if item.shape == "plane":
        columns = rows = 2
        wide = deep = 8.0
        heights = np.tan(np.radians(item.slope_deg)) * np.array([[-4.0, 4.0], [-4.0, 4.0]])
    else:
        heights = np.array(item.heights, float)
        rows, columns = heights.shape
        wide, deep = item.size[:2]
    x, y = np.meshgrid(
        np.linspace(-wide / 2, wide / 2, columns), np.linspace(-deep / 2, deep / 2, rows)
    )
    grid = item.world(np.stack([x, y, heights], axis=-1))
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    corners = np.concatenate(
        [np.stack([a, b, c], 2).reshape(-1, 3, 3), np.stack([a, c, d], 2).reshape(-1, 3, 3)]
    )
    return Solid("mesh", corners[0, 0], np.eye(3), np.ones(3), colour, corners=corners)


def pose_solids(pose: Pose, body: Body) -> list[Solid]:
    """The figure of a pose."""
    return figure(*fk(pose.root_pos, pose.root_quat, pose.joint_quat, body), body)


def ghost_solids(pose: Pose, body: Body, alpha: float = 0.22) -> list[Solid]:
    """The figure as a grey shadow of itself."""
    return [solid.faded(alpha, GHOST) for solid in pose_solids(pose, body)]


def disc(at: np.ndarray, radius: float, colour: tuple[int, int, int, int]) -> Decal:
    """A disc on a level surface."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], 1)
    return np.asarray(at, float) + radius * ring, colour


def overlays(
    places: np.ndarray,
    turns: np.ndarray,
    body: Body,
    touching: Iterable[str] = (),
    mass: bool = True,
    arrow: bool = True,
) -> list[Decal]:
    """Marks on the floor of one pose.

    Args:
        places: Of the joints, [22, 3].
        turns: Their world rotations, [22, 4].
        body: Whose proportions.
        touching: Parts in contact, by the names of `Body.contact_points`.
        mass: Show the centre of mass over the floor.
        arrow: Show which way is forward.
    """
    found: list[Decal] = []
    names = [site for part in touching for site in body.contact_points.get(part, ())]
    if names:
        points = site_positions(places, turns, names, body)
        outline = convex_hull(points[:, :2])
        if outline is not None:
            flat = np.column_stack([outline, np.full(len(outline), points[:, 2].min())])
            found.append((flat, SUPPORT))
        found += [disc(p, 0.022, CONTACT) for p in points]
    if arrow:
        yaw = float(rot.yaw_of(turns[0]))
        ahead = np.array([np.cos(yaw), np.sin(yaw)])
        left = np.array([-ahead[1], ahead[0]])
        start = places[0, :2] + 0.42 * ahead
        shape = [
            (0, 0.02),
            (0.16, 0.02),
            (0.16, 0.06),
            (0.27, 0),
            (0.16, -0.06),
            (0.16, -0.02),
            (0, -0.02),
        ]
        points = np.array([start + f * ahead + s * left for f, s in shape])
        found.append((np.column_stack([points, np.zeros(len(points))]), ARROW))
    if mass:
        com = centre_of_mass(places, turns, body)
        found.append(disc([com[0], com[1], 0.0], 0.03, MASS))
    return found


def clip_cameras(
    places: np.ndarray, width: int, height: int, azimuth: float = 150.0, elevation: float = -12.0
) -> list[Camera]:
    """One camera for each frame: standing still where that shows everything, else following.

    Args:
        places: Joints of all frames, [T, 22, 3].
        width: Pixels.
        height: Pixels.
        azimuth: Looking direction, degrees; relative to the world.
        elevation: Degrees.
    """
    low, high = places.min((0, 1)), places.max((0, 1))
    around = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    pad = np.array([0.06, 0.06, 0.2])
    corners = (low - pad * [1, 1, 0]) + around * (high - low + pad * [2, 2, 1])
    fixed = framing(corners, width, height, azimuth=azimuth, elevation=elevation, margin=1.04)
    if fixed.distance < MOST_DISTANT or len(places) < 2:
        return [fixed] * len(places)
    from scipy.ndimage import gaussian_filter1d

    path = gaussian_filter1d(places[:, 0], 12, axis=0, mode="nearest")
    reach = np.ptp(places - path[:, None], axis=(0, 1))
    half = np.maximum(reach, [1.0, 1.0, 1.8])[None] * 0.5 * (around * 2 - 1)
    close = framing(half, width, height, azimuth=azimuth, elevation=elevation, margin=1.08)
    tall = float(np.median(places[:, 0, 2]))
    return [
        Camera((float(x), float(y), tall), azimuth, elevation, close.distance, close.fov)
        for x, y, _ in path
    ]
