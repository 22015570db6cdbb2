"""Stage one: from a sentence to key poses, with a language model or without.

The one thing to know: `design` decides which key poses there are and says them in words, contacts
and times; `animate` gives each its pose. Without a provider the offline designer of
`foveate.motion.lang` does the first and the solver alone the second. Source: FreeMotion §3, where
the two roles are the Keyframe Designer and the Keyframe Animator of one multimodal model.
"""

from __future__ import annotations

from .animator import animate
from .designing import design

__all__ = ["animate", "design"]
