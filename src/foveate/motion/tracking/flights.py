"""Flights: how the controller leaves the ground, what it does in the air, and how it comes down.

The one thing to know: in the air nothing can push, so all that matters is the state at take-off.
It follows from the places of the centre of mass where the flight begins and ends, c₀ and c₁, T
seconds apart: v₀ = (c₁ − c₀)/T − g T/2. While the feet still push, the upward acceleration asked
for is the one that reaches that speed at that height, (v₀² − v²) / 2(c₀ − c), and the angular
momentum goes to what the turn in the air needs. "This speed at this height, whenever" is what a
tracker of places over time cannot say. A landing asks for v² / 2(c − c_low): at rest at the
lowest point. Feet in the air are led relative to the body, soles laid as they will stand (a sole
that lands on its toes carries nobody), and what lands bears from when it really touches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..clip import MotionClip
from ..engine import mujoco
from ..rotations import Array

if TYPE_CHECKING:
    from .contacts import Contacts
    from .reference import Reference

GRAVITY = np.array([0.0, 0.0, -9.81])
MOST = 30.0  # m/s²: largest acceleration asked of the centre of mass
SINK = 0.45  # seconds after a landing in which the body reaches its lowest point, at most
RISING = 0.08  # m/s upwards: from here on the body pushes itself off
SHORTEST = 0.06  # seconds in the air that are no flicker
NEAR = 0.015  # metres below the planned place of take-off at which the legs are long enough
TIPTOE = 0.02  # and at which the heels may rise
EARLY, LATE = 10, 12  # samples: how far take-off may be from its planned time
CATCH_UP = 0.2  # largest change of pace on the ground
SPIN_RATE = 8.0  # 1/s: how fast the angular momentum goes to what is wanted


@dataclass(frozen=True)
class Flight:
    """A time without contacts, in samples of the control rate.

    Attributes:
        start: The push begins: the centre of mass is at its lowest.
        off, down: Last sample on the ground, first sample on it again.
        low: After landing, the lowest point.
        leave: Centre of mass at take-off, `[3]`.
        speed: Its velocity then, m/s `[3]`.
        land: Its height at touch-down.
        rest: Its height at `low`.
    """

    start: int
    off: int
    down: int
    low: int
    leave: Array
    speed: Array
    land: float
    rest: float


def spans_of(clip: MotionClip, rate: float) -> list[tuple[int, int]]:
    """(last sample on the ground, first sample on it again) of the times without any contact.

    A clip that declares no contacts has no flights that are known, and times at its ends are none.
    """
    if not clip.contacts:
        return []
    touches = np.any(list(clip.contacts.values()), axis=0)
    found, off = [], None
    for edge in np.flatnonzero(np.diff(touches.astype(int))):
        if touches[edge]:
            off = edge
        elif off is not None:
            found.append((round(off / clip.fps * rate), round((edge + 1) / clip.fps * rate)))
    return [(off, down) for off, down in found if down - off >= SHORTEST * rate]


def flights_of(clip: MotionClip, com: Array, com_vel: Array, rate: float) -> tuple[Flight, ...]:
    """The flights of a clip.

    Args:
        clip: With its contacts.
        com, com_vel: Of the reference, `[N, 3]`.
        rate: Samples per second.
    """
    found: list[Flight] = []
    spans = spans_of(clip, rate)
    for index, (off, down) in enumerate(spans):
        before = found[-1].low if found else 0
        start = off - 1
        while start > before and com_vel[start - 1, 2] > RISING:
            start -= 1
        end = spans[index + 1][0] if index + 1 < len(spans) else len(com) - 1
        last = min(down + round(SINK * rate), end, len(com) - 1)
        low = down + int(np.argmin(com[down : last + 1, 2]))
        low = min(max(low, down + 3), end)
        air = (down - off) / rate
        speed = (com[down] - com[off]) / air - GRAVITY * air / 2
        land, rest = float(com[down, 2]), float(com[low, 2])
        found.append(Flight(start, off, down, low, com[off].copy(), speed, land, rest))
    return tuple(found)


class Airborne:
    """Where in its flights a simulated body is, and so which sample of the reference is next.

    Take-off is when the legs are stretched and not when the plan has it, and touch-down when a sole
    touches; in between the plan runs so fast that both end together. Time lost or won is made up
    for on the ground, and the plan is moved to where the feet came down.

    Args:
        model: Of the body.
        reference: What to follow.
    """

    def __init__(self, model: mujoco.MjModel, reference: Reference) -> None:
        self.ref = reference
        self.spins = [_spin(model, reference, flight) for flight in reference.flights]
        self.front = np.array(["heel" not in name for name in reference.sites])
        self.sides = np.array([name.startswith("R") for name in reference.sites], int)
        self.reset()

    def reset(self) -> None:
        self.at = 0.0  # sample of the reference
        self.index = 0  # of the flight that is to come or going on
        self.up = False  # whether the feet have left the ground
        self.down = False  # whether they are on it again
        self.waited = 0  # samples spent waiting for take-off or for the end of a landing
        self.shift = np.zeros(3)  # how far the plan has been moved along the ground

    @property
    def flight(self) -> Flight | None:
        """The flight that is to come, going on, or just landed."""
        flights = self.ref.flights
        return flights[self.index] if self.index < len(flights) else None

    @property
    def pushing(self) -> bool:
        """Whether the body is on its way up with its feet on the ground."""
        flight = self.flight
        return flight is not None and not (self.up or self.down) and self.at >= flight.start

    @property
    def spin(self) -> Array | None:
        """The angular momentum that the push should end with, `[3]`; None outside of pushes."""
        return self.spins[self.index] if self.pushing else None

    def sample(self, step: int, com: Array, velocity: Array) -> int:
        """The sample of the reference for a control step.

        Args:
            step: Control steps since the start.
            com, velocity: Of the centre of mass, `[3]`.
        """
        last = len(self.ref) - 1
        if not self.ref.flights:
            return min(step, last)
        if step:
            self.at = min(self.at + self._pace(step, com, velocity), float(last))
        flight = self.flight
        if self.down and flight is not None and self._rests(flight, velocity):
            self.index, self.down, self.waited = self.index + 1, False, 0
            flight = self.flight
        if flight is not None and self.pushing:
            stretched = com[2] > flight.leave[2] - NEAR and velocity[2] > 0
            if (stretched and self.at >= flight.off - EARLY) or self.waited >= LATE:
                self.up, self.at = True, float(flight.off)
        return round(self.at)

    def _pace(self, step: int, com: Array, velocity: Array) -> float:
        """How many samples of the plan go by in this control step."""
        flight = self.flight
        catching_up = 1 + float(np.clip((step - self.at) / 20, -CATCH_UP, CATCH_UP))
        if flight is None:
            return catching_up
        if self.up:
            fall = velocity[2] ** 2 - 2 * GRAVITY[2] * (com[2] - flight.land)
            left = (velocity[2] + np.sqrt(max(fall, 0.0))) / -GRAVITY[2] * self.ref.rate
            return (flight.down - self.at) / max(left, 1.0)
        if self.pushing:
            if self.at + 1 <= flight.off:
                return 1.0
            self.waited += 1
            return flight.off - self.at
        return min(catching_up, flight.low - self.at) if self.down else catching_up

    def _rests(self, flight: Flight, velocity: Array) -> bool:
        """Whether a landing is over: the body does not sink any further."""
        if self.at < flight.low:
            return False
        self.waited += 1
        return velocity[2] > -0.05 or self.waited > LATE

    def landed(self, contacts: Contacts) -> int:
        """A sole has touched: the sample of the reference from which to go on."""
        flight = self.flight
        assert flight is not None
        self.up, self.down, self.at, self.waited = False, True, float(flight.down), 0
        self.shift[:2] = contacts.strayed(flight.low)
        return flight.down

    def _bearing(self, flight: Flight) -> np.ndarray:
        """Points that carry weight in the reference after the landing, bool `[S]`."""
        return self.ref.active[flight.down : flight.low + 1].any(axis=0)

    def lands(self, side: int) -> bool:
        """Whether a foot (0 left, 1 right) is in the air and about to carry weight."""
        flight = self.flight
        if flight is None or not self.up:
            return False
        return bool(self._bearing(flight)[self.sides == side].any())

    def bears(self, com: Array) -> np.ndarray | None:
        """Points that bear as soon as they touch, bool `[S]`; None: as the reference says."""
        flight, active = self.flight, self.ref.active
        if flight is None:
            return None
        if self.up and self.at < (flight.off + flight.down) / 2:
            return np.zeros(active.shape[1], bool)
        if self.up or self.down:
            return self._bearing(flight)
        if not self.pushing:
            return None
        found = active[min(round(self.at), flight.off - 1)]
        return found & self.front if com[2] > flight.leave[2] - TIPTOE else found

    def wanted(self, com: Array, velocity: Array) -> float | None:
        """Upward acceleration of the centre of mass, m/s²; None: as the reference says."""
        flight = self.flight
        if flight is None or self.up:
            return None
        if self.pushing:
            way = max(flight.leave[2] - com[2], 0.02)
            rise = flight.speed[2] ** 2 - velocity[2] * abs(velocity[2])
            return float(np.clip(rise / (2 * way), -MOST, MOST))
        if self.down:
            way = max(com[2] - flight.rest, 0.04)
            return float(min(min(velocity[2], 0.0) ** 2 / (2 * way), MOST))
        return None


def _spin(model: mujoco.MjModel, ref: Reference, flight: Flight) -> Array:
    """Mean angular momentum of the reference in the air, kg m²/s `[3]`."""
    data = mujoco.MjData(model)
    found = []
    for step in range(flight.off + 2, max(flight.down - 1, flight.off + 3), 2):
        data.qpos[:], data.qvel[:] = ref.qpos[step], ref.qvel[step]
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_comVel(model, data)
        mujoco.mj_subtreeVel(model, data)
        found.append(data.subtree_angmom[1].copy())
    return np.mean(found, axis=0)
