"""`foveate demo`: a real language model reads a real novel, attending in several ways.

The one thing to know: everything measured goes into one record (`measure`), which `--json` prints,
and which the table and report.html are views of.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import BadInput, print_json

if TYPE_CHECKING:
    from ..measure.comparison import Way

MAP_TOKENS, BLOCK_TOKENS = 1024, 4096
WAYS = {
    "native": ("native", "foveate:native", "the model's own dtype"),
    "int8": ("int8", "foveate:int8", "8-bit Q, K, P and V"),
    "sage2": ("sage2", "foveate:sage2", "SageAttention2: 8-bit Q and K, FP8 P and V"),
    "sage2++": ("sage2++", "foveate:sage2++", "the same, summed in 16 bits"),
    "sage3": ("sage3", "foveate:sage3", "SageAttention3: 4-bit floats"),
    "window": ("window + int8", "foveate:window(1024,64)+int8", "1,024 nearest and 64 first keys"),
    "sparge": ("sparge + int8", "foveate:sparge+int8", "SpargeAttn: blocks chosen by their means"),
    "xattention": (
        "xattention + int8",
        "foveate:xattention+int8",
        "XAttention: blocks chosen by antidiagonals",
    ),
}
DEFAULT_WAYS = "native,int8,sage2,sage3,window,sparge,xattention"
SELECTED = ("sparge", "xattention")
"""Ways that take a tuned profile where one ships for the model, and are drawn block by block."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate demo`."""
    parser.add_argument("--tokens", type=int, default=6144, help="length of the text, 512 to 8100")
    parser.add_argument(
        "--model",
        default="auto",
        help="smollm2-135m, gemma3-270m, a folder; auto: the largest here",
    )
    parser.add_argument(
        "--ways", default=DEFAULT_WAYS, help=f"of {', '.join(WAYS)}, or names after foveate:"
    )
    parser.add_argument("--precision", default="int8", help="the way that answers the question")
    parser.add_argument("--rounds", type=int, default=1, help="timed passes of each way")
    parser.add_argument("--threads", type=int, default=0, help="threads; 0 leaves torch's choice")
    parser.add_argument(
        "--compile", action="store_true", help="compile the rest of the model, always"
    )
    parser.add_argument("--out", default="report.html", help='the report; "" writes none')
    parser.add_argument("--json", action="store_true", help="print the record as JSON only")


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the report."""
    ways = _check(args)
    from ..models.assets import MissingAsset

    with _Bar(quiet=args.json) as bar:
        try:
            record = measure(args, ways, bar.start, bar.tick)
        except MissingAsset as error:
            raise BadInput(str(error)) from None
    if args.out:
        from ..report import write

        write(record, args.out)
    if args.json:
        print_json(record)
    else:
        _show(record, args.out)
    return 0


def measure(
    args: argparse.Namespace,
    ways: list[Way],
    start: Callable[[int], None] = lambda total: None,
    tick: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Everything the demo measures, as plain data.

    Args:
        args: The options of `add_arguments`.
        ways: The rows besides torch SDPA.
        start: Called once with the number of steps to come.
        tick: Called when a step begins, with what it is.

    Returns:
        The record that tables and reports are made of.
    """
    import torch

    from ..measure.attention_map import attention_map
    from ..measure.block_mass import block_mass
    from ..measure.comparison import compare
    from ..measure.machine import load_average, machine, versions
    from ..models import assets
    from ..models import transformers as _registers  # noqa: F401  the names are known from here on
    from ..models.passkey import ask

    load = load_average()
    if args.threads:
        torch.set_num_threads(args.threads)
    start((len(ways) + 1) * args.rounds + 4)
    tick("loading the model (converted on first use)")
    model, tokenizer = assets.load(args.model)
    tokens = tokenizer(assets.text(), return_tensors="pt").input_ids[:, : args.tokens]
    limit = getattr(model.config, "max_position_embeddings", args.tokens)
    if args.tokens > limit:
        raise BadInput(f"--tokens is {args.tokens}; this model reads at most {limit}")
    if args.compile:
        from ..models.compiled import compile_rest

        compile_rest(model)
    ways, chosen = _tuned(args, model, ways)
    rows = compare(model, tokens, ways, args.rounds, tick)
    tick("looking into one head")
    picture = attention_map(model, tokens[:, :MAP_TOKENS])
    tick("looking at what selections keep of it")
    blocks = block_mass(model, tokens[:, :BLOCK_TOKENS], chosen) if chosen else None
    tick("asking for the hidden number")
    return {
        "schema": 1,
        "date": date.today().isoformat(),
        "tokens": int(tokens.shape[1]),
        "threads": torch.get_num_threads(),
        "compiled": bool(args.compile),
        "load": load,
        "machine": machine(),
        "versions": versions("foveate", "torch", "transformers"),
        "model": _describe(model, args.model),
        "text": {
            "title": "Pride and Prejudice",
            "by": "Jane Austen, 1813",
            "licence": "public domain",
        },
        "rows": rows,
        "map": picture,
        "blocks": blocks,
        "answer": ask(model, tokenizer, tokens, args.precision),
    }


