"""XAttention: golden maps, chunks, padding, groups, and inputs that do not fit."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from foveate import BlockLayout, Sparge, XAttention, attention, attention_varlen, plan
from foveate.attn.layouts.rules import block_regions
from tests.attn.kit import inputs, rows_of, visited, waves

SMALL = XAttention(0.8, stride=4, block=8)


@pytest.mark.parametrize(
    ("threshold", "causal", "expected"),
    [
        (0.5, True, "1000/1100/1010/1001"),
        (0.8, True, "1000/1100/1110/1011"),
        (0.9, True, "1000/1100/1110/1111"),
        (0.95, True, "1000/1100/1110/1111"),
        (0.5, False, "1000/1100/0011/0001"),
        (0.8, False, "1000/1100/0011/0111"),
        (0.9, False, "1100/1110/0111/0111"),
    ],
)
def test_golden_maps(threshold, causal, expected):
    q, k = waves(32)
    select = XAttention(threshold, stride=4, block=8)
    found = visited(select, q, k, causal=causal, scale=0.5)
    assert "/".join(rows_of(found[0, 0])) == expected


def test_golden_chunk_gives_the_rows_of_the_whole():
    q, k = waves(32)
    found = visited(SMALL, q[:, :, 16:], k, causal=True, scale=0.5)
    assert rows_of(found[0, 0]) == ["1110", "1011"]


@settings(deadline=None, max_examples=25)
@given(
    length=st.integers(40, 150),
    chunk=st.integers(1, 6),
    threshold=st.sampled_from([0.3, 0.6, 0.9]),
    causal=st.booleans(),
)
def test_choice_does_not_depend_on_how_a_prompt_is_cut(length, chunk, threshold, causal):
    # Offsets were once taken from padded chunks: the last queries of a prompt were placed blocks
    # too early, and every chunk after the first lost all keys before it.
    q, k, _ = inputs(2, 4, 2, length, length, seed=length)
    select = XAttention(threshold, stride=4, block=16)
    whole = visited(select, q, k, causal=causal)
    first = min(chunk * 16, (length - 1) // 16 * 16)
    part = visited(select, q[:, :, first:], k, causal=causal)
    assert torch.equal(part, whole[:, :, first // 16 :])
    if causal:  # and the keys after a chunk have no part in it
        early = visited(select, q[:, :, :first], k[:, :, :first], causal=True)
        assert torch.equal(early, whole[:, :, : first // 16, : first // 16])


@pytest.mark.parametrize("lengths", [(100, 107), (90, 151), (64, 61)], ids=str)
def test_any_offset_is_served_and_every_query_sees_itself(lengths):
    q, k, v = inputs(1, 4, 2, *lengths)
    select = XAttention(0.3, stride=8, block=16)
    layout = BlockLayout.from_dense(visited(select, q, k, causal=True), (16, 16), lengths)
    pairs = layout.to_mask()
    own = torch.arange(lengths[0]) + lengths[1] - lengths[0]
    inside = own >= 0
    assert bool(pairs[:, :, inside, own[inside]].all())
    out = attention(q, k, v, select=select, causal=True, backend="reference")
    expected = attention(q, k, v, mask=pairs, causal=True, backend="reference")
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "all"])
def test_padding_takes_no_mass(causal):
    # Zeros appended to fill a chunk once counted as keys wherever nothing was causal.
    q, k, _ = inputs(1, 2, 2, 100, 100)
    select = XAttention(0.9, stride=4, block=16)
    made = plan(q, k, k, select="dense", causal=causal, backend="reference")
    scores = select.scores(q, k, made.request, made.kernels)
    assert scores.shape == (1, 2, 7, 7)
    groups = torch.tensor([4.0] * 6 + [1.0])  # the last block has one group of queries
    torch.testing.assert_close(scores.sum(-1), groups.expand(1, 2, 7))


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "all"])
def test_threshold_of_one_is_dense_attention(causal):
    q, k, v = inputs(1, 4, 2, 75, 90)
    made = plan(q, k, v, select=XAttention(1.0, stride=4, block=16), causal=causal)
    assert "served dense instead of XAttention(threshold=1.0" in made.explain()
    assert "threshold = 1 leaves nothing out" in made.explain()
    nearly = visited(XAttention((1.0,) * 4, stride=4, block=16), q, k, causal=causal)
    assert nearly.sum() == block_regions(made.request.band, (75, 90), (16, 16))[0].sum() * 4
    out = attention(
        q, k, v, causal=causal, select=BlockLayout.from_dense(nearly, (16, 16), (75, 90))
    )
    expected = attention(q, k, v, causal=causal)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


def test_smallest_threshold_keeps_the_first_block_and_the_diagonal():
    q, k, _ = inputs(1, 2, 1, 96, 96)
    found = visited(XAttention(1e-9, stride=4, block=16), q, k, causal=True)
    expected = torch.eye(6, dtype=torch.bool)
    expected[:, 0] = True
    assert torch.equal(found, expected.expand(1, 2, 6, 6))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 99), causal=st.booleans())
def test_maps_are_nested_and_minimal(seed, causal):
    q, k, _ = inputs(1, 2, 1, 160, 160, seed=seed)
    q = 3 * q  # sharper, so that rows differ
    made = plan(q, k, k, select="dense", causal=causal, backend="reference")
    scores = SMALL.scores(q, k, made.request, made.kernels)
    _, kept = block_regions(made.request.band, (160, 160), (8, 8))
    last = None
    for threshold in (0.2, 0.5, 0.8, 0.95):
        found = visited(XAttention(threshold, stride=4, block=8), q, k, causal=causal)
        assert last is None or bool((found | ~last).all())
        last = found
        required = threshold * scores.sum(-1)
        collected = (scores * found).sum(-1)
        assert bool((collected >= required * (1 - 1e-5)).all())
        weakest = scores.masked_fill(~found | kept, float("inf")).amin(-1)
        free = weakest < float("inf")
        assert bool((collected - weakest < required)[free].all())


def test_nothing_is_kept_unasked_where_nothing_is_causal():
    # Unselected entries were once redirected to block 0, so it was always visited.
    q, k, _ = inputs(1, 1, 1, 128, 128, dim=8)
    k[:, :, :16] = -q.mean(2, keepdim=True)  # nobody looks at the first block
    q = 5 * q
    select = XAttention(0.5, stride=4, block=16)
    assert int(visited(select, q, k)[..., 0].sum()) < 8
    sink = visited(XAttention(0.5, stride=4, block=16, sink=True), q, k)
    assert bool(sink[..., 0].all())


def test_sink_is_a_column_and_recent_the_diagonal():
    # The option that keeps the first keys once set the first row instead.
    q, k, _ = inputs(1, 1, 1, 160, 160, dim=8)
    plain = visited(XAttention(0.2, stride=4, block=16), 4 * q, k)
    sink = visited(XAttention(0.2, stride=4, block=16, sink=True), 4 * q, k)
    recent = visited(XAttention(0.2, stride=4, block=16, recent=True), 4 * q, k)
    assert not bool(plain[0, 0, 0].all() | plain[0, 0, :, 0].all())
    assert bool(sink[0, 0, :, 0].all())
    assert not bool(sink[0, 0, 0].all())
    assert bool(recent[0, 0].diagonal().all())
    both = XAttention(0.2, stride=4, block=16, sink=True, recent=True)
    # under causal attention both are implied
    assert torch.equal(
        visited(both, q, k, causal=True),
        visited(XAttention(0.2, stride=4, block=16), q, k, causal=True),
    )


def test_the_last_queries_may_visit_everything():
    q, k, _ = inputs(1, 1, 1, 100, 132)
    select = XAttention(1e-6, stride=4, block=16, last_dense=5)
    found = visited(select, q, k, causal=True)[0, 0]
    plain = visited(XAttention(1e-6, stride=4, block=16), q, k, causal=True)[0, 0]
    # 100 queries: the last 5 lie in blocks 5 (…, 95) and 6 (96 … 99)
    assert torch.equal(found[:5], plain[:5])
    allowed = block_regions(plan(q, k, k, causal=True).request.band, (100, 132), (16, 16))[0][0]
    assert torch.equal(found[5:], allowed[5:])


@pytest.mark.parametrize("group", [None, "mean", "max", "union"])
def test_groups_share_one_map(group):
    q, k, v = inputs(2, 6, 2, 150, 150)
    select = XAttention(0.6, stride=4, block=16, group=group)
    found = visited(select, 3 * q, k, causal=True)
    by_group = found.unflatten(1, (2, 3))
    assert torch.equal(by_group, by_group[:, :, :1].expand_as(by_group)) == (group is not None)
    single = visited(XAttention(0.6, stride=4, block=16), 3 * q, k, causal=True)
    if group == "union":
        assert torch.equal(by_group[:, :, 0], single.unflatten(1, (2, 3)).any(2))
    if group is None:
        repeated = k.repeat_interleave(3, 1)
        assert torch.equal(visited(select, 3 * q, repeated, causal=True), found)
    assert attention(q, k, v, select=select, causal=True).shape == q.shape[:3] + v.shape[3:]


def test_a_group_takes_the_largest_of_its_thresholds():
    q, k, _ = inputs(1, 4, 2, 150, 150)
    low_high = XAttention((0.3, 0.9, 0.5, 0.2), stride=4, block=16, group="mean")
    same = XAttention((0.9, 0.9, 0.5, 0.5), stride=4, block=16, group="mean")
    assert torch.equal(visited(low_high, q, k), visited(same, q, k))


def test_each_head_may_have_its_own_threshold():
    q, k, _ = inputs(2, 3, 1, 150, 150)
    together = visited(XAttention((0.3, 0.6, 0.9), stride=4, block=16), q, k, causal=True)
    for head, threshold in enumerate((0.3, 0.6, 0.9)):
        alone = visited(XAttention(threshold, stride=4, block=16), q, k, causal=True)
        assert torch.equal(together[:, head], alone[:, head])


def test_later_blocks_never_change_earlier_rows():
    q, k, v = inputs(1, 2, 1, 128, 128)
    select = XAttention(0.5, stride=8, block=16)
    found = visited(select, q, k, causal=True)
    out = attention(q, k, v, select=select, causal=True, backend="reference", precision="native")
    for x in (q, k, v):
        x[:, :, 64:] += 5 * torch.randn_like(x[:, :, 64:])
    assert torch.equal(visited(select, q, k, causal=True)[:, :, :4], found[:, :, :4])
    other = attention(q, k, v, select=select, causal=True, backend="reference", precision="native")
    assert torch.equal(out[:, :, :64], other[:, :, :64])


def test_batches_of_different_lengths_are_served_one_by_one():
    q, k, v = inputs(1, 4, 2, 150, 150)
    select = XAttention(0.5, stride=4, block=16)
    packed = [x[0].transpose(0, 1) for x in (q, k, v)]
    cu = torch.tensor([0, 60, 150])
    out = attention_varlen(*packed, cu, cu, select=select, causal=True, precision="native")
    for start, stop in ((0, 60), (60, 150)):
        part = [x[:, :, start:stop] for x in (q, k, v)]
        alone = attention(*part, select=select, causal=True, precision="native")
        torch.testing.assert_close(out[start:stop].transpose(0, 1), alone[0])


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ((1, 4000), "1 queries do not fill one block of 128"),
        ((127, 4000), "127 queries do not fill one block of 128"),
        ((256, 256), "256 keys make 2 blocks of 128, too few to choose from"),
    ],
    ids=str,
)
def test_small_inputs_are_served_dense_and_say_so(lengths, words):
    q, k, v = inputs(1, 2, 1, *lengths)
    text = plan(q, k, v, select="xattention", causal=True).explain()
    assert "served dense instead of XAttention(threshold=0.9" in text
    assert words in text


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: XAttention(0.0), "XAttention.threshold is 0.0; expected a share above 0 and up"),
        (lambda: XAttention(1.2), "XAttention.threshold is 1.2"),
        (lambda: XAttention(float("nan")), "XAttention.threshold is nan"),
        (lambda: XAttention((0.9, 0.0)), r"XAttention.threshold is \(0.9, 0.0\)"),
        (lambda: XAttention("0.9"), "XAttention.threshold is '0.9'"),
        (lambda: XAttention(stride=24), "stride is 24, which does not divide a block of 128"),
        (lambda: XAttention(stride=0), "XAttention.stride is 0; expected an int of at least 1"),
        (lambda: XAttention(block=128.0), "XAttention.block is 128.0"),
        (lambda: XAttention(temperature="warm"), "XAttention.temperature is 'warm'"),
        (lambda: XAttention(temperature=-1.0), "XAttention.temperature is -1.0"),
        (lambda: XAttention(group="any"), "expected one of None, 'mean', 'union', 'max'"),
        (lambda: XAttention(last_dense=-1), "XAttention.last_dense is -1"),
    ],
)
def test_senseless_options_are_refused(make, words):
    with pytest.raises(ValueError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_flags_are_bools_and_unknown_options_an_error():
    with pytest.raises(TypeError, match=r"XAttention\.sink is 1; expected True or False"):
        XAttention(sink=1)
    with pytest.raises(TypeError, match="keyword argument 'tau'"):
        XAttention(tau=0.9)


def test_thresholds_must_be_as_many_as_heads():
    q, k, v = inputs(1, 4, 2, 300, 300)
    with pytest.raises(ValueError, match=r"XAttention\.threshold has 3 values; expected one, or"):
        attention(q, k, v, select=XAttention((0.9, 0.8, 0.7)))


def test_options_travel_through_the_operator():
    from foveate.attn.spelling import read_choice, spell_choice

    for select in (
        XAttention(),
        XAttention((0.9, 0.5), stride=8, group="union", temperature=0.5, skip=(20.0, 9.0)),
    ):
        assert read_choice(spell_choice(select, "auto", "auto"))[0] == select


@pytest.mark.parametrize(
    "select", [XAttention(0.3, block=64), Sparge(0.3, block=(64, 32))], ids=str
)
def test_padding_takes_no_mass_because_masked_calls_are_served_dense(select):
    """Keys that a padding mask hides once took a share of the estimate, and blocks with it."""
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, 512, 16)
    k[:, :, :256] *= 6  # what is hidden would win every estimate
    seen = torch.ones(2, 1, 1, 512, dtype=torch.bool)
    seen[:, :, :, :256] = False
    out = attention(q, k, v, select=select, mask=seen, causal=True, backend="reference")
    torch.testing.assert_close(out, attention(q, k, v, mask=seen, causal=True, backend="reference"))
    told = plan(q, k, v, select=select, mask=seen, causal=True).explain()
    assert "served dense" in told
    assert "a mask hides keys" in told
