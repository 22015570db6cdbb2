"""Tuning: selections whose knobs differ from head to head, found on real queries, keys and values.

    profile = Profile.load("smollm2-135m-sparge")       # made by `foveate tune`
    foveate.accelerate(model, profile=profile)

`capture` shows what each layer attends with, `gather` keeps enough of it to know the exact output
of any choice of blocks, `judge` tries all candidates, `allocate` spends one budget over all heads.
"""

from __future__ import annotations

from .allocate import Allocation, allocate
from .candidates import KNOBS, LIKENESS, VALUES, Grid, Judged, judge
from .capture import Captured, capture
from .evidence import Evidence, gather
from .loading import load
from .moa.plan import MoAPlan, PlanError
from .profile import Profile, ProfileError, shipped
from .search import Table, calibrate, hold_out, samples, selections, spend
from .sparge_files import read_sparge_file
from .store import Store
from .thresholds import Minimum, minimum_thresholds, profile_thresholds

__all__ = [
    "KNOBS",
    "LIKENESS",
    "VALUES",
    "Allocation",
    "Captured",
    "Evidence",
    "Grid",
    "Judged",
    "Minimum",
    "MoAPlan",
    "PlanError",
    "Profile",
    "ProfileError",
    "Store",
    "Table",
    "allocate",
    "calibrate",
    "capture",
    "gather",
    "hold_out",
    "judge",
    "load",
    "minimum_thresholds",
    "profile_thresholds",
    "read_sparge_file",
    "samples",
    "selections",
    "shipped",
    "spend",
]
