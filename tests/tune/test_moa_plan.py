"""Plans of spans: files, cache sizes, and the way into a model."""

from __future__ import annotations

import json
import warnings

import pytest
import torch

from foveate import MoA, accelerate
from foveate.tune import MoAPlan, PlanError, Profile, ProfileError, load
from foveate.tune.fingerprint import fingerprint


@pytest.fixture
def mixed():
    """Two layers of four heads with two rules each."""
    return MoAPlan(
        ((0.0, 1024.0, 0.0, 1024.0), (-1024.0, 8192.0, -1024.0, -1024.0)),
        ((0.5, 0.125, 0.5, 0.125), (0.5, 0.0, 0.5, 0.5)),
    )


def test_cache_sizes_and_totals_by_hand(mixed):
    # N = 1024 + 1024: 1024; 1024 + 256 = 1280; 1024 − 1024 = 0 → 128; 8192 → 2048
    assert mixed.cache_sizes(1024) == [[1024, 1280, 1024, 1280], [128, 2048, 128, 128]]
    assert mixed.cache_totals(1024) == {
        "sum": 7040,
        "ratio": 7040 / 8 / 2048,
        "min": 128,
        "max": 2048,
    }
    # N = 7168 + 1024 = 8192: 4096; 1024 + 1024 = 2048; 4096 − 1024 = 3072; 8192
    assert mixed.cache_sizes(7168)[1] == [3072, 8192, 3072, 3072]
    # N = 100 + 10: nothing falls below the sink and one block
    assert mixed.cache_sizes(100, reserve=10)[0] == [128, 128, 128, 128]


def test_one_window_for_all_has_the_statistics_of_its_rule():
    """The published baseline: α 0, β 0.5 everywhere."""
    plan = MoAPlan.uniform(32, 32, 0.5)
    for length in (1024, 3072, 7168, 15360):
        total = plan.cache_totals(length)
        assert total["sum"] == 1024 * (length + 1024) // 2
        assert (total["ratio"], total["min"], total["max"]) == (
            0.5,
            (length + 1024) // 2,
            (length + 1024) // 2,
        )


def test_spans_are_clipped_and_density_is_their_mean(mixed):
    assert mixed.spans(1024) == [[512, 1024, 512, 1024], [0, 1024, 0, 0]]
    assert mixed.density(1024) == pytest.approx((2 * 512 + 2 * 1024 + 1024) / 8 / 1024)


def test_groups_keep_what_their_neediest_head_wants(mixed):
    assert mixed.cache_sizes(1024, kv_heads=2) == [[1280, 1280], [2048, 128]]
    with pytest.raises(ValueError, match="kv_heads is 3"):
        mixed.cache_sizes(1024, kv_heads=3)


def test_files_come_back_as_they_were(mixed, tmp_path):
    noted = MoAPlan(mixed.alphas, mixed.betas, 16, 16, {"class": "X"}, {"lengths": [2048]})
    noted.save(tmp_path / "plan.json")
    assert load(tmp_path / "plan.json") == noted
    mixed.save_original(tmp_path / "original.json")
    assert set(json.loads((tmp_path / "original.json").read_text())) == {"alphas", "betas"}
    assert MoAPlan.load(tmp_path / "original.json") == mixed
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_layers_without_rules_stay_as_they_are(mixed, tmp_path):
    plan = MoAPlan((None, *mixed.alphas), (None, *mixed.betas))
    assert plan.planned == (1, 2)
    assert plan.selections[0] is None
    assert isinstance(plan.selections[1], MoA)
    assert plan.density(1024) == mixed.density(1024)
    plan.save(tmp_path / "plan.json")
    assert load(tmp_path / "plan.json") == plan
    with pytest.raises(PlanError, match="cannot say"):
        plan.save_original(tmp_path / "o.json")


