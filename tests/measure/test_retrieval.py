"""Generated tasks: exact lengths, whole needles, answers that are right by construction."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

import pytest
import torch

from foveate.measure.haystack import frame, sentences, woven
from foveate.measure.retrieval import TASKS, sample
from tests.measure.letters import TEXT, Letters

LISTS = ("common", "frequent")


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.split("up most often.")[1].split("Which three")[0])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("length", [3001, 4096])
def test_prompt_has_exactly_the_length(task, length):
    for chat in (False, True):
        tokens = sample(task, Letters(chat), length, 0, TEXT).tokens
        assert tokens.shape == (1, length)
        assert tokens.dtype == torch.int64


@pytest.mark.parametrize("task", TASKS)
def test_same_seed_same_sample(task, tokenizer):
    one, two, other = (sample(task, tokenizer, 3000, seed, TEXT) for seed in (3, 3, 4))
    assert torch.equal(one.tokens, two.tokens)
    assert (one.answers, one.others) == (two.answers, two.others)
    assert not torch.equal(one.tokens, other.tokens)


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_in_the_prompt_and_differ_from_the_others(task, tokenizer):
    for seed in range(5):
        made = sample(task, tokenizer, 3000, seed, TEXT)
        text = tokenizer.decode(made.tokens[0])
        assert all(answer in text for answer in made.answers)
        assert not set(made.answers) & set(made.others)
        assert made.question in text
        assert text.startswith("<user>")
        assert "</user><model>" in text


def test_answer_belongs_to_what_is_asked(tokenizer):
    for seed in range(5):
        made = sample("multikey", tokenizer, 3000, seed, TEXT)
        name = re.search(r"number of the (.*)\?", made.question)[1]
        text = tokenizer.decode(made.tokens[0])
        assert f"The secret number of the {name} is {made.answers[0]}." in text
        assert sum(f"is {number}." in text for number in made.others) == 5


def test_variables_are_assigned_after_their_source(tokenizer):
    for seed in range(20):
        made = sample("tracking", tokenizer, 3000, seed, TEXT)
        text = tokenizer.decode(made.tokens[0]).split("are VAR KEY and VAR NEW.")[1]
        known = {}
        for name, value in re.findall(r"VAR ([A-Z]+) = (?:VAR )?([A-Z0-9]+)\.", text):
            known[name] = known.get(value, value)  # a source must be there already
        value = re.search(r"value (\d+)", made.question)[1]
        assert sorted(n for n, v in known.items() if v == value) == sorted(made.answers)


@pytest.mark.parametrize("task", LISTS)
def test_answers_are_the_most_frequent_words(task, tokenizer):
    for seed in range(5):
        made = sample(task, tokenizer, 3000, seed, TEXT)
        counts = Counter(words_of(tokenizer.decode(made.tokens[0])))
        assert {word for word, _ in counts.most_common(3)} == set(made.answers)
        assert max(counts[word] for word in made.others) < min(counts[a] for a in made.answers)


def test_seeds_in_a_row_spread_the_depth(tokenizer):
    depths = []
    for seed in range(8):
        made = sample("needle", tokenizer, 3000, seed, TEXT)
        text = tokenizer.decode(made.tokens[0])
        depths.append(text.index(made.answers[0]) / len(text))
    depths.sort()
    assert depths[0] < 0.3
    assert depths[-1] > 0.75
    assert max(b - a for a, b in pairwise(depths)) < 0.3


def test_too_short_is_refused_with_what_is_needed(tokenizer):
    with pytest.raises(ValueError, match=r"length is 200; expected at least \d+ tokens"):
        sample("needle", tokenizer, 200, 0, TEXT)
    with pytest.raises(ValueError, match='unknown task "sewing"; tasks are needle'):
        sample("sewing", tokenizer, 3000, 0, TEXT)


def test_a_tokenizer_without_a_template_gets_its_first_tokens():
    assert frame(Letters()).before == (1,)
    assert frame(Letters(chat=True)).after == "</user><model>"


def test_needles_lie_at_their_depths():
    text = woven(lambda unit: "hay. ", ["first.", "last."], [0.0, 0.99])(100)
    assert text.index("first.") == 12 * len("hay. ")
    assert text.index("last.") > 0.97 * len(text)
    assert text.count("hay.") == 100


def test_sentences_are_whole_and_of_middle_length():
    text = "No. This one is long enough to be taken, I think.\nSo is\nthis one, across two lines! "
    assert sentences(text + "x" * 400 + ". End.") == [
        "This one is long enough to be taken, I think. ",
        "So is this one, across two lines! ",
    ]
