"""HeadwiseCache against rings counted by hand: random rules, groups, paddings, turns and choices.

The expected logits come from an attention function of this file, which knows nothing but the rule:
a head with room for C tokens sees the first `sink` and the last C − sink real tokens.
"""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
import torch

pytest.importorskip("transformers", reason='pip install "foveate[models]"')

from transformers import AttentionInterface, AttentionMaskInterface

from foveate.models import HeadwiseCache, accelerate
from foveate.tune.moa.plan import MoAPlan
from tests.tiny import decoder

BLOCK = 16
NAME = "rings by hand"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@torch.no_grad()
def by_hand(model, ids, real, rooms, sink):
    """Logits of one pass, rooms `[layers][kv heads]`."""
    place = real.cumsum(1) - 1
    age = place[:, :, None] - place[:, None, :]
    both = real[:, :, None] & real[:, None, :] & (age >= 0)
    first = (place < sink)[:, None, :]

    def attend(module, query, key, value, attention_mask, scaling=None, **kwargs):
        group = query.shape[1] // key.shape[1]
        key, value = (x.repeat_interleave(group, 1).double() for x in (key, value))
        scores = query.double() @ key.mT * scaling
        for head in range(query.shape[1]):
            seen = both & (first | (age < rooms[module.layer_idx][head // group] - sink))
            scores[:, head].masked_fill_(~seen, float("-inf"))
        out = scores.softmax(-1).nan_to_num() @ value
        return out.to(query.dtype).transpose(1, 2).contiguous(), None

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, lambda *args, **kwargs: None)
    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    positions = torch.arange(ids.shape[1]).expand(len(ids), -1)
    try:
        return model(ids, position_ids=positions, use_cache=False).logits
    finally:
        model.set_attn_implementation(before)


def padded(draw, batch, length):
    """Real tokens of each row: all, all behind some padding, or all around some."""
    real = torch.ones(batch, length, dtype=torch.bool)
    kind = draw.choice(("none", "left", "inside"))
    for row in range(batch):
        first = 0 if kind == "left" else draw.randrange(length // 2)
        if kind != "none":
            real[row, first : draw.randrange(first, length)] = False
    return real


@pytest.mark.parametrize("seed", range(24))
@torch.no_grad()
def test_a_cache_holds_what_its_rules_say(seed):
    draw = random.Random(seed)
    kv_heads, group, layers = draw.choice((1, 2)), draw.choice((1, 2)), 2
    heads, sink, total = kv_heads * group, draw.choice((0, 16, 32)), draw.choice((33, 130, 130))
    model = decoder(num_attention_heads=heads, num_key_value_heads=kv_heads)
    some = [(16.0 * draw.randrange(-1, 4), draw.choice((0.0, 0.0, 0.25, 1.0))) for _ in range(2)]
    rules = [[draw.choice(some) for _ in range(kv_heads)] for _ in range(layers)]
    plan = MoAPlan(*([[rule[i] for rule in row] for row in rules] for i in (0, 1)), sink, BLOCK)
    rooms = [
        [
            math.ceil(max(min(int(a + b * total), total), sink + BLOCK) / BLOCK) * BLOCK
            for a, b in row
        ]
        for row in rules
    ]
    assert plan.cache_sizes(total, 0) == rooms
    batch, length = draw.choice((1, 2, 3)), draw.randrange(total // 2, total + 1)
    torch.manual_seed(seed)
    ids, real = torch.randint(3, 101, (batch, length)), padded(draw, batch, length)
    expected = by_hand(model, ids, real, rooms, sink)
    cuts = sorted({draw.randrange(1, length) for _ in range(draw.choice((0, 0, 1, 3, length)))})
    edges, found, codes = [0, *cuts, length], [], draw.choice(("float", "float", "int8"))
    chosen = draw.randrange(
        2 * len(edges)
    )  # before this turn rows are chosen anew, if there is one
    backend, positions = draw.choice(("auto", "reference")), torch.arange(length)
    with accelerate(
        model, select=plan.at(total, rule="tokens"), precision="native", backend=backend
    ):
        cache = HeadwiseCache(model, plan, total, codes=codes)
        if draw.random() < 0.3:
            model(ids[:1, : draw.randrange(1, length)], past_key_values=cache)
            cache.reset()
        for turn, (first, end) in enumerate(pairwise(edges)):
            if turn and turn == chosen:
                rows = torch.tensor([draw.randrange(batch) for _ in range(draw.choice((1, 3)))])
                cache.batch_select_indices(rows)
                ids, real, expected = ids[rows], real[rows], expected[rows]
                found = [part[rows] for part in found]
            mask = None if bool(real.all()) else real[:, :end].long()
            where = positions[first:end].expand(len(ids), -1)
            out = model(
                ids[:, first:end],
                attention_mask=mask,
                position_ids=where,
                past_key_values=cache,
            )
            found.append(out.logits)
    error = (torch.cat(found, 1) - expected)[real].norm() / expected[real].norm()
    assert error < (1e-5 if codes == "float" else 0.02)
