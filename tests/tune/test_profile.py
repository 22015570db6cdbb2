"""Profiles: written, read, checked, and used by a model."""

from __future__ import annotations

import json

import pytest
import torch

import foveate
from foveate import Sparge, XAttention
from foveate.models import accelerate
from foveate.tune import Profile, ProfileError, shipped
from foveate.tune.fingerprint import fingerprint


@pytest.fixture
def profile(tiny):
    layers = {
        0: {"threshold": (0.5, 0.6, 0.7, 1.0)},
        1: {"threshold": (0.9, 0.2, 0.3, 0.4), "similarity": (-1.0, 0.2, -1.0, 0.3)},
    }
    return Profile("sparge", {"block": (64, 32)}, layers, fingerprint(tiny()), {"date": "today"})


def test_a_file_gives_the_same_profile_back(profile, tmp_path):
    profile.save(tmp_path / "x.json")
    found = Profile.load(tmp_path / "x.json")
    assert found == profile
    assert found.selections == (
        Sparge((0.5, 0.6, 0.7, 1.0), block=(64, 32)),
        Sparge((0.9, 0.2, 0.3, 0.4), similarity=(-1.0, 0.2, -1.0, 0.3), block=(64, 32)),
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "x.json"]  # and leaves nothing else behind


def test_heads_may_have_shares_instead_of_thresholds(profile, tmp_path):
    select = XAttention(share=(0.1, 0.02, 0.5, 0.001), stride=8)
    made = Profile.of({1: select}, profile.model, {})
    made.save(tmp_path / "x.json")
    assert Profile.load(tmp_path / "x.json").selections == (None, select)
    assert "threshold" not in made.text()


def test_the_file_is_readable(profile):
    text = profile.text()
    assert '      "threshold": [0.5, 0.6, 0.7, 1.0]\n' in text
    assert json.loads(text)["date"] == "today"
    assert max(map(len, text.splitlines())) < 100


def changed(profile, change):
    data = json.loads(profile.text())
    change(data)
    return json.dumps(data)


