"""A small random model and its captured layers; nothing here needs an asset."""

from __future__ import annotations

import pytest
import torch

from foveate.tune.capture import Captured, capture


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
            "eos_token_id": None,
        }
        made = getattr(transformers, f"{family}Config")(**{**defaults, **config})
        model = getattr(transformers, f"{family}ForCausalLM")(made).eval()
        with torch.no_grad():  # scores as sharp as a trained model's, or every block is alike
            for name, weight in model.named_parameters():
                if "q_proj" in name or "k_proj" in name:
                    weight.mul_(20)
        return model

    return build


@pytest.fixture
def tokens():
    """Token ids `[1, 700]`."""
    return torch.randint(3, 101, (1, 700), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def layer(tiny, tokens):
    """The second layer of the tiny model, captured."""
    kept = []
    capture(tiny(), tokens, kept.append)
    return kept[1]


def structured(length=700, heads=4, kv_heads=2, seed=0, causal=True) -> Captured:
    """Queries and keys with a sink, a window and a few strong blocks, float32."""
    g = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, h, length, 64, generator=g) for h in (heads, kv_heads, kv_heads))
    slow = torch.randn(1, 1, length // 50 + 1, 64, generator=g).repeat_interleave(50, 2)[
        :, :, :length
    ]
    q, k = q + 0.6 * slow, k + 0.6 * slow
    k[:, :, :4] += 0.4
    return Captured(0, q, k, v, 64**-0.5, causal)
