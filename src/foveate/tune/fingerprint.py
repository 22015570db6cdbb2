"""What a model is, in a few numbers: enough to refuse a profile that was made for another.

The one thing to know: weights are read as bfloat16, so a model has one fingerprint whether it is
loaded in float32 or in bfloat16.
"""

from __future__ import annotations

import hashlib
from typing import Any

import torch

_VALUES = 256  # of each matrix


def fingerprint(model: Any) -> dict[str, Any]:
    """Class, sizes, and a SHA-256 over a sample of the weights, as plain values.

    Args:
        model: A transformers model.
    """
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else None
    config = config or model.config
    heads = int(config.num_attention_heads)
    return {
        "class": type(model).__name__,
        "layers": int(config.num_hidden_layers),
        "heads": heads,
        "kv_heads": int(getattr(config, "num_key_value_heads", None) or heads),
        "head_dim": int(getattr(config, "head_dim", None) or config.hidden_size // heads),
        "vocabulary": int(config.vocab_size),
        "weights": _weights(model),
    }


def differences(expected: dict[str, Any], model: Any) -> list[str]:
    """What of a fingerprint does not fit a model, as short texts; empty if all does."""
    found = fingerprint(model)
    wrong = [
        f"{name.replace('_', ' ')} {expected.get(name)}, here {found[name]}"
        for name in found
        if name != "weights" and expected.get(name) != found[name]
    ]
    if not wrong and expected.get("weights") != found["weights"]:
        wrong.append("other weights (or the same in float16 or quantized; load them in bfloat16)")
    return wrong


def _weights(model: Any) -> str:
    """SHA-256 over a few values of every matrix."""
    digest = hashlib.sha256()
    for matrix in model.parameters():
        if matrix.dim() > 1:
            values = matrix.detach().flatten()
            values = values[:: max(1, values.numel() // _VALUES)][:_VALUES]
            digest.update(values.to("cpu", torch.bfloat16).view(torch.int16).numpy().tobytes())
    return digest.hexdigest()
