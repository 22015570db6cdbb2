"""Does a model still find things? A number hidden in a long text, and a question about it.

The one thing to know: the sentence stands in a paragraph of its own, and decoding is greedy, so the
same model and text give the same answer every time.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from .spec import parse
from .transformers import accelerate

PASSKEY = "48213"


def ask(
    model: Any, tokenizer: Any, tokens: Any, precision: str, depth: float = 0.3
) -> dict[str, Any]:
    """Hide a number in a text and ask for it.

    Args:
        model: A transformers causal language model in eval mode.
        tokenizer: Its tokenizer.
        tokens: The text, int64 `[1, L]`; its last 64 tokens make room for the question.
        precision: Terms of an attention name, such as "int8" or "window(64,4)+sage2".
        depth: How far into the text the number is hidden, a share.

    Returns:
        A record: label, hidden, question, depth, text (the answer), expected, right, prompt_tokens,
        new_tokens, seconds.
    """
    hidden = f"The secret passkey is {PASSKEY}."
    question = "Question: What is the secret passkey?\nAnswer: The secret passkey is"
    body = tokenizer.decode(tokens[0, : tokens.shape[1] - 64], skip_special_tokens=True)
    at = body.find("\n\n", int(len(body) * depth))
    at = len(body) if at < 0 else at
    prompt = tokenizer(f"{body[:at]}\n\n{hidden}{body[at:]}\n\n{question}", return_tensors="pt")
    choice = parse(f"foveate:{precision}")
    begin = time.perf_counter()
    with (
        torch.inference_mode(),
        accelerate(model, select=choice.select, precision=choice.precision),
    ):
        out = model.generate(
            **prompt, max_new_tokens=12, do_sample=False, pad_token_id=tokenizer.eos_token_id
        )
    taken = time.perf_counter() - begin
    new = out[0, prompt.input_ids.shape[1] :]
    text = tokenizer.decode(new, skip_special_tokens=True).split("\n")[0]
    return {
        "label": precision,
        "hidden": hidden,
        "question": question,
        "depth": at / len(body),
        "text": text,
        "expected": PASSKEY,
        "right": PASSKEY in text,
        "prompt_tokens": int(prompt.input_ids.shape[1]),
        "new_tokens": int(new.shape[0]),
        "seconds": taken,
    }
