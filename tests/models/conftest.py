"""Small random models, so that everything but `test_smollm2.py` needs no asset."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture
def tiny():
    """A function that builds a tiny random decoder in float32, equal for equal arguments."""
    transformers = pytest.importorskip("transformers", reason='pip install "foveate[models]"')

    def build(family: str = "Llama", **config):
        torch.manual_seed(0)
        defaults = {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 101,
            "max_position_embeddings": 512,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": None,
        }
        made = getattr(transformers, f"{family}Config")(**{**defaults, **config})
        return getattr(transformers, f"{family}ForCausalLM")(made).eval()

    return build


@pytest.fixture
def prompt():
    """Token ids `[2, 23]` and their mask, the first row padded on the left by 9."""
    torch.manual_seed(1)
    ids = torch.randint(3, 101, (2, 23))
    mask = torch.ones_like(ids)
    ids[0, :9], mask[0, :9] = 0, 0
    return ids, mask