BROKEN = {
    "a head is missing": (
        lambda d: d["layers"]["1"]["threshold"].pop(),
        "layer 1 has threshold for 3 heads; expected 4",
    ),
    "no threshold": (lambda d: d["layers"]["1"].pop("threshold"), "layer 1 has similarity; expec"),
    "too large": (
        lambda d: d["layers"]["0"].update(threshold=[0.5, 0.5, 0.5, 1.5]),
        "layer 0: Sparge.threshold is",
    ),
    "a layer too many": (lambda d: d["layers"].update({"2": {}}), "layer 2 does not exist"),
    "no layers": (lambda d: d.update(layers={}), "layers is empty"),
    "unknown knob": (
        lambda d: d["layers"]["0"].update(x=[1] * 4),
        "and nothing but threshold, share",
    ),
    "unknown option": (lambda d: d["options"].update(strid=4), '"sparge" has no option strid'),
    "unknown select": (lambda d: d.update(select="spare"), 'select is "spare"; expected one of'),
    "newer version": (lambda d: d.update(version=2), "its version is 2; this foveate reads"),
    "other file": (lambda d: d.pop("format"), "this is no profile"),
    "no model": (lambda d: d.pop("model"), "model is missing"),
    "not numbers": (
        lambda d: d["layers"]["0"].update(threshold=["a"] * 4),
        "options or layers cannot be read",
    ),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_in_one_line(profile, tmp_path, change, message):
    path = tmp_path / "x.json"
    path.write_text(changed(profile, change))
    with pytest.raises(ProfileError) as error:
        Profile.load(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_half_a_file_and_no_file_are_refused(profile, tmp_path):
    (tmp_path / "half.json").write_text(profile.text()[:200])
    with pytest.raises(ProfileError, match="this is not JSON"):
        Profile.load(tmp_path / "half.json")
    with pytest.raises(ProfileError, match="no such file; profiles that ship with foveate are"):
        Profile.load("no-such-profile")


OTHERS = {
    "layers": ({"num_hidden_layers": 3}, "layers 2, here 3"),
    "heads": ({"num_attention_heads": 2}, "heads 4, here 2"),
    "vocabulary": ({"vocab_size": 102}, "vocabulary 101, here 102"),
    "class": ({"family": "Mistral"}, "class LlamaForCausalLM, here MistralForCausalLM"),
}


@pytest.mark.parametrize(("config", "message"), OTHERS.values(), ids=OTHERS.keys())
def test_another_model_is_refused(tiny, profile, config, message):
    with pytest.raises(ProfileError, match=message):
        accelerate(tiny(**config), profile=profile)


def test_a_model_with_other_weights_is_refused(tiny, profile):
    model = tiny()
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.mul_(1.01)
    with pytest.raises(ProfileError, match="other weights"):
        accelerate(model, profile=profile)


def test_the_fingerprint_does_not_depend_on_the_dtype(tiny):
    # profiles are made in bfloat16, and people load the same files in float32
    model = tiny().bfloat16()
    same = fingerprint(model)
    assert fingerprint(model.float()) == same


@pytest.fixture
def calls(monkeypatch):
    """The selections of all calls of foveate.attention."""
    seen, original = [], foveate.attention

    def spy(q, k, v, **arguments):
        seen.append(arguments["select"])
        return original(q, k, v, **arguments)

    monkeypatch.setattr(foveate, "attention", spy)
    return seen


@torch.no_grad()
def test_each_layer_of_a_model_uses_its_own(tiny, tokens, profile, tmp_path, calls):
    profile.save(tmp_path / "x.json")
    model = tiny()
    exact = model(tokens).logits
    with accelerate(model, profile=tmp_path / "x.json", precision="native"):
        sparse = model(tokens).logits
    assert calls == list(profile.selections)
    assert not torch.allclose(sparse, exact, atol=1e-3)
    assert torch.equal(model(tokens).logits, exact)


@torch.no_grad()
def test_layers_may_be_given_as_a_tuple(tiny, tokens, calls):
    model = tiny()
    with accelerate(model, select=(None, XAttention(0.8, block=64)), precision="native"):
        model(tokens)
    assert calls == ["dense", XAttention(0.8, block=64)]
    with pytest.raises(ValueError, match="select has 3 selections; expected one, or one for each"):
        accelerate(model, select=(None, None, None))


def test_profile_and_select_together_are_refused(tiny, profile):
    with pytest.raises(ValueError, match="both select and profile are given"):
        accelerate(tiny(), select="sparge", profile=profile)


@torch.no_grad()
def test_window_layers_stay_as_they_are(tiny, tokens, calls):
    kinds = {"sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]}
    model = tiny("Qwen3", head_dim=16, use_sliding_window=True, **kinds)
    layers = {1: {"threshold": (0.5,) * 4}}
    profile = Profile("xattention", {"block": 64, "stride": 16}, layers, fingerprint(model))
    with accelerate(model, profile=profile, precision="native"):
        model(tokens)
    assert calls == [foveate.Window(64, 0), XAttention((0.5,) * 4, block=64)]


def test_shipped_profiles_belong_to_the_model_that_they_name():
    from foveate.models import assets

    try:
        assets.locate("smollm2-135m")
    except assets.MissingAsset as error:
        pytest.skip(str(error))
    model = assets.load("smollm2-135m")[0]
    for name in ("smollm2-135m-sparge", "smollm2-135m-xattention"):
        Profile.load(name).check(model)


@pytest.mark.parametrize("name", shipped())
def test_shipped_profiles_load(name):
    profile = Profile.load(name)
    assert profile.notes["command"].startswith("foveate tune ")
    assert profile.notes["reached"]["held_out"]["density"] < 0.8
    assert all(profile.selections)
