"""Cases: what they promise, their tensors, their exact answers, and peers that answer the same."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmarks.cases import CASES, select
from foveate.measure import peers, trial
from foveate.measure.case import Case, block_map, layout, tensors
from foveate.measure.error import relative_l1

SMALL = Case(
    "small", precision="native", q_heads=4, kv_heads=4, q_length=200, k_length=200, head_dim=32
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_names_are_unique():
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("wanted", "peer", "ratio"),
    [
        ({"precision": "int8", "dtype": "float32", "q_length": 4096}, "sdpa", 3.5),
        ({"precision": "int8", "dtype": "bfloat16", "q_length": 4096}, "sdpa", 3.5),
        ({"precision": "int8", "dtype": "float32", "q_length": 4096}, "openvino-bf16", 1.6),
        ({"precision": "native", "dtype": "bfloat16", "q_length": 4096}, "sdpa", 1.8),
        ({"precision": "sage2", "q_length": 4096}, "sdpa", 2.0),
        ({"precision": "sage2(qk_bits=4)", "q_length": 4096}, "sdpa", 1.5),
        ({"precision": "sage3", "q_length": 4096}, "sdpa", 1.0),
        ({"precision": "int8", "q_length": 256}, "sdpa", 1.3),
        ({"density": 0.25}, "dense", 1 / 0.30),
        ({"density": 0.10}, "dense", 1 / 0.14),
    ],
)
def test_every_speed_goal_has_its_four_shapes(wanted, peer, ratio):
    found = {
        (case.head_dim, case.causal)
        for case in CASES
        if all(getattr(case, key) == value for key, value in wanted.items())
        and case.threads == 1
        and any(p == peer and r == pytest.approx(ratio) for p, r in case.goals)
    }
    assert found == {(d, causal) for d in (64, 128) for causal in (False, True)}


def test_decoding_has_its_goal():
    found = [c for c in CASES if c.packed and c.k_length == 8192 and ("sdpa", 2.0) in c.goals]
    assert {c.head_dim for c in found} == {64, 128}


def test_two_thread_cases_have_a_partner_with_one():
    names = {case.name for case in CASES}
    twos = [case.name for case in CASES if case.threads == 2]
    assert twos
    assert all(name.removesuffix("t2") + "t1" in names for name in twos)


def test_select_takes_parts_of_names():
    assert {c.precision for c in select("sage3")} == {"sage3"}
    assert select("no such case") == []
    assert all(c.goals for c in select(None, quick=True))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dtype": "int8"}, "dtype"),
        ({"inputs": "odd"}, "inputs"),
        ({"density": 0.0}, "density"),
        ({"threads": 0}, "threads"),
        ({"kv_heads": 3}, "kv_heads"),
    ],
)
def test_impossible_case_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        SMALL.with_(**change)


def test_tensors_are_the_same_each_time_and_biased_when_asked():
    first, second = tensors(SMALL), tensors(SMALL)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    _, k, _ = tensors(SMALL.with_(inputs="biased"))
    assert k.mean(dim=2).abs().max() > 3


def test_operations_count_visible_pairs():
    full = SMALL.operations
    assert full == 4 * 4 * 32 * 200 * 200
    assert SMALL.with_(causal=True).operations == pytest.approx(full * 201 / 400)
    assert SMALL.with_(causal=True, q_length=1).operations == pytest.approx(full / 200)


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_reference_rows_equal_torch(causal, kv_heads):
    case = SMALL.with_(causal=causal, kv_heads=kv_heads)
    q, k, v = (x.double() for x in tensors(case))
    rows = trial.sample_rows(case, 9)
    assert (rows[0], rows[-1], len(rows)) == (0, 199, 9)
    whole = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
    torch.testing.assert_close(trial.reference_rows(case, q, k, v, rows), whole[:, :, rows])


def test_reference_rows_of_a_shorter_query_align_at_the_end():
    case = SMALL.with_(causal=True, q_length=60)
    q, k, v = tensors(case)
    mask = torch.ones(60, 200, dtype=torch.bool).tril(200 - 60)
    whole = F.scaled_dot_product_attention(*(x.double() for x in (q, k, v)), attn_mask=mask)
    rows = torch.arange(60)
    torch.testing.assert_close(trial.reference_rows(case, q, k, v, rows), whole)


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_block_map_has_its_density_and_the_own_block(causal):
    case = SMALL.with_(q_length=2048, k_length=2048, causal=causal, density=0.25)
    blocks = block_map(case)
    allowed = torch.ones(16, 16, dtype=torch.bool)
    if causal:
        allowed = allowed.tril()
    assert not (blocks & ~allowed).any()
    assert blocks.diagonal(dim1=2, dim2=3).all()
    share = blocks.sum() / (4 * allowed.sum())
    assert 0.2 < share < 0.3


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_reference_rows_respect_the_block_layout(causal):
    case = SMALL.with_(q_length=300, k_length=300, causal=causal, density=0.5)
    q, k, v = tensors(case)
    rows = torch.arange(300)
    seen = block_map(case).repeat_interleave(128, 2).repeat_interleave(128, 3)[..., :300, :300]
    if causal:
        seen = seen & torch.ones(300, 300, dtype=torch.bool).tril()
    whole = F.scaled_dot_product_attention(*(x.double() for x in (q, k, v)), attn_mask=seen)
    torch.testing.assert_close(trial.reference_rows(case, q, k, v, rows), whole)
    assert layout(case).lengths == (300, 300)


INSTALLED = [name for name in peers.PEERS if name not in ("flex", "dense")]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("name", INSTALLED)
def test_peer_answers_the_same_question(name, causal, dtype):
    case = SMALL.with_(causal=causal, dtype=dtype)
    q, k, v = tensors(case)
    try:
        call = peers.prepare(name, case, q, k, v)
    except peers.Unavailable as reason:
        pytest.skip(str(reason))
    rows = torch.arange(case.q_length)
    exact = trial.reference_rows(case, q, k, v, rows)
    loose = dtype == "bfloat16" or name.endswith("bf16")
    assert relative_l1(call(), exact) < (0.02 if loose else 1e-5)
    assert call().shape == q.shape


@pytest.mark.slow
@pytest.mark.parametrize("density", [None, 0.5])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_flex_answers_the_same_question(causal, density):
    case = SMALL.with_(causal=causal, density=density, q_length=256, k_length=256)
    q, k, v = tensors(case)
    with torch.no_grad():
        out = peers.prepare("flex", case, q, k, v)()
    exact = trial.reference_rows(case, q, k, v, torch.arange(256))
    assert relative_l1(out, exact) < 1e-5


@pytest.mark.parametrize("name", ["sdpa", "openvino-f32", "onnxruntime"])
def test_peer_that_aligns_elsewhere_is_left_out(name):
    case = SMALL.with_(causal=True, q_length=10)
    with pytest.raises(peers.Unavailable):
        peers.prepare(name, case, *tensors(case))


def test_unknown_peer_lists_the_known_ones():
    with pytest.raises(ValueError, match="sdpa"):
        peers.prepare("cudnn", SMALL, *tensors(SMALL))


def test_run_records_everything(monkeypatch):
    record = trial.run(SMALL.with_(peers=("sdpa", "onnxruntime"), precision="int8"), rounds=2)
    assert record["error"]["relative_l1"] <= 0.02
    assert record["seconds"]["count"] == 2
    assert record["density"] == 1.0
    assert record["peers"]["sdpa"]["ratio"]["median"] > 0


def test_wrong_peer_is_named_and_not_timed(monkeypatch):
    monkeypatch.setitem(peers.PEERS, "sdpa", lambda case, q, k, v: lambda: torch.zeros_like(q))
    record = trial.run(SMALL.with_(precision="int8"), rounds=1)
    assert "wrong here" in record["peers"]["sdpa"]["skipped"]


def test_unknown_precision_of_a_bound_is_not_lax():
    assert SMALL.with_(precision="int8").error_bound == 0.02
    assert SMALL.with_(precision="sage2(qk_bits=8)").error_bound == 0.06
    assert SMALL.with_(precision="sage2(qk_bits=4)").error_bound == 0.25
