"""`foveate enhance`: dark photographs, folders and videos made bright.

    foveate enhance dark.jpg bright.jpg
    foveate enhance holiday/ holiday-bright/ --report
    foveate enhance night.mp4 day.mp4 --method sacc
    foveate enhance --check model.onnx dark-photos/
    foveate enhance --page enhance.html

The one thing to know: a file that cannot be read is reported and the rest goes on (exit code 1 at
the end); started again, the same command does only what is missing.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from .console import BadInput, Progress, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate enhance`."""
    from ..lowlight.names import CHANNELS, METHODS

    add = parser.add_argument
    parser.usage = (
        "foveate enhance IN [OUT] [options]\n"
        "       foveate enhance --check MODEL FOLDER [options]\n"
        "       foveate enhance --page FILE.html"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "methods:\n" + "\n".join(f"  {n:10s} {what}" for n, what in METHODS.items())
    add("source", nargs="?", metavar="IN", help="a picture, a camera RAW, a video, or a folder")
    add("target", nargs="?", metavar="OUT", help="file or folder; default IN-bright beside IN")
    add("--method", default="auto", choices=tuple(METHODS), metavar="NAME", help="default auto")
    add("--strength", type=float, default=1.0, help="0 to 2, default %(default)g")
    add("--denoise", type=float, metavar="X", help="0 to 2; default: as much as was pushed")
    add("--ev", type=float, help="push by so many stops (lift, reenet); default: by brightness")
    add(
        "--channels",
        choices=CHANNELS,
        help="of curves: hue kept (luma), one for all (shared, the default), one for each (rgb)",
    )
    add("--weights", metavar="FILE", help="of sacc or reenet, instead of those that ship")
    add(
        "--video-ema",
        type=float,
        default=0.2,
        metavar="X",
        help="how fast a video follows the light, up to 1; default %(default)g",
    )
    add("--quality", type=int, default=95, help="of JPEG and WebP, default %(default)s")
    add("--overwrite", action="store_true", help="make what exists again")
    add(
        "--report",
        nargs="?",
        const="",
        metavar="FILE",
        help="a page with sliders before/after; default beside OUT",
    )
    add("--check", metavar="MODEL", help="does it help this model? an .onnx, or a torch export")
    add("--reference", metavar="FOLDER", help="of --check: the same scenes in good light")
    add("--size", type=int, default=224, help="of --check: input side, default %(default)s")
    add(
        "--norm",
        default="auto",
        choices=("auto", "unit", "imagenet", "signed", "byte"),
        help="of --check: how the model wants its pixels; default imagenet, detectors unit",
    )
    add("--page", metavar="FILE", help="write a page that enhances photographs in a browser")
    add("--json", action="store_true", help="print JSON only")


def run(args: argparse.Namespace) -> int:
    """Do what was asked for; 1 if some files failed."""
    _needed(args)
    if args.page:
        return _page(args)
    if args.source is None:
        raise BadInput("name what to enhance, e.g. foveate enhance dark.jpg bright.jpg")
    if not 0 < args.video_ema <= 1:
        raise BadInput(f"--video-ema is {args.video_ema:g}; expected more than 0, at most 1")
    if not 8 <= args.size <= 4096:
        raise BadInput(f"--size is {args.size}; expected 8 to 4096")
    if not 1 <= args.quality <= 100:
        raise BadInput(f"--quality is {args.quality}; expected 1 to 100")
    enhancer = _enhancer(args)
    if args.check:
        from .enhance_check import check

        return check(enhancer, args)
    return _all(enhancer, args)


def _needed(args: argparse.Namespace) -> None:
    try:
        import av  # noqa: F401
        import cv2  # noqa: F401
        import numpy  # noqa: F401
        import PIL  # noqa: F401
    except ModuleNotFoundError as error:
        raise BadInput(f"{error.name} is not installed: pip install 'foveate[lowlight]'") from None


def _enhancer(args: argparse.Namespace) -> Any:
    from ..lowlight import Enhancer

    try:
        return Enhancer(
            method=args.method,
            strength=args.strength,
            denoise=args.denoise,
            channels=args.channels,
            ev=args.ev,
            weights=args.weights,
        )
    except (ValueError, OSError, ModuleNotFoundError) as error:
        raise BadInput(str(error).splitlines()[0]) from None


def _all(enhancer: Any, args: argparse.Namespace) -> int:
    from ..lowlight.jobs import plan

    try:
        found = plan(args.source, args.target)
    except (ValueError, OSError) as error:
        raise BadInput(str(error)) from None
    report = _report_path(found, args)
    if not found.folder and found.jobs[0].done and not args.overwrite:
        raise BadInput(f"{found.jobs[0].target} exists; --overwrite replaces it")
    todo = [job for job in found.jobs if args.overwrite or not job.done]
    begin, rows, failed = time.monotonic(), [], []
    with Progress(len(todo), "enhance", quiet=args.json or len(todo) < 2) as progress:
        for job in todo:
            progress.step(job.source.name, advance=0)
            try:
                rows.append(_one(enhancer, job, args, keep=report is not None))
            except (ValueError, OSError, RuntimeError) as error:
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                if not found.folder:
                    raise BadInput(reason) from None
                failed.append({"source": str(job.source), "error": reason})
                print(f"\r\033[K✗ {job.source}: {reason}" if progress.shown else
                      f"✗ {job.source}: {reason}", file=sys.stderr)  # fmt: skip
            progress.step(job.source.name)
    if report is not None and rows:
        from ..lowlight.report import write

        write(rows, report)
    record = {
        "files": [{k: v for k, v in row.items() if k != "pictures"} for row in rows],
        "failed": failed,
        "skipped": len(found.jobs) - len(todo),
        "others": found.others,
        "seconds": round(time.monotonic() - begin, 2),
        "report": str(report) if report is not None and rows else None,
    }
    if args.json:
        print_json(record)
    else:
        print(_summary(record, found))
    return 1 if failed else 0


def _one(enhancer: Any, job: Any, args: argparse.Namespace, keep: bool) -> dict[str, Any]:
    """Enhance one file; the facts, and small pictures of before and after if `keep`."""
    from ..lowlight.files import write_picture
    from ..lowlight.report import small

    job.target.parent.mkdir(parents=True, exist_ok=True)
    head = {"source": str(job.source), "target": str(job.target)}
    if job.video:
        from ..lowlight.video import enhance_video

        quiet = args.json or not sys.stderr.isatty()
        with Progress(1, job.source.name, quiet=quiet) as bar:
            facts, pair = enhance_video(
                enhancer, job.source, job.target, ema=args.video_ema, progress=_ticks(bar)
            )
    else:
        picture, done = enhancer.file(job.source)
        write_picture(done.picture, job.target, args.quality)
        facts, pair = done.facts, (picture.upright(), done.picture.upright())
    return {**head, **facts, **({"pictures": [small(p) for p in pair]} if keep else {})}


def _ticks(bar: Progress) -> Any:
    def tick(done: int, total: int) -> None:
        bar.total, bar.done = max(total, done, 1), done - 1
        bar.step("frames")

    return tick


def _report_path(found: Any, args: argparse.Namespace) -> Path | None:
    if args.report is None:
        return None
    target = found.jobs[0].target
    if args.report:
        path = Path(args.report)
    elif found.folder:
        folder = Path(args.target) if args.target else None
        path = (folder or Path(args.source).resolve().with_name(
            f"{Path(args.source).resolve().name}-bright")) / "report.html"  # fmt: skip
    else:
        path = target.with_suffix(".html")
    if path.suffix.lower() not in (".html", ".htm"):
        raise BadInput(f'--report "{path}" does not end in .html')
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _summary(record: dict[str, Any], found: Any) -> str:
    """What a person wants to read at the end."""
    lines = []
    for row in record["files"][:1] if not found.folder else []:
        push = f"+{row['ev']:.1f} EV" if row["ev"] >= 0.05 else "bright already"
        lines.append(
            f"{row['target']}  {row['method']}, {push}, mean brightness "
            f"{100 * row['before']['mean']:.0f} → {100 * row['after']['mean']:.0f} %, "
            f"{row['seconds']:.1f} s"
        )
    if found.folder:
        parts = [f"{len(record['files'])} enhanced"]
        if record["skipped"]:
            parts.append(f"{record['skipped']} there already (--overwrite makes them again)")
        if record["failed"]:
            parts.append(f"{len(record['failed'])} failed")
        if record["others"]:
            parts.append(f"{record['others']} other files left alone")
        lines.append(f"{', '.join(parts)}; {record['seconds']:.0f} s")
    if record["report"]:
        lines.append(f"report: {record['report']}")
    return "\n".join(lines)


def _page(args: argparse.Namespace) -> int:
    from ..lowlight.page import write_page

    path = Path(args.page)
    if path.suffix.lower() not in (".html", ".htm"):
        raise BadInput(f'--page "{path}" does not end in .html')
    try:
        write_page(path, weights=args.weights)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        raise BadInput(str(error).splitlines()[0]) from None
    if args.json:
        print_json({"page": str(path)})
    else:
        print(f"{path}: open it in a browser; photographs stay on this computer")
    return 0
