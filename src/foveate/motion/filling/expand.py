"""Expand: from a plan's keys to knots, each a solved pose with its contacts.

The one thing to know: angles that a plan gives are wishes; what holds is that planted parts stay
where they are, soles lie flat and the weight is over the feet. Inheritance follows the wished
angles, not the solved ones, so corrections do not pile up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..kinematics import quats_to_hinges
from ..plan import Gait, Keyframe
from ..pose import apply_dofs
from ..rotations import Array
from .knots import Knot
from .placing import turn2
from .posing import Posing


class Expander(Posing):
    """Walks through the keys of a plan once and collects knots."""

    def run(self) -> list[Knot]:
        """All knots, not yet timed."""
        for key in self.plan.keys:
            self.add(key)
        return self.knots

    # ---- one key

    def add(self, key: Keyframe) -> None:
        span = max(0.08, key.t - self.end) if self.knots else 0.0
        hinges = self._wished(key)
        if self.knots:
            for gait in self._approach(key):
                self._gait(gait, key, self.hinges, named=False)
        if key.gait is not None and self.knots:
            self._gait(key.gait, key, hinges, named=True)
            span = max(0.08, min(span, 0.5))
        if key.root.height_mode == "ballistic" and self.knots:
            from .flight import fly

            fly(self, key, hinges)
        else:
            self._stand(key, hinges, span)
        self.hinges = hinges
        self.end = key.t + key.hold
        if key.hold > 0:
            last = self.knots[-1]
            self.knots.append(replace(last, span=key.hold, key="", ease="linear", through=False))

    def _stand(self, key: Keyframe, hinges: Array, span: float) -> None:
        """The ordinary case: one pose with its contacts."""
        moved = key.gait is None or not self.knots
        if moved:
            self.home = self.home + turn2(self.yaw) @ np.array(key.root.travel)
            self.yaw += np.radians(key.root.yaw_deg)
        contacts, explicit = self.contacts_of(key, hinges)
        knot = self.pose(key, hinges, contacts)
        knot.span, knot.key, knot.ease, knot.hold = span, key.id, key.ease, key.hold
        knot.lift = 0.08 if not explicit else 0.09
        self.knots.append(knot)
        self.feet |= knot.feet()

    def _wished(self, key: Keyframe) -> Array:
        """The angles that the key asks for, style included."""
        if key.pose is not None:
            return quats_to_hinges(key.pose.joint_quat, self.hinges)
        base = self.neutral if key.base == "neutral" or not self.knots else self.hinges
        if key.base == "neutral" or not self.knots:
            base = self.style.laid_on(base)
        told = apply_dofs(np.zeros(47), key.dofs) if key.dofs else None
        wished = apply_dofs(base, key.dofs)
        if told is None:
            return wished
        return self.style.amplified(base, wished, self.neutral)

    def _approach(self, key: Keyframe) -> list[Gait]:
        """Steps that must come first: to a far seat, or because the root travels too far."""
        from .approach import approach

        return approach(self, key)

    def _gait(self, gait: Gait, key: Keyframe, hinges: Array, named: bool) -> None:
        from .gait import walk

        walk(self, gait, hinges if named else self.hinges)