def test_a_profile_is_still_a_profile():
    from foveate.tune import shipped

    if not shipped():
        pytest.skip("no profile ships with this build")
    assert isinstance(load(shipped()[0]), Profile)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "this is not JSON"),
        ("[]", 'expected an object with "alphas" and "betas"'),
        ('{"alphas": [[1, 2]], "betas": [[1]]}', "alphas have 1 layers of 2 heads, betas"),
        ('{"alphas": [[1], [1, 2]], "betas": [[1], [1, 2]]}', "layers have 1 and 2 heads"),
        ('{"alphas": [[1, null]], "betas": [[1, 1]]}', r"layer 0 of alphas is \[1, None\]"),
        ('{"alphas": [[NaN]], "betas": [[1]]}', "expected finite numbers"),
        ('{"alphas": [[true]], "betas": [[1]]}', "expected finite numbers"),
        (f'{{"alphas": [[1{"0" * 400}]], "betas": [[1]]}}', "expected finite numbers"),
        ('{"alphas": [[1]], "betas": [[-0.5]]}', "betas has a number below 0"),
        ('{"alphas": 3, "betas": [[1]]}', "alphas is int; expected one list for each layer"),
        ('{"alphas": [null], "betas": [null]}', "layers have no heads"),
        ('{"alphas": [[1]], "betas": [[1]], "gammas": 1}', "beside alphas and betas it has gammas"),
        (
            '{"alphas": [[1]], "betas": [[1]], "format": "foveate moa plan", "version": 9}',
            "its version is 9",
        ),
        (
            '{"alphas": [[1]], "betas": [[1]], "format": "foveate moa plan", "version": 1, '
            '"sink": 5}',
            "MoA.sink is 5",
        ),
        (
            '{"alphas": [[1]], "betas": [[1]], "format": "foveate moa plan", "version": 1, '
            '"model": 7}',
            "model is int; expected what a model looks like, or null",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(text, says, tmp_path):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(ProfileError, match=says) as caught:
        MoAPlan.load(tmp_path / "plan.json")
    assert "\n" not in str(caught.value)
    assert "plan.json" in str(caught.value)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text('{"alphas": [[0, 64]], "betas": [[1, 0]]}', encoding="utf-8-sig")
    assert MoAPlan.load(path).alphas == ((0.0, 64.0),)


@pytest.mark.parametrize("length", [0, -64, 512.0, True])
def test_a_length_is_a_number_of_tokens(mixed, length):
    for ask in (mixed.density, mixed.cache_sizes, mixed.cache_totals):
        with pytest.raises(ValueError, match=f"length is {length}; expected a number of tokens"):
            ask(length)


def test_no_file_at_all(tmp_path):
    with pytest.raises(PlanError, match="no such file"):
        MoAPlan.load(tmp_path / "none.json")


def test_more_than_two_rules_in_a_layer_are_worth_a_warning():
    with pytest.warns(UserWarning, match="3 different rules"):
        MoAPlan(((1.0, 2.0, 3.0),), ((0.0, 0.0, 0.0),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MoAPlan(((1.0, 2.0, 1.0),), ((0.0, 0.0, 0.0),))


def test_a_plan_belongs_to_its_model(tiny, mixed):
    model = tiny()
    named = MoAPlan(mixed.alphas, mixed.betas, model=fingerprint(model))
    named.check(model)
    mixed.check(model)  # no fingerprint: fits whatever has its layers and heads
    MoAPlan.uniform(2, 2, 0.5).check(model)  # rules of key heads
    with pytest.raises(PlanError, match=r"another model: .*layers 2, here 3"):
        named.check(tiny(num_hidden_layers=3))
    with pytest.raises(PlanError, match=r"layers 5, here 2; heads 3, here 4 \(or 2 of keys\)"):
        MoAPlan.uniform(5, 3, 0.5).check(model)
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.weight += 1
    with pytest.raises(PlanError, match="other weights"):
        named.check(model)


@torch.inference_mode()
def test_a_model_attends_by_its_plan(tiny, tokens, tmp_path, mixed):
    torch.set_num_threads(1)
    model = tiny()
    dense = model(tokens).logits
    full = MoAPlan.uniform(2, 4, 1.0)
    full.save(tmp_path / "full.json")
    with accelerate(model, profile=str(tmp_path / "full.json"), precision="native"):
        torch.testing.assert_close(model(tokens).logits, dense, rtol=1e-4, atol=1e-4)
    narrow = MoAPlan.uniform(2, 2, 0.25)
    with accelerate(model, profile=narrow, precision="native"):
        ours = model(tokens).logits
        written = model.generate(tokens, max_new_tokens=4, do_sample=False)
    assert not torch.allclose(ours, dense, atol=1e-2)
    # the first block sees all it can see in any case
    torch.testing.assert_close(ours[:, :64], dense[:, :64], rtol=1e-4, atol=1e-4)
    assert written.shape == (1, 704)


@torch.inference_mode()
def test_left_padding_in_a_model(tiny, tokens):
    torch.set_num_threads(1)
    model = tiny()
    short = tokens[:, :400]
    both = torch.cat([tokens[:, :500], torch.nn.functional.pad(short, (100, 0))])
    mask = torch.ones_like(both)
    mask[1, :100] = 0
    # spans of 500 tokens for both rows: by default a row's own length would count
    select = tuple(MoA(0.0, 0.25, length=500) for _ in range(2))
    with accelerate(model, select=select, precision="native"):
        alone = model(short).logits
        padded = model(both, attention_mask=mask).logits[1:, 100:]
    torch.testing.assert_close(padded, alone, rtol=1e-3, atol=1e-3)


@torch.inference_mode()
@pytest.mark.parametrize("bias", [False, True])
def test_sorting_heads_by_rule_changes_no_output(tiny, tokens, bias):
    from foveate.tune.moa.permute import order, permute

    torch.set_num_threads(1)
    model = tiny(num_attention_heads=8, num_key_value_heads=4, attention_bias=bias)
    for name, value in model.named_parameters():
        if "bias" in name:
            value.normal_(generator=torch.Generator().manual_seed(0))
    alphas = (64.0, 0.0, 64.0, 0.0)
    betas = (0.0, 0.5, 0.25, 0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # three rules a layer
        plan = MoAPlan((alphas, alphas[::-1]), (betas, betas), model=fingerprint(model))
    assert order(plan, 0) == (3, 1, 0, 2)
    dense = model(tokens).logits
    with accelerate(model, profile=plan, precision="native"):
        sparse = model(tokens).logits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sorted_plan = permute(model, plan)
    assert sorted_plan.alphas[0] == (0.0, 0.0, 64.0, 64.0)
    assert sorted_plan.betas[0] == (0.25, 0.5, 0.0, 0.25)
    torch.testing.assert_close(model(tokens).logits, dense, rtol=1e-5, atol=1e-5)
    with accelerate(model, profile=sorted_plan, precision="native"):
        torch.testing.assert_close(model(tokens).logits, sparse, rtol=1e-5, atol=1e-5)
    with pytest.raises(PlanError, match="other weights"):
        plan.check(model)
    with pytest.raises(PlanError, match="rules for 8 query heads, but 4 key heads"):
        permute(model, MoAPlan.uniform(2, 8, 0.5))
