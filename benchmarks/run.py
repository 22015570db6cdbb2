"""Measure cases and write benchmarks/results/*.json: python -m benchmarks.run [--only int8,decode].

The one thing to know: the file is rewritten after every case (a new file, then renamed), so
stopping early keeps what was measured; results of cases that were not run again stay, with their
own commit.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.cases import select
from foveate.cli.console import Progress
from foveate.measure import trial
from foveate.measure.machine import commit, load_average, machine, versions

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("foveate", "torch", "openvino", "onnxruntime", "numpy")


def main(argv: list[str] | None = None) -> int:
    """Run; returns 1 when a case missed its accuracy bound."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--only", metavar="PART,PART", help="cases whose name contains a part")
    parser.add_argument("--goals", action="store_true", help="only cases with a goal")
    parser.add_argument("--rounds", type=int, default=9, help="default %(default)s")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/<this machine>.json")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    args = parser.parse_args(argv)
    cases = select(args.only, args.goals)
    if not cases:
        parser.error(f'--only "{args.only}" matches no case; --list prints them')
    if args.list:
        print("\n".join(c.name for c in cases))
        return 0
    out = args.out or RESULTS / f"{machine_name()}.json"
    busy = load_average()
    if busy is not None and busy > 0.5:
        print(f"note: the machine is not idle (load {busy:.1f}); it is recorded", file=sys.stderr)
    return _run(cases, out, args.rounds)


def _run(cases: list[Any], out: Path, rounds: int) -> int:
    document = begin(out)
    failed = 0
    with Progress(len(cases), "bench") as progress:
        for case in cases:
            progress.step(case.name, advance=0)
            try:
                record = trial.run(case, rounds)
            except trial.Wrong as error:
                print(f"WRONG  {error}", file=sys.stderr)
                failed = 1
                continue
            record["commit"] = commit()
            document["results"][case.name] = record
            write(out, document)
            progress.step(case.name)
            print(summary(record))
    return failed


def begin(out: Path) -> dict[str, Any]:
    """The document to add results to: the old one if it came from an equal machine."""
    fresh = {
        "kind": "speed",
        "schema": 1,
        "machine": machine(),
        "versions": versions(*PACKAGES),
        "results": {},
    }
    if out.is_file():
        old = json.loads(out.read_text(encoding="utf-8"))
        if old.get("kind") == "speed" and old.get("machine") == fresh["machine"]:
            fresh["results"] = old["results"]
    return fresh


def write(out: Path, document: dict[str, Any]) -> None:
    """Write all of it or nothing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f"{out.name}.{os.getpid()}.tmp")
    part.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(out)


def machine_name() -> str:
    """A file name for this kind of machine, such as amd-epyc-avx512-2-cores."""
    facts = machine()
    features = facts["features"]
    kind = "avx512" if "avx512_vnni" in features else "avx2" if "avx2" in features else "plain"
    words = re.sub(r"\([^)]*\)|CPU|Processor|@.*", " ", str(facts["cpu"])).lower()
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
    return f"{slug}-{kind}-{facts['cores']}-cores"


def summary(record: dict[str, Any]) -> str:
    """One line for the terminal."""
    ratios = [
        f"{name} {peer['ratio']['median']:.2f}×"
        for name, peer in record["peers"].items()
        if "ratio" in peer
    ]
    milliseconds = record["seconds"]["median"] * 1e3
    return f"{record['case']['name']:<44} {milliseconds:9.2f} ms   {'   '.join(ratios)}"


if __name__ == "__main__":
    raise SystemExit(main())
