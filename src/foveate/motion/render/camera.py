"""Cameras: where the eye stands, what it sees, and how points of the world land on pixels.

The one thing to know: angles are those a person would name. `azimuth` is the direction in which the
eye looks, in degrees around z, 0 = along the character's facing at rest (+x): 180 looks the
character in the face, 90 sees its right side, 150 its front from its left. A negative
`elevation` looks down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

VIEWS = {
    "front-left": 150.0,
    "side": 90.0,
    "front": 180.0,
    "front-right": 210.0,
    "left": 270.0,
    "back": 0.0,
}
"""View → azimuth in degrees. `top` is apart: it looks straight down."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Args:
        target: The point it looks at, metres, z up.
        azimuth: Looking direction around z, degrees.
        elevation: Looking direction above the horizon, degrees; negative looks down.
        distance: From the eye to the target, metres.
        fov: Vertical field of view, degrees.
    """

    target: tuple[float, float, float] = (0.0, 0.0, 0.9)
    azimuth: float = 150.0
    elevation: float = -10.0
    distance: float = 2.8
    fov: float = 45.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.fov <= 150.0:
            raise ValueError(f"fov is {self.fov}; expected 1 to 150 degrees")
        if not self.distance > 0.05:
            raise ValueError(f"distance is {self.distance}; expected more than 0.05 m")

    def looking(self, view: str) -> Camera:
        """The same target and distance from a named view.

        Raises:
            ValueError: No such view.
        """
        if view == "top":
            return replace(self, azimuth=0.0, elevation=-89.9)
        if view not in VIEWS:
            raise ValueError(f'view is "{view}"; expected one of {", ".join([*VIEWS, "top"])}')
        return replace(self, azimuth=VIEWS[view])

    @cached_property
    def forward(self) -> np.ndarray:
        """Unit vector from the eye to the target, [3]."""
        a, e = np.radians(self.azimuth), np.radians(self.elevation)
        return np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])

    @cached_property
    def eye(self) -> np.ndarray:
        """Where the camera stands, [3]."""
        return np.asarray(self.target, float) - self.distance * self.forward

    @cached_property
    def axes(self) -> np.ndarray:
        """Rows: image right, image down, depth; takes world vectors to the camera's, [3, 3]."""
        depth = self.forward
        right = np.cross(depth, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(depth, right), depth])

    def focal(self, height: int) -> float:
        """Pixels per unit of slope for a picture of this height."""
        return 0.5 * height / np.tan(np.radians(self.fov) / 2)

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] in the camera's frame: right, down, depth."""
        return (np.asarray(points, float) - self.eye) @ self.axes.T

    def project(self, points: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of world points.

        Args:
            points: World points, [..., 3].
            width: Of the picture, pixels.
            height: Of the picture, pixels.

        Returns:
            Pixels [..., 2] and depth [...] in metres; a point with depth ≤ 0 is behind the eye.
        """
        seen = self.to_camera(points)
        depth = seen[..., 2]
        safe = np.where(depth > 1e-3, depth, 1e-3)
        pixel = seen[..., :2] / safe[..., None] * self.focal(height)
        return pixel + np.array([width / 2, height / 2]), depth


def framing(
    points: np.ndarray,
    width: int,
    height: int,
    *,
    azimuth: float = 150.0,
    elevation: float = -10.0,
    fov: float = 45.0,
    margin: float = 1.12,
) -> Camera:
    """The nearest camera of these angles that sees all points.

    Args:
        points: World points that must be seen, [N, 3].
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        azimuth: See `Camera`.
        elevation: See `Camera`.
        fov: See `Camera`.
        margin: Room around the points, as a factor of their extent.
    """
    points = np.asarray(points, float).reshape(-1, 3)
    middle = (points.min(0) + points.max(0)) / 2
    camera = Camera(tuple(middle), azimuth, elevation, 1.0, fov)
    seen = (points - middle) @ camera.axes.T
    slope = np.tan(np.radians(fov) / 2)
    # a point at (x, y, z) relative to the target needs |y| ≤ slope · (distance + z), likewise x
    need_y = np.abs(seen[:, 1]) * margin / slope - seen[:, 2]
    need_x = np.abs(seen[:, 0]) * margin / (slope * width / height) - seen[:, 2]
    distance = max(1.0, float(need_y.max()), float(need_x.max()))
    return replace(camera, distance=distance)
