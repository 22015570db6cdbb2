"""Compare two result files: python -m benchmarks.compare old.json new.json.

The one thing to know: it compares ratios to a peer that ran in the same round, not seconds, so
that two days (or two moods of one machine) can be compared at all. Exit code 1 when something got
slower.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from foveate.cli.console import table


def main(argv: list[str] | None = None) -> int:
    """Print a table; returns 1 if a ratio fell by more than the tolerance."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.05, help="default %(default)s")
    args = parser.parse_args(argv)
    changes = compare(_read(args.old, parser), _read(args.new, parser))
    if not changes:
        parser.error("the files have no case and peer in common")
    rows = [
        [
            c["case"],
            c["peer"],
            f"{c['old']:.2f}×",
            f"{c['new']:.2f}×",
            f"{100 * (c['change'] - 1):+.1f} %",
            "slower" if c["change"] < 1 - args.tolerance else "",
        ]
        for c in changes
    ]
    print(table(["case", "peer", "old", "new", "change", ""], rows))
    return int(any(row[-1] for row in rows))


def compare(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Change of every ratio that both documents have, worst first."""
    changes = []
    for name, record in new["results"].items():
        before = old["results"].get(name, {"peers": {}})["peers"]
        for peer, now in record["peers"].items():
            if "ratio" in now and "ratio" in before.get(peer, {}):
                a, b = before[peer]["ratio"]["median"], now["ratio"]["median"]
                changes.append({"case": name, "peer": peer, "old": a, "new": b, "change": b / a})
    return sorted(changes, key=lambda c: c["change"])


def _read(path: Path, parser: argparse.ArgumentParser) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        parser.error(f'"{path}" cannot be read: {error}')
    if document.get("kind") != "speed":
        parser.error(f'"{path}" is not a file of benchmarks.run')
    return document


if __name__ == "__main__":
    raise SystemExit(main())
