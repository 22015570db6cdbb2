"""`foveate move`: from a sentence to human motion, and the tools around it.

    foveate move "a person waves with the right hand, then sits down" -o wave.mp4
    foveate move --edit wave.json "raise the arm higher" -o higher.mp4
    foveate move lint clip.bvh --repair better.bvh
    foveate move physics clip.bvh -o performed.bvh
    foveate move view clip.npz -o clip.html
    foveate move bench actions -o results/

The one thing to know: paths, scenes and numbers are checked before anything is computed, and a file
appears complete or not at all. The ending of each `-o` chooses its format; `-o wave.json` keeps the
plan, with which `--edit` goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .console import BadInput, Progress, print_json

TOOLS = ("lint", "physics", "view", "bench", "study")
DEFAULT = "motion.mp4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate move`."""
    add = parser.add_argument
    parser.usage = (
        'foveate move "TEXT" [-o FILE]…\n'
        '       foveate move --edit PLAN "TEXT" [-o FILE]…\n'
        "       foveate move lint | physics | view FILE [options]\n"
        "       foveate move bench [CATEGORY]… | study FOLDER FOLDER [options]"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "formats of -o: mp4 gif png svg html · bvh glb vrma npz npy csv xml · json (the plan)"
    )
    add("words", nargs="*", metavar="TEXT", help="what the person does; or a tool and its file")
    add("-o", "--out", action="append", metavar="FILE", help=f"default {DEFAULT}; may be repeated")
    add("--edit", metavar="PLAN", help="change this plan (.json, or a .npz of ours) by the text")
    add("--plan", metavar="PLAN", help="perform this plan instead of a text")
    add("--scene", metavar="NAME", help="empty, chair, bed, table, stairs, stones, … or a .json")
    add("--style", metavar="WORD", help="happy, proud, angry, childlike, depressed, drunk, old, …")
    add(
        "--designer",
        default="offline",
        metavar="NAME",
        help="offline (default), openai:MODEL, anthropic:MODEL, transformers:FOLDER, replay:FILE",
    )
    add(
        "--feedback",
        default="direct",
        choices=("loop", "direct", "none"),
        help="how a model sees its poses; default %(default)s",
    )
    add(
        "--physics",
        default="auto",
        metavar="NAME",
        help="auto (default), none, or one tracker: T1, T2, T4",
    )
    add("--best-effort", action="store_true", help="stand idle where nothing is understood")
    add("--seed", type=int, default=0, help="default %(default)s; the same seed, the same motion")
    add("--fps", type=float, default=30.0, help="frames per second, default %(default)g")
    add("--size", default="640x480", metavar="WxH", help="of videos, default %(default)s")
    add("--view", default="front-left", metavar="NAME", help="front, side, left, back, front-right")
    add("--marks", action="store_true", help="show contacts and balance in videos")
    add("--renderer", default="auto", choices=("auto", "painter", "gl"), help="default %(default)s")
    add(
        "--skeleton", default="foveate", metavar="NAME", help="joint names in BVH: mixamo, unity, …"
    )
    add("--repair", metavar="FILE", help="lint: write a repaired clip or plan")
    add("--codes", action="store_true", help="lint: explain the codes")
    add("--json", action="store_true", help="print JSON only")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; 1 if lint found errors."""
    _needed()
    words = list(args.words)
    if words and words[0] in TOOLS and (len(words) > 1 or words[0] in ("bench", "lint")):
        from . import move_tools

        return getattr(move_tools, words[0])(words[1:], args)
    if words and words[0] in TOOLS:
        raise BadInput(f"{words[0]} needs a file; try foveate move {words[0]} clip.npz")
    return make(" ".join(words).strip(), args)


def _needed() -> None:
    try:
        import mujoco  # noqa: F401
        import numpy  # noqa: F401
        import PIL  # noqa: F401
        import pydantic  # noqa: F401
        import scipy  # noqa: F401
    except ModuleNotFoundError as error:
        raise BadInput(f"{error.name} is not installed: pip install 'foveate[motion]'") from None


def make(text: str, args: argparse.Namespace) -> int:
    """A text, an edited plan, or a plan, to files."""
    outs = outputs(args.out or [DEFAULT])
    size, scene = _size(args.size), _scene(args.scene)
    if not 5 <= args.fps <= 120:
        raise BadInput(f"--fps is {args.fps:g}; expected 5 to 120")
    if not text and not args.plan:
        raise BadInput(
            'the text is empty; say what the person does, e.g. "a person waves with the right hand"'
        )
    if text and args.plan:
        raise BadInput("--plan performs a plan as it is; use --edit PLAN to change one by a text")
    with Progress(4, "move", quiet=args.json) as progress:
        progress.step("designing", advance=0)
        plan = _plan(text, scene, args)
        clip = perform(plan, args, progress)
    for out in outs:
        write(clip, out, args, size, plan)
    report(clip, plan, outs, args)
    return 0


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


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isdigit() for p in parts):
        raise BadInput(f'--size is "{text}"; expected WIDTHxHEIGHT, e.g. 640x480')
    width, height = map(int, parts)
    if not all(64 <= v <= 2160 and v % 2 == 0 for v in (width, height)):
        raise BadInput(f'--size is "{text}"; expected even numbers from 64 to 2160')
    return width, height


def _scene(name: str | None) -> Any:
    from ..motion import Scene

    try:
        return Scene.named(name) if name else None
    except ValueError as error:
        raise BadInput(str(error)) from None


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


def _plan(text: str, scene: Any, args: argparse.Namespace) -> Any:
    """The plan that is to be performed."""
    from ..motion import StyleSpec

    try:
        style = StyleSpec(name=args.style) if args.style else None
        provider = _provider(args.designer)
        if args.plan:
            plan = read_plan(args.plan)
        elif args.edit:
            old = read_plan(args.edit)
            from ..motion import edit

            plan = edit(old, text, provider=provider)
        elif provider is None:
            from ..motion.lang import design_offline

            plan = design_offline(
                text, scene, style=style, seed=args.seed, best_effort=args.best_effort
            )
        else:
            from ..motion import animate, design

            plan = design(text, scene=scene, provider=provider, seed=args.seed)
            plan = animate(plan, provider=provider, feedback=args.feedback)
    except (ValueError, OSError, ConnectionError, RuntimeError) as error:
        raise BadInput(_line(error)) from None
    if style is not None and plan.style != style:
        plan = plan.model_copy(update={"style": style})
    return plan


def _provider(name: str) -> Any:
    """None for the built-in designer."""
    if name in ("offline", "auto"):
        return None
    from ..motion import mllm

    return mllm.provider(name)


def perform(plan: Any, args: argparse.Namespace, progress: Progress) -> Any:
    """Fill and track."""
    from ..motion.synthesis import perform as go

    words = {
        "fill": "filling in",
        "track": "physics",
        "slower": "physics, slower",
        "assist": "physics, with a helper force",
    }
    try:
        return go(
            plan,
            physics=args.physics,
            fps=args.fps,
            progress=lambda stage: progress.step(words.get(stage, stage)),
        )
    except (ValueError, RuntimeError) as error:
        raise BadInput(_line(error)) from None


def write(
    clip: Any, out: Path, args: argparse.Namespace, size: tuple[int, int], plan: Any = None
) -> None:
    """One file."""
    from ..motion import export
    from ..motion.render.camera import VIEWS

    if args.view not in VIEWS:
        raise BadInput(f'--view is "{args.view}"; expected one of {", ".join(VIEWS)}')
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
        try:
            export(clip, out, **options)
        except (ValueError, OSError, RuntimeError) as error:
            raise BadInput(f"{out.name}: {_line(error)}") from None


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
    print(f"{', '.join(map(str, outs))}: {clip.duration:.1f} s, {_how(facts, clip)}")
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


def _how(facts: Any, clip: Any) -> str:
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


def _line(error: BaseException) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__
