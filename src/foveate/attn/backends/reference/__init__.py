"""The reference backend: exact numerics of every format in plain torch, on any device.

The one thing to know: it interprets recipes and layouts only, in the order that `Recipe` prints,
and it *is* the definition. encode.py writes the numbers; attend.py is the loop; products.py models
accumulators; probabilities.py writes P; visibility.py says who sees whom.
"""

from .backend import Reference
from .encode import Operands

__all__ = ["Operands", "Reference", "backend"]

backend = Reference()
