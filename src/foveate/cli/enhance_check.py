"""`foveate enhance --check MODEL FOLDER`: does enhancing help this model on these pictures?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .console import BadInput, Progress, print_json, table


def check(enhancer: Any, args: argparse.Namespace) -> int:
    """Ask the model before and after; 1 if enhancing does harm."""
    import numpy as np

    from ..lowlight.check import compare, load
    from ..lowlight.files import BadPicture
    from ..lowlight.jobs import plan

    try:
        model = load(args.check)
        jobs = [job for job in plan(args.source, args.target).jobs if not job.video]
    except (ValueError, OSError, ModuleNotFoundError) as error:
        raise BadInput(str(error)) from None
    pairs, references, failed = [], [], []
    with Progress(2 * len(jobs), "check", quiet=args.json) as progress:
        for job in jobs:
            progress.step(job.source.name)
            try:
                before, done = enhancer.file(job.source)
                pairs.append(tuple(_bytes(p.upright(), np) for p in (before, done.picture)))
                references.append(_reference(job.source, args))
            except (BadPicture, OSError) as error:
                failed.append({"source": str(job.source), "error": str(error)})
        try:
            result = compare(
                model,
                pairs,
                references,
                size=args.size,
                norm=args.norm,
                step=progress.step,
            )
        except (ValueError, RuntimeError) as error:
            raise BadInput(str(error).splitlines()[0]) from None
    result |= {"model": str(args.check), "method": enhancer.method, "failed": failed}
    if args.json:
        print_json(result)
    else:
        print(_text(result))
    return 1 if failed or result["helps"] is False else 0


def _bytes(pixels: Any, np: Any) -> Any:
    return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels


def _reference(source: Path, args: argparse.Namespace) -> Any:
    """The same scene in good light, by its name below --reference; None if there is none."""
    if not args.reference:
        return None
    import numpy as np

    from ..lowlight.files import read_picture

    root = Path(args.source)
    inside = source.relative_to(root) if root.is_dir() else Path(source.name)
    path = Path(args.reference) / inside
    return _bytes(read_picture(path).upright(), np) if path.exists() else None


def _text(result: dict[str, Any]) -> str:
    before, after = result["before"], result["after"]
    share = lambda x: "·" if x is None else f"{100 * x:.1f} %"  # noqa: E731
    rows = [
        ["confidence", share(before["confidence"]), share(after["confidence"])],
        ["same answer at ±½ stop", share(before["steady"]), share(after["steady"])],
    ]
    if before["detections"] is not None:
        rows.append(["detections", f"{before['detections']:.0f}", f"{after['detections']:.0f}"])
    if before["right"] is not None:
        rows.append(["agrees with good light", share(before["right"]), share(after["right"])])
    verdict = {
        True: "it helps this model on these pictures",
        False: "it does this model no good on these pictures; leave it out",
        None: "no clear difference on these pictures",
    }[result["helps"]]
    basis = "judged by good light" if before["right"] is not None else "judged without labels"
    lines = [
        f"{Path(result['model']).name}, a {result['kind']}; {result['pictures']} pictures, "
        f"pixels as {result['norm']}, {result['size'][1]}x{result['size'][0]}",
        "",
        table(["", "dark", f"enhanced ({result['method']})"], rows),
        "",
        f"The answer stays the same on {share(result['agreement'])} of the pictures.",
        f"Verdict, {basis}: {verdict}.",
    ]
    lines += [f"✗ {row['source']}: {row['error']}" for row in result["failed"]]
    return "\n".join(lines)
