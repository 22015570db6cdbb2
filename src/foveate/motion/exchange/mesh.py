"""Meshes of the figure and of scene objects, tessellated from the painter's solids.

The one thing to know: a mesh is vertices [V, 3], normals [V, 3] and triangles [F, 3] with outward
windings; every part of the figure belongs to one joint, so skin weights are 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass
class Mesh:
    """Triangles with normals, colours and the joint that carries each vertex.

    Args:
        points: [V, 3].
        normals: [V, 3].
        faces: [F, 3], counter-clockwise seen from outside.
        colours: [V, 3] in 0..1, or None.
        joints: [V] or None.
    """

    points: Array
    normals: Array
    faces: Array
    colours: Array | None = None
    joints: Array | None = None


def join(meshes: list[Mesh]) -> Mesh:
    """One mesh of several."""
    starts = np.cumsum([0, *(len(m.points) for m in meshes)])[:-1]
    first = meshes[0]
    return Mesh(
        np.concatenate([m.points for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.faces + s for m, s in zip(meshes, starts, strict=True)]),
        None if first.colours is None else np.concatenate([m.colours for m in meshes]),
        None if first.joints is None else np.concatenate([m.joints for m in meshes]),
    )


def _grid_faces(rings: int, around: int) -> Array:
    """Faces of a closed lathe: `rings` circles of `around` points, poles included as rings."""
    faces = []
    for r in range(rings - 1):
        for a in range(around):
            b = (a + 1) % around
            p, q = r * around, (r + 1) * around
            faces += [(p + a, p + b, q + a), (p + b, q + b, q + a)]
    return np.array(faces)


def _basis(axis: Array) -> Array:
    """Rotation whose third column is the unit vector `axis`."""
    helper = np.eye(3)[np.argmin(np.abs(axis))]
    x = np.cross(helper, axis)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(axis, x), axis], axis=1)


def round_cone(a: Array, b: Array, ra: float, rb: float, around: int = 16, arc: int = 5) -> Mesh:
    """The hull of two balls, as a lathe along its axis."""
    axis = b - a
    length = float(np.linalg.norm(axis))
    if length <= abs(ra - rb) + 1e-6:
        centre, r = (a, ra) if ra >= rb else (b, rb)
        return ellipsoid(centre, np.eye(3), np.full(3, r), around)
    split = np.arccos((ra - rb) / length)  # polar angle (from +axis) of the circles of contact
    polar = np.concatenate([np.linspace(np.pi, split, arc), np.linspace(split, 0, arc)])
    radius = np.repeat([ra, rb], arc)
    start = np.repeat([0.0, length], arc)
    return _lathe(a, _basis(axis / length), polar, radius, start, around)


def _lathe(
    origin: Array, turn: Array, polar: Array, radius: Array, start: Array, around: int
) -> Mesh:
    spin = np.linspace(0, 2 * np.pi, around, endpoint=False)
    normal = np.stack(
        [
            np.sin(polar)[:, None] * np.cos(spin),
            np.sin(polar)[:, None] * np.sin(spin),
            np.repeat(np.cos(polar)[:, None], around, 1),
        ],
        axis=2,
    )
    points = normal * radius[:, None, None]
    points[..., 2] += start[:, None]
    faces = _grid_faces(len(polar), around)
    return _without_slivers(
        Mesh(origin + points.reshape(-1, 3) @ turn.T, normal.reshape(-1, 3) @ turn.T, faces)
    )


def _without_slivers(mesh: Mesh) -> Mesh:
    """Without the triangles at the poles that have no area."""
    a, b, c = (mesh.points[mesh.faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    mesh.faces = mesh.faces[area > 1e-12]
    return mesh


def ellipsoid(centre: Array, turn: Array, radii: Array, around: int = 20) -> Mesh:
    """An ellipsoid with half-axes along the columns of `turn`."""
    polar = np.linspace(np.pi, 0, around // 2 + 1)
    ball = _lathe(np.zeros(3), np.eye(3), polar, np.ones_like(polar), np.zeros_like(polar), around)
    normal = ball.normals / radii
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return Mesh(centre + (ball.points * radii) @ turn.T, normal @ turn.T, ball.faces)


def box(centre: Array, turn: Array, half: Array) -> Mesh:
    """A box with flat faces."""
    points, normals, faces = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            corners = np.zeros((4, 3))
            corners[:, axis] = sign
            corners[:, u] = [-1, 1, 1, -1]
            corners[:, v] = [-1, -1, 1, 1]
            n = len(points) * 4
            points.append(corners * half)
            normals.append(np.tile(np.eye(3)[axis] * sign, (4, 1)))
            quad = [(n, n + 1, n + 2), (n, n + 2, n + 3)]
            faces += quad if sign > 0 else [q[::-1] for q in quad]
    return Mesh(
        centre + np.concatenate(points) @ turn.T, np.concatenate(normals) @ turn.T, np.array(faces)
    )


def cylinder(centre: Array, turn: Array, radius: float, half: float, around: int = 32) -> Mesh:
    """A cylinder along the third column of `turn`, with flat ends."""
    spin = np.linspace(0, 2 * np.pi, around, endpoint=False)
    ring = np.stack([np.cos(spin), np.sin(spin), np.zeros(around)], 1)
    up = np.array([0.0, 0.0, half])
    side = np.concatenate([ring * radius - up, ring * radius + up])
    faces = [_grid_faces(2, around)]
    points, normals = [side], [np.concatenate([ring, ring])]
    for sign in (-1.0, 1.0):
        n = sum(map(len, points))
        points.append(np.concatenate([ring * radius + sign * up, [sign * up]]))
        normals.append(np.tile([0.0, 0.0, sign], (around + 1, 1)))
        fan = [(n + i, n + (i + 1) % around, n + around) for i in range(around)]
        faces.append(np.array(fan if sign > 0 else [f[::-1] for f in fan]))
    return Mesh(
        centre + np.concatenate(points) @ turn.T,
        np.concatenate(normals) @ turn.T,
        np.concatenate(faces),
    )


def triangles(corners: Array) -> Mesh:
    """A soup of triangles [N, 3, 3] with flat normals."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    return Mesh(
        corners.reshape(-1, 3), np.repeat(normal, 3, 0), np.arange(3 * len(corners)).reshape(-1, 3)
    )


def of_solid(solid) -> Mesh:
    """The mesh of one of the painter's solids, in the same coordinates, coloured."""
    if solid.kind == "cone":
        mesh = round_cone(solid.centre, solid.end, solid.size[0], solid.size[1])
    elif solid.kind == "ellipsoid":
        mesh = ellipsoid(solid.centre, solid.turn, solid.size)
    elif solid.kind == "box":
        mesh = box(solid.centre, solid.turn, solid.size)
    elif solid.kind == "cylinder":
        mesh = cylinder(solid.centre, solid.turn, solid.size[0], solid.size[2])
    else:
        mesh = triangles(solid.corners)
    mesh.colours = np.tile(np.asarray(solid.colour, float), (len(mesh.points), 1))
    return mesh
