"""What the study of SageBwd trains: three arms, a model from scratch, a model to fine-tune.

The one thing to know: arms differ in attention alone. With the same seed they start from the same
weights and see the same batches in the same order.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.sagebwd_dense import dense
from foveate import SageBwd, attention
from foveate.train import Diverged, Recipe, fit
from foveate.train.language import (
    Decoder,
    DecoderSize,
    Text,
    bytes_of,
    next_token_loss,
    perplexity,
)

ARMS = {"float": None, "axis": SageBwd(), "block": SageBwd("block")}
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


class Pretraining:
    """A small decoder from scratch, on bytes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.text = Text.of(texts_of(options), bytes_of)

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
            self.text = Text.of(texts_of(options), encoder_of(options.model))

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
            evaluate_every=max(1 if options.tiny else 8, facts["steps"] // 8),
        )
    except Diverged as error:
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


def texts_of(options: argparse.Namespace) -> list[str]:
    """The texts to read: files, or the novel that ships."""
    if options.text:
        return [Path(path).read_text(encoding="utf-8") for path in options.text]
    from foveate.models import assets

    return [assets.text()]


def encoder_of(model: str) -> Callable[[str], list[int]]:
    """Text to tokens, as the model's own tokenizer has them."""
    from transformers import AutoTokenizer

    from foveate.models import assets

    return AutoTokenizer.from_pretrained(str(assets.folder(model))).encode


def _amp(options: argparse.Namespace):
    return torch.autocast(options.device, torch.bfloat16)
