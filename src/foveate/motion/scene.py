"""Scene: what stands around the body, as plain boxes, cylinders and height fields.

The one thing to know: `position` is the middle of an object's underside and `size` its full edges,
so a chair of height 0.44 on the floor is `position (x, y, 0)`, `size (0.45, 0.45, 0.44)`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .rotations import Array

Affordance = Literal["sit", "step", "reach", "lie", "lean"]


class SceneObject(BaseModel):
    """One static thing.

    Args:
        name: How plans refer to it.
        shape: Its form. A "plane" is an endless slope through `position`, tilted by `slope_deg`
            upwards along its yaw; a "heightfield" uses `heights`.
        size: Full edges (length, width, height) in metres; a cylinder or capsule stands upright
            with diameter size[0] and height size[2].
        position: Middle of the underside in metres.
        yaw_deg: Turn about the vertical; the front of a seat looks along +x at 0.
        heights: Rows (along y) of heights in metres over the size[0] × size[1] ground, for a
            "heightfield"; at least 2 × 2.
        slope_deg: Of a "plane".
        affordances: What one can do with it.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=60, pattern=r"^[A-Za-z][A-Za-z0-9_ -]*$")
    shape: Literal["box", "cylinder", "capsule", "plane", "heightfield"] = "box"
    size: tuple[float, float, float] = (0.5, 0.5, 0.5)
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    yaw_deg: float = 0.0
    heights: list[list[float]] | None = None
    slope_deg: float = Field(0.0, ge=-45, le=45)
    affordances: list[Affordance] = []

    @model_validator(mode="after")
    def _check(self) -> SceneObject:
        numbers = [*self.size, *self.position, self.yaw_deg]
        if not np.isfinite(numbers).all():
            raise ValueError(f"object {self.name!r} has a number that is not finite")
        if self.shape != "plane" and min(self.size) <= 0:
            raise ValueError(f"object {self.name!r} has size {self.size}; edges must be positive")
        if self.shape == "heightfield":
            grid = self.heights or []
            widths = {len(row) for row in grid}
            if len(grid) < 2 or len(widths) != 1 or min(widths) < 2:
                raise ValueError(
                    f"heightfield {self.name!r} needs heights: at least 2 rows of equal length ≥ 2"
                )
            if not np.isfinite(np.array(grid)).all():
                raise ValueError(f"heightfield {self.name!r} has a height that is not finite")
        return self

    @property
    def top(self) -> float:
        """Height of the highest point of its upper face, metres (of a plane: at its position)."""
        if self.shape == "plane":
            return self.position[2]
        if self.shape == "heightfield":
            return self.position[2] + float(np.max(self.heights))
        return self.position[2] + self.size[2]

    def local(self, points: ArrayLike) -> Array:
        """Horizontal places `[..., 2]` in the object's own frame, `[..., 2]`."""
        yaw = np.radians(self.yaw_deg)
        x, y = np.moveaxis(np.asarray(points, float) - np.array(self.position[:2]), -1, 0)
        return np.stack(
            [np.cos(yaw) * x + np.sin(yaw) * y, np.cos(yaw) * y - np.sin(yaw) * x], axis=-1
        )

    def world(self, local: ArrayLike) -> Array:
        """Places in the object's own frame `[..., 2]` or `[..., 3]` in the world."""
        local = np.asarray(local, float)
        yaw = np.radians(self.yaw_deg)
        x, y = local[..., 0], local[..., 1]
        turned = [np.cos(yaw) * x - np.sin(yaw) * y, np.sin(yaw) * x + np.cos(yaw) * y]
        if local.shape[-1] == 3:
            turned.append(local[..., 2])
        return np.stack(turned, axis=-1) + np.array(self.position[: local.shape[-1]])

    def height(self, points: ArrayLike) -> Array:
        """Height of its upper face over horizontal places `[..., 2]`; −inf beside it."""
        local = self.local(points)
        x, y = local[..., 0], local[..., 1]
        if self.shape == "plane":
            return self.position[2] + np.tan(np.radians(self.slope_deg)) * x
        half_x, half_y = self.size[0] / 2, self.size[1] / 2
        if self.shape in ("cylinder", "capsule"):
            inside = np.hypot(x, y) <= half_x
        else:
            inside = (np.abs(x) <= half_x) & (np.abs(y) <= half_y)
        if self.shape != "heightfield":
            return np.where(inside, self.top, -np.inf)
        grid = np.array(self.heights, float)
        rows, columns = grid.shape
        u = np.clip((x / self.size[0] + 0.5) * (columns - 1), 0, columns - 1)
        v = np.clip((y / self.size[1] + 0.5) * (rows - 1), 0, rows - 1)
        i = np.minimum(v.astype(int), rows - 2)
        j = np.minimum(u.astype(int), columns - 2)
        a, b = v - i, u - j
        between = (
            grid[i, j] * (1 - a) * (1 - b)
            + grid[i, j + 1] * (1 - a) * b
            + grid[i + 1, j] * a * (1 - b)
            + grid[i + 1, j + 1] * a * b
        )
        return np.where(inside, self.position[2] + between, -np.inf)


class Scene(BaseModel):
    """A floor at height 0 and the objects on it.

    Args:
        name: For people.
        objects: With distinct names.
        floor: False takes the floor away (a chasm 5 m deep lies below), for stepping stones.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    objects: list[SceneObject] = []
    floor: bool = True

    @model_validator(mode="after")
    def _check(self) -> Scene:
        names = [item.name for item in self.objects]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"objects share the name {twice[0]!r}; give each its own")
        return self

    def __getitem__(self, name: str) -> SceneObject:
        for item in self.objects:
            if item.name == name:
                return item
        known = ", ".join(item.name for item in self.objects) or "none"
        raise ValueError(f"unknown object {name!r}; objects of this scene are {known}")

    def find(self, affordance: str) -> SceneObject | None:
        """The first object that offers this."""
        return next((item for item in self.objects if affordance in item.affordances), None)

    def height(self, points: ArrayLike) -> Array:
        """Height of what one would stand on over horizontal places `[..., 2]`, metres."""
        points = np.asarray(points, float)
        found = np.full(points.shape[:-1], 0.0 if self.floor else -5.0)
        for item in self.objects:
            found = np.maximum(found, item.height(points))
        return found

    # ---- made and saved

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True)

    @classmethod
    def from_json(cls, data: Any) -> Scene:
        """Raises ValueError with one line for anything that is not a scene."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise ValueError(f"not a scene: {first_problem(error)}") from None

    @classmethod
    def named(cls, name: str) -> Scene:
        """A ready-made scene by name, or the scene in a JSON file by path.

        Raises:
            ValueError: Neither a known name nor a readable scene file.
        """
        from .presets import PRESETS

        if name in PRESETS:
            return PRESETS[name]()
        path = Path(name)
        if path.suffix == ".json" or path.exists():
            try:
                return cls.from_json(json.loads(path.read_text()))
            except OSError as error:
                raise ValueError(f"cannot read scene {name!r}: {error.strerror}") from None
            except json.JSONDecodeError as error:
                raise ValueError(f"scene {name!r} is not JSON: {error}") from None
        known = ", ".join(PRESETS)
        raise ValueError(f"unknown scene {name!r}; scenes are {known}, or a path to a .json file")


def first_problem(error: ValidationError) -> str:
    """The first of pydantic's complaints on one line: where, and what."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    more = len(error.errors()) - 1
    text = problem["msg"].removeprefix("Value error, ")
    return f"{where + ': ' if where else ''}{text}" + (f" (and {more} more)" if more else "")
