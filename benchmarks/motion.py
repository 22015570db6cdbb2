"""Measure the motion room: python -m benchmarks.motion.

The benchmark of sentences (`foveate move bench`), the studies of scenes and stages, and the time
from a sentence to a file. Writes benchmarks/results/motion.json and its parts of
docs/motion-tools.md and docs/claims.md; `--render` only rewrites the text.

The one thing to know: nothing is retried. A sentence that fails is in the table, and `beyond` (what
an offline grammar is not expected to understand) is counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ablations import write
from benchmarks.motion_tables import RESULTS, fill_only, load, parts
from foveate.measure.machine import commit, machine, versions

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("docs/motion-tools.md", "docs/claims.md")
TIMED = "a person waves with the right hand, then bows"
CONVERSATIONS = Path(__file__).with_name("conversations")
NEWCOMERS = Path(__file__).with_name("motion_newcomers.txt")
LEARNED = {
    "wave": "a person waves with the right hand",
    "squat": "a person squats",
    "bow": "a person bows",
}
UNSEEN = {
    "pick-up": "a person picks something up from the floor",
    "walk": "a person walks forward four steps",
}
LEARNED_ITERATIONS = 90
STAGES = ("walk", "squat", "bow", "kick", "one-leg", "four-steps", "sit", "turn-left", "wave-right")


def main(argv: list[str] | None = None) -> int:
    """Measure and render; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.motion", description=__doc__)
    parser.add_argument("--render", action="store_true", help="only rewrite the documents")
    parser.add_argument("--only", nargs="*", choices=list(STUDIES), help="some of the studies")
    args = parser.parse_args(argv)
    document = load()
    if not args.render:
        for name in args.only or STUDIES:
            document[name] = STUDIES[name](_say)
            document |= {
                "kind": "motion",
                "machine": machine(),
                "commit": commit(),
                "versions": versions("mujoco", "mink", "daqp", "numpy"),
            }
            write(RESULTS, json.dumps(document, indent=1) + "\n")
    for name in DOCUMENTS:
        path = ROOT / name
        if path.is_file():
            write(path, fill_only(path.read_text(encoding="utf-8"), parts(document)))
    return 0


def _say(text: str) -> None:
    print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def sentences(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Every prompt of the benchmark."""
    from foveate.motion.evaluate import prompts
    from foveate.motion.evaluate.bench import one

    found = []
    for prompt in prompts():
        say(prompt.text[:70])
        found.append(one(prompt)[0].to_json())
    return found


def replays(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Recorded conversations beside the built-in designer, sentence by sentence."""
    from foveate.motion.evaluate import prompts
    from foveate.motion.evaluate.bench import offline, one
    from foveate.motion.evaluate.models import recordings, replaying

    files = recordings(CONVERSATIONS)
    found = []
    for prompt in (p for p in prompts() if p.name in files):
        for designer in (replaying(CONVERSATIONS), offline):
            say(prompt.text[:70])
            found.append(one(prompt, designer)[0].to_json())
    return found


def newcomers(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Sentences that the grammar was not changed for after they were written."""
    from foveate.motion.evaluate.bench import one
    from foveate.motion.evaluate.prompts import Prompt

    found = []
    for text in NEWCOMERS.read_text(encoding="utf-8").splitlines():
        if text.strip() and not text.startswith("#"):
            say(text[:70])
            outcome, _ = one(Prompt(text, "newcomers", text, ()))
            found.append(outcome.to_json())
    return found


def interactions(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Sitting, lying, reaching with things put at random."""
    from foveate.motion.evaluate import studies

    return [studies.interactions(kind, 10, step=say) for kind in ("sit", "lie", "reach")]


def stones(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Stepping stones, farther and farther apart."""
    from foveate.motion.evaluate import studies

    return studies.stones(placements=3, step=say)


def stages(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """What filling and physics are worth."""
    from foveate.motion.evaluate import prompts, studies

    return list(studies.filling([p for p in prompts() if p.name in STAGES], step=say))


def _worked() -> float:
    """Processor seconds of this process and its children so far: free of what else is running."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def speed(say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Seconds from the sentence to a file, three times each, after one that loads everything."""
    from foveate.motion import export, synthesize

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (
            ("a.glb", {}),
            ("a.mp4", {"width": 640, "height": 480}),
            ("a.bvh", {}),
        ):
            seconds, busy, length = [], [], 0.0
            for n in range(4):
                say(f"{name}, {n} of 3")
                begin, work = time.perf_counter(), _worked()
                clip = synthesize(TIMED)
                export(clip, Path(folder) / name, **options)
                seconds.append(time.perf_counter() - begin)
                busy.append(_worked() - work)
                length = clip.duration
            rows.append(
                {
                    "file": name[2:],
                    "clip_s": length,
                    "seconds": float(np.median(seconds[1:])),
                    "cpu_s": float(np.median(busy[1:])),
                }
            )
    return rows


def learned(say: Callable[[str], None]) -> dict[str, Any]:
    """The learned tracker, trained on three clips, beside plain servos and the controller."""
    from foveate.motion import design, fill
    from foveate.motion.learned import compare, train

    clips = {name: fill(design(text), 20) for name, text in (LEARNED | UNSEEN).items()}
    with tempfile.TemporaryDirectory() as folder:
        path, begin = Path(folder) / "policy.pt", _worked()
        history = train(
            [clips[name] for name in LEARNED],
            path,
            iterations=LEARNED_ITERATIONS,
            progress=lambda found: say(f"learned, iteration {found['iteration']:.0f}"),
        )
        seconds = _worked() - begin
        rows = compare(clips, path)
    last = history[-20:]
    return {
        "iterations": LEARNED_ITERATIONS,
        "cpu_s": seconds,
        "before": history[0],
        "after": {key: float(np.mean([row[key] for row in last])) for key in history[0]},
        "rows": [row | {"seen": row["clip"] in LEARNED} for row in rows],
    }


STUDIES = {
    "sentences": sentences,
    "replays": replays,
    "newcomers": newcomers,
    "stages": stages,
    "speed": speed,
    "interactions": interactions,
    "stones": stones,
    "learned": learned,
}

if __name__ == "__main__":
    raise SystemExit(main())
