"""`foveate tune`: thresholds for every head of a model, under one budget, as a small JSON profile.

The one thing to know: everything that was measured lies in a file beside the output (`….state`)
until the profile is written. After Ctrl-C the same command goes on from there, also with another
target.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import sys
from datetime import date
from pathlib import Path
from typing import Any

from . import tune_moa
from .console import BadInput, Progress, print_json, table

SELECTS = ("sparge", "xattention", "moa")
CALIBRATION, HELD_OUT = (0.0, 0.6), (0.65, 1.0)  # parts of the text; apart, so nothing is in both


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate tune`."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="smollm2-135m, gemma3-270m, or a folder")
    add("--select", required=True, metavar="S", help=f"what is tuned: {', '.join(SELECTS)}")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--density", type=float, metavar="X", help="visit at most this share")
    target.add_argument("--target-l1", type=float, metavar="X", help="relative L1 of at most this")
    add("--lengths", default="2048,4096", metavar="N,N", help="tokens, default %(default)s")
    add("--samples", type=int, default=2, help="pieces of text of each length, default %(default)s")
    add("--rows", type=int, default=8, help="sampled rows of each block, default %(default)s")
    add("--text", metavar="FILE", help="calibration text; default: the novel that ships here")
    add("--stride", type=int, default=16, help="of xattention, default %(default)s")
    add("--by", default="share", choices=("share", "threshold"), help="what every head gets one of")
    add("--judge", action="store_true", help="of sparge: try values of the similarity judge, too")
    add("--correct", action="store_true", help="with mean correction of skipped blocks")
    add("-o", "--out", metavar="FILE", help="default: MODEL-SELECT.json")
    add("--threads", type=int, default=0, help="threads; 0 leaves torch's choice")
    add("--json", action="store_true", help="print what was reached as JSON")
    tune_moa.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, allocate, confirm, write the profile, print the table."""
    import torch

    if args.select == "moa":
        return tune_moa.run(args)
    lengths, out = _check(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    model, tokens, text = _load(args, max(lengths))
    try:
        result = tune(args, model, tokens, text, lengths, out)
    except KeyboardInterrupt:
        print("foveate tune: what was measured is kept; the same command goes on", file=sys.stderr)
        raise
    if args.json:
        print_json(result)
    else:
        print(render(result, out))
    return 0


def tune(
    args: argparse.Namespace, model: Any, tokens: Any, text: str, lengths: list[int], out: Path
) -> dict[str, Any]:
    """The whole search; writes the profile and returns its notes."""
    from ..tune import Profile, Store, calibrate, hold_out, samples, selections, spend
    from ..tune.capture import full_layers
    from ..tune.fingerprint import fingerprint

    grid, known = _grid(args), fingerprint(model)
    calibration_text = {
        "title": Path(args.text).name if args.text else "Pride and Prejudice, Jane Austen, 1813",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "calibration": list(CALIBRATION),
        "held_out": list(HELD_OUT),
    }
    try:
        pieces = samples(tokens, lengths, args.samples, *CALIBRATION)
        other = samples(tokens, lengths, 1, *HELD_OUT)
    except ValueError as error:
        raise BadInput(f"--text is too short: {error}") from None
    settings = {
        "model": known,
        "text": calibration_text,
        "grid": [repr(grid.base), grid.base.correct, grid.knob, grid.values, grid.likeness],
        "rows": args.rows,
    }
    store = Store(out.with_name(f"{out.name}.state"), settings)
    layers = len(full_layers(model.config))
    label = "tune (going on)" if store.resumed else "tune"
    with Progress(layers * (len(pieces) + len(other)), label, quiet=args.json) as progress:
        found = calibrate(model, pieces, grid, args.rows, store, progress.step)
        try:
            best = spend(found, density=args.density, l1=args.target_l1)
        except ValueError as error:
            raise BadInput(_unreachable(args, found, error)) from None
        chosen = selections(grid, found, best.choice)
        held, engine = hold_out(model, other, grid, chosen, args.rows, store, progress.step)
    off = range(len(grid.values))  # candidates without a judge: one value for all
    tuned = found.of(best.choice)
    unseen = held.of(best.choice)
    items = found.density.shape[1]
    notes = {
        "target": {"density": args.density, "l1": args.target_l1},
        "reached": {
            "calibration": tuned,
            "held_out": unseen,
            "held_out_engine": engine,
            "one_value_at_equal_density": {
                "calibration": _fixed(found, off, tuned["density"], grid),
                "held_out": _fixed(held, off, unseen["density"], grid),
            },
            "allocation": {
                "items": items,
                "candidates": len(grid.candidates),
                "gap": best.gap / items,
            },
        },
        "lengths": lengths,
        "samples": args.samples,
        "rows": args.rows,
        "text": calibration_text,
        "command": _command(args),
        "date": date.today().isoformat(),
        "versions": _versions(),
    }
    profile = Profile.of(chosen, known, _tidy(notes))
    profile.save(out)
    store.remove()
    return {"profile": str(out), "select": args.select, **profile.notes}


def render(result: dict[str, Any], out: Path) -> str:
    """The table at the end."""
    reached = result["reached"]
    fixed = reached["one_value_at_equal_density"]

    def row(name: str, values: dict[str, float]) -> list[str]:
        return [
            name,
            f"{values['density']:.1%}",
            f"{values['l1']:.4f}",
            f"{values['retained']:.1%}" if "retained" in values else "",
        ]

    rows = [
        row("calibration, tuned", reached["calibration"]),
        row(f"calibration, {_near(fixed['calibration'])} for all", fixed["calibration"]),
        row("held out, tuned", reached["held_out"]),
        row(f"held out, {_near(fixed['held_out'])} for all", fixed["held_out"]),
        row("held out, tuned, engine", reached["held_out_engine"]),
    ]
    change = reached["held_out"]["l1"] / max(fixed["held_out"]["l1"], 1e-12) - 1
    return "\n".join(
        [
            table([f"{result['select']}", "density", "relative L1", "mass kept"], rows),
            "",
            f"Error on held-out text at equal density: {change:+.0%} against one value for all.",
            f'Written to {out}; use it with foveate.accelerate(model, profile="{out}").',
        ]
    )


def _check(args: argparse.Namespace) -> tuple[list[int], Path]:
    """Everything that can be wrong is found before the model is loaded."""
    if args.select not in SELECTS:
        raise BadInput(f'--select is "{args.select}"; expected {", ".join(SELECTS)}')
    for name, value, limit in (("density", args.density, 1), ("target-l1", args.target_l1, 2)):
        if value is not None and not 0 < value <= limit:
            raise BadInput(f"--{name} is {value}; expected a number above 0, at most {limit}")
    try:
        lengths = sorted({int(x) for x in args.lengths.split(",")})
    except ValueError:
        raise BadInput(f'--lengths is "{args.lengths}"; expected numbers, e.g. 2048,4096') from None
    if lengths[0] < 512:
        raise BadInput(f"--lengths has {lengths[0]}; expected at least 512 tokens")
    for name in ("samples", "rows"):
        if getattr(args, name) < 1:
            raise BadInput(f"--{name} is {getattr(args, name)}; expected at least 1")
    out = output(args)
    if args.text and not Path(args.text).is_file():
        raise BadInput(f"--text {args.text}: no such file")
    try:
        _grid(args)
    except (TypeError, ValueError) as error:
        raise BadInput(str(error)) from None
    return lengths, out


def output(args: argparse.Namespace) -> Path:
    """Where the result goes; found out now whether it can."""
    out = Path(args.out or f"{Path(args.model).name}-{args.select}.json").expanduser()
    if not out.resolve().parent.is_dir():
        raise BadInput(f"-o {out}: the folder does not exist; create it first")
    if out.is_dir() or not os.access(out.resolve().parent, os.W_OK):
        raise BadInput(f"-o {out} cannot be written; name a file in a folder of yours")
    return out


def _load(args: argparse.Namespace, longest: int) -> tuple[Any, Any, str]:
    """The model, the text's tokens `[N]`, and the text."""
    model, tokenizer = load_model(args, longest)
    from ..models import assets

    try:
        text = Path(args.text).read_text(encoding="utf-8") if args.text else assets.text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--text {args.text} cannot be read: {error}") from None
    return model, tokenizer(text, return_tensors="pt").input_ids[0], text


def load_model(args: argparse.Namespace, longest: int) -> tuple[Any, Any]:
    """The model and its tokenizer."""
    try:
        from ..models import assets

        model, tokenizer = assets.load(args.model)
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise BadInput('needs transformers; pip install "foveate[models]"') from None
    except (ValueError, assets.MissingAsset) as error:
        raise BadInput(str(error)) from None
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is not None and longest > limit:
        raise BadInput(f"--lengths has {longest}; {args.model} reads at most {limit} tokens")
    return model, tokenizer


def _grid(args: argparse.Namespace) -> Any:
    """The candidates for a selection."""
    from .. import Sparge, XAttention
    from ..tune import LIKENESS, Grid

    if args.select == "sparge":
        likeness = (None, *LIKENESS) if args.judge else (None,)
        return Grid(Sparge(correct=args.correct), likeness=likeness, knob=args.by)
    if args.judge:
        raise ValueError("--judge is for sparge; xattention has no such judge")
    return Grid(XAttention(stride=args.stride, correct=args.correct), knob=args.by)


def _fixed(table: Any, off: Any, density: float, grid: Any) -> dict[str, float]:
    """One value for all heads, between the two nearest that were tried."""
    found = table.fixed(list(off), density)
    low, high = (grid.values[int(found.pop(x))] for x in ("below", "above"))
    return found | {"value": low + found.pop("part") * (high - low)}


def _near(fixed: dict[str, float]) -> str:
    return f"{fixed['value']:.3g}"


def _unreachable(args: argparse.Namespace, found: Any, error: Exception) -> str:
    """What the smallest possible value of a target is."""
    if args.density is not None:
        least = float(found.density.min(0).values.mean())
        return f"--density is {args.density}; the lowest that is possible here is {least:.3f}"
    return f"--target-l1 is {args.target_l1} and cannot be reached: {error}"


def _command(args: argparse.Namespace) -> str:
    """The command that makes this profile again, without paths of this machine."""
    model = args.model if "/" not in args.model else Path(args.model).name
    words = ["foveate", "tune", model, "--select", args.select]
    for name in ("density", "target_l1"):
        if getattr(args, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    words += ["--lengths", args.lengths, "--samples", str(args.samples), "--rows", str(args.rows)]
    if args.select == "xattention":
        words += ["--stride", str(args.stride)]
    words += ["--by", args.by] + ["--judge"] * args.judge + ["--correct"] * args.correct
    if args.text:
        words += ["--text", Path(args.text).name]
    return shlex.join(words)


def _versions() -> dict[str, str | None]:
    from ..measure.machine import versions

    return versions("foveate", "torch", "transformers")


def _tidy(value: Any) -> Any:
    """Numbers with six digits after the point, as people read them."""
    if isinstance(value, dict):
        return {k: _tidy(v) for k, v in value.items()}
    return round(value, 6) if isinstance(value, float) else value
