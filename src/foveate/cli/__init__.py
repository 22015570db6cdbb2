"""The command `foveate`: one small file per verb.

The one thing to know: a verb is a module with `add_arguments(parser)` and `run(args) -> int`. It
raises `BadInput` with one clear line for anything the user can mend; that line goes to stderr and
the exit code is 2. With `--json` a verb prints JSON on stdout and nothing else there.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from .console import BadInput

VERBS = {
    "demo": "a real language model with several choices: time, perplexity, report.html",
    "doctor": "what runs here, and why the rest does not",
    "bench": "verify attention against float64, then time it against its peers",
    "tune": "thresholds for every head of a model, as a profile",
    "eval": "perplexity and retrieval under each choice of attention, by length",
    "explain": "channel bias, sinks and predicted error of q, k, v in a .safetensors file",
    "enhance": "dark photographs, folders and videos made bright; a check if that helps a model",
    "train": "a video diffusion transformer with sparse attention, on a film of yours",
    "move": "human motion from a sentence: video, BVH, GLB; a motion linter; physics",
}


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake costs one line instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; those of the process if None.

    Returns:
        Exit code: 0, 1 when the verb found something wrong, 2 for bad input, 130 after Ctrl-C.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(given)
    args = parser.parse_args(given)
    if args.verb is None:
        parser.print_help()
        return 0
    try:
        code = int(_verb(args.verb).run(args))
        sys.stdout.flush()
        return code
    except BadInput as error:
        print(f"foveate {args.verb}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `foveate doctor | head`: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"foveate {args.verb}: stopped", file=sys.stderr)
        return 130


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    from ..measure.machine import version

    parser = _Parser(prog="foveate", description="Attention that looks only where it matters.")
    parser.add_argument("--version", action="version", version=f"foveate {version('foveate')}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=_Parser)
    for name, summary in VERBS.items():
        verb = verbs.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + "."
        )
        if (
            name in given
        ):  # only the chosen verb is imported: `foveate doctor` works when others cannot
            _verb(name).add_arguments(verb)
    return parser


def _verb(name: str):  # a module
    return importlib.import_module(f".{name}", __name__)
