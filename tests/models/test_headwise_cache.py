"""HeadwiseCache: the tokens that a rule lets a head see, and no others, however they came in."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from transformers import DynamicCache

from foveate.models import HeadwiseCache, accelerate
from foveate.tune.moa.plan import MoAPlan

LONG = 90
BLOCK = 16


def plan_of(alphas, beta=0.0, sink=BLOCK, **more) -> MoAPlan:
    return MoAPlan(
        alphas,
        tuple(None if row is None else (beta,) * len(row) for row in alphas),
        sink,
        BLOCK,
        **more,
    )


PLAN = plan_of(((32.0, 64.0), (48.0, 48.0)))  # by key heads, two layers
FULL = plan_of(((0.0, 0.0), (0.0, 0.0)), beta=1.0)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tokens():
    torch.manual_seed(3)
    return torch.randint(3, 101, (2, LONG))


@torch.no_grad()
def masked(model, ids, mask=None, plan=PLAN):
    """Logits of one pass over everything, each head with its rule as a mask on single pairs."""
    with accelerate(
        model, select=plan.at(LONG, rule="tokens"), precision="native", backend="reference"
    ):
        return model(ids, attention_mask=mask, use_cache=False).logits


@torch.no_grad()
def in_parts(model, ids, cuts, cache, mask=None):
    """Logits of parts handed over one after another."""
    found, edges = [], [0, *cuts, ids.shape[1]]
    for first, end in pairwise(edges):
        found.append(
            model(
                ids[:, first:end],
                attention_mask=None if mask is None else mask[:, :end],
                past_key_values=cache,
            ).logits
        )
    return torch.cat(found, dim=1)


def serving(model, plan=PLAN, backend="auto"):
    """The model with a prefill that follows the rule on single pairs, as the buffers do."""
    return accelerate(
        model, select=plan.at(LONG, rule="tokens"), precision="native", backend=backend
    )


CUTS = {
    "prompt below the sink": [5],
    "prompt as long as the sink": [16],
    "prompt as long as the smallest buffer": [32],
    "prompt one longer than that": [33],
    "prompt longer than all buffers": [80],
    "one token first": [1],
    "three turns": [20, 21, 59],
    "every token alone": list(range(1, LONG)),
}


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_parts_give_what_masked_attention_gives_at_once(tiny, tokens, cuts, backend):
    model = tiny()
    if len(cuts) > 10 and backend == "reference":
        cuts = list(range(40, LONG))
    expected = masked(model, tokens)
    with serving(model, backend=backend):
        cache = HeadwiseCache(model, PLAN, LONG)
        found = in_parts(model, tokens, cuts, cache)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert cache.get_seq_length() == LONG
    assert [layer.rings.length.tolist() for layer in cache.layers] == [
        [[32, 64]] * 2,
        [[48] * 2] * 2,
    ]


PADDING = {
    "on the left": (30, ((0, 7), (0, 40))),
    "one row all but empty": (30, ((0, 0), (0, 29))),
    "in the middle, of a second turn": (30, ((30, 37), (30, 31))),
    "in the middle, of a long first turn": (70, ((40, 60), (0, 9))),
}


@pytest.mark.parametrize(("turn", "padding"), PADDING.values(), ids=PADDING)
def test_padding_leaves_no_trace(tiny, tokens, turn, padding):
    model, mask = tiny(), torch.ones_like(tokens)
    for row, (first, end) in enumerate(padding):
        mask[row, first:end] = 0
    with serving(model):
        found = in_parts(
            model,
            tokens,
            [turn, *range(max(60, turn + 1), LONG)],
            cache := HeadwiseCache(model, PLAN, LONG),
            mask,
        )
    assert cache.layers[0].rings.tokens.tolist() == mask.sum(1).tolist()
    for row in range(2):  # each row alone and without its padding, at the positions it had
        real = mask[row].bool()
        positions = torch.arange(LONG)[real][None]
        with (
            accelerate(
                model, select=PLAN.at(LONG, rule="tokens"), precision="native", backend="reference"
            ),
            torch.no_grad(),
        ):
            cache = DynamicCache()  # with one, positions that jump do not mean packed sequences
            expected = model(
                tokens[row : row + 1, real], position_ids=positions, past_key_values=cache
            ).logits
        torch.testing.assert_close(found[row : row + 1, real], expected, rtol=1e-4, atol=1e-5)


HOW = {
    "greedy": {},
    "sampled": {"do_sample": True, "temperature": 0.8},
    "beams": {"num_beams": 3},
    "several answers": {"do_sample": True, "num_return_sequences": 2},
    "prefill in chunks": {"prefill_chunk_size": 5},
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
@pytest.mark.parametrize("family", ["Llama", "Qwen3"])
def test_full_spans_give_the_tokens_of_the_dense_cache(tiny, prompt, how, family):
    model, (ids, mask) = tiny(family), prompt

    def generate(**more):
        torch.manual_seed(5)
        how_long = {"max_new_tokens": 30, "attention_mask": mask}
        return model.generate(ids, **how_long, **how, **more)

    expected = generate(past_key_values=DynamicCache(config=model.config))
    with accelerate(model, precision="native"):
        found = generate(past_key_values=HeadwiseCache(model, FULL, 23 + 30))
    assert torch.equal(found, expected)


def test_a_conversation_goes_on_where_it_was(tiny, tokens):
    model = tiny()
    first, second = tokens[:, :40], tokens[:, 40:57]
    with serving(model):
        cache = HeadwiseCache(model, PLAN, LONG)
        said = model.generate(first, past_key_values=cache, max_new_tokens=9)
        whole = torch.cat([said, second], dim=1)
        found = model.generate(whole, past_key_values=cache, max_new_tokens=9)
    for end in range(whole.shape[1], found.shape[1]):  # each token is the best one under the rule
        best = masked(model, found[:, :end])[:, -1].argmax(-1)
        assert torch.equal(best, found[:, end])


@torch.no_grad()
def test_codes_stay_near_the_floats_and_take_a_quarter(tiny, tokens):
    model = tiny(hidden_size=256)
    for layer in model.model.layers:  # real keys have a large common part
        layer.self_attn.k_proj.weight.data[:, :] += 0.05
    with serving(model):
        caches = {c: HeadwiseCache(model, PLAN, LONG, codes=c) for c in ("float", "int8")}
        found = {
            c: in_parts(model, tokens, [50, 60, *range(61, LONG)], x) for c, x in caches.items()
        }
    error = (found["int8"] - found["float"]).norm() / found["float"].norm()
    assert 0 < error < 0.01
    assert caches["int8"].nbytes < 0.28 * caches["float"].nbytes


@torch.no_grad()
def test_rows_can_be_chosen_and_repeated(tiny, tokens):
    model = tiny()
    with serving(model):
        cache = HeadwiseCache(model, PLAN, LONG)
        model(tokens[:, :70], past_key_values=cache)
        cache.batch_select_indices(torch.tensor([1]))
        cache.batch_repeat_interleave(2)
        found = model(tokens[[1, 1], 70:71], past_key_values=cache).logits
    expected = masked(model, tokens[:, :71])[1, -1]
    torch.testing.assert_close(found[:, 0], expected.expand(2, -1), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_copy_is_its_own_and_reset_forgets(tiny, tokens):
    model = tiny()
    with serving(model):
        cache = HeadwiseCache(model, PLAN, LONG)
        model(tokens[:, :70], past_key_values=cache)
        other = copy.deepcopy(cache)
        model(tokens[:1].expand(2, -1)[:, :5], past_key_values=cache)
        assert other.get_seq_length() == 70
        found = model(tokens[:, 70:71], past_key_values=other).logits
        cache.reset()
        again = in_parts(model, tokens[:1], [50], cache)  # also with another number of rows
    expected = masked(model, tokens)
    torch.testing.assert_close(found[:, 0], expected[:, 70], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again, expected[:1], rtol=1e-4, atol=1e-5)


def test_layers_without_rules_keep_the_cache_of_the_model(tiny, tokens):
    kinds = ["sliding_attention", "full_attention"]
    model = tiny("Qwen2", sliding_window=12, use_sliding_window=True, layer_types=kinds)
    plan = MoAPlan((None, (0.0, 0.0)), (None, (1.0, 1.0)), BLOCK, BLOCK)
    expected = model.generate(tokens[:, :40], max_new_tokens=20, do_sample=False)
    with accelerate(model, precision="native"):
        cache = HeadwiseCache(model, plan, 60)
        found = model.generate(
            tokens[:, :40], max_new_tokens=20, do_sample=False, past_key_values=cache
        )
    assert torch.equal(found, expected)
    with pytest.raises(ValueError, match="layer 0, whose cache is a DynamicSlidingWindowLayer"):
        HeadwiseCache(model, PLAN, 60)


@torch.no_grad()
def test_longer_texts_than_planned_are_told(tiny, tokens):
    model = tiny()
    with serving(model):
        cache = HeadwiseCache(model, PLAN, 60)
        model(tokens[:, :60], past_key_values=cache)
        with pytest.warns(UserWarning, match="made for 60 tokens and now takes token 61"):
            model(tokens[:, 60:61], past_key_values=cache)


@torch.no_grad()
def test_another_attention_function_is_found_out(tiny, tokens):
    model = tiny()
    cache = HeadwiseCache(model, PLAN, LONG)
    model(tokens[:, :40], past_key_values=cache)
    with pytest.raises(RuntimeError, match=r"use foveate.accelerate\(model\) while"):
        model(tokens[:, 40:41], past_key_values=cache)


@torch.no_grad()
def test_wrong_use_is_refused_in_one_line(tiny, tokens):
    model = tiny()
    with pytest.raises(ValueError, match="the plan has 2 layers of 3 heads; the model 2 of 4"):
        HeadwiseCache(model.config, plan_of(((32.0,) * 3,) * 2), LONG)
    with pytest.raises(ValueError, match="made for another model"):
        HeadwiseCache(model, plan_of(((32.0,) * 2,) * 3), LONG)
    with pytest.raises(ValueError, match="length is 0; expected the tokens of prompt and answer"):
        HeadwiseCache(model, PLAN, 0)
    with pytest.raises(ValueError, match='codes is "int4"; expected one of float, int8'):
        HeadwiseCache(model, PLAN, LONG, codes="int4")
    with pytest.raises(TypeError, match="plan is dict; expected a MoAPlan"):
        HeadwiseCache(model, {}, LONG)
    with serving(model):
        cache = HeadwiseCache(model, PLAN, LONG)
        model(tokens[:, :40], past_key_values=cache)
        with pytest.raises(ValueError, match="keys have 1 rows, this cache holds 2"):
            model(tokens[:1, 40:41], past_key_values=cache)
        with pytest.raises(ValueError, match="cannot give tokens back"):
            cache.crop(-1)


@torch.no_grad()
def test_a_plan_by_query_heads_keeps_the_largest_span_of_each_group(tiny, tokens):
    model = tiny()
    plan = plan_of(((32.0, 32.0, 64.0, 32.0),) * 2)
    with serving(model, plan):
        cache = HeadwiseCache(model, plan, LONG)
        model(tokens, past_key_values=cache)
    assert cache.layers[0].capacity == (32, 64)


@torch.no_grad()
def test_a_cache_can_be_filled_from_another_one(tiny, tokens):
    model, dense = tiny(), DynamicCache()
    model(tokens[:, :70], past_key_values=dense)
    with serving(model, FULL):
        cache = HeadwiseCache(model, FULL, LONG)
        for layer, other in zip(cache.layers, dense.layers, strict=True):
            layer.take_in(other.keys, other.values)
        found = model(tokens[:, 70:71], past_key_values=cache).logits
    expected = model(tokens[:, :71]).logits[:, -1:]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
