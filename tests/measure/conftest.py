"""A tiny random model and a tokenizer of letters."""

from __future__ import annotations

import pytest
import torch

from tests.measure.letters import Letters


@pytest.fixture
def tokenizer():
    return Letters(chat=True)


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
            "max_position_embeddings": 2048,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        }
        made = getattr(transformers, f"{family}Config")(**{**defaults, **config})
        model = getattr(transformers, f"{family}ForCausalLM")(made).eval()
        with torch.no_grad():  # scores as sharp as a trained model's
            for name, weight in model.named_parameters():
                if "q_proj" in name or "k_proj" in name:
                    weight.mul_(20)
        return model

    return build


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
