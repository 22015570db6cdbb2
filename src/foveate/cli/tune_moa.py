"""`foveate tune --select moa`: a span for every head, as a plan.

The one thing to know: the model answers, is profiled and validated once; all of it lies in a file
beside the output (`….state`) until the plan is written, and after Ctrl-C the same command goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from .console import BadInput, Progress, print_json, table

BLOCK = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that only moa has."""
    add = parser.add_argument_group("only for --select moa").add_argument
    add("--beyond", default="", metavar="N,N", help="further lengths that keep to the density")
    add(
        "--validate",
        type=int,
        metavar="N",
        help="length to validate at; default: 1.5 × longest; keeps to the density, too",
    )
    add(
        "--least",
        type=float,
        default=0.9,
        metavar="X",
        help="keep at least this share of --density at every length, default %(default)s",
    )
    add(
        "--kinds",
        default="facts,recall,summary",
        metavar="K,K",
        help="what a calibration text is asked for in turn, default %(default)s",
    )
    add("--answer", type=int, default=64, help="tokens of an answer, default %(default)s")
    add("--score", default="abs", metavar="S", help="abs, signed, joint, joint_signed")
    add("--per-query", action="store_true", help="a rule for each query head, not each key head")
    add("--records", metavar="PATH", help="a data set with contexts and questions, not --text")


