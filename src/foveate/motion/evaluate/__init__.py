"""Evaluation: does a motion show its sentence, and is it physically sound?

The one thing to know: `bench` runs sentences through the system and lets hand-written rules judge;
`measure` (of `foveate.motion.check`) gives the physical numbers; `study` makes the pages with which
people compare. Source of the categories: FreeMotion, section 4.
"""

from __future__ import annotations

from .bench import Outcome, run, summary
from .prompts import Prompt, prompts

__all__ = ["Outcome", "Prompt", "prompts", "run", "summary"]
