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
from typing import Any

from .console import BadInput, Progress
from .move_files import check_view, line_of, outputs, read_plan, report, size_of, write

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
        help="offline (default), openai:MODEL[@URL], anthropic:MODEL, transformers:FOLDER, "
        "replay:FILE (bench: a folder), human",
    )
    add(
        "--mode",
        default="outline",
        choices=("outline", "sequential"),
        help="a model plans all keys at once or one by one; default %(default)s",
    )
    add("--candidates", type=int, default=1, help="plans to ask a model for, default %(default)s")
    add("--calls", type=int, default=60, help="most requests to a model, default %(default)s")
    add("--record", metavar="FILE", help="keep the conversation (bench: a folder of them)")
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
    add("--alive", action="store_true", help="breathing, a little sway, eyes that arrive first")
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
    except (ImportError, AttributeError, RuntimeError) as error:
        # mujoco loads what MUJOCO_GL names at once, whether it is needed or not
        raise BadInput(f"mujoco does not load ({error}); unset MUJOCO_GL if it is set") from None


def make(text: str, args: argparse.Namespace) -> int:
    """A text, an edited plan, or a plan, to files."""
    outs = outputs(args.out or [DEFAULT])
    size, scene = size_of(args.size), _scene(args.scene)
    check_view(args.view)
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


def _scene(name: str | None) -> Any:
    from ..motion import Scene

    try:
        return Scene.named(name) if name else None
    except ValueError as error:
        raise BadInput(str(error)) from None


def _plan(text: str, scene: Any, args: argparse.Namespace) -> Any:
    """The plan that is to be performed."""
    from ..motion.lang import style_named

    try:
        style = style_named(args.style) if args.style else None
        provider = _provider(args)
        if args.plan:
            plan = read_plan(args.plan)
        elif args.edit:
            old = read_plan(args.edit)
            from ..motion import edit

            plan = edit(old, text, provider=provider)
        else:
            from ..motion import animate, design

            plan = design(
                text,
                scene,
                provider,
                mode=args.mode,
                seed=args.seed,
                style=style,
                candidates=args.candidates,
                best_effort=args.best_effort,
            )
            if provider is not None:
                plan = animate(plan, provider=provider, feedback=args.feedback)
    except (ValueError, OSError, RuntimeError, ModuleNotFoundError) as error:
        raise BadInput(line_of(error)) from None
    changes = {}
    if style is not None and plan.style != style:
        changes["style"] = style
    if scene is not None and (args.plan or args.edit):
        changes["scene"] = scene
    return plan.model_copy(update=changes) if changes else plan


def _provider(args: argparse.Namespace) -> Any:
    """The model that plans; None for the built-in designer."""
    if args.designer in ("offline", "auto"):
        if args.record:
            raise BadInput("--record keeps the conversation with a model; name one by --designer")
        return None
    from ..motion import mllm

    found = mllm.connect(args.designer)
    if args.record:
        found = mllm.RecordingProvider(found, args.record, reuse=True)
    return mllm.Metered(found, mllm.Budget(calls=args.calls))


def perform(plan: Any, args: argparse.Namespace, progress: Progress) -> Any:
    """Fill and track."""
    from ..motion.synthesis import perform as go

    words = {
        "fill": "filling in",
        "track": "physics",
        "slower": "physics, slower",
        "rescue": "physics, by trial",
    }
    try:
        return go(
            plan,
            physics=args.physics,
            fps=args.fps,
            alive=1.0 if args.alive else 0.0,
            progress=lambda stage: progress.step(words.get(stage, stage)),
        )
    except (ValueError, RuntimeError) as error:
        raise BadInput(line_of(error)) from None
