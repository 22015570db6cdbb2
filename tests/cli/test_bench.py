"""foveate bench: right before fast, plain JSON, one line for bad input."""

from __future__ import annotations

import json

import pytest
import torch

import foveate
from foveate import cli
from foveate.cli.bench import split

TINY = ["bench", "--shape", "1,2,130,16", "--rounds", "2", "--peers", "sdpa"]


def test_json_has_times_ratios_and_errors(capsys):
    assert cli.main([*TINY, "--precision", "native,int8", "--causal", "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert captured.err == ""
    assert [r["case"]["precision"] for r in document["results"]] == ["native", "int8"]
    for record in document["results"]:
        assert 0 < record["seconds"]["q10"] <= record["seconds"]["median"]
        assert record["seconds"]["median"] <= record["seconds"]["q90"]
        assert record["seconds"]["count"] == 2
        assert record["peers"]["sdpa"]["ratio"]["median"] > 0
        assert record["error"]["relative_l1"] <= 0.02
    assert document["results"][0]["error"]["relative_l1"] < 1e-5


def test_backward_verifies_gradients_and_times_both_ways(capsys):
    assert cli.main([*TINY, "--backward", "--json"]) == 0
    native, eight_bit = json.loads(capsys.readouterr().out)["results"]
    assert (native["case"]["precision"], eight_bit["case"]["precision"]) == ("native", "sagebwd")
    assert native["error"]["relative_l1"] < 1e-5
    assert 1e-4 < eight_bit["error"]["relative_l1"] < 0.06
    assert native["peers"]["sdpa"]["ratio"]["median"] > 0
    assert native["peers"]["sdpa"]["error"]["relative_l1"] < 1e-4


def test_a_precision_without_backward_pass_is_named(capsys):
    assert cli.main([*TINY, "--backward", "--precision", "int8"]) == 2
    assert 'precision "int8" has no backward pass' in capsys.readouterr().err


def test_text_names_the_peer(capsys):
    assert cli.main([*TINY, "--precision", "native"]) == 0
    out = capsys.readouterr().out
    assert "sdpa" in out
    assert "foveate" in out


def test_wrong_answer_is_reported_and_not_timed(monkeypatch, capsys):
    monkeypatch.setattr(foveate, "attention", lambda q, k, v, **_: torch.zeros_like(q))
    assert cli.main([*TINY, "--precision", "native", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["results"] == []
    assert "relative L1" in document["wrong"][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shape", "1,2,3"], "--shape"),
        (["--shape", "1,2,x,4"], "--shape"),
        (["--shape", "1,2,-3,4"], "--shape"),
        (["--precision", "int9"], "int9"),
        (["--precision", "sage2(nonsense=1)"], "nonsense"),
        (["--precision", ""], "--precision"),
        (["--backward", "--decode"], "--decode"),
        (["--peers", "cudnn"], "cudnn"),
        (["--density", "1.5"], "density"),
        (["--kv-heads", "3"], "kv_heads"),
        (["--rounds", "0"], "--rounds"),
        (["--threads", "0"], "threads"),
        (["--shape", "1,1,64,1000"], "1000"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments, says, capsys):
    assert cli.main(["bench", "--peers", "sdpa", "--quick", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert says in captured.err


def test_split_leaves_parentheses_whole():
    assert split("int8, sage2(qk_bits=4,pv=e5m2),native") == [
        "int8",
        "sage2(qk_bits=4,pv=e5m2)",
        "native",
    ]


def test_threads_are_put_back():
    before = torch.get_num_threads()
    cli.main([*TINY, "--precision", "native", "--threads", "1", "--json"])
    assert torch.get_num_threads() == before
