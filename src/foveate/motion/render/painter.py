"""The painter: pictures of solids with NumPy and Pillow alone, for machines without OpenGL.

The one thing to know: it casts a ray through every pixel of a solid's bounding box, keeps the
nearest hit, and shades all hits at once. The body is drawn at twice the resolution and averaged
down; the floor, the objects and the sky of a camera are drawn once and kept while it stands still.
Pictures are the same on every machine up to rounding of the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import rays as meet
from .backdrop import SCALE, cast_shadows, decorate, ground, halved, sun_of
from .camera import Camera
from .solids import Solid


class Painter:
    """Draws solids as a camera sees them.

    Args:
        width: Pixels.
        height: Pixels.
    """

    def __init__(self, width: int = 640, height: int = 480) -> None:
        for name, value in (("width", width), ("height", height)):
            if not isinstance(value, int) or not 16 <= value <= 4096:
                raise ValueError(f"{name} is {value!r}; expected a whole number from 16 to 4096")
        self.width, self.height = width, height
        self._kept: tuple | None = None

    def __enter__(self) -> Painter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing to give back; here because the OpenGL renderer has something."""

    def draw(
        self,
        solids: Sequence[Solid],
        camera: Camera,
        scene: Sequence[Solid] = (),
        decals: Sequence[tuple[np.ndarray, tuple[int, int, int, int]]] = (),
        floor: bool = True,
    ) -> np.ndarray:
        """One picture.

        Args:
            solids: What moves. Those with alpha < 1 are laid under the opaque ones.
            camera: The eye.
            scene: What stands still; drawn once per camera.
            decals: Polygons on the floor, world points [N, 3] with a colour (red, green, blue,
                alpha) in 0..255.
            floor: False shows water far below instead.

        Returns:
            The picture, uint8 [height, width, 3].
        """
        back, depth = self._background(camera, scene, floor)
        picture = back.copy()
        opaque = [s for s in solids if s.alpha >= 1]
        ghosts = [s for s in solids if s.alpha < 1]
        if opaque and floor:
            cast_shadows(picture, opaque, camera, depth)
        if decals:
            decorate(picture, decals, camera)
        if ghosts:
            self._lay(picture, ghosts, camera, depth, ghosts[0].alpha)
        if opaque:
            self._lay(picture, opaque, camera, depth, 1.0)
        return (picture * 255 + 0.5).astype(np.uint8)  # all values lie in 0..1

    def _background(
        self, camera: Camera, scene: Sequence[Solid], floor: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sky, floor and scene of a camera: float picture, and its depth at body resolution."""
        key = (camera, tuple(map(id, scene)), floor)
        if self._kept is not None and self._kept[0] == key:
            return self._kept[1], self._kept[2]
        picture = ground(camera, self.width, self.height, floor)
        depth = np.full((self.height * SCALE, self.width * SCALE), np.inf, np.float32)
        if scene:
            if floor:
                cast_shadows(picture, scene, camera, depth)
            self._lay(picture, scene, camera, depth, 1.0, keep_depth=True)
        # the scene is held so that a later list cannot take over the identity of this one
        self._kept = (key, picture, depth, tuple(scene))
        return picture, depth

    def _lay(
        self,
        picture: np.ndarray,
        solids: Sequence[Solid],
        camera: Camera,
        behind: np.ndarray,
        alpha: float,
        keep_depth: bool = False,
    ) -> None:
        """Draw solids onto `picture` [H, W, 3] in place, hidden where `behind` is nearer."""
        region = _Region(self.width, self.height, camera, solids)
        if region.empty:
            return
        region.cast(solids, camera, behind)
        colour, cover = region.shade(solids, camera)
        y, x = region.y // SCALE, region.x // SCALE
        target = picture[y : y + cover.shape[0], x : x + cover.shape[1]]
        target *= 1 - alpha * cover[..., None]
        target += alpha * colour
        if keep_depth:
            window = behind[region.y : region.y + region.h, region.x : region.x + region.w]
            np.minimum(window, region.depth, out=window)


class _Region:
    """The part of the fine picture that solids cover, with depth and what is seen."""

    def __init__(self, width: int, height: int, camera: Camera, solids: Sequence[Solid]) -> None:
        self.size = (width * SCALE, height * SCALE)
        self.focal = camera.focal(height * SCALE)
        self.boxes = [self._bounds(s, camera) for s in solids]
        seen = np.array([b for b in self.boxes if b is not None])
        self.empty = len(seen) == 0
        if self.empty:
            return
        left, top = seen[:, :2].min(0) // SCALE * SCALE
        right, low = -(-seen[:, 2:].max(0) // SCALE) * SCALE
        self.x, self.y, self.w, self.h = int(left), int(top), int(right - left), int(low - top)
        self.depth = np.full((self.h, self.w), np.inf, np.float32)
        self.who = np.full((self.h, self.w), -1, np.int16)  # the cast that is seen
        self.casts: list[tuple] = []  # bounds, normals, index of the solid

    def _bounds(self, solid: Solid, camera: Camera) -> tuple[int, int, int, int] | None:
        centres, radii = solid.reach()
        seen = camera.to_camera(centres)
        if (seen[:, 2] < 0.05).all():
            return None
        z = np.maximum(seen[:, 2] - radii, 0.05)
        middle = np.array(self.size) / 2
        # a ball's outline is at most r·√(1 + slope²) / (z − r) wide on either side
        slope = seen[:, :2] / np.maximum(seen[:, 2:], 0.05)
        wide = radii * np.sqrt(1 + (slope**2).sum(1)) / z
        low = ((slope - wide[:, None]) * self.focal + middle).min(0) - 1
        high = ((slope + wide[:, None]) * self.focal + middle).max(0) + 2
        low, high = np.maximum(low, 0), np.minimum(high, self.size)
        if (high - low < 1).any():
            return None
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])

    def cast(self, solids: Sequence[Solid], camera: Camera, behind: np.ndarray) -> None:
        axes, eye = camera.axes, camera.eye
        for index, (solid, bounds) in enumerate(zip(solids, self.boxes, strict=True)):
            if bounds is None:
                continue
            if solid.kind == "mesh":
                self._cast_mesh(index, solid, camera, behind)
                continue
            rays = self._rays(bounds)
            centre = (axes @ (solid.centre - eye)).astype(np.float32)
            if solid.kind == "cone":
                end = (axes @ (solid.end - eye)).astype(np.float32)
                hits = meet.round_cone(rays, centre, end, solid.size[0], solid.size[1])
            elif solid.kind == "ellipsoid":
                hits = meet.ellipsoid(rays, centre, axes @ solid.turn, solid.size)
            elif solid.kind == "box":
                hits = meet.box(rays, centre, axes @ solid.turn, solid.size)
            else:
                hits = meet.cylinder(rays, centre, axes @ solid.turn, solid.size[0], solid.size[2])
            self._keep(index, bounds, hits, behind)

    def _cast_mesh(self, index: int, solid: Solid, camera: Camera, behind: np.ndarray) -> None:
        for corners in solid.corners:
            part = Solid(
                "mesh", corners[0], solid.turn, solid.size, solid.colour, corners=corners[None]
            )
            bounds = self._bounds(part, camera)
            if bounds is not None:
                rays = self._rays(bounds)
                seen = camera.to_camera(corners).astype(np.float32)
                self._keep(index, bounds, meet.triangle(rays, seen), behind)

    def _rays(self, bounds: tuple[int, int, int, int]) -> meet.Rays:
        x0, y0, x1, y1 = bounds
        return meet.Rays(
            (np.arange(x0, x1) + 0.5 - self.size[0] / 2) / self.focal,
            (np.arange(y0, y1) + 0.5 - self.size[1] / 2) / self.focal,
        )

    def _keep(
        self, index: int, bounds: tuple[int, int, int, int], hits: meet.Hits, behind: np.ndarray
    ) -> None:
        """Where a cast is the nearest so far; its normals wait until it is known what is seen."""
        x0, y0, x1, y1 = bounds
        t, normals = hits
        rows, cols = slice(y0 - self.y, y1 - self.y), slice(x0 - self.x, x1 - self.x)
        depth = self.depth[rows, cols]
        t2 = t.reshape(depth.shape)
        nearer = (t2 < depth) & (t2 < behind[y0:y1, x0:x1])
        if nearer.any():
            np.copyto(depth, t2, where=nearer)
            np.copyto(self.who[rows, cols], len(self.casts), where=nearer)
            self.casts.append((bounds, normals, index))

    def _seen(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels that show something (flat), their normals [N, 3] and whose solid it is [N]."""
        flat = np.flatnonzero(self.who.reshape(-1) >= 0)
        casts = self.who.reshape(-1)[flat]
        order = np.argsort(casts, kind="stable")
        flat, casts = flat[order], casts[order]
        ends = np.searchsorted(casts, np.arange(len(self.casts) + 1))
        normal = np.empty((len(flat), 3), np.float32)
        solid = np.empty(len(flat), np.intp)
        for i, (bounds, normals, index) in enumerate(self.casts):
            own = slice(ends[i], ends[i + 1])
            if ends[i] == ends[i + 1]:
                continue
            y, x = np.divmod(flat[own], self.w)
            x0, y0, x1, _ = bounds
            normal[own] = normals((y + self.y - y0) * (x1 - x0) + x + self.x - x0)
            solid[own] = index
        return flat, normal, solid

    def shade(self, solids: Sequence[Solid], camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """Colour times cover [h, w, 3] and cover [h, w], both at the picture's resolution."""
        flat, n, solid = self._seen()
        paint = np.array([s.colour for s in solids], np.float32)[solid]
        sun, up = sun_of(camera), np.array([0.0, 0.0, 1.0])
        half = camera.axes @ sun - [0, 0, 1]
        toward = np.stack([camera.axes @ sun, camera.axes @ up, half / np.linalg.norm(half)], 1)
        direct, sky, shine = (n @ toward.astype(np.float32)).T
        light = 0.60 + 0.18 * sky + 0.50 * np.maximum(direct, 0)
        # edges that turn away from the eye get darker, so that limbs of one colour stay apart
        light *= 0.60 + 0.40 * np.sqrt(np.clip(-n[:, 2], 0, 1))
        shine = np.maximum(shine, 0) ** 2
        shine = (shine * shine) ** 2
        gloss = np.float32(0.10) * shine * shine * shine  # to the power of 24
        fine = np.zeros((self.h * self.w, 4), np.float32)
        fine[flat, :3] = np.minimum(paint * light[:, None] + gloss[:, None], 1)
        fine[flat, 3] = 1
        small = halved(fine.reshape(self.h, self.w, 4))
        return small[..., :3], small[..., 3]
