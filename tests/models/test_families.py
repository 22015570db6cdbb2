"""Other kinds of models than plain decoders: encoders, encoder-decoders, windows, chunks, sinks."""

from __future__ import annotations

import pytest
import torch

tf = pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from foveate.models import accelerate  # noqa: E402

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
WORDS = {"vocab_size": 101, "pad_token_id": 0, "bos_token_id": 1}
DECODER = SIZES | WORDS | {"max_position_embeddings": 128, "head_dim": 16, "eos_token_id": None}
ALTERNATING = ["sliding_attention", "sliding_attention", "full_attention"]


def gemma3():
    config = tf.Gemma3TextConfig(
        **DECODER, num_key_value_heads=1, sliding_window=8, layer_types=ALTERNATING
    )
    return tf.Gemma3ForCausalLM(config)


def qwen2():
    windows = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
    return tf.Qwen2ForCausalLM(tf.Qwen2Config(**DECODER, num_key_value_heads=2, **windows))


def bert():
    return tf.BertModel(tf.BertConfig(**SIZES, **WORDS))


def modernbert():
    special = {"cls_token_id": 1, "sep_token_id": 2, "eos_token_id": 2}
    return tf.ModernBertModel(tf.ModernBertConfig(**SIZES, **WORDS, **special, local_attention=8))


def vit():
    return tf.ViTModel(tf.ViTConfig(**SIZES, image_size=32, patch_size=4))


def bart():
    config = tf.BartConfig(
        **WORDS,
        d_model=64,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        max_position_embeddings=128,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
    )
    return tf.BartForConditionalGeneration(config)


def chunked():
    config = tf.Llama4TextConfig(
        **DECODER,
        num_key_value_heads=2,
        attention_chunk_size=8,
        num_local_experts=2,
        intermediate_size_mlp=64,
        moe_layers=[],
    )
    return tf.Llama4ForCausalLM(config)


@pytest.fixture
def words():
    """Token ids `[2, 40]` and a mask whose first row lacks nine tokens on the left."""
    ids = torch.randint(3, 101, (2, 40))
    mask = torch.ones_like(ids)
    mask[0, :9] = 0
    return ids, mask


def difference(model, run):
    model.eval()
    with torch.no_grad():
        expected = run(model)
        with accelerate(model, precision="native"):
            return (run(model) - expected).abs().max()


@pytest.mark.parametrize("build", [gemma3, qwen2, chunked], ids=lambda build: build.__name__)
def test_decoders_with_windows_and_chunks(build, words):
    ids, mask = words
    seen = mask.bool()
    assert difference(build(), lambda m: m(ids, attention_mask=mask).logits[seen]) < 1e-5


@pytest.mark.parametrize("cache", [None, "static"])
@pytest.mark.parametrize("build", [gemma3, qwen2], ids=lambda build: build.__name__)
def test_sliding_caches_generate_the_same_tokens(build, cache, words):
    ids, mask = words
    options = {"attention_mask": mask, "max_new_tokens": 12, "do_sample": False}
    options["cache_implementation"] = cache
    assert difference(build(), lambda m: m.generate(ids, **options)) == 0


@pytest.mark.parametrize("build", [bert, modernbert], ids=lambda build: build.__name__)
@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_encoders(build, padded, words):
    ids, mask = words
    mask = mask.flip(1) if padded else torch.ones_like(mask)
    seen = mask.bool()
    run = lambda m: m(ids, attention_mask=mask).last_hidden_state[seen]  # noqa: E731
    assert difference(build(), run) < 1e-5


def test_vision_encoder():
    pixels = torch.randn(1, 3, 32, 32)
    assert difference(vit(), lambda m: m(pixels).last_hidden_state) < 1e-5


def test_encoder_and_decoder(words):
    ids, mask = words
    options = {"attention_mask": mask.flip(1), "max_new_tokens": 10, "num_beams": 2}
    assert difference(bart(), lambda m: m.generate(ids, do_sample=False, **options)) == 0


def test_sinks_are_refused(words):
    config = tf.GptOssConfig(
        **DECODER, num_key_value_heads=2, num_local_experts=2, num_experts_per_tok=1
    )
    model = tf.GptOssForCausalLM(config).eval()
    model.set_attn_implementation("foveate:native")
    with torch.no_grad(), pytest.raises(ValueError, match="attention sinks"):
        model(words[0])
