"""Write the tables and the picture from benchmarks/results/*.json: python -m benchmarks.readme.

The one thing to know: text between `<!-- begin:NAME -->` and `<!-- end:NAME -->` belongs to this
file; `--check` changes nothing and returns 1 when any of it is stale.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    lowlight_enhance_tables,
    lowlight_reenet_tables,
    lowlight_sacc_tables,
    moa_figure,
    moa_tables,
    sagebwd_figure,
    sagebwd_tables,
    trust_tables,
    vsa_figure,
    vsa_tables,
)
from benchmarks.figure import speed_figure
from foveate import env

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
NOT_YET = "Not measured yet: `make bench` measures on this machine and fills this in."

COLUMNS = (
    # column, case name with the shape left open, peer
    ("int8, float32<br>vs SDPA", "int8-f32-{}-t1", "sdpa"),
    ("int8, bfloat16<br>vs SDPA", "int8-bf16-{}-t1", "sdpa"),
    ("int8, bfloat16<br>vs OpenVINO bf16", "int8-bf16-{}-t1", "openvino-bf16"),
    ("native, bfloat16<br>vs SDPA", "native-bf16-{}-t1", "sdpa"),
    ("sage2, float32<br>vs SDPA", "sage2-f32-{}-t1", "sdpa"),
    ("sage2 4-bit, float32<br>vs SDPA", "sage2-int4-f32-{}-t1", "sdpa"),
    ("sage3, float32<br>vs SDPA", "sage3-f32-{}-t1", "sdpa"),
)
SHAPES = tuple((d, form) for d in (64, 128) for form in ("full", "causal"))


def main(argv: list[str] | None = None) -> int:
    """Write every generated part, or compare with --check; returns 1 if something is stale."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; say what is stale")
    args = parser.parse_args(argv)
    stale = [path for path, text in generated().items() if _read(path) != text]
    for path in stale:
        print(f"{'stale' if args.check else 'wrote'} {path.relative_to(ROOT)}", file=sys.stderr)
        if not args.check:
            _write(path, generated()[path])
    return int(args.check and bool(stale))


def generated() -> dict[Path, str]:
    """Every file that has generated parts → its text as it should be."""
    documents = load(RESULTS)
    best = max(documents, key=lambda d: len(d["results"]), default=None)
    parts: dict[str, Callable[[], str]] = {
        "speed": lambda: speed_table(best) if best else NOT_YET,
        "shapes": lambda: special_table(best) if best else NOT_YET,
        "selections": lambda: selection_table(best) if best else NOT_YET,
        "training": lambda: training_table(best) if best else NOT_YET,
        "machine": lambda: machine_line(best) if best else NOT_YET,
        "results": lambda: "\n\n".join(full_tables(d) for d in documents) or NOT_YET,
        "whole": whole_model_table,
        "environment": environment_table,
        **trust_tables.parts(markdown),
        **moa_tables.parts(),
        **lowlight_enhance_tables.parts(),
        **lowlight_reenet_tables.parts(),
        **lowlight_sacc_tables.parts(),
        **sagebwd_tables.parts(),
        **vsa_tables.parts(),
    }
    files = {}
    for name in (
        "README.md",
        "docs/benchmarks.md",
        "docs/install.md",
        "docs/sparse.md",
        "docs/lowlight.md",
        "docs/moa.md",
        "docs/reenet.md",
        "docs/sacc.md",
        "docs/sagebwd.md",
        "docs/train-video.md",
    ):
        path = ROOT / name
        if path.is_file():
            files[path] = fill(_read(path), parts)
    files[moa_figure.PICTURE] = moa_figure.picture()
    files[sagebwd_figure.PICTURE] = sagebwd_figure.picture()
    files[vsa_figure.PICTURE] = vsa_figure.picture()
    files[ROOT / "docs" / "speed.svg"] = speed_figure(best["results"] if best else {})
    return files


