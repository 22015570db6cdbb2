"""`foveate bench`: verify attention against float64, then time it against its peers.

The one thing to know: nothing is timed before its answer was proved right on this machine.
"""

from __future__ import annotations

import argparse
from typing import Any

from .console import BadInput, Progress, print_json, table

DEFAULT_PEERS = "sdpa,openvino-bf16,openvino-f32,onnxruntime"
TRAINABLE_PEERS = "sdpa"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `foveate bench`."""
    from ..measure.case import DTYPES, INPUTS

    add = parser.add_argument
    add("--shape", default="1,8,4096,64", metavar="B,H,L,D", help="default %(default)s")
    add("--kv-heads", type=int, metavar="H", help="fewer kv heads than heads (GQA)")
    add("--dtype", choices=sorted(DTYPES), default="float32", help="default %(default)s")
    add("--threads", type=int, default=1, help="torch and peers alike, default %(default)s")
    add(
        "--precision",
        metavar="P,P",
        help='names, with arguments if wanted: "int8,sage2(qk_bits=4)"; default native,int8, with '
        "--backward native,sagebwd",
    )
    add("--causal", action="store_true", help="hide later keys")
    add("--density", type=float, metavar="0-1", help="visit only this share of key blocks")
    add("--select", metavar="NAME", help='choose blocks in the call, e.g. "xattention(0.9)"')
    add("--backward", action="store_true", help="forward and backward, as in training")
    add("--decode", action="store_true", help="one query against packed keys (PackedKV)")
    add("--inputs", choices=INPUTS, default="normal", help="default %(default)s")
    add(
        "--peers",
        metavar="P,P",
        help=f"default {DEFAULT_PEERS}, with --backward {TRAINABLE_PEERS}; also flex, dense",
    )
    add("--rounds", type=int, default=7, help="interleaved measurements, default %(default)s")
    add("--quick", action="store_true", help="length 1024 and 3 rounds")
    add("--json", action="store_true", help="print JSON only")


def run(args: argparse.Namespace) -> int:
    """Verify and time; returns 1 when a result missed its accuracy bound."""
    from ..errors import BackendError
    from ..measure import trial

    cases = _cases(args)
    if args.rounds < 1:
        raise BadInput(f"--rounds is {args.rounds}; expected at least 1")
    rounds = min(3, args.rounds) if args.quick else args.rounds
    records, wrong = [], []
    for case in cases:
        steps = 3 + len(case.peers) + rounds
        with Progress(steps, case.precision, quiet=args.json) as progress:
            try:
                records.append(trial.run(case, rounds, tick=progress.step))
            except trial.Wrong as error:
                wrong.append(str(error))
            except (BackendError, ValueError, TypeError) as error:
                raise BadInput(str(error)) from error
    if args.json:
        print_json({**_about(), "results": records, "wrong": wrong})
    else:
        _print(records, wrong)
    return 1 if wrong else 0


def _cases(args: argparse.Namespace) -> list[Any]:
    from ..measure.case import Case
    from ..measure.peers import PEERS
    from ..measure.trial import parse_precision, parse_select

    batch, heads, length, size = _shape(args.shape)
    if args.backward and args.decode:
        raise BadInput("--backward and --decode are both given; expected at most one of them")
    named = args.peers
    if named is None:
        named = TRAINABLE_PEERS if args.backward else DEFAULT_PEERS
    peers = tuple(split(named))
    for name in peers:
        if name not in PEERS:
            raise BadInput(f'unknown peer "{name}" in --peers; peers are {", ".join(PEERS)}')
    if args.quick:
        length = min(length, 1024)
    cases = []
    default = "native,sagebwd" if args.backward else "native,int8"
    for precision in split(default if args.precision is None else args.precision):
        try:
            parse_precision(precision)
            if args.select:
                parse_select(args.select)
            case = Case(
                name=f"bench {precision}",
                precision=precision,
                dtype=args.dtype,
                batch=batch,
                q_heads=heads,
                kv_heads=args.kv_heads or heads,
                q_length=1 if args.decode else length,
                k_length=length,
                head_dim=size,
                causal=args.causal,
                density=args.density,
                select=args.select,
                packed=args.decode,
                backward=args.backward,
                threads=args.threads,
                inputs=args.inputs,
                peers=peers,
            )
        except (ValueError, TypeError) as error:
            raise BadInput(str(error)) from error
        cases.append(case)
    if not cases:
        raise BadInput("--precision is empty; expected a name, e.g. --precision int8")
    return cases


def _shape(text: str) -> tuple[int, int, int, int]:
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        sizes = ()
    if len(sizes) != 4 or min(sizes) < 1:
        raise BadInput(
            f'--shape is "{text}"; expected four positive numbers B,H,L,D, e.g. 1,8,4096,64'
        )
    return sizes


def split(text: str) -> list[str]:
    """Split at commas that are not inside parentheses: "int8,sage2(qk_bits=4)" has two parts."""
    parts, depth, part = [], 0, ""
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += letter
    parts.append(part.strip())
    return [p for p in parts if p]


def _about() -> dict[str, Any]:
    from ..measure.machine import commit, machine, versions

    packages = ("foveate", "torch", "openvino", "onnxruntime")
    return {"machine": machine(), "versions": versions(*packages), "commit": commit()}


def _print(records: list[dict[str, Any]], wrong: list[str]) -> None:
    for record in records:
        case = record["case"]
        print(
            f"\n{_choices(case)}, {case['dtype']}, [{case['batch']}, {case['q_heads']}, "
            f"{case['q_length']}×{case['k_length']}, {case['head_dim']}], "
            f"{'causal, ' if case['causal'] else ''}density {record['density']:.2f}, "
            f"{'forward and backward, ' if case['backward'] else ''}"
            f"{case['threads']} thread{'s' if case['threads'] > 1 else ''}"
        )
        rows = [_row("foveate", record["seconds"], None, record["error"])]
        if "estimate" in record:
            rows.append(_row("", record["estimate"]["seconds"], None, None, "choosing blocks"))
        for name, peer in record["peers"].items():
            if "skipped" in peer:
                rows.append([name, "·", "·", "·", "·", "·", peer["skipped"]])
            else:
                other = "" if peer["error"] else "visits every block"
                rows.append(_row(name, peer["seconds"], peer["ratio"], peer["error"], other))
        head = ["", "median ms", "10 %", "90 %", "foveate is", "rel. L1", ""]
        print(table(head, rows))
    for line in wrong:
        print(f"WRONG  {line}")


def _choices(case: Any) -> str:
    return f"{case['select']}, {case['precision']}" if case["select"] else case["precision"]


def _row(name: str, seconds: Any, ratio: Any, error: Any, note: str = "") -> list[str]:
    times = [f"{seconds[key] * 1e3:.3f}" for key in ("median", "q10", "q90")]
    faster = "·" if ratio is None else f"{ratio['median']:.2f}×"
    return [name, *times, faster, "·" if error is None else f"{error['relative_l1']:.5f}", note]
