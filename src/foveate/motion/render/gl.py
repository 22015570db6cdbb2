"""The OpenGL renderer: the painter's solids drawn by MuJoCo, offscreen.

The one thing to know: nothing is simulated here. An empty world with a floor is the stage, and the
solids are added as decorative shapes, so both renderers take the same lists. A round cone becomes a
capsule of its mean radius. OpenGL comes from EGL (also without a graphics card, through Mesa) or
OSMesa, whichever works; the environment variable MUJOCO_GL chooses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ...env import foreign
from .backdrop import SKY_LOW, decorate
from .camera import Camera
from .solids import Solid

_STAGE = """
<mujoco>
  <visual>
    <global offwidth="{width}" offheight="{height}" fovy="{fov}"/>
    <quality shadowsize="2048" offsamples="4"/>
    <headlight ambient=".42 .42 .42" diffuse=".38 .38 .38" specular=".05 .05 .05"/>
    <map znear="0.01" zfar="40"/>
    <rgba haze="{sky} 1"/>
  </visual>
  <asset>
    <texture name="sky" type="skybox" builtin="gradient" rgb1="{sky}" rgb2=".86 .88 .90"
      width="64" height="64"/>
    <texture name="floor" type="2d" builtin="checker" rgb1=".90 .89 .865" rgb2=".872 .862 .838"
      width="256" height="256" mark="edge" markrgb=".74 .73 .70"/>
    <material name="floor" texture="floor" texrepeat="1 1" texuniform="true" reflectance="0"
      specular="0"/>
  </asset>
  <worldbody>
    <light directional="true" pos="1 2 4" dir="-.3 -.45 -1" diffuse=".45 .45 .45"
      specular=".1 .1 .1" castshadow="true"/>
    {floor}
  </worldbody>
</mujoco>
"""
_FLOOR = '<geom type="plane" size="40 40 .1" material="floor"/>'
_MOST = 4000  # shapes in one picture


def _context(width: int, height: int):
    """An OpenGL context, made current.

    Raises:
        RuntimeError: None of the ways works here; the message has the reason of each.
    """
    import mujoco

    asked = (foreign("MUJOCO_GL") or "").lower()
    refused = []
    for name in [asked] if asked in ("egl", "osmesa", "glfw") else ["egl", "osmesa"]:
        # PyOpenGL reads this once, when it is first imported
        os.environ.setdefault("PYOPENGL_PLATFORM", name)
        try:
            module = __import__(f"mujoco.{name}", fromlist=["GLContext"])
            context = module.GLContext(width, height)
            context.make_current()
            # a window system without a display gives a context that draws nothing, and no error
            mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), 100).free()
            return context
        except Exception as error:  # drivers fail in every way there is
            refused.append(f"{name}: {type(error).__name__} {' '.join(str(error).split())[:120]}")
    raise RuntimeError(
        f"no OpenGL works here ({'; '.join(refused)}); the painter needs none: --renderer painter"
    )


class GLRenderer:
    """Draws what `Painter` draws; give it back with `close`, or use it in a with statement.

    Args:
        width: Pixels.
        height: Pixels.

    Raises:
        RuntimeError: No OpenGL works here.
    """

    def __init__(self, width: int = 640, height: int = 480) -> None:
        for name, value in (("width", width), ("height", height)):
            if not isinstance(value, int) or not 16 <= value <= 4096:
                raise ValueError(f"{name} is {value!r}; expected a whole number from 16 to 4096")
        self.width, self.height = width, height
        self._context = _context(width, height)
        self._made: tuple | None = None

    def __enter__(self) -> GLRenderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the context back."""
        if self._context is not None:
            if self._made is not None:
                self._made[3].free()
            self._context.free()
            self._context = None

    def _stage(self, floor: bool, fov: float) -> tuple:
        import mujoco

        key = (floor, fov)
        if self._made is None or self._made[0] != key:
            if self._made is not None:
                self._made[3].free()
            sky = " ".join(f"{v:.3f}" for v in SKY_LOW)
            text = _STAGE.format(
                width=self.width,
                height=self.height,
                fov=fov,
                sky=sky,
                floor=_FLOOR if floor else "",
            )
            model = mujoco.MjModel.from_xml_string(text)
            data = mujoco.MjData(model)
            mujoco.mj_forward(model, data)
            scene = mujoco.MjvScene(model, maxgeom=_MOST)
            scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
            context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
            self._made = (key, (model, data), scene, context)
        return self._made

    def draw(
        self,
        solids: Sequence[Solid],
        camera: Camera,
        scene: Sequence[Solid] = (),
        decals: Sequence = (),
        floor: bool = True,
    ) -> np.ndarray:
        """One picture, see `Painter.draw`; decals are laid over the finished picture."""
        import mujoco

        _, (model, data), stage, context = self._stage(floor, camera.fov)
        eye = mujoco.MjvCamera()
        eye.type = mujoco.mjtCamera.mjCAMERA_FREE
        eye.lookat[:] = camera.target
        eye.distance, eye.azimuth, eye.elevation = camera.distance, camera.azimuth, camera.elevation
        mujoco.mjv_updateScene(
            model, data, mujoco.MjvOption(), None, eye, mujoco.mjtCatBit.mjCAT_ALL, stage
        )
        for solid in (*scene, *solids):
            _add(stage, solid)
        view = mujoco.MjrRect(0, 0, self.width, self.height)
        mujoco.mjr_render(view, stage, context)
        picture = np.empty((self.height, self.width, 3), np.uint8)
        mujoco.mjr_readPixels(picture, None, view, context)
        picture = picture[::-1]
        if not decals:
            return np.ascontiguousarray(picture)
        fine = picture.astype(np.float32) / 255
        decorate(fine, decals, camera)
        return (fine * 255 + 0.5).astype(np.uint8)


