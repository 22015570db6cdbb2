"""Rows of claims with their verdicts, the same for every room.

The one thing to know: a claim whose numbers are not there yet is "open", and says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.claims import Claim


def verdict_table(claims: Iterable[Claim], numbers: Any) -> str:
    """One row for each claim.

    Args:
        claims: Statements and what they are held to.
        numbers: What they look their numbers up in; it raises a LookupError for those not measured.
    """
    lines = [
        "| system | claim | how we test it, at which scale | measured | verdict |",
        "|---|---|---|---|---|",
    ]
    for claim in claims:
        try:
            measured, holds = claim.measured(numbers), claim.holds(numbers)
        except LookupError as missing:
            measured, verdict = f"not measured ({missing.args[0]})", "open"
        else:
            verdict = "holds" if holds else claim.otherwise
        cells = (claim.system, claim.text, claim.tested, measured, verdict)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
