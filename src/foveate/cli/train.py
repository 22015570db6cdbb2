"""`foveate train`: a video model from a film, and clips that it makes.

    foveate train video FILM.mp4 --out run        and again to go on where it stopped
    foveate train sample run --out samples.mp4

The one thing to know: under torchrun (`torchrun --nproc-per-node 2 -m foveate.cli train video …`)
the processes share each batch, and only the first one writes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from .console import BadInput, Progress, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate train`."""
    parser.epilog = (
        "foveate train video --help and foveate train sample --help list their options; both take "
        "--device and --json."
    )
    verbs = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    video = verbs.add_parser("video", help="train a video diffusion transformer on a film")
    video.add_argument(
        "film", help='a video file, or "shapes": moving shapes that need no file at all'
    )
    video.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    video.add_argument("--attention", choices=("vsa", "dense"), default="vsa")
    video.add_argument("--steps", type=int, default=600, help="may be raised to go on (600)")
    video.add_argument("--lr", type=float, default=1e-3, help="learning rate (0.001)")
    video.add_argument("--batch", type=int, default=8, help="clips in a step (8)")
    video.add_argument("--size", type=int, default=64, help="pixels of each side (64)")
    video.add_argument("--frames", type=int, default=16, help="frames of a clip (16)")
    video.add_argument("--fps", type=float, default=12.0, help="frames taken a second (12)")
    video.add_argument("--dim", type=int, default=96, help="width of the transformer (96)")
    video.add_argument("--heads", type=int, default=3, help="(3)")
    video.add_argument("--layers", type=int, default=4, help="(4)")
    video.add_argument("--cube", default="2,2,2", help="tokens of a cube, T,Y,X (2,2,2)")
    video.add_argument("--keep", default="0.125", help="cubes kept: a number or a share (0.125)")
    video.add_argument(
        "--anneal", type=int, default=0, metavar="STEPS", help="steps from all cubes down to --keep"
    )
    video.add_argument("--seed", type=int, default=0)
    video.add_argument("--evaluate-every", type=int, default=100, metavar="STEPS")
    video.add_argument("--save-every", type=int, default=100, metavar="STEPS")
    _common(video)
    sample = verbs.add_parser("sample", help="let a trained model make clips")
    sample.add_argument("folder", type=Path, help="--out of foveate train video")
    sample.add_argument("--out", type=Path, default=Path("samples.mp4"), help="(samples.mp4)")
    sample.add_argument("--count", type=int, default=9, help="clips, side by side (9)")
    sample.add_argument("--steps", type=int, default=30, help="steps of the sampler (30)")
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument("--enlarge", type=int, default=3, help="times each pixel is wide (3)")
    sample.add_argument("--fps", type=float, default=12.0)
    _common(sample)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu or cuda; cuda if there is one")
    parser.add_argument("--json", action="store_true", help="print JSON only")


def run(args: argparse.Namespace) -> int:
    """Train or sample; 0 when done."""
    try:
        found = train(args) if args.what == "video" else make(args)
    except (ValueError, ModuleNotFoundError) as error:
        raise BadInput(str(error)) from None
    if args.json:
        if found:
            print_json(found)
    elif found:
        print(found["text"])
    return 0


def train(args: argparse.Namespace) -> dict[str, Any]:
    """Train a video model; what came out, nothing from other processes than the first."""
    import torch
    import torch.distributed as dist

    from ..train import Recipe
    from ..train.video import Plan, model_flops, moving_shapes, open_film, train_video

    plan = Plan(
        attention=args.attention,
        size=args.size,
        frames=args.frames,
        dim=args.dim,
        heads=args.heads,
        layers=args.layers,
        cube=_sides(args.cube),
        keep=_keep(args.keep),
        anneal=args.anneal,
        batch=args.batch,
        seed=args.seed,
    )
    recipe = Recipe(args.steps, lr=args.lr, warmup=min(50, args.steps // 10), decay="constant")
    if args.film == "shapes":
        film = moving_shapes(size=args.size, seed=args.seed)
    else:
        with Progress(1, "reading the film", quiet=args.json) as bar:

            def seen(done: int, expected: int) -> None:
                bar.total = max(expected, done)
                bar.step()

            film = open_film(args.film, size=args.size, fps=args.fps, progress=seen)
    model, records = train_video(
        film,
        plan,
        recipe,
        args.out,
        device=_device(args.device),
        evaluate_every=args.evaluate_every,
        save_every=args.save_every,
        progress=(lambda *_: None) if args.json else None,
    )
    if dist.is_available() and dist.is_initialized() and dist.get_rank() > 0:
        return {}
    steps = [r for r in records if "loss" in r]
    measured = [r for r in records if "held_out" in r]
    tail = [r["loss"] for r in steps[-50:]]
    seconds = sum(r["seconds"] for r in steps)
    text = (
        f"{len(steps)} steps in {seconds:.0f} s, loss {sum(tail) / len(tail):.4f}, "
        f"held out {measured[-1]['held_out']:.4f}\n"
        f"{args.out / 'checkpoint.safetensors'}\n"
        f"next: foveate train sample {args.out}"
    )
    return {
        "text": text,
        "steps": len(steps),
        "seconds": seconds,
        "processor_seconds": time.process_time(),
        "threads": torch.get_num_threads(),
        "loss": sum(tail) / len(tail),
        "held_out": [[r["step"], r["held_out"]] for r in measured],
        "parameters": sum(p.numel() for p in model.dit.parameters()),
        "training_flops": model_flops(model.dit).training,
        "folder": str(args.out),
    }


def make(args: argparse.Namespace) -> dict[str, Any]:
    """Write clips of a trained model."""
    from ..train.video import load_video_model, side_by_side, write_video

    for name in ("count", "steps", "enlarge"):
        if getattr(args, name) < 1:
            raise BadInput(f"--{name} is {getattr(args, name)}; expected at least 1")
    model = load_video_model(args.folder, _device(args.device))
    with Progress(args.steps, "sampling", quiet=args.json) as bar:
        clips = model.make(args.count, args.seed, args.steps, lambda *_: bar.step())
    write_video(args.out, side_by_side(clips), args.fps, args.enlarge)
    return {"text": f"{args.out}: {args.count} clips", "file": str(args.out), "clips": args.count}


def _device(name: str | None):
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError:
        raise BadInput(f"--device is {name}; expected cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BadInput("--device is cuda and no GPU was found; expected cpu")
    return device


def _sides(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(side) for side in text.split(","))
    except ValueError:
        raise BadInput(f"--cube is {text}; expected three sides such as 2,2,2") from None


def _keep(text: str) -> int | float:
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise BadInput(f"--keep is {text}; expected a number of cubes or a share") from None
