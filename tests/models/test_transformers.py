"""foveate inside transformers: the same tokens as SDPA, and nothing dropped without a word."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

import foveate
from foveate.models import accelerate, register, restore
from foveate.models import transformers as glue

FAMILIES = {
    "llama": ("Llama", {}),
    "mha": ("Llama", {"num_key_value_heads": 4}),
    "mistral window": ("Mistral", {"sliding_window": 7}),
    "qwen3 q and k norms": ("Qwen3", {"head_dim": 16}),
}
GENERATE = {
    "batch": {},
    "left padding": {"padded": True},
    "static cache": {"padded": True, "cache_implementation": "static"},
    "no cache": {"padded": True, "use_cache": False},
    "beams": {"padded": True, "num_beams": 3},
    "chunked prefill": {"padded": True, "prefill_chunk_size": 5},
}


@pytest.fixture(params=["reference", "auto"])
def backend(request):
    return request.param


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
@pytest.mark.parametrize("how", GENERATE.values(), ids=GENERATE.keys())
def test_same_tokens_as_sdpa(tiny, prompt, family, how, backend):
    model, (ids, mask), how = tiny(family[0], **family[1]), prompt, dict(how)
    if how.pop("padded", False):
        how["attention_mask"] = mask
    else:
        ids = ids.clamp(min=3)
        how["attention_mask"] = torch.ones_like(ids)
    how |= {"max_new_tokens": 12, "do_sample": False}
    expected = model.generate(ids, **how)
    with accelerate(model, precision="native", backend=backend):
        assert torch.equal(model.generate(ids, **how), expected)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
@torch.no_grad()
def test_same_logits_with_left_padding(tiny, prompt, family, backend):
    model, (ids, mask) = tiny(family[0], **family[1]), prompt
    expected = model(ids, attention_mask=mask).logits[mask.bool()]
    with accelerate(model, precision="native", backend=backend):
        found = model(ids, attention_mask=mask).logits[mask.bool()]
    assert (found - expected).abs().max() < 1e-5


@torch.no_grad()
def test_packed_sequences_stay_apart(tiny, prompt, backend):
    model, ids = tiny(), prompt[0][1:]
    positions = torch.cat([torch.arange(10), torch.arange(13)])[None]
    expected = model(ids, position_ids=positions, use_cache=False).logits
    with accelerate(model, precision="native", backend=backend):
        found = model(ids, position_ids=positions, use_cache=False).logits
    assert (found - expected).abs().max() < 1e-5


@pytest.fixture
def calls(monkeypatch):
    """The arguments of every call of foveate.attention."""
    seen, original = [], foveate.attention

    def spy(q, k, v, **arguments):
        out = original(q, k, v, **arguments)
        seen.append(arguments | {"q": q, "k": k, "out": out})
        return out

    monkeypatch.setattr(foveate, "attention", spy)
    return seen


@torch.no_grad()
def test_prefill_is_causal_without_a_mask_or_a_copy(tiny, prompt, calls):
    model, ids = tiny(), prompt[0].clamp(min=3)
    with accelerate(model, precision="native", backend="reference"):
        model(ids, attention_mask=torch.ones_like(ids))
    for call in calls:
        assert call["causal"]
        assert call["mask"] is None
        assert call["k"].shape[1] == 2  # key heads are not repeated
        assert call["out"].transpose(1, 2).is_contiguous()  # so the model's reshape is free


@torch.no_grad()
def test_padding_reaches_the_kernel_in_one_row_for_each_sequence(tiny, prompt, calls):
    model, (ids, mask) = tiny(), prompt
    with accelerate(model, precision="native", backend="reference"):
        model(ids, attention_mask=mask)
    assert all(call["causal"] and call["mask"].shape == (2, 1, 1, 23) for call in calls)


@torch.no_grad()
def test_unfilled_part_of_a_static_cache_is_not_read(tiny, prompt, calls):
    model, ids = tiny(), prompt[0].clamp(min=3)
    with accelerate(model, precision="native", backend="reference"):
        model.generate(ids, max_new_tokens=3, do_sample=False, cache_implementation="static")
    assert [call["k"].shape[2] for call in calls[::2]][:2] == [23, 24]


@torch.no_grad()
def test_decoding_uses_its_own_precision(tiny, prompt, calls):
    model, ids = tiny(), prompt[0].clamp(min=3)
    model.set_attn_implementation("foveate:int8")
    model.generate(ids, max_new_tokens=2, do_sample=False)
    assert [(call["q"].shape[2], call["precision"]) for call in calls[::2]] == [
        (23, "int8"),
        (1, "native"),
    ]
    calls.clear()
    with accelerate(model, precision="int8", decode="same", backend="reference"):
        model.generate(ids, max_new_tokens=2, do_sample=False)
    assert {call["precision"] for call in calls} == {"int8"}


@torch.no_grad()
def test_window_of_the_model_is_honoured(tiny, prompt, calls):
    model = tiny("Mistral", sliding_window=7)
    ids = prompt[0].clamp(min=3)
    with accelerate(model, select=foveate.Window(100, 4), backend="reference", precision="native"):
        model(ids)
    with accelerate(model, select=foveate.Window(5, 4), backend="reference", precision="native"):
        model(ids)
    assert [call["select"] for call in calls[::2]] == [foveate.Window(7, 0), foveate.Window(5, 0)]


@pytest.mark.parametrize("name", ["foveate", "foveate:sage2", "foveate:window(8,2)+int8"])
@torch.no_grad()
def test_names_work_without_registration(tiny, prompt, name):
    model, ids = tiny(), prompt[0].clamp(min=3)
    dense = model(ids).logits
    model.set_attn_implementation(name)
    found = model(ids).logits
    assert torch.isfinite(found).all()
    assert (found - dense).abs().max() > 0  # it is really another computation


def test_name_works_at_construction(tiny):
    model = tiny(attn_implementation="foveate:window(9,1)")
    assert model.config._attn_implementation == "foveate:window(9,1)"


def test_unknown_name_says_what_exists(tiny):
    with pytest.raises(ValueError, match="precisions are auto, native, int8"):
        tiny().set_attn_implementation("foveate:int9")


def test_restore_brings_the_former_attention_back(tiny):
    model = tiny()
    handle = accelerate(model, precision="int8")
    assert model.config._attn_implementation == "foveate:int8"
    restore(model)
    assert model.config._attn_implementation == "sdpa"
    handle.undo()
    restore(model)
    assert model.config._attn_implementation == "sdpa"


def test_only_transformers_models_are_accepted():
    with pytest.raises(TypeError, match="model is Linear; expected a transformers PreTrainedModel"):
        accelerate(torch.nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"dropout": 0.1}, "dropout=0.1"),
        ({"softcap": 30.0}, "soft capping"),
        ({"s_aux": torch.zeros(4)}, "attention sinks"),
        ({"position_bias": torch.zeros(1)}, "a position bias"),
        ({"head_mask": torch.ones(4)}, "a mask of heads"),
        ({"output_attentions": True}, "attention weights are never formed"),
        ({"cu_seq_lens_q": torch.tensor([0, 3, 8])}, "packs 2 sequences without a mask"),
        ({"sliding_window": 4, "is_causal": False}, "without a causal mask"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_not_supported_is_refused(extra, words):
    from transformers import AttentionInterface

    forward = AttentionInterface()[register("foveate:native")]
    q = torch.randn(1, 4, 8, 16)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        forward(torch.nn.Identity(), q, q, q, None, **extra)
    assert "\n" not in str(caught.value)


def test_softcap_of_a_model_is_refused(tiny, prompt):
    model = tiny("Gemma2", head_dim=16, attn_logit_softcapping=50.0)
    with (
        torch.no_grad(),
        accelerate(model, precision="native"),
        pytest.raises(ValueError, match="softcap"),
    ):
        model(prompt[0])


def test_training_gives_the_gradients_of_the_model(tiny, prompt):
    grads = {}
    for name in ("before", "accelerated"):
        model = tiny()
        handle = accelerate(model, precision="native") if name == "accelerated" else None
        model(prompt[0]).logits.square().mean().backward()
        grads[name] = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        if handle is not None:
            handle.undo()
    assert grads["before"].keys() == grads["accelerated"].keys()
    for name, expected in grads["before"].items():
        torch.testing.assert_close(grads["accelerated"][name], expected, rtol=1e-3, atol=1e-6)


def test_training_in_other_numbers_is_refused_with_the_way_out(tiny, prompt):
    with (
        accelerate(tiny(), precision="sage2") as handle,
        pytest.raises(ValueError, match="no_grad"),
    ):
        handle.model(prompt[0])


def test_importing_models_needs_torch_only():
    code = (
        "import sys; sys.modules['transformers'] = None\n"
        "import foveate.models\n"
        "try: foveate.models.accelerate\n"
        "except ModuleNotFoundError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install "foveate[models]"' in done.stdout


def test_equal_choices_share_a_name(tiny):
    first, second = accelerate(tiny(), decode="same").name, accelerate(tiny(), decode="same").name
    assert first == second
    assert glue._choices[first].decode == "same"
