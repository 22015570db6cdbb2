"""Published SpargeAttn parameter files."""

from __future__ import annotations

import pytest
import torch

from foveate import Sparge, attention
from foveate.tune import read_sparge_file


def published(modules, heads=4, dtype=torch.bfloat16):
    """What extract_sparse_attention_state_dict saves, after a cast of the model."""
    content = {}
    for number, name in enumerate(modules):
        values = {
            "is_sparse": torch.tensor([True, True, False, True]),
            "cdfthreshd": torch.tensor([0.9375, 0.98046875, 1.0, 0.0]) - 0.125 * (number % 2),
            "simthreshd1": torch.tensor([-0.9375, 0.25, 1.0, -1.0]),
            "simthreshd2": torch.zeros(4),
            "pvthreshd": torch.tensor([10.125, 49.75, 20.0, 12.5]),
        }
        for key, value in values.items():
            content[f"{name}.inner_attention.{key}"] = value[:heads].to(dtype)
    return content


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tuned.pt"
    names = [f"transformer_blocks.{i}.attn1" for i in (10, 2, 0)]
    torch.save(published(names), path)
    return path


def test_layers_come_in_the_order_of_their_numbers(file):
    found = read_sparge_file(file)
    assert list(found) == [f"transformer_blocks.{i}.attn1" for i in (0, 2, 10)]


def test_parameters_mean_what_they_mean_there(file):
    found = read_sparge_file(file)["transformer_blocks.0.attn1"]
    assert isinstance(found, Sparge)
    assert found.threshold == (0.9375, 0.980469, 1.0, 1e-6)  # the third head is not sparse
    assert found.similarity == (-0.9375, 0.25, -1.0, -1.0)
    assert found.skip == (10.125, 49.75, 20.0, 12.5)
    assert (found.rule, found.sink, found.block) == ("exclusive", True, (128, 64))


def test_they_run_and_a_head_that_is_not_sparse_is_dense(file):
    select = read_sparge_file(file)["transformer_blocks.10.attn1"]
    q, k, v = torch.randn(3, 1, 4, 600, 64)
    out = attention(q, k, v, select=select, precision="native", backend="reference")
    exact = attention(q, k, v, precision="native", backend="reference")
    assert out.isfinite().all()
    assert (out[:, 2] - exact[:, 2]).abs().max() < 1e-4
    assert (out[:, 3] - exact[:, 3]).abs().max() > 1e-2


def test_other_files_are_refused_in_one_line(tmp_path):
    def save(content):
        torch.save(content, tmp_path / "x.pt")
        return tmp_path / "x.pt"

    content = published(["a.attn1"])
    missing = {k: v for k, v in content.items() if not k.endswith("pvthreshd")}
    with pytest.raises(ValueError, match=r'module "a.attn1" lacks pvthreshd'):
        read_sparge_file(save(missing))
    ragged = {**content, "a.attn1.inner_attention.pvthreshd": torch.ones(3)}
    with pytest.raises(ValueError, match=r'module "a.attn1" has parameters for .* heads'):
        read_sparge_file(save(ragged))
    with pytest.raises(ValueError, match=r'"a.weight" is no parameter of SpargeAttn'):
        read_sparge_file(save({"a.weight": torch.ones(2)}))
    with pytest.raises(ValueError, match="holds list; expected a dictionary of tensors"):
        read_sparge_file(save([1]))
    with pytest.raises(ValueError, match="no such file"):
        read_sparge_file(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match="cannot be read as tensors"):
        read_sparge_file(tmp_path / "text.pt")


def test_a_file_that_would_run_code_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"a": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(ValueError, match="cannot be read as tensors"):
        read_sparge_file(tmp_path / "trap.pt")
