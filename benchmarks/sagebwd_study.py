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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.sagebwd_dense import dense
from foveate import SageBwd, attention
from foveate.train import Recipe, fit
from foveate.train.language import (
    Decoder,
    DecoderSize,
    Text,
    bytes_of,
    next_token_loss,
    perplexity,
)

RESULT = Path(__file__).parent / "results" / "sagebwd-study.json"
ARMS = {"float": None, "axis": SageBwd(), "block": SageBwd("block")}
TOKENS = 200 * 64 * 512  # of a pre-training, whatever the batch
SIZE = DecoderSize(layers=4, width=256, heads=4)
ATONCE = 16  # held-out stretches at once: one more batch size would be one more compilation
CURVE = 10  # steps whose mean loss is one point of a curve, at the smallest


class Late(Exception):
    """There is no time left for this run."""


def arm(name: str, compiled: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Causal attention of an arm, `[B, H, L, D]`."""
    precision = ARMS[name]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if precision is None:
            return scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        if q.is_cuda:
            return dense(q, k, v, precision, True, compiled)
        return attention(q, k, v, precision=precision, causal=True)

    return attend


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


class Pretraining:
    """A small decoder from scratch, on bytes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.text = Text.of(_texts(options), bytes_of)

    def run(self, facts: dict[str, Any], deadline: float) -> dict[str, Any]:
        torch.manual_seed(facts["seed"])
        size = DecoderSize(**{**SIZE.__dict__, "qk_norm": facts["qk_norm"]})
        if self.options.tiny:
            size = DecoderSize(layers=1, width=64, heads=1, qk_norm=facts["qk_norm"])
        model = Decoder(size, attend=arm(facts["arm"], self.options.compiled))
        model = model.to(self.options.device)
        found = learn(model, self.text, facts, self.options, deadline, weight_decay=0.1)
        sample = self.text.stretches(facts["length"], self.options.device, ATONCE)[:, :-1]
        return found | {"score_sizes": [round(x, 3) for x in model.score_sizes(sample)]}


class Finetuning:
    """SmolLM2-135M on novels."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.model = load_model(options.model, options.device)
        self.start = {k: v.cpu().clone() for k, v in self.model.state_dict().items()}
        if options.tokens is not None:
            saved = np.load(options.tokens)
            parts = (torch.from_numpy(saved[x].astype(np.int64)) for x in ("train", "held_out"))
            self.text = Text(*parts)
        else:
            self.text = Text.of(_texts(options), _encoder(options.model))

    def run(self, facts: dict[str, Any], deadline: float) -> dict[str, Any]:
        self.model.load_state_dict(self.start)
        use_arm(self.model, facts["arm"], self.options.compiled)
        found = learn(self.model, self.text, facts, self.options, deadline, weight_decay=0.0)
        use_arm(self.model, "float", False)
        with _amp(self.options):
            floats = perplexity(self.model.eval(), self._held_out(facts), facts["sequences"])
        return found | {"perplexity_in_float": floats}

    def _held_out(self, facts: dict[str, Any]) -> Tensor:
        return self.text.stretches(facts["length"], self.options.device, self.options.held_out)


def learn(
    model: nn.Module,
    text: Text,
    facts: dict[str, Any],
    options: argparse.Namespace,
    deadline: float,
    weight_decay: float,
) -> dict[str, Any]:
    """Train a model; its curve, and perplexities of held-out text before, between and after."""
    recipe = Recipe(
        facts["steps"],
        lr=facts["lr"],
        warmup=facts["steps"] // 10,
        decay="linear",
        weight_decay=weight_decay,
        amp="bfloat16",
        seed=facts["seed"],
    )
    held_out = text.stretches(facts["length"], options.device, options.held_out)

    def measured(one: nn.Module) -> dict[str, float]:
        with _amp(options):
            return {"perplexity": perplexity(one, held_out, min(facts["sequences"], ATONCE))}

    def before(step: int) -> None:
        if time.monotonic() > deadline:
            raise Late

    first = measured(model.eval())["perplexity"]
    begin, diverged, records = time.perf_counter(), None, []
    try:
        records = fit(
            model,
            next_token_loss,
            text.batches(facts["sequences"], facts["length"], options.device, facts["seed"]),
            recipe,
            before=before,
            evaluate=measured,
            evaluate_every=max(1, facts["steps"] // 8),
        )
    except RuntimeError as error:
        if "no longer a number" not in str(error):
            raise
        diverged = str(error)
    losses = [r["loss"] for r in records if "loss" in r]
    width = max(CURVE, len(losses) // 80)
    return {
        "diverged": diverged,
        "curve_steps": width,
        "curve": [
            round(float(np.mean(losses[i : i + width])), 5) for i in range(0, len(losses), width)
        ],
        "perplexities": [[0, first]]
        + [[r["step"], r["perplexity"]] for r in records if "perplexity" in r],
        "seconds": round(time.perf_counter() - begin, 1),
    }


def use_arm(model: nn.Module, name: str, compiled: bool) -> None:
    """Give a model of transformers an arm's attention; all sequences are whole and causal."""
    from transformers import AttentionInterface

    attend = arm(name, compiled)

    def function(module, query, key, value, attention_mask, **others):
        return attend(query, key, value).transpose(1, 2).contiguous(), None

    AttentionInterface.register(f"study_{name}", function)
    model.set_attn_implementation(f"study_{name}")


def load_model(name: str, device: str) -> nn.Module:
    """A model of `foveate.models`, or a GGUF file; float32, on the device."""
    if not name.endswith(".gguf"):
        from foveate.models import assets

        return assets.load(name, torch.float32)[0].to(device)
    import transformers

    path = Path(name)
    return transformers.AutoModelForCausalLM.from_pretrained(
        str(path.parent),
        gguf_file=path.name,
        dtype=torch.float32,
        local_files_only=True,
        quantization_config=transformers.GgufConfig(dequantize=True),
    ).to(device)


def write_tokens(options: argparse.Namespace) -> None:
    """Write a text's tokens once, for machines where making them takes long."""
    text = Text.of(_texts(options), _encoder(options.model))
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
    for facts in runs(range(options.first_seed, options.first_seed + options.seeds), options.tiny):
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


def _texts(options: argparse.Namespace) -> list[str]:
    if options.text:
        return [Path(path).read_text(encoding="utf-8") for path in options.text]
    from foveate.models import assets

    return [assets.text()]


def _encoder(model: str) -> Callable[[str], list[int]]:
    from transformers import AutoTokenizer

    from foveate.models import assets

    return AutoTokenizer.from_pretrained(str(assets.folder(model))).encode


def _amp(options: argparse.Namespace):
    return torch.autocast(options.device, torch.bfloat16)


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