def _check(args: argparse.Namespace) -> list[Way]:
    """The ways asked for; everything that can be wrong is found before the model is loaded."""
    try:
        import rich  # noqa: F401  the table and the progress bar

        from ..measure.comparison import Way
        from ..models import assets
        from ..models.transformers import register
    except ModuleNotFoundError as error:
        if error.name not in ("transformers", "rich"):
            raise
        raise BadInput(
            f'needs {error.name}, which is not installed; pip install "foveate[models]"'
        ) from None
    if not 512 <= args.tokens <= 40_000:
        raise BadInput(f"--tokens is {args.tokens}; expected 512 to 40000")
    if args.rounds < 1:
        raise BadInput(f"--rounds is {args.rounds}; expected at least 1")
    if args.threads < 0:
        raise BadInput(f"--threads is {args.threads}; expected 0 or more")
    if args.out and not Path(args.out).resolve().parent.is_dir():
        raise BadInput(f"--out {args.out}: the folder does not exist; create it first")
    if args.out and (
        Path(args.out).is_dir() or not os.access(Path(args.out).resolve().parent, os.W_OK)
    ):
        raise BadInput(f"--out {args.out} cannot be written; name a file in a folder of yours")
    ways = [
        Way(*WAYS[item]) if item in WAYS else Way(item, f"foveate:{item}")
        for item in _split(args.ways)
    ]
    try:
        for way in [*ways, Way("", f"foveate:{args.precision}")]:
            register(way.name)
        args.model = assets.largest() if args.model == "auto" else args.model
        assets.locate(args.model)
    except (ValueError, TypeError, assets.MissingAsset) as error:
        raise BadInput(str(error)) from None
    return ways


def _tuned(
    args: argparse.Namespace, model: Any, ways: list[Way]
) -> tuple[list[Way], dict[str, Any]]:
    """The ways with tuned profiles where they ship, and the selections to look at: label → one."""
    from dataclasses import replace

    from .. import Sparge, XAttention
    from ..models import accelerate
    from ..tune import Profile, shipped

    found, chosen = [], {}
    plain = {WAYS[item][1]: item for item in SELECTED}
    for way in ways:
        item = plain.get(way.name)
        name = f"{args.model}-{item}"
        if item is not None and name in shipped():
            profile = Profile.load(name)
            with accelerate(model, profile=profile, precision="int8") as handle:
                way = replace(way, name=handle.name, note=f"{way.note}, tuned for each head")
            chosen[way.label] = profile.selections
        elif item is not None:
            chosen[way.label] = {"sparge": Sparge, "xattention": XAttention}[item]()
        found.append(way)
    return found, chosen


def _split(text: str) -> list[str]:
    """Split at commas outside parentheses: "int8,window(64,4)+int8"."""
    items, depth = [""], 0
    for letter in text.replace(" ", ""):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            items.append("")
        else:
            items[-1] += letter
    return list(dict.fromkeys(item for item in items if item))


def _describe(model: Any, name: str) -> dict[str, Any]:
    from ..models.assets import MODELS

    config, asset = model.config, MODELS.get(name)
    heads = config.num_attention_heads
    return {
        "title": asset.title if asset else Path(name).name,
        "licence": asset.licence if asset else "licence: see the model's folder",
        "parameters": sum(p.numel() for p in model.parameters()),
        "dtype": str(model.dtype).removeprefix("torch."),
        "layers": config.num_hidden_layers,
        "heads": heads,
        "kv_heads": getattr(config, "num_key_value_heads", None) or heads,
        "head_dim": getattr(config, "head_dim", None) or config.hidden_size // heads,
    }


def _show(record: dict[str, Any], out: str) -> None:
    from rich.console import Console

    from ..report import rich_table, verdict

    console, answer = Console(highlight=False), record["answer"]
    console.print(
        f"\n[bold]{record['model']['title']}[/bold] reads {record['tokens']:,} tokens of "
        f"[italic]{record['text']['title']}[/italic], {record['threads']} threads\n"
    )
    console.print(rich_table(record))
    console.print(f"\n{verdict(record)}")
    right = "[green]right[/green]" if answer["right"] else f"wrong, it was {answer['expected']}"
    console.print(
        f"\nHidden at {answer['depth']:.0%} of the text: “{answer['hidden']}” Asked for it, "
        f"{answer['label']} answers: [bold]{answer['text'].strip()}[/bold] ({right})"
    )
    if out:
        console.print(f"\nReport: {out}")


class _Bar:
    """A progress bar of rich on stderr; nothing when quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet or not sys.stderr.isatty()

    def __enter__(self) -> _Bar:
        if not self.quiet:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

            self.bar = Progress(
                BarColumn(28),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                "{task.description}",
                console=Console(stderr=True),
                transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=None)
        return self

    def start(self, total: int) -> None:
        if not self.quiet:
            self.bar.update(self.task, total=total, completed=-1)

    def tick(self, text: str) -> None:
        if not self.quiet:
            self.bar.update(self.task, advance=1, description=text)

    def __exit__(self, *_: object) -> None:
        if not self.quiet:
            self.bar.stop()
