"""`foveate explain plan.json`: how much of a text each head of a plan keeps, as a picture.

Each cell is a head, each line a layer; the fuller a cell, the longer the head's span at a length.

The one thing to know: the picture shows one length, the table all of them, because spans grow.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .console import BadInput, print_json, table

SHADES = "·░▒▓█"  # up to a fifth, two fifths, …
SUFFIXES = (".png", ".svg", ".pdf")
LENGTHS = (2048, 4096, 8192)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that only plans have."""
    add = parser.add_argument_group("only for plans of tune --select moa").add_argument
    add("--length", type=int, metavar="N", help="tokens to show spans at; default: the longest")
    add("--picture", metavar="FILE", help="also draw every head's span: .png, .svg or .pdf")


def is_plan(file: str) -> bool:
    """Whether a file holds a plan rather than tensors."""
    return Path(file).suffix == ".json"


def run(args: argparse.Namespace) -> int:
    """Read, print, draw."""
    from ..tune import MoAPlan, ProfileError

    if args.length is not None and args.length < 1:
        raise BadInput(f"--length is {args.length}; expected at least 1 token")
    try:
        plan = MoAPlan.load(args.file)
    except ProfileError as error:
        raise BadInput(str(error)) from None
    lengths = tuple(plan.notes.get("lengths") or LENGTHS)
    length = args.length or max(lengths)
    if args.picture:
        draw(plan, length, Path(args.picture))
    if args.json:
        print_json(describe(plan, sorted({*lengths, length}), length))
    else:
        print(render(plan, sorted({*lengths, length}), length))
        if args.picture:
            print(f"Drawn in {args.picture}.")
    return 0


def describe(plan: Any, lengths: list[int], length: int) -> dict[str, Any]:
    """What a script may want to know."""
    return {
        "layers": len(plan.alphas),
        "heads": plan.heads,
        "planned": list(plan.planned),
        "rules_per_layer": list(plan.rules_per_layer()),
        "at": {
            str(n): {"density": plan.density(n), "cache": plan.cache_totals(n, reserve=0)}
            for n in lengths
        },
        "length": length,
        "spans": plan.spans(length),
        "notes": plan.notes,
    }


def render(plan: Any, lengths: list[int], length: int) -> str:
    """The plan as text."""
    kind = (plan.model or {}).get("class", "an unnamed model")
    rows = []
    for n in lengths:
        totals = plan.cache_totals(n, reserve=0)
        rows.append(
            [
                str(n),
                f"{plan.density(n):.1%}",
                f"{totals['ratio']:.1%}",
                str(totals["min"]),
                str(totals["max"]),
            ]
        )
    lines = [
        f"{len(plan.alphas)} layers of {plan.heads} heads, for {kind}; "
        f"at most {max(plan.rules_per_layer())} rules a layer",
        "",
        table(["tokens", "density", "cache", "shortest", "longest"], rows),
        "",
        f"Share of {length} tokens that each head sees ({_legend()}):",
        "",
    ]
    rules = [
        None if a is None else sorted(set(zip(a, b, strict=True)))
        for a, b in zip(plan.alphas, plan.betas, strict=True)
    ]
    width, wide = len(str(len(plan.alphas) - 1)), 2 if plan.heads <= 32 else 1
    for layer, (row, pairs) in enumerate(zip(plan.spans(length), rules, strict=True)):
        if row is None:
            lines.append(f"{layer:>{width}}  as the model has it")
            continue
        cells = "".join(_shade(span / length) * wide for span in row)
        said = ", ".join(f"{a:g} + {b:g} N" for a, b in pairs)
        lines.append(f"{layer:>{width}}  {cells}  {sum(row) / len(row) / length:>4.0%}  {said}")
    return "\n".join(lines)


def draw(plan: Any, length: int, path: Path) -> None:
    """A map of layers × heads, coloured by span, beside the mean of each layer.

    Args:
        plan: The plan.
        length: Tokens.
        path: Where to; the suffix says the format.
    """
    if path.suffix not in SUFFIXES:
        raise BadInput(f"--picture {path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if not path.resolve().parent.is_dir():
        raise BadInput(f"--picture {path}: the folder does not exist; create it first")
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise BadInput("--picture needs matplotlib; pip install matplotlib") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    from ..tune.files import replaced

    spans = plan.spans(length)
    share = [
        [float("nan")] * plan.heads if row is None else [span / length for span in row]
        for row in spans
    ]
    layers = len(share)
    figure, (left, right) = pyplot.subplots(
        1,
        2,
        figsize=(3.2 + 0.32 * plan.heads, 1.4 + 0.2 * layers),
        width_ratios=[max(2, plan.heads * 0.5), 2],
        sharey=True,
        layout="constrained",
    )
    image = left.imshow(
        share, vmin=0, vmax=1, cmap="viridis", aspect="auto", interpolation="nearest"
    )
    left.set(xlabel="head", ylabel="layer", xticks=_ticks(plan.heads), yticks=_ticks(layers))
    left.set_xticks([x - 0.5 for x in range(1, plan.heads)], minor=True)
    left.set_yticks([y - 0.5 for y in range(1, layers)], minor=True)
    left.grid(which="minor", color="white", linewidth=1)
    left.tick_params(which="minor", length=0)
    means = [sum(row) / len(row) for row in share]
    right.barh(range(layers), means, height=0.72, color=[image.cmap(x) for x in means])
    right.axvline(plan.density(length), color="0.4", linewidth=1, linestyle="--")
    right.set(xlim=(0, 1), xlabel="mean of the layer")
    right.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    right.tick_params(which="both", left=False)
    right.spines[["top", "right"]].set_visible(False)
    bar = figure.colorbar(image, ax=right, label="share of the text that a head sees")
    bar.ax.yaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    figure.suptitle(f"{length} tokens, density {plan.density(length):.0%}", fontsize=11)
    try:
        with replaced(path) as temporary:
            figure.savefig(temporary, dpi=150)
    finally:
        pyplot.close(figure)


def _ticks(count: int) -> list[int]:
    step = next(s for s in (1, 2, 5, 10, 20, 50, count) if count / s <= 12 or s == count)
    return list(range(0, count, step))


def _shade(share: float) -> str:
    return SHADES[min(len(SHADES) - 1, int(share * len(SHADES)))]


def _legend() -> str:
    step = 100 // len(SHADES)
    return ", ".join(
        f"{shade} {'below' if i < len(SHADES) - 1 else 'from'} "
        f"{(i + 1) * step if i < len(SHADES) - 1 else i * step} %"
        for i, shade in enumerate(SHADES)
    )
