"""Prefill of a whole language model: python -m benchmarks.whole_model [--tokens 8100].

SmolLM2-135M in bfloat16 reads a novel, with torch SDPA, with foveate, and (if it is installed) in
OpenVINO GenAI from the same GGUF file; methods take turns in one process. The one thing to know:
each time is a whole forward pass up to the logits of the last token, whose arg max must agree.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import foveate
from foveate.measure.machine import commit, load_average, machine, versions
from foveate.models import assets

RESULTS = Path(__file__).parent / "results"
MODEL = "smollm2-135m"
FOVEATE = {
    "foveate int8": {"precision": "int8"},
    "foveate int8, compiled": {"precision": "int8", "compile": True},
}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a line for each method, write benchmarks/results/whole-model.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whole_model", description=__doc__)
    parser.add_argument("--tokens", type=int, default=8100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "whole-model.json")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    model, tokenizer = assets.load(MODEL, dtype=torch.bfloat16)
    ids = tokenizer(assets.text(), return_tensors="pt").input_ids[:, : args.tokens]
    methods = {"transformers, SDPA": lambda: forward(model, ids)}
    for name, options in FOVEATE.items():
        methods[name] = lambda options=options: accelerated(model, ids, options)
    genai = openvino_genai(ids, args.threads)
    if genai is not None:
        methods["OpenVINO GenAI"] = genai
    load = load_average()
    seconds, tokens = take_turns(methods, args.rounds)
    record = {
        "kind": "whole-model",
        "model": MODEL,
        "tokens": args.tokens,
        "threads": args.threads,
        "seconds": seconds,
        "next_token": tokens,
        "machine": machine(),
        "versions": versions(),
        "load": load,
        "commit": commit(),
    }
    part = args.out.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    part.replace(args.out)
    base = statistics.median(seconds["transformers, SDPA"])
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:28} {median:7.2f} s   {base / median:5.2f}×   next token {tokens[name]}")
    return 0


def take_turns(methods: dict[str, Callable[[], tuple[float, int]]], rounds: int):
    """Seconds of each method in each round, after one that is not counted; and its next token."""
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    tokens: dict[str, int] = {}
    for turn in range(rounds + 1):
        for name, method in methods.items():
            spent, tokens[name] = method()
            if turn:
                seconds[name].append(spent)
            print(f"round {turn} {name}: {spent:.2f} s", file=sys.stderr, flush=True)
    return seconds, tokens


def forward(model, ids) -> tuple[float, int]:
    """One prefill with a cache, as generation does it: seconds and next token."""
    start = time.perf_counter()
    logits = model(ids, use_cache=True, logits_to_keep=1).logits
    return time.perf_counter() - start, int(logits[0, -1].argmax())


def accelerated(model, ids, options: dict) -> tuple[float, int]:
    """The same through foveate; torch.compile keeps what it compiled between rounds."""
    with foveate.accelerate(model, **options):
        return forward(model, ids)


def openvino_genai(ids, threads: int) -> Callable[[], tuple[float, int]] | None:
    """The same prompt in OpenVINO GenAI from the GGUF file, or None if it is not installed."""
    try:
        import openvino
        import openvino_genai as genai
    except ImportError:
        print("OpenVINO GenAI is not installed; left out", file=sys.stderr)
        return None
    gguf = str(assets.source(assets.MODELS[MODEL])[0])
    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = False  # every round reads the whole prompt
    pipe = genai.LLMPipeline(gguf, "CPU", scheduler_config=scheduler, INFERENCE_NUM_THREADS=threads)
    prompt = genai.TokenizedInputs(
        openvino.Tensor(ids.numpy()), openvino.Tensor(torch.ones_like(ids).numpy())
    )
    config = genai.GenerationConfig(max_new_tokens=1, do_sample=False)

    def run() -> tuple[float, int]:
        start = time.perf_counter()
        result = pipe.generate(prompt, config)
        return time.perf_counter() - start, int(result.tokens[0][-1])

    return run


if __name__ == "__main__":
    raise SystemExit(main())
