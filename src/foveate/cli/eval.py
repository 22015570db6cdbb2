"""`foveate eval`: what a model keeps under each choice of attention, on text and retrieval.

The one thing to know: every cell that is done lies in a file beside the output (`….state`) until
the output is written. After Ctrl-C the same command goes on from there, also with more ways, tasks,
lengths or samples.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import BadInput, Progress, print_json, table
from .demo import _describe, _split
from .eval_files import output, write

if TYPE_CHECKING:
    from ..measure.comparison import Way
    from ..measure.evaluation import State

DEFAULT_WAYS = "int8,sparge+int8,xattention+int8"
DEFAULT_TASKS = "text,needle_text,multikey,multivalue,tracking,common"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate eval`."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="smollm2-135m, gemma3-270m, or a folder")
    add("--ways", default=DEFAULT_WAYS, metavar="W,W", help="after foveate:, default %(default)s")
    add(
        "--profile",
        action="append",
        default=[],
        metavar="P",
        help="a tuned profile, a file or a name; may be given several times",
    )
    add("--precision", default="int8", metavar="P", help="of the profiles, default %(default)s")
    add("--tasks", default=DEFAULT_TASKS, metavar="T,T", help="default %(default)s; all")
    add("--lengths", default="2048,4096", metavar="N,N", help="tokens, default %(default)s")
    add("--samples", type=int, default=4, help="for each task and length, default %(default)s")
    add("--text", metavar="FILE", help="text and haystack; default: the novel that ships here")
    add("--threads", type=int, default=0, help="threads; 0 leaves torch's choice")
    add(
        "--out",
        action="append",
        metavar="FILE",
        help="eval.html (default), also .json or .png; may be given several times",
    )
    add("--json", action="store_true", help="print the record as JSON only")


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the tables, write the files."""
    ways, tasks, lengths, outs = _check(args)
    model, tokenizer, text = _load(args, lengths)
    ways = [*ways, *_profiles(args, model)]
    state = _state(args, model, text, outs[0])
    kept = len(state.cells)
    if kept and not args.json:
        print(f"going on: {kept} cells are there already", file=sys.stderr)
    try:
        record = measure(args, model, tokenizer, text, ways, tasks, lengths, state)
    except KeyboardInterrupt:
        print(
            f"foveate eval: stopped; {len(state.cells)} cells are kept in {state.path}, the same "
            "command goes on from there",
            file=sys.stderr,
        )
        return 130
    except (ValueError, TypeError) as error:
        raise BadInput(str(error)) from None
    for out in outs:
        write(record, out)
    state.remove()
    if args.json:
        print_json(record)
    else:
        print(render(record))
        print(f"\nWritten: {', '.join(map(str, outs))}")
    return 0


def measure(
    args: argparse.Namespace,
    model: Any,
    tokenizer: Any,
    text: str,
    ways: list[Way],
    tasks: list[str],
    lengths: list[int],
    state: State,
) -> dict[str, Any]:
    """Everything the evaluation measures, as plain data."""
    import torch

    from ..measure.comparison import BASELINE
    from ..measure.evaluation import TEXT, evaluate, plan_cells, summary
    from ..measure.machine import machine, versions
    from ..measure.retrieval import TASKS

    if args.threads:
        torch.set_num_threads(args.threads)
    count = len(tokenizer(text).input_ids)
    everything = [BASELINE, *ways]
    total = sum(1 for _ in plan_cells(everything, tasks, lengths, args.samples, count))
    with Progress(total, "eval", quiet=args.json) as progress:
        tick = _ticker(progress)
        cells = evaluate(model, tokenizer, text, ways, tasks, lengths, args.samples, state, tick)
    titles = {TEXT: "perplexity of a real text"} | {n: t.title for n, t in TASKS.items()}
    return {
        "schema": 1,
        "kind": "evaluation",
        "date": date.today().isoformat(),
        "model": _describe(model, args.model),
        "text": Path(args.text).name if args.text else "Pride and Prejudice, Jane Austen, 1813",
        "threads": torch.get_num_threads(),
        "machine": machine(),
        "versions": versions("foveate", "torch", "transformers"),
        "ways": [{"label": w.label, "name": w.name, "note": w.note} for w in everything],
        "tasks": {name: titles[name] for name in tasks},
        "lengths": lengths,
        "samples": args.samples,
        "summary": summary(cells),
        "cells": cells,
    }


def render(record: dict[str, Any]) -> str:
    """The tables for the terminal."""
    from ..report import evaluation as view

    parts = [f"{record['model']['title']}, {record['samples']} samples of each task and length"]
    header, rows = view.text_rows(record)
    if rows:
        parts += ["", f"Perplexity of {record['text']}", "", table(header, rows)]
    for value, title in view.TITLES.items():
        header, rows = view.rows_of(record, value)
        if rows:
            parts += ["", title, "", table(header, rows)]
    return "\n".join(parts)