def load(folder: Path) -> list[dict[str, Any]]:
    """All speed results, in the order of their file names; other kinds of files are left alone."""
    documents = (json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.json")))
    return [d for d in documents if isinstance(d, dict) and d.get("kind") == "speed"]


def fill(text: str, parts: dict[str, Callable[[], str]]) -> str:
    """The text with the inside of every pair of markers replaced; unknown names are an error."""

    def replacement(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in parts:
            raise KeyError(f'marker "{name}" is unknown; names are {", ".join(parts)}')
        return f"<!-- begin:{name} -->\n{parts[name]()}\n<!-- end:{name} -->"

    pattern = r"<!-- begin:(?P<name>[a-z]+) -->.*?<!-- end:(?P=name) -->"
    return re.sub(pattern, replacement, text, flags=re.DOTALL)


def speed_table(document: dict[str, Any]) -> str:
    """Ratios at 4096 tokens, one thread: a row for each head size and rule."""
    rows = []
    for d, form in SHAPES:
        name = f"{d}, causal" if form == "causal" else str(d)
        cells = [_ratio(document, case.format(f"d{d}-{form}"), peer) for _, case, peer in COLUMNS]
        rows.append([name, *cells])
    return markdown(["head size", *(head for head, _, _ in COLUMNS)], rows)


SELECTIONS = (
    ("`Sparge(keep=0.25)`", "sparge"),
    ("`Sparge(keep=0.25)`, with the judge", "sparge-judge"),
    ("`XAttention(stride=16)`", "xattention16"),
    ("`XAttention(stride=8)`", "xattention8"),
)


def selection_table(document: dict[str, Any]) -> str:
    """Selections at 16384 tokens: visited share, and time relative to the dense call."""
    rows = []
    for label, name in SELECTIONS:
        for form in ("causal", "full"):
            record = document["results"].get(f"{name}-f32-d128-{form}-l16384-t1")
            if record is None:
                continue
            estimate = record["estimate"]["share_of_dense"]["median"]
            whole = 1 / record["peers"]["dense"]["ratio"]["median"]
            rule = ", causal" if form == "causal" else ""
            cells = (record["density"], estimate, whole)
            rows.append([label + rule, *(f"{100 * x:.1f} %" for x in cells)])
    head = [
        "",
        "blocks visited",
        "choosing them,<br>of the dense call",
        "whole call,<br>of the dense call",
    ]
    return markdown(head, rows) if rows else NOT_YET


TRAINING = (
    ("native vs SDPA", "native-f32-{}-backward-t1", "sdpa"),
    ("sagebwd vs SDPA", "sagebwd-f32-{}-backward-t1", "sdpa"),
    ("VSA at 12.5 %, native,<br>vs all blocks", "vsa-native-f32-{}-backward-t1", "dense"),
    ("VSA at 12.5 %, sagebwd,<br>vs SDPA", "vsa-sagebwd-f32-{}-backward-t1", "sdpa"),
)


def training_table(document: dict[str, Any]) -> str:
    """Forward and backward at 4096 tokens, one thread: a row for each head size and rule."""
    rows = []
    for d, form in SHAPES:
        name = f"{d}, causal" if form == "causal" else str(d)
        shape = f"d{d}-{form}"
        rows.append([name, *(_ratio(document, c.format(shape), peer) for _, c, peer in TRAINING)])
    return markdown(["head size", *(head for head, _, _ in TRAINING)], rows)


def special_table(document: dict[str, Any]) -> str:
    """Short, long, sparse and two threads: one line each, both head sizes."""
    lines = (
        ("256 tokens, int8, vs SDPA", "int8-f32-d{}-full-l256-t1", "sdpa"),
        ("one query, 8192 packed keys, int8, vs SDPA", "decode-int8-f32-d{}-g1-t1", "sdpa"),
        ("one query, 4 heads share a kv head, int8, vs SDPA", "decode-int8-f32-d{}-g4-t1", "sdpa"),
        ("25 % of the blocks, vs all blocks", "int8-f32-d{}-full-density25-t1", "dense"),
        ("10 % of the blocks, vs all blocks", "int8-f32-d{}-full-density10-t1", "dense"),
        ("two threads, int8, vs SDPA on two threads", "int8-f32-d{}-full-t2", "sdpa"),
    )
    rows = [
        [text, *(_ratio(document, case.format(d), peer) for d in (64, 128))]
        for text, case, peer in lines
    ]
    return markdown(["", "head size 64", "head size 128"], rows)


def whole_model_table() -> str:
    """Seconds until a language model has read a long text, for each way to run it."""
    path = RESULTS / "whole-model.json"
    if not path.is_file():
        return NOT_YET.replace("make bench", "python -m benchmarks.whole_model")
    record = json.loads(path.read_text(encoding="utf-8"))
    medians = {name: statistics.median(times) for name, times in record["seconds"].items()}
    base = medians["transformers, SDPA"]
    ranked = sorted(medians.items(), key=lambda item: -item[1])
    rows = [[name, f"{s:.1f}", f"{base / s:.2f}×"] for name, s in ranked]
    head = f"SmolLM2-135M, bfloat16, {record['tokens']} tokens, {record['threads']} threads"
    return markdown([head, "seconds", "speed-up"], rows)


def full_tables(document: dict[str, Any]) -> str:
    """Every result of one machine, with goals, quantiles and errors."""
    rows = []
    for name, record in sorted(document["results"].items()):
        goals = dict(map(tuple, record["case"]["goals"]))
        error = record["error"]
        first = [f"`{name}`", f"{record['seconds']['median'] * 1e3:.2f}", f"{record['gops']:.0f}"]
        last = [f"{error['relative_l1']:.5f}", f"{error['cosine']:.6f}", f"`{record['commit']}`"]
        for peer, against in record["peers"].items():
            rows.append([*first, peer, *_against(against, goals.get(peer)), *last])
            first, last = ["", "", ""], ["", "", ""]
    head = ["case", "ms", "Gop/s", "peer", "faster", "10–90 %", "goal"]
    return machine_line(document) + "\n\n" + markdown([*head, "rel. L1", "cosine", "commit"], rows)


def _against(peer: dict[str, Any], goal: float | None) -> list[str]:
    if "skipped" in peer:
        return ["—", peer["skipped"], ""]
    ratio = peer["ratio"]
    verdict = ""
    if goal is not None:
        verdict = f"{goal:.2f}× {'met' if ratio['median'] >= goal else 'missed'}"
    return [f"{ratio['median']:.2f}×", f"{ratio['q10']:.2f}–{ratio['q90']:.2f}", verdict]


def machine_line(document: dict[str, Any]) -> str:
    """One sentence: on what, with which versions, how idle."""
    m, v = document["machine"], document["versions"]
    others = ", ".join(
        f"{label} {v[name]}"
        for name, label in (("openvino", "OpenVINO"), ("onnxruntime", "ONNX Runtime"))
        if v.get(name)
    )
    counts = [r["seconds"]["count"] for r in document["results"].values()]
    loads = [r["load"] for r in document["results"].values() if r.get("load") is not None]
    features = {"avx512_vnni": "AVX-512 VNNI", "avx512_bf16": "BF16", "amx_int8": "AMX"}
    has = ", ".join(label for flag, label in features.items() if flag in m["features"])
    return (
        f"{m['cpu']} ({has or m['architecture']}), {m['cores']} cores; torch {v['torch']}"
        f"{', ' + others if others else ''}. Median of at least {min(counts, default=0)} "
        f"interleaved rounds; load average up to {max(loads, default=0):.1f} while measuring."
    )


def environment_table() -> str:
    """foveate's environment variables."""
    rows = [[f"`{v.name}`", v.meaning, v.default] for v in env.VARIABLES]
    return markdown(["variable", "meaning", "default"], rows, words=True)


def markdown(header: list[str], rows: list[list[str]], words: bool = False) -> str:
    """A table; numbers flush right, the first column and `words` flush left."""
    rule = [":--", *(":--" if words else "--:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def _ratio(document: dict[str, Any], case: str, peer: str) -> str:
    found = document["results"].get(case, {"peers": {}})["peers"].get(peer, {})
    return f"{found['ratio']['median']:.2f}×" if "ratio" in found else "—"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
