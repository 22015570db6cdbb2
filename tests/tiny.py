"""Small random decoders for tests: no download, and equal for equal arguments."""

from __future__ import annotations

from typing import Any

import pytest
import torch


def decoder(family: str = "Llama", sharp: bool = False, **config: Any) -> Any:
    """A transformers decoder of two layers in float32, in eval mode.

    Args:
        family: The first part of its class's name.
        sharp: Scores as sharp as a trained model's; else every block of keys is about alike.
        **config: Fields of its config that differ from the small ones here.
    """
    transformers = pytest.importorskip("transformers", reason='pip install "foveate[models]"')
    torch.manual_seed(0)
    small = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 101,
        "max_position_embeddings": 2048,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": None,  # answers end where they are told to
    }
    made = getattr(transformers, f"{family}Config")(**{**small, **config})
    model = getattr(transformers, f"{family}ForCausalLM")(made).eval()
    if sharp:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "q_proj" in name or "k_proj" in name:
                    weight.mul_(20)
    return model
