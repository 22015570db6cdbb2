"""foveate: attention that looks only where it matters, only as precisely as is needed there.

Two independent choices: *select* (which key blocks are visited) and *precision* (how numbers are
written).

    out = foveate.attention(q, k, v, select=Window(1024, sink=64), precision="int8", causal=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .attn.api import attention, plan
from .attn.gates import gated_attention
from .attn.layouts import Band, BlockLayout, Hilbert, Tiles
from .attn.pipeline import Plan
from .attn.precision import Int8, Native, Sage, Sage2, Sage2pp, Sage3, SageBwd
from .attn.report import Bound, Report
from .attn.reuse import Reuse
from .attn.schedule import Schedule
from .attn.select import VSA, Dense, MoA, Sparge, TopK, Window, XAttention
from .attn.varlen import attention_varlen
from .errors import BackendError

if TYPE_CHECKING:
    from .attn.packed import PackedKV
    from .models import accelerate as accelerate

__version__ = "0.1.0"

__all__ = [  # without accelerate: `from foveate import *` must work with torch alone
    "BackendError",
    "Band",
    "BlockLayout",
    "Bound",
    "Dense",
    "Hilbert",
    "Int8",
    "MoA",
    "Native",
    "PackedKV",
    "Plan",
    "Report",
    "Reuse",
    "Sage",
    "Sage2",
    "Sage2pp",
    "Sage3",
    "SageBwd",
    "Schedule",
    "Sparge",
    "Tiles",
    "TopK",
    "VSA",
    "Window",
    "XAttention",
    "attention",
    "attention_varlen",
    "gated_attention",
    "plan",
]


def __getattr__(name: str) -> Any:
    """Load on first use what needs more than torch, or not by every program."""
    if name == "PackedKV":
        from .attn.packed import PackedKV

        return PackedKV
    if name == "accelerate":
        from .models import accelerate

        return accelerate
    raise AttributeError(f"module 'foveate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "accelerate"})