def run(args: argparse.Namespace) -> int:
    """Answer, profile, optimise, validate, write the plan, print it."""
    import torch

    lengths, beyond, out = check(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    model, tokenizer, source, about = _load(args, max(lengths))
    plan = tune(args, model, tokenizer, source, about, lengths, beyond, out)
    if args.json:
        print_json({"plan": str(out), "select": "moa", **plan.notes})
    else:
        print(render(plan, out))
    return 0


def tune(
    args: argparse.Namespace,
    model: Any,
    tokenizer: Any,
    source: Any,
    about: dict[str, Any],
    lengths: list[int],
    beyond: list[int],
    out: Path,
) -> Any:
    """The whole search; writes the plan and returns it."""
    from ..tune import Store
    from ..tune.fingerprint import fingerprint
    from ..tune.moa.pipeline import find, steps
    from ..tune.moa.settings import Settings

    limit = getattr(model.config, "max_position_embeddings", None) or 1 << 30
    validation = args.validate or min(max(lengths) * 3 // 2, limit) // BLOCK * BLOCK
    for name, longest in (("beyond has", max(beyond, default=0)), ("validate is", validation)):
        if longest > limit:
            raise BadInput(f"--{name} {longest}; {args.model} reads at most {limit} tokens")
    try:
        settings = Settings(
            lengths=tuple(lengths),
            density=args.density,
            beyond=tuple(beyond),
            least=args.least,
            kinds=_kinds(args),
            samples=args.samples,
            answer=args.answer,
            score=args.score,
            per_query=args.per_query,
            validation=validation,
        )
    except ValueError as error:
        raise BadInput(str(error)) from None
    store = Store(out.with_name(f"{out.name}.state"), {"model": fingerprint(model), "text": about})
    label = "tune (going on)" if store.resumed else "tune"
    with Progress(steps(model, settings), label, quiet=args.json) as progress:
        try:
            plan = find(model, tokenizer, source, settings, store, progress.step)
        except ModuleNotFoundError as error:
            raise BadInput(str(error)) from None
        except ValueError as error:
            text = "--records" if args.records else "--text"
            about_density = str(error).startswith(("budget", "no choice", "no rule"))
            raise BadInput(f"{'--density' if about_density else text}: {error}") from None
    notes = {
        **plan.notes,
        "text": about,
        "samples": args.samples,
        "command": _command(args),
        "date": date.today().isoformat(),
        "versions": _versions(),
    }
    plan = replace(plan, notes=notes)
    plan.save(out)
    store.remove()
    return plan


def render(plan: Any, out: Path) -> str:
    """What was found, as text."""
    notes = plan.notes
    loss = notes["validation"]["loss"]
    chosen = notes["validation"]["chosen"]
    shown = {"dense": "dense", "uniform": "one window for all", chosen: "the plan"}
    rows = [[title, f"{loss[name]:.4f}"] for name, title in shown.items() if name in loss]
    density = ", ".join(f"{x:.1%} at {n}" for n, x in notes["densities"].items())
    solver = notes["solver"]
    return "\n".join(
        [
            f"Density {density}.",
            f"Best of {solver['plans_on_the_front']} plans on the front; the solver's gap is "
            f"{solver['gap']:.2%}.",
            "",
            table([f"at {notes['validation']['length']} tokens", "loss of the answers"], rows),
            "",
            f"Written to {out}; look at it with `foveate explain {out}`, use it with",
            f'foveate.accelerate(model, profile="{out}").',
        ]
    )


def check(args: argparse.Namespace) -> tuple[list[int], list[int], Path]:
    """Everything that can be wrong is found before the model is loaded."""
    from ..tune.moa.calibrate import KINDS
    from ..tune.moa.influence import SCORES
    from .tune import output

    if args.density is None:
        raise BadInput("--select moa needs --density, the share of the cache that is kept")
    if not 0 < args.density <= 1:
        raise BadInput(f"--density is {args.density}; expected a number above 0, at most 1")
    lengths, beyond = (_lengths(name, getattr(args, name)) for name in ("lengths", "beyond"))
    if not lengths:
        raise BadInput("--lengths is empty; expected numbers, e.g. 2048,4096,8192")
    if not 0 <= args.least <= 1:
        raise BadInput(f"--least is {args.least}; expected a share of --density, 0 to 1")
    if not _kinds(args) or not set(_kinds(args)) <= set(KINDS):
        raise BadInput(f'--kinds is "{args.kinds}"; expected some of {",".join(KINDS)}')
    if args.score not in SCORES:
        raise BadInput(f'--score is "{args.score}"; expected one of {", ".join(SCORES)}')
    for name in ("samples", "answer"):
        if getattr(args, name) < 1:
            raise BadInput(f"--{name} is {getattr(args, name)}; expected at least 1")
    if args.validate is not None and (args.validate < 8 * BLOCK or args.validate % BLOCK):
        raise BadInput(f"--validate is {args.validate}; expected a multiple of {BLOCK} from 512 on")
    for name in ("text", "records"):
        path = getattr(args, name)
        if path and not Path(path).exists():
            raise BadInput(f"--{name} {path}: no such file")
    if args.text and args.records:
        raise BadInput("--text and --records are both given; expected one of them")
    return lengths, beyond, output(args)


def _kinds(args: argparse.Namespace) -> tuple[str, ...]:
    return tuple(x.strip() for x in args.kinds.split(",") if x.strip())


def _lengths(name: str, value: str) -> list[int]:
    try:
        found = sorted({int(x) for x in value.split(",") if x.strip()})
    except ValueError:
        raise BadInput(f'--{name} is "{value}"; expected numbers, e.g. 2048,4096') from None
    for length in found:
        if length < 8 * BLOCK or length % BLOCK:
            raise BadInput(f"--{name} has {length}; expected multiples of {BLOCK} from 512 on")
    return found


def _load(args: argparse.Namespace, longest: int) -> tuple[Any, Any, Any, dict[str, Any]]:
    """Model, tokenizer, the text or the records, and what is noted of them."""
    from .tune import load_model

    model, tokenizer = load_model(args, longest)
    from ..models import assets
    from ..tune.moa.calibrate import read_records

    if args.records:
        try:
            records = read_records(Path(args.records))
        except (ValueError, ModuleNotFoundError) as error:
            raise BadInput(f"--records: {error}") from None
        digest = hashlib.sha256(repr(records).encode()).hexdigest()
        return model, tokenizer, records, {"title": Path(args.records).name, "sha256": digest}
    try:
        text = Path(args.text).read_text(encoding="utf-8") if args.text else assets.text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--text {args.text} cannot be read: {error}") from None
    title = Path(args.text).name if args.text else "Pride and Prejudice, Jane Austen, 1813"
    about = {"title": title, "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return model, tokenizer, text, about


def _command(args: argparse.Namespace) -> str:
    """The command that makes this plan again, without paths of this machine."""
    model = args.model if "/" not in args.model else Path(args.model).name
    words = ["foveate", "tune", model, "--select", "moa", "--density", str(args.density)]
    words += ["--lengths", args.lengths, "--samples", str(args.samples)]
    for name in ("beyond", "validate", "least", "kinds", "answer", "score"):
        if getattr(args, name) not in ("", None):
            words += [f"--{name}", str(getattr(args, name))]
    words += ["--per-query"] * args.per_query
    for name in ("text", "records"):
        if getattr(args, name):
            words += [f"--{name}", Path(getattr(args, name)).name]
    return shlex.join(words)


def _versions() -> dict[str, str | None]:
    from ..measure.machine import versions

    return versions("foveate", "torch", "transformers", "scipy")
