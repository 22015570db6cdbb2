"""Does 8-bit attention train as well as float? Fine-tuning and pre-training, compared.

    python -m benchmarks.sagebwd_study pretrain --text novels/*.txt --out pretrain.jsonl
    python -m benchmarks.sagebwd_study finetune --text novels/*.txt --out finetune.jsonl
    python -m benchmarks.sagebwd_study collect pretrain.jsonl finetune.jsonl

Three arms that differ in attention alone: "float" (torch's attention in bfloat16, as all the rest),
"axis" and "block" (the two modes of SageBwd). Arms with the same seed start from the same weights
and see the same batches in the same order. `collect` joins runs, from several machines or days, in
benchmarks/results/sagebwd-study.json; benchmarks/sagebwd_tables.py says what they mean.

The one thing to know: each run is one line of the output, written when it is complete; a second
call with the same output goes on with the runs that are missing. `--seconds` stops in time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.sagebwd_dense import dense
from benchmarks.sagebwd_training import (
    ARMS,
    Finetuning,
    Late,
    Pretraining,
    encoder_of,
    texts_of,
)
from foveate.train.language import Text

RESULT = Path(__file__).parent / "results" / "sagebwd-study.json"
TOKENS = 150 * 64 * 512  # of a pre-training, whatever the batch


def pretrain_runs(seeds: range, tiny: bool) -> Iterator[dict[str, Any]]:
    """What is pre-trained; everything of one seed comes before the next."""
    batches = {"large": 4, "small": 2} if tiny else {"large": 64, "small": 16}
    for seed, norm, size, name in itertools.product(seeds, (True, False), batches, ARMS):
        yield {
            "kind": "pretrain",
            "arm": name,
            "seed": seed,
            "qk_norm": norm,
            "batch": size,
            "sequences": batches[size],
            "length": 128 if tiny else 512,
            "steps": 3 if tiny else TOKENS // (512 * batches[size]),
            "lr": 1e-3 if size == "small" else 2e-3,
        }


def finetune_runs(seeds: range, tiny: bool) -> Iterator[dict[str, Any]]:
    """What is fine-tuned."""
    for seed, name in itertools.product(seeds, ARMS):
        yield {
            "kind": "finetune",
            "arm": name,
            "seed": seed,
            "sequences": 1 if tiny else 8,
            "length": 128 if tiny else 512,
            "steps": 2 if tiny else 100,
            "lr": 3e-5,
        }


def write_tokens(options: argparse.Namespace) -> None:
    """Write a text's tokens once, for machines where making them takes long."""
    text = Text.of(texts_of(options), encoder_of(options.model))
    parts = {"train": text.train.numpy(), "held_out": text.held_out.numpy()}
    with open(options.out, "wb") as file:
        np.savez_compressed(file, **{k: v.astype(np.uint16) for k, v in parts.items()})


def check_compiled(device: str) -> bool:
    """Whether torch.compile works here and gives what the plain functions give."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, h, 256, 64, generator=generator) for h in (4, 2, 2))
    tensors = [x.to(device, torch.bfloat16).requires_grad_() for x in (q, k, v)]
    try:
        found = []
        for compiled in (False, True):
            for name in ("axis", "block"):
                out = dense(*tensors, ARMS[name], True, compiled)
                grads = torch.autograd.grad(out.float().square().sum(), tensors)
                found.append([x.float() for x in (out, *grads)])
    except Exception as error:  # a study on eager kernels is slow, no study is worse
        print(f"torch.compile does not work here: {error}"[:500], file=sys.stderr)
        return False
    for plain, fused in zip(found[:2], found[2:], strict=True):
        off = max(float((a - b).norm() / a.norm()) for a, b in zip(plain, fused, strict=True))
        print(f"compiled and plain are {off:.1e} apart", file=sys.stderr)
        if not off < 5e-3:
            return False
    return True


def machine(device: str) -> dict[str, str]:
    """Where runs were made, in words."""
    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or "a CPU"
    return {"device": name, "torch": torch.__version__, "python": platform.python_version()}


def work(options: argparse.Namespace) -> None:
    """Make the runs that are missing, one after another, as long as there is time."""
    end = time.monotonic() + options.seconds
    options.compiled = options.compile == "yes" or (
        options.compile == "check" and options.device == "cuda" and check_compiled(options.device)
    )
    kinds = {"pretrain": (Pretraining, pretrain_runs), "finetune": (Finetuning, finetune_runs)}
    kind, runs = kinds[options.what]
    made = kind(options)
    done = [json.loads(line) for line in _lines(options.out)]
    longest = 0.0
    sizes = {name: getattr(options, name) for name in ("steps", "sequences", "length")}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    for facts in runs(range(options.first_seed, options.first_seed + options.seeds), options.tiny):
        facts |= sizes
        if facts["arm"] not in options.arms:
            continue
        if any(facts.items() <= run.items() for run in done):
            continue
        begin = time.monotonic()
        if begin + 0.7 * longest > end:
            print("no time for another run", file=sys.stderr)
            return
        try:
            found = made.run(facts, end)
        except Late:
            print(f"no time to end {facts}", file=sys.stderr)
            return
        longest = max(longest, time.monotonic() - begin)
        record = facts | found | {"compiled": options.compiled, "machine": machine(options.device)}
        with open(options.out, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        last = found["perplexities"][-1][1]
        print(f"{facts} → {last:.4f} in {found['seconds']} s", file=sys.stderr, flush=True)


def collect(options: argparse.Namespace) -> None:
    """Join runs in one document."""
    runs = [json.loads(line) for path in options.files for line in _lines(path)]
    text = json.dumps({"runs": runs}, indent=None).replace('{"kind"', '\n{"kind"') + "\n"
    work = RESULT.with_suffix(".tmp")
    work.write_text(text, encoding="utf-8")
    os.replace(work, RESULT)
    print(f"{RESULT}: {len(runs)} runs")


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = made.add_subparsers(dest="what", required=True)
    for what in ("pretrain", "finetune", "tokens"):
        verb = verbs.add_parser(what)
        verb.add_argument("--text", nargs="*", help="files in UTF-8; the novel that ships if none")
        verb.add_argument("--out", required=True, help="a line of JSON for each run (tokens: .npz)")
        verb.add_argument("--model", default="smollm2-135m", help="a model's name, or a GGUF file")
        verb.add_argument("--tokens", help="what `tokens` wrote, instead of a text")
        verb.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
        verb.add_argument("--seeds", type=int, default=3)
        verb.add_argument("--first-seed", type=int, default=0)
        verb.add_argument("--held-out", type=int, default=64, help="stretches of held-out text")
        for name in ("steps", "sequences", "length"):
            verb.add_argument(f"--{name}", type=int, help="instead of the study's own")
        verb.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
        verb.add_argument("--seconds", type=float, default=float("inf"), help="stop by then")
        verb.add_argument("--compile", default="check", choices=("check", "yes", "no"))
        verb.add_argument("--tiny", action="store_true", help="a few steps of a tiny size")
    verb = verbs.add_parser("collect")
    verb.add_argument("files", nargs="+")
    return made


def main() -> None:
    options = parser().parse_args()
    {"collect": collect, "tokens": write_tokens}.get(options.what, work)(options)


if __name__ == "__main__":
    main()
