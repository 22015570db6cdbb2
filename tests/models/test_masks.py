"""Masks as rules: equal to transformers' written ones, and written only when somebody looks."""

from __future__ import annotations

import pytest
import torch

masking = pytest.importorskip("transformers.masking_utils", reason='pip install "foveate[models]"')

from foveate.models.masks import RuleMask, make_mask  # noqa: E402


def padded(batch: int, length: int, *lefts: int) -> torch.Tensor:
    mask = torch.ones(batch, length, dtype=torch.bool)
    for row, left in enumerate(lefts):
        mask[row, :left] = False
    return mask


def written(**arguments):
    """transformers' own mask, always written down."""
    return masking.sdpa_mask(**arguments | {"allow_is_causal_skip": False})


CASES = {
    "left padding": {"q_length": 9, "kv_length": 9, "attention_mask": padded(2, 9, 4, 0)},
    "decode with padding": {
        "q_length": 1,
        "kv_length": 12,
        "q_offset": 11,
        "attention_mask": padded(2, 12, 4, 0),
    },
    "static cache, empty": {"q_length": 5, "kv_length": 16},
    "static cache, second chunk": {"q_length": 5, "kv_length": 16, "q_offset": torch.tensor(5)},
    "static cache with padding": {
        "q_length": 5,
        "kv_length": 16,
        "attention_mask": padded(2, 5, 2, 0),
    },
    "window": {"q_length": 20, "kv_length": 20, "local_size": 6},
    "window, second chunk": {"q_length": 8, "kv_length": 13, "q_offset": 20, "kv_offset": 15}
    | {"local_size": 6},
    "window with padding": {
        "q_length": 20,
        "kv_length": 20,
        "local_size": 6,
        "attention_mask": padded(2, 20, 7, 0),
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_rules_are_the_written_mask(case):
    size = case.get("local_size")
    rule = (
        masking.sliding_window_causal_mask_function(size) if size else masking.causal_mask_function
    )
    arguments = {"batch_size": 2, "mask_function": rule, **case}
    mask = make_mask(**arguments)
    assert isinstance(mask, RuleMask)
    assert torch.equal(mask.dense(), written(**arguments))


@pytest.mark.parametrize(
    "case",
    [
        {"q_length": 64, "kv_length": 64},
        {"q_length": 16, "kv_length": 80, "q_offset": 64},
        {"q_length": 1, "kv_length": 80, "q_offset": 79},
        {"q_length": 8, "kv_length": 8, "attention_mask": torch.ones(2, 8, dtype=torch.bool)},
    ],
    ids=["prefill", "chunk", "decode", "mask of ones"],
)
def test_plain_causal_needs_no_mask(case):
    assert make_mask(batch_size=2, **case) is None


def test_chunked_rule_is_not_taken_for_a_window():
    rule = masking.chunked_causal_mask_function(6, torch.zeros(2, dtype=torch.int64))
    arguments = {"batch_size": 2, "q_length": 20, "kv_length": 20, "mask_function": rule}
    mask = make_mask(**arguments, local_size=6)
    assert not isinstance(mask, RuleMask)
    assert torch.equal(mask, written(**arguments))


def test_unknown_rule_is_written_down():
    rule = masking.or_masks(masking.causal_mask_function, lambda b, h, q, k: (q < 4) & (k < 4))
    arguments = {"batch_size": 1, "q_length": 9, "kv_length": 9, "mask_function": rule}
    arguments |= {"allow_is_causal_skip": False, "use_vmap": True}
    assert torch.equal(make_mask(**arguments), written(**arguments))


def test_encoder_padding_stays_a_rule():
    rule = masking.bidirectional_mask_function
    arguments = {"batch_size": 2, "q_length": 7, "kv_length": 7, "mask_function": rule}
    arguments |= {"attention_mask": padded(2, 7, 3, 0), "allow_is_causal_skip": False}
    mask = make_mask(**arguments, allow_is_bidirectional_skip=True)
    assert isinstance(mask, RuleMask)
    assert not mask.causal
    assert torch.equal(mask.dense(), written(**arguments))


def test_rule_mask_survives_being_computed_with():
    mask = make_mask(batch_size=2, q_length=6, kv_length=6, attention_mask=padded(2, 6, 2, 0))
    dense = mask.dense()
    assert torch.equal(mask[:, :, 2:, :4], dense[:, :, 2:, :4])
    assert torch.equal(torch.where(mask, 0.0, -1.0), torch.where(dense, 0.0, -1.0))
    assert torch.equal(torch.cat([mask, ~mask], -1), torch.cat([dense, ~dense], -1))


def test_rule_mask_of_a_long_text_takes_no_memory():
    mask = make_mask(
        batch_size=2, q_length=1 << 20, kv_length=1 << 20, attention_mask=padded(2, 1 << 20, 5)
    )
    assert mask.shape == (2, 1, 1 << 20, 1 << 20)  # written down: 2 TiB