def _ticker(progress: Progress) -> Callable[[str], None]:
    """Called when a cell begins: the one before it is done."""
    begun = False

    def tick(label: str) -> None:
        nonlocal begun
        progress.step(label, advance=int(begun))
        begun = True

    return tick


def _check(args: argparse.Namespace) -> tuple[list[Way], list[str], list[int], list[Path]]:
    """Everything that can be wrong is found before the model is loaded."""
    try:
        from ..measure.comparison import Way
        from ..measure.evaluation import TEXT
        from ..measure.retrieval import TASKS
        from ..models import assets
        from ..models.transformers import register
    except ModuleNotFoundError as error:
        if error.name != "transformers":
            raise
        raise BadInput('needs transformers; pip install "foveate[models]"') from None
    tasks = [TEXT, *TASKS] if args.tasks == "all" else _split(args.tasks)
    for task in tasks:
        if task not in (TEXT, *TASKS):
            raise BadInput(f'--tasks has "{task}"; expected {TEXT}, {", ".join(TASKS)}, or all')
    if not tasks:
        raise BadInput(f"--tasks is empty; expected some of {TEXT}, {', '.join(TASKS)}")
    try:
        lengths = sorted({int(x) for x in args.lengths.split(",")})
    except ValueError:
        raise BadInput(f'--lengths is "{args.lengths}"; expected numbers, e.g. 2048,4096') from None
    if lengths[0] < 512:
        raise BadInput(f"--lengths has {lengths[0]}; expected at least 512 tokens")
    if args.samples < 1:
        raise BadInput(f"--samples is {args.samples}; expected at least 1")
    if args.threads < 0:
        raise BadInput(f"--threads is {args.threads}; expected 0 or more")
    if args.text and not Path(args.text).is_file():
        raise BadInput(f"--text {args.text}: no such file")
    ways = [Way(item, f"foveate:{item}") for item in _split(args.ways) if item != "sdpa"]
    try:
        for way in [*ways, Way("", f"foveate:{args.precision}")]:
            register(way.name)
        assets.locate(args.model)
    except (ValueError, TypeError, assets.MissingAsset) as error:
        raise BadInput(str(error)) from None
    return ways, tasks, lengths, [output(name) for name in args.out or ["eval.html"]]


def _load(args: argparse.Namespace, lengths: list[int]) -> tuple[Any, Any, str]:
    from ..models import assets

    try:
        model, tokenizer = assets.load(args.model)
    except (ValueError, OSError, assets.MissingAsset) as error:
        raise BadInput(str(error)) from None
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is not None and lengths[-1] > limit:
        raise BadInput(
            f"--lengths has {lengths[-1]}; {args.model} reads at most {limit} tokens, beyond them "
            "its positions mean nothing"
        )
    try:
        text = Path(args.text).read_text(encoding="utf-8") if args.text else assets.text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--text {args.text} cannot be read: {error}") from None
    count = len(tokenizer(text).input_ids)
    if count < lengths[-1]:
        raise BadInput(
            f"--lengths has {lengths[-1]}, the text only {count} tokens; expected a longer --text"
        )
    return model, tokenizer, text


def _profiles(args: argparse.Namespace, model: Any) -> list[Way]:
    """A way for each profile, known to transformers from here on."""
    from ..measure.comparison import Way
    from ..models import accelerate
    from ..tune import load

    ways = []
    for source in args.profile:
        try:
            profile = load(source)
            with accelerate(model, profile=profile, precision=args.precision) as handle:
                name = handle.name
        except (ValueError, TypeError) as error:
            raise BadInput(f"--profile: {error}") from None
        stem = Path(source).stem if source.endswith(".json") else source
        label = f"{stem}+{args.precision}"
        digest = hashlib.sha256(profile.text().encode()).hexdigest()[:16]
        note = f"{profile.select} with the profile {stem}, {args.precision}"
        ways.append(Way(label, name, note, f"profile {digest}+{args.precision}"))
    return ways


def _state(args: argparse.Namespace, model: Any, text: str, out: Path) -> State:
    from ..measure.evaluation import OtherState, State
    from ..tune.fingerprint import fingerprint

    about = {
        "schema": 1,
        "model": fingerprint(model),
        "dtype": str(model.dtype),
        "text": hashlib.sha256(text.encode()).hexdigest(),
    }
    try:
        return State(out.with_name(f"{out.name}.state"), about)
    except OtherState as error:
        raise BadInput(str(error)) from None
