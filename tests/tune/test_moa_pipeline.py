"""The way from a model and a text to a plan, on a tiny model with a tokenizer of whole words."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from foveate.tune.moa.calibrate import (
    KINDS,
    Record,
    answered,
    from_record,
    from_text,
    read_records,
)
from foveate.tune.store import Store

pytest.importorskip("scipy", reason="pip install scipy")


class Words:
    """A tokenizer: every word is a token; words are learned as they come."""

    chat_template = None

    def __init__(self):
        self.known = ["<pad>", "<s>"]

    def __call__(self, text, add_special_tokens=True):
        for word in text.split():
            if word not in self.known:
                self.known.append(word)
        return SimpleNamespace(input_ids=[self.known.index(word) for word in text.split()])

    def decode(self, ids):
        return " ".join(self.known[int(i)] for i in ids)


@pytest.fixture(scope="module")
def text():
    """400 sentences of made-up words, no two alike."""
    g = torch.Generator().manual_seed(0)
    pick = torch.randint(0, 300, (400, 9), generator=g)
    return " ".join("W" + " ".join(f"w{int(i)}x" for i in row) + "." for row in pick)


@pytest.fixture
def model(tiny):
    return tiny(vocab_size=4000)


@pytest.fixture
def settings():
    from foveate.tune.moa.settings import Settings

    return Settings(
        lengths=(256, 512),
        density=0.5,
        samples=2,
        answer=6,
        validation=640,
        items=2,
        plans=2,
        intervals=2,
        sink=16,
        block=16,
        kinds=("facts", "recall"),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_have_their_length_and_hold_what_is_asked(text, kind):
    words = Words()
    depths = []
    for number in range(6):
        tokens = from_text(words, text, 512, kind, number, answer=20)
        assert tokens.shape == (1, 513 - (8 if kind == "facts" else 20))
        said = words.decode(tokens[0])
        if kind == "facts":
            name = said.rpartition("The locker of ")[2].split()[0]
            assert said.count(f"the locker of {name} has the number") == 1
            depths.append(said.index(f"the locker of {name} has") / len(said))
        elif kind == "recall":
            quoted = said.rpartition('The text says: "')[2]
            assert said.count(quoted) == 3  # the passage, the question, the beginning of the answer
    if depths:
        assert max(depths) - min(depths) > 0.4  # near and far


def test_parts_of_a_text_do_not_meet(text):
    words = Words()
    first, second = (
        {
            w
            for n in range(3)
            for w in words.decode(from_text(words, text, 256, "summary", n, part=p)[0])
            .replace("summarize it.", "")
            .split(". ")
            if w.startswith("Ww") and w.count(" ") == 8
        }
        for p in ((0.0, 0.5), (0.5, 1.0))
    )
    assert len(first) > 10
    assert not first & second


def test_texts_that_cannot_serve_are_refused(text):
    with pytest.raises(ValueError, match="the calibration text is empty"):
        from_text(Words(), "  \n", 512, "facts", 0)
    with pytest.raises(ValueError, match=r"has \d+ tokens; expected at least \d+ for items of 512"):
        from_text(Words(), text[:500], 512, "facts", 0)
    with pytest.raises(ValueError, match='kind is "poem"; expected one of facts'):
        from_text(Words(), text, 512, "poem", 0)


def test_a_text_without_sentences_will_do():
    plain = " ".join(f"token{i}" for i in range(4000))
    tokens = from_text(Words(), plain, 512, "summary", 0, answer=20)
    assert tokens.shape == (1, 493)


def test_records_lose_the_middle_of_their_context(tmp_path):
    context = " ".join(f"c{i}" for i in range(900))
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps({"context": context, "questions": ["Who?", "Why?"]}) + "\n")
    records = read_records(path)
    assert [r.question for r in records] == ["Who?", "Why?"]
    words = Words()
    tokens = from_record(words, records[0], 256, answer=16)
    assert tokens.shape == (1, 241)
    said = words.decode(tokens[0])
    assert "c899" in said
    assert "c450" not in said
    assert "Who?" in said
    with pytest.raises(ValueError, match="a context has 3 words, too few"):
        from_record(words, Record("a b c", "Who?"), 256)
    (tmp_path / "bad.json").write_text('[{"text": 1}]')
    with pytest.raises(ValueError, match='has a row without "context"'):
        read_records(tmp_path / "bad.json")
    (tmp_path / "none.json").write_text("[]")
    with pytest.raises(ValueError, match="has no rows"):
        read_records(tmp_path / "none.json")


def test_answers_are_the_models_own(model):
    torch.set_num_threads(1)
    prompt = torch.randint(2, 4000, (1, 60), generator=torch.Generator().manual_seed(3))
    item = answered(model, prompt, "facts", 64)
    assert item.tokens.shape == (1, 65)
    assert item.answer.nonzero()[:, 0].tolist() == [60, 61, 62, 63, 64]
    with torch.inference_mode():
        best = model(item.tokens[:, :-1]).logits.argmax(-1)[0]
    assert torch.equal(best[59:], item.tokens[0, 60:])


def test_a_plan_is_found_kept_on_the_way_and_found_again(model, text, settings, tmp_path):
    from foveate.tune.moa.pipeline import find, steps

    torch.set_num_threads(1)
    words = Words()  # one for all: it numbers words as they come
    path, ticks = tmp_path / "plan.state", []

    def stopped(label):
        ticks.append(label)
        if len(ticks) == 8:  # in the middle of the second item
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find(model, words, text, settings, Store(path, {}), stopped)
    kept = Store(path, {})
    assert kept.resumed >= 3  # two items and a profile
    ticks.clear()
    again = find(model, words, text, settings, kept, ticks.append)
    assert len(ticks) <= steps(model, settings)
    afresh = find(model, words, text, settings, Store(None, {}), ticks.append)
    assert again == replace(afresh, notes=again.notes)
    again.check(model)
    assert again.heads == 2  # one rule for each key head
    assert max(again.rules_per_layer()) <= 2
    for length in (*settings.lengths, settings.validation):  # validated at the density asked for
        assert 0.45 - 1e-9 <= again.density(length) <= 0.5 + 1e-9
    loss = again.notes["validation"]["loss"]
    assert loss["dense"] <= loss["uniform"] + 1e-6  # answers are the dense model's own
    assert json.loads(again.text())["lengths"] == [256, 512]


def test_another_density_needs_no_new_profile(model, text, settings):
    from foveate.tune.moa.pipeline import find

    torch.set_num_threads(1)
    store = Store(None, {})
    find(model, Words(), text, settings, store, lambda label: None)
    profiles = [name for name in store.found if name.startswith("windows/")]
    full = find(model, Words(), text, replace(settings, density=1.0), store, lambda label: None)
    assert [name for name in store.found if name.startswith("windows/")] == profiles
    assert full.density(256) == full.density(512) == 1.0
    assert full.density(640) > 0.75  # no loss was profiled there: rules may stop growing


def test_a_density_that_no_plan_comes_near_is_only_an_upper_bound(model, text, settings):
    """With two key heads in each of two layers not every density can be met at three lengths."""
    from foveate.tune.moa.pipeline import plans, profile

    torch.set_num_threads(1)
    words, asked = Words(), replace(settings, intervals=1, density=0.3, least=1.0)
    windows = profile(model, words, text, asked, Store(None, {}), lambda label: None)
    for plan in plans(model, windows, asked):
        assert all(plan.density(length) <= 0.3 + 1e-9 for length in (256, 512, 640))


def test_a_density_below_every_rule_is_refused_before_anything_is_read(model, text, settings):
    from foveate.tune.moa.pipeline import find

    store, asked = Store(None, {}), replace(settings, density=0.1)
    with pytest.raises(ValueError, match=r"budget 0.1 is below 0.125, .* of 256 tokens"):
        find(model, Words(), text, asked, store, lambda label: None)
    assert not store.found


def test_searches_with_other_kinds_share_what_was_profiled(model, text, settings):
    from foveate.tune.moa.pipeline import profile

    torch.set_num_threads(1)
    words, store = Words(), Store(None, {})
    profile(model, words, text, settings, store, lambda label: None)
    names = set(store.found)
    fewer = replace(settings, kinds=("recall",), samples=1)
    alone = profile(model, words, text, fewer, store, lambda label: None)
    assert set(store.found) == names
    both = profile(model, words, text, settings, store, lambda label: None)
    assert not torch.equal(alone[512]["abs"], both[512]["abs"])


def test_a_data_set_serves_as_well(model, settings):
    from foveate.tune.moa.pipeline import find

    torch.set_num_threads(1)
    records = [Record(" ".join(f"r{n}c{i}" for i in range(900)), f"What is {n}?") for n in range(4)]
    store = Store(None, {})
    settings = replace(settings, lengths=(256,), samples=2, validation=320, items=1, intervals=1)
    plan = find(model, Words(), records, settings, store, lambda label: None)
    assert plan.density(256) <= 0.5
    items = [name for name in store.found if name.startswith("item/")]
    assert sorted(name.split("/")[4:] for name in items) == [
        ["calibration", "record", "256", "0"],
        ["calibration", "record", "256", "1"],
        ["validation", "record", "320", "0"],
    ]


def test_plans_may_be_tried_in_another_way(model, text, settings):
    from contextlib import nullcontext

    from foveate.tune.moa.pipeline import find

    torch.set_num_threads(1)
    settings, tried = replace(settings, intervals=1, items=1), []

    def attending(model, plan, length):
        tried.append((plan, length))
        return nullcontext()

    plan = find(model, Words(), text, settings, Store(None, {}), lambda label: None, attending)
    loss = plan.notes["validation"]["loss"]
    assert len(set(loss.values())) == 1  # every plan was tried densely
    assert tried[0] == (None, 640)
    assert plan.notes["validation"]["chosen"] == "plan 1"


def test_rules_for_query_heads_and_other_scores(model, text, settings):
    from foveate.tune.moa.pipeline import plans, profile

    torch.set_num_threads(1)
    settings = replace(settings, intervals=1)
    windows = profile(model, Words(), text, settings, Store(None, {}), lambda label: None)
    assert windows[512]["abs"].shape == (2, 4, 33)
    for score in ("abs", "signed", "joint", "joint_signed"):
        for plan in plans(model, windows, replace(settings, score=score, per_query=True)):
            assert plan.heads == 4


def test_settings_are_checked(settings):
    with pytest.raises(ValueError, match="a length is 130; expected whole blocks"):
        replace(settings, lengths=(130,))
    with pytest.raises(
        ValueError, match=r"samples is \(3,\); expected one number, or one for each"
    ):
        replace(settings, samples=(3,))
    assert replace(settings, samples=(3, 1)).read == {256: 3, 512: 1}
    with pytest.raises(ValueError, match="least is 2; expected a share"):
        replace(settings, least=2)
    with pytest.raises(ValueError, match=r"kinds is \('poem',\); expected some of facts"):
        replace(settings, kinds=("poem",))
    with pytest.raises(ValueError, match='score is "best"'):
        replace(settings, score="best")
