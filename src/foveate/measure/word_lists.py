"""Tasks about lists of words: which come up most often (RULER's common and frequent words).

The one thing to know: how often a word comes up grows with the list, so that the answer is as clear
in a long one as in a short one.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from .haystack import Wanted, prompt


def _vocabulary(text: str) -> list[str]:
    """Words of a text, in the order of the alphabet: 4 to 9 small letters, at least 5 times."""
    counts = Counter(w for w in text.split() if w.isascii() and w.islower() and w.isalpha())
    return sorted(w for w, n in counts.items() if n >= 5 and 4 <= len(w) <= 9)


def common(wanted: Wanted) -> Any:
    """Three words come up again and again among words that come up rarely."""
    words = _vocabulary(wanted.text)
    wanted.draw.shuffle(words)
    often, rare = words[:3], words[3:]
    order = wanted.draw.getrandbits(32)

    def middle(units: int) -> str:
        shuffled = random.Random(order)
        body = [w for w in often for _ in range(max(3, units // 12))]
        body += [rare[i % len(rare)] for i in range(max(0, units - len(body)))]
        shuffled.shuffle(body)
        return " ".join([rare[-1]] * 4 + body)  # the first words may be cut

    question = "Which three words come up most often in the list?"
    tokens = prompt(
        wanted.tokenizer,
        wanted.length,
        "Read the following list of words. Remember which come up most often.",
        middle,
        question,
        "The three words that come up most often are: 1.",
    )
    return tokens, often, rare[:6], question


def frequent(wanted: Wanted) -> Any:
    """Made-up words whose frequency falls with their rank, rank^−2 (RULER, §3.3)."""
    made = []
    while len(made) < 200:
        choice = wanted.draw.choice
        word = "".join(choice("bdfgklmnprstvz") + choice("aeiou") for _ in range(3))
        made += [word] if word not in made else []
    order = wanted.draw.getrandbits(32)
    weights = [1 / (rank + 1) ** 2 for rank in range(len(made))]

    def middle(units: int) -> str:
        total, shuffled = sum(weights), random.Random(order)
        body = [
            w for w, p in zip(made, weights, strict=True) for _ in range(int(units * p / total))
        ]
        body += made[3 : 3 + max(0, units - len(body))]
        shuffled.shuffle(body)
        return " ".join([made[-1]] * 4 + body)

    question = "Which three words come up most often in the list?"
    tokens = prompt(
        wanted.tokenizer,
        wanted.length,
        "Read the following list of made-up words. Remember which come up most often.",
        middle,
        question,
        "The three words that come up most often are: 1.",
    )
    return tokens, made[:3], made[6:12], question