def _add(stage, solid: Solid) -> None:
    """Append one solid to the shapes of a scene."""
    import mujoco

    kind = mujoco.mjtGeom
    rgba = np.array([*solid.colour, solid.alpha], np.float32)
    if solid.kind == "mesh":
        for corners in solid.corners:
            _triangle(stage, corners, rgba)
        return
    if stage.ngeom >= stage.maxgeom:
        return
    shape = stage.geoms[stage.ngeom]
    if solid.kind == "cone":
        radius = float(solid.size[:2].mean())
        mujoco.mjv_initGeom(
            shape, kind.mjGEOM_CAPSULE, np.ones(3), np.zeros(3), np.eye(3).ravel(), rgba
        )
        mujoco.mjv_connector(shape, kind.mjGEOM_CAPSULE, radius, solid.centre, solid.end)
    else:
        types = {
            "ellipsoid": kind.mjGEOM_ELLIPSOID,
            "box": kind.mjGEOM_BOX,
            "cylinder": kind.mjGEOM_CYLINDER,
        }
        mujoco.mjv_initGeom(
            shape, types[solid.kind], np.asarray(solid.size, float), solid.centre,
            np.ascontiguousarray(solid.turn, float).ravel(), rgba,
        )  # fmt: skip
    stage.ngeom += 1


def _triangle(stage, corners: np.ndarray, rgba: np.ndarray) -> None:
    """One triangle, whose frame maps (1, 0) and (0, 1) to its edges."""
    import mujoco

    if stage.ngeom >= stage.maxgeom:
        return
    a, b, c = corners
    u, v = b - a, c - a
    x = u / max(np.linalg.norm(u), 1e-9)
    z = np.cross(u, v)
    z /= max(np.linalg.norm(z), 1e-9)
    frame = np.stack([x, np.cross(z, x), z], axis=1)
    flat = np.array([np.linalg.norm(u), float(v @ frame[:, 1]), 0.0])
    mujoco.mjv_initGeom(
        stage.geoms[stage.ngeom], mujoco.mjtGeom.mjGEOM_TRIANGLE, flat, a, frame.ravel(), rgba
    )
    stage.ngeom += 1
