"""A tokenizer of letters: what an evaluation needs of a tokenizer, without any asset."""

from __future__ import annotations

from types import SimpleNamespace

import torch

BOS, EOS, FIRST = 1, 2, 5  # ids from FIRST on are letters


class Letters:
    """One token for each printable letter of ASCII, all others are spaces.

    Args:
        chat: Whether it has a chat template.
    """

    eos_token_id = EOS

    def __init__(self, chat: bool = False) -> None:
        self.chat_template = "yes" if chat else None

    def __call__(self, text, return_tensors=None, add_special_tokens=True):
        letters = (ord(c) if 32 <= ord(c) < 128 else 32 for c in text)
        ids = [BOS] * add_special_tokens + [FIRST + letter - 32 for letter in letters]
        return SimpleNamespace(input_ids=torch.tensor([ids]) if return_tensors else ids)

    def apply_chat_template(self, messages, add_generation_prompt, tokenize):
        assert add_generation_prompt
        assert not tokenize
        return f"<user>{messages[0]['content']}</user><model>"

    def decode(self, ids, skip_special_tokens=True):
        return "".join(chr(int(i) - FIRST + 32) for i in ids if int(i) >= FIRST)


TEXT = " ".join(
    f"{name} walked to the {place} and said that {word} was there, again and again."
    for name in ("Anna", "Bert", "Clara", "Dirk", "Emma", "Fritz")
    for place in ("river", "tower", "market", "garden")
    for word in ("nobody", "nothing", "something", "everybody", "silence", "music", "summer")
)
