"""What `foveate move` reads and writes: plans, files in every format, and words on the terminal.

The one thing to know: what can be checked is checked before anything is computed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .console import BadInput, Progress, print_json


def outputs(names: list[str]) -> list[Path]:
    """Paths to write, checked before anything is computed."""
    from ..motion.exchange import FORMATS

    found = []
    for name in names:
        path = Path(name)
        if path.suffix.lower() not in FORMATS:
            known = " ".join(ending[1:] for ending in FORMATS)
            raise BadInput(f'cannot write "{name}"; expected a name that ends in one of: {known}')
        if not path.parent.is_dir():
            raise BadInput(f'folder "{path.parent}" does not exist; make it first')
        if path.is_dir():
            raise BadInput(f'"{name}" is a folder; expected the name of a file')
        found.append(path)
    return found


def size_of(text: str) -> tuple[int, int]:
    """Width and height of "640x480"."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdigit() for p in parts):
        raise BadInput(f'--size is "{text}"; expected WIDTHxHEIGHT, e.g. 640x480')
    width, height = map(int, parts)
    if not all(64 <= v <= 2160 and v % 2 == 0 for v in (width, height)):
        raise BadInput(f'--size is "{text}"; expected even numbers from 64 to 2160')
    return width, height


def check_view(name: str) -> None:
    """Refuse a view that does not exist."""
    from ..motion.render.camera import VIEWS

    if name not in VIEWS:
        raise BadInput(f'--view is "{name}"; expected one of {", ".join(VIEWS)}')


def read_plan(name: str) -> Any:
    """A plan from a .json file, or from the .npz that carries one."""
    from ..motion import KeyframePlan
    from ..motion.exchange.npz import plan_of

    path = Path(name)
    if not path.is_file():
        raise BadInput(f'"{name}" is not a file; expected a plan (.json, or a .npz of ours)')
    try:
        if path.suffix.lower() == ".npz":
            plan = plan_of(path)
            if plan is None:
                raise BadInput(f"{path.name} carries no plan; one made by foveate move does")
            return plan
        return KeyframePlan.from_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BadInput(f"{path.name}: {error}") from None


def write(
    clip: Any, out: Path, args: argparse.Namespace, size: tuple[int, int], plan: Any = None
) -> None:
    """One file."""
    from ..motion import export
    from ..motion.render.camera import VIEWS

    ending = out.suffix.lower()
    options: dict[str, Any] = {}
    frames = round(clip.duration * args.fps) + 1
    with Progress(frames, out.name, quiet=args.json) as progress:
        if ending in (".mp4", ".gif"):
            options = {
                "width": size[0],
                "height": size[1],
                "azimuth": VIEWS[args.view],
                "marks": args.marks,
                "renderer": args.renderer,
                "step": lambda done, total: progress.step(),
            }
            if ending == ".mp4":
                options["fps"] = args.fps
        elif ending == ".bvh":
            options = {"skeleton": args.skeleton}
        elif ending == ".png":
            options = {"renderer": args.renderer}
        elif ending in (".json", ".html", ".npz") and plan is not None:
            options = {"plan": plan}
            if ending == ".html" and clip.source == "simulated":
                options["planned"] = _planned(plan, clip)
        try:
            export(clip, out, **options)
        except (ValueError, OSError, RuntimeError) as error:
            raise BadInput(f"{out.name}: {line_of(error)}") from None


def _planned(plan: Any, clip: Any) -> Any:
    """The motion that a simulated body was to follow; None if it was slowed down since."""
    from ..motion import fill

    planned = fill(plan, clip.fps)
    return planned if len(planned) == len(clip) else None


def report(clip: Any, plan: Any, outs: list[Path], args: argparse.Namespace) -> None:
    """Say what was made, and what was not understood."""
    from ..motion import lint

    findings = lint(clip)
    bad = [f for f in findings if f.severity != "info"]
    facts = clip.report
    if args.json:
        print_json(
            {
                "files": [str(out) for out in outs],
                "text": plan.text,
                "seconds": clip.duration,
                "frames": len(clip),
                "plan": {"keys": len(plan.keys), "source": plan.source, "notes": plan.notes},
                "coverage": plan.coverage.model_dump() if plan.coverage else None,
                "findings": [f.to_json() for f in findings],
                "report": facts.to_json(),
            }
        )
        return
    print(f"{', '.join(map(str, outs))}: {clip.duration:.1f} s, {how(facts, clip)}")
    known = plan.coverage
    if known:
        total = len(known.matched) + len(known.unmatched)
        line = f"understood {len(known.matched)} of {total} content words"
        if known.unmatched:
            line += f"; ignored: {', '.join(known.unmatched)}"
        print(line)
    for note in plan.notes:
        print(f"note: {note}")
    for finding in bad[:3]:
        print(f"linter: {finding.where}: {finding.message}")
    if len(bad) > 3:
        print(f"linter: and {len(bad) - 3} more; foveate move lint shows all")


def how(facts: Any, clip: Any) -> str:
    """How a clip came about, in words."""
    if clip.source != "simulated":
        return "not simulated"
    words = f"performed by a simulated body ({facts.tracker})"
    if facts.tracking_error_cm is not None:
        words += f", {facts.tracking_error_cm:.1f} cm from the plan on average"
    if facts.fell:
        words += ", and it FELL"
    if facts.physical is False:
        words += f", held by a helper force of {100 * facts.residual_force:.1f} % of its weight"
    return words


def line_of(error: BaseException) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__
