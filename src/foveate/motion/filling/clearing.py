"""Clearing: free feet and free arms go around what they would pass through.

The one thing to know: a pose that would sink in is solved once or twice more, with the part lifted
out the shortest way; a simulated arm that meets a seat would otherwise push the whole body off.
"""

from __future__ import annotations

import numpy as np

from .. import rotations as rot
from ..body import JOINT, Body
from ..check.surfaces import surface_depth
from ..kinematics import fk_qpos
from ..rotations import Array
from ..scene import Scene
from .solver import Frame, Solver, Wishes

FOOT = 0.01  # metres that a swinging foot keeps from the ground
ARM = 0.02  # metres that a free arm keeps from everything
SUNK = 0.003  # metres that a resting body may sink in
PROBE = 0.004  # metres between the places at which a depth is compared
_TRUNK = tuple(JOINT[name] for name in ("pelvis", "spine1", "spine2", "spine3", "L_hip", "R_hip"))


class Clearing:
    """Leads the free limbs of solved poses out of the scene.

    Args:
        solver: Of the body.
        scene: What stands around.
    """

    def __init__(self, solver: Solver, scene: Scene) -> None:
        self.solver, self.scene = solver, scene
        self.body: Body = solver.body

    def feet(self, solved: Array, wishes: Wishes, sides: list[str], share: float) -> Array:
        """Lift swinging feet over the ground.

        Args:
            solved: The pose, `[54]`.
            wishes: What it was solved for; the lifted feet are added.
            sides: "L", "R": feet that nothing holds.
            share: How far their swing has gone, 0 to 1.
        """
        if not sides:
            return solved
        places, turns = fk_qpos(solved, self.body)
        again = False
        for side in sides:
            names = [*self.body.contact_points[f"{side}_foot"], f"{side}_ball_in"]
            points = np.array([self._site(places, turns, name) for name in names])
            below = self.scene.height(points[:, :2]) - points[:, 2]
            below = below[below < 0.4]  # a foot beside a block is not under it
            clearance = FOOT * min(1.0, 8 * share * (1 - share))
            if len(below) and below.max() + clearance > 1e-3:
                target = places[JOINT[f"{side}_ankle"]] + [0, 0, below.max() + clearance]
                wishes.bodies[f"{side}_ankle"] = Frame(target, None, 12.0)
                again = True
        return self.solver.solve(solved, wishes, 3) if again else solved

    def arms(self, solved: Array, wishes: Wishes, sides: list[str], rounds: int = 2) -> Array:
        """Lead forearms and hands out of things, the shortest way.

        Args:
            solved: The pose, `[54]`.
            wishes: What it was solved for; places of the hands are added.
            sides: "L", "R": arms that neither rest on something nor reach for it.
            rounds: How often to look again.
        """
        for _ in range(rounds):
            places, turns = fk_qpos(solved, self.body)
            again = False
            for side in sides:
                away = self._out(places, turns, side)
                if away is not None:
                    name = f"{side}_hand"
                    target = self._site(places, turns, name) + away
                    wishes.sites[name] = Frame(target, None, 12.0)
                    again = True
            if not again:
                break
            solved = self.solver.solve(solved, wishes, 3)
        return solved

    def trunk(self, solved: Array, wishes: Wishes) -> Array:
        """Raise a resting body whose pelvis, trunk or thighs sink into what they rest on."""
        for _ in range(3):
            places, turns = fk_qpos(solved, self.body)
            depth = self._depth(places, turns, _TRUNK).max()
            if depth < SUNK:
                break
            wishes.qpos[2] += depth
            solved = self.solver.solve(solved, wishes, 3)
        return solved

    def _depth(self, places: Array, turns: Array, joints: tuple[int, ...]) -> Array:
        """Depth of the round ends of segments, metres `[n]`."""
        points, radii = [], []
        for geom in self.body.geoms:
            if geom.joint in joints:
                for end in (geom.a, geom.b):
                    if end is not None:
                        points.append(places[geom.joint] + rot.rotate(turns[geom.joint], end))
                        radii.append(geom.size[0])
        return surface_depth(self.scene, np.array(points), np.array(radii))

    def _out(self, places: Array, turns: Array, side: str) -> Array | None:
        """How a hand has to move so that its arm is free, `[3]`; None if it is."""
        points, radii = [], []
        arm = JOINT[f"{side}_elbow"], JOINT[f"{side}_wrist"]
        for geom in self.body.geoms:
            if geom.joint in arm and geom.b is not None:
                for share in (0.5, 1.0):
                    local = (1 - share) * np.array(geom.a) + share * np.array(geom.b)
                    points.append(places[geom.joint] + rot.rotate(turns[geom.joint], local))
                    radii.append(geom.size[0])
        depth = surface_depth(self.scene, np.array(points), np.array(radii)) + ARM
        worst = int(depth.argmax())
        if depth[worst] <= 1e-3:
            return None
        probes = points[worst] + PROBE * np.concatenate([np.eye(3), -np.eye(3)])
        there = surface_depth(self.scene, probes)
        slope = there[3:] - there[:3]  # towards less depth
        size = np.linalg.norm(slope)
        out = slope / size if size > 1e-9 else np.array([0.0, 0.0, 1.0])
        return depth[worst] * out

    def _site(self, places: Array, turns: Array, name: str) -> Array:
        joint, local = self.body.sites[name]
        return places[joint] + rot.rotate(turns[joint], local)
