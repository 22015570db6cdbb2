"""foveate explain: finds the bias and the sink that were put there, and predicts real errors."""

from __future__ import annotations

import json

import pytest
import torch

import foveate
from foveate import cli
from foveate.measure.error import relative_l1

safetensors = pytest.importorskip("safetensors.torch", reason="pip install safetensors")


@pytest.fixture
def file(tmp_path):
    """Two kv heads: the first has a sink on key 0, the second a large channel mean of K."""
    noise = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, heads, 300, 64, generator=noise) for heads in (4, 2, 2))
    q[:, :2, :, 0] = 8
    k[:, 0, 0] = 0
    k[:, 0, 0, 0] = 8
    k[:, 1] += 5 * torch.randn(64, generator=noise)
    path = tmp_path / "layer.safetensors"
    safetensors.save_file({"q": q, "k": k, "v": v}, path)
    return path


def explain(*arguments, capsys):
    code = cli.main(["explain", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_finds_bias_and_sink(file, capsys):
    code, found = explain(file, "--precision", "native", capsys=capsys)
    assert code == 0
    first, second = found["heads"]
    assert first["k_bias"] < 1 < 5 < second["k_bias"]
    assert second["sink"] < 0.1 < 0.4 < first["sink"]


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
def test_predicted_error_is_that_of_the_whole_call(file, causal, capsys):
    options = ["--causal"] if causal else []
    _, found = explain(file, "--precision", "sage2(qk_bits=4)", *options, capsys=capsys)
    tensors = safetensors.load_file(file)
    q, k, v = (tensors[name] for name in "qkv")
    out = foveate.attention(q, k, v, precision=foveate.Sage2(qk_bits=4), causal=causal)
    exact = foveate.attention(
        *(x.double() for x in (q, k, v)), precision="native", causal=causal, backend="reference"
    )
    whole = relative_l1(out, exact)
    assert found["precisions"][0]["relative_l1"] == pytest.approx(whole, rel=0.25)


def test_file_name_is_printed_without_its_folder(file, capsys):
    assert cli.main(["explain", str(file), "--precision", "native"]) == 0
    out = capsys.readouterr().out
    assert "layer.safetensors" in out
    assert str(file.parent) not in out


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--names", "a,b,c"], "--names"),
        (["--names", "q,k"], "--names"),
        (["--precision", "int9"], "int9"),
        (["--blocks", "0"], "--blocks"),
    ],
)
def test_bad_options_are_one_line_and_code_2(file, change, says, capsys):
    assert cli.main(["explain", str(file), *change]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1
    assert says in captured.err


@pytest.mark.parametrize(
    "shapes",
    [
        ((4, 300, 64), (1, 2, 300, 64), (1, 2, 300, 64)),
        ((1, 3, 300, 64), (1, 2, 300, 64), (1, 2, 300, 64)),
        ((1, 4, 300, 64), (1, 2, 300, 32), (1, 2, 300, 64)),
        ((1, 4, 300, 64), (1, 2, 300, 64), (1, 2, 200, 64)),
        ((1, 4, 0, 64), (1, 2, 300, 64), (1, 2, 300, 64)),
    ],
    ids=["rank", "heads", "head-size", "lengths", "empty"],
)
def test_shapes_that_do_not_fit_are_named(tmp_path, shapes, capsys):
    path = tmp_path / "bad.safetensors"
    safetensors.save_file({n: torch.zeros(s) for n, s in zip("qkv", shapes, strict=True)}, path)
    assert cli.main(["explain", str(path)]) == 2
    assert str(list(shapes[0])) in capsys.readouterr().err


def test_missing_and_broken_files(tmp_path, capsys):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not this format at all")
    for path, says in ((tmp_path / "none.safetensors", "not a file"), (broken, "cannot be read")):
        assert cli.main(["explain", str(path)]) == 2
        captured = capsys.readouterr()
        assert says in captured.err
        assert len(captured.err.strip().splitlines()) == 1


def test_causal_queries_without_keys_are_bad_input(tmp_path, capsys):
    path = tmp_path / "short.safetensors"
    shapes = {"q": (1, 1, 100, 16), "k": (1, 1, 4, 16), "v": (1, 1, 4, 16)}
    noise = torch.Generator().manual_seed(0)
    safetensors.save_file({n: torch.randn(s, generator=noise) for n, s in shapes.items()}, path)
    code, found = explain(path, "--causal", "--precision", "native", capsys=capsys)
    # the last four rows see keys, the others are empty: zero on both sides
    assert code == 0
    assert found["precisions"][0]["relative_l1"] < 1e-5
