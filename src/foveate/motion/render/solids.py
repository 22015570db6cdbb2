"""Solids: the few shapes that pictures, GL scenes and exported meshes are all made of.

The one thing to know: a `Solid` is in world coordinates (metres, z up) and knows nothing of
cameras. The painter, the OpenGL renderer and the GLB exporter read the same list, so all three show
one body.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Solid:
    """One shape.

    Args:
        kind: "cone" (the hull of two balls), "ellipsoid", "box", "cylinder" or "mesh".
        centre: Of the shape; of the first ball for a cone; origin of a mesh. Metres, [3].
        turn: Rotation to the world, [3, 3]; unused for a cone.
        size: Half-axes, half-edges, or (radius, radius, half length) of a cylinder, [3]; the two
            radii of a cone in the first two entries.
        colour: Red, green, blue in 0..1.
        end: Centre of the second ball of a cone, [3].
        corners: Of a mesh's triangles, world coordinates, [N, 3, 3].
        alpha: 1 opaque, less is see-through.
    """

    kind: str
    centre: np.ndarray
    turn: np.ndarray
    size: np.ndarray
    colour: Colour
    end: np.ndarray | None = None
    corners: np.ndarray | None = field(default=None, repr=False)
    alpha: float = 1.0

    def faded(self, alpha: float, colour: Colour | None = None) -> Solid:
        """The same solid, see-through, in another colour if given."""
        return replace(self, alpha=alpha, colour=colour or self.colour)

    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """A few balls that contain it: centres [N, 3] and radii [N]."""
        if self.kind == "cone":
            return np.stack([self.centre, self.end]), self.size[:2]
        if self.kind == "mesh":
            points = self.corners.reshape(-1, 3)
            return points, np.zeros(len(points))
        if self.kind == "ellipsoid" and np.ptp(self.size) < 0.05:
            return self.centre[None], self.size.max(keepdims=True)
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
        return self.centre + (signs * self.size) @ self.turn.T, np.zeros(8)


def cone(a: np.ndarray, b: np.ndarray, ra: float, rb: float, colour: Colour) -> Solid:
    """The hull of a ball of radius `ra` around `a` and one of radius `rb` around `b`."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return Solid("cone", a, np.eye(3), np.array([ra, rb, 0.0]), colour, end=b)


def ellipsoid(centre: np.ndarray, turn: np.ndarray, radii: np.ndarray, colour: Colour) -> Solid:
    """An ellipsoid with half-axes `radii` along the columns of `turn`."""
    return Solid("ellipsoid", np.asarray(centre, float), turn, np.asarray(radii, float), colour)


def box(centre: np.ndarray, turn: np.ndarray, half: np.ndarray, colour: Colour) -> Solid:
    """A box with half-edges `half` along the columns of `turn`."""
    return Solid("box", np.asarray(centre, float), turn, np.asarray(half, float), colour)
