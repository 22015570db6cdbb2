"""A transformers model that attends with foveate; then the same, by name. Needs no download."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import foveate

torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=256,
    hidden_size=128,
    intermediate_size=256,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    pad_token_id=0,
)
model = LlamaForCausalLM(config).eval()
tokens = torch.randint(1, 256, (1, 600))

with torch.no_grad():
    exact = model(tokens).logits

    with foveate.accelerate(model, precision="int8"):
        quick = model(tokens).logits
    print(f"int8:   largest change of a logit {(quick - exact).abs().max():.4f}")

    model.set_attn_implementation("foveate:window(256,16)+sage2")
    quick = model(tokens).logits
    print(f"window: largest change of a logit {(quick - exact).abs().max():.4f}")
