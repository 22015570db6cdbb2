"""Does it help my model: readers of outputs, and models whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

for needed in ("cv2", "PIL", "av"):
    pytest.importorskip(needed)

import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402

from foveate import cli  # noqa: E402
from foveate.lowlight.answers import answer  # noqa: E402
from foveate.lowlight.check import NORMS, _prepared, compare, load  # noqa: E402

from .samples import dark, scene  # noqa: E402


class NeedsLight(nn.Module):
    """Sure of class 1 when a picture in [0, 1] is bright, unsure when it is dark."""

    def forward(self, x):
        mean = x.mean((1, 2, 3))
        return torch.stack([torch.zeros_like(mean), 8 * mean], 1)


class FearsLight(nn.Module):
    """The other way round."""

    def forward(self, x):
        mean = x.mean((1, 2, 3))
        return torch.stack([torch.zeros_like(mean), 4 - 8 * mean], 1)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dark").mkdir()
    for i in range(3):
        Image.fromarray(dark(scene(64, 96), 20 + 10 * i)).save(tmp_path / "dark" / f"{i}.png")
    return tmp_path / "dark"


def save(model, path):
    torch.jit.trace(model, torch.zeros(1, 3, 32, 32)).save(str(path))
    return path


@pytest.mark.parametrize(("kind", "helps", "code"), [(NeedsLight, True, 0), (FearsLight, False, 1)])
def test_a_model_that_needs_light_is_helped(folder, tmp_path, capsys, kind, helps, code):
    path = save(kind(), tmp_path / "m.pt")
    arguments = ["enhance", "--check", str(path), str(folder), "--norm", "unit"]
    assert cli.main([*arguments, "--json"]) == code
    result = json.loads(capsys.readouterr().out)
    assert result["helps"] is helps
    assert result["kind"] == "classifier"
    assert result["pictures"] == 3
    assert (result["after"]["confidence"] > result["before"]["confidence"]) is helps
    assert cli.main(arguments) == code
    said = capsys.readouterr().out
    assert ("helps this model" in said) is helps
    assert not list(folder.glob("*bright*"))


def test_good_light_decides_if_it_is_there(folder, tmp_path, capsys):
    (tmp_path / "light").mkdir()
    for path in folder.iterdir():
        Image.fromarray(np.rint(scene(64, 96) * 255).astype(np.uint8)).save(
            tmp_path / "light" / path.name
        )

    class Threshold(nn.Module):
        def forward(self, x):
            mean = x.mean((1, 2, 3))
            return torch.stack([0.25 - mean, mean - 0.25], 1) * 50

    path = save(Threshold(), tmp_path / "m.pt")
    arguments = ["--norm", "unit", "--reference", str(tmp_path / "light"), "--json"]
    assert cli.main(["enhance", "--check", str(path), str(folder), *arguments]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["before"]["right"] == 0
    assert result["after"]["right"] == 1


def test_onnx_and_export_give_the_same_answers(folder, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    h = onnx.helper
    graph = h.make_graph(
        [
            h.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        ],
        "m",
        [h.make_tensor_value_info("x", 1, [1, 3, 40, 56])],
        [h.make_tensor_value_info("m", 1, [1, 3])],
    )
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "m.onnx"))

    class Means(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    program = torch.export.export(Means(), (torch.zeros(1, 3, 40, 56),))
    torch.export.save(program, tmp_path / "m.pt2")
    first, second = load(tmp_path / "m.onnx"), load(tmp_path / "m.pt2")
    assert first.size == (40, 56)
    picture = _prepared(dark(scene(64, 96)), (40, 56), "unit")
    one, two = answer(first.run(picture)), answer(second.run(picture))
    assert one.label == two.label
    assert one.confidence == pytest.approx(two.confidence, abs=1e-5)


def test_boxes_are_counted_once():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [0, 50, 9, 60]], float)
    scores = np.array([0.9, 0.8, 0.7, 0.2])
    assert answer([boxes[None], scores[None]]).boxes == 2
    table = np.concatenate([boxes, scores[:, None], np.zeros((4, 1))], 1)[None]
    assert answer([table]).boxes == 2
    x, y = boxes[:, :2].T + 5
    grid = np.stack([x, y, np.full(4, 10.0), np.full(4, 10.0), scores, scores / 2])
    grid = np.concatenate([grid, np.zeros((6, 20))], 1)[None]
    assert answer([grid]).boxes == 2
    assert answer([np.array([[1.0, 3.0, 2.0]])]).label == 1
    with pytest.raises(ValueError, match=r"returns \[2, 3, 4, 5\]"):
        answer([np.zeros((2, 3, 4, 5))])


def test_auto_goes_by_the_kind_of_model():
    from foveate.lowlight.check import Loaded

    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    seen = []

    def classes(x):
        seen.append(x)
        return [np.array([[0.0, float(x.mean())]])]

    def boxes(x):
        seen.append(x)
        return [np.zeros((1, 1, 4)), np.array([[0.9]])]

    cases = {"imagenet": Loaded(classes, None), "unit": Loaded(boxes, None)}
    cases["byte"] = Loaded(classes, None, bytes=True)
    for norm, model in cases.items():
        assert compare(model, [(picture, picture)], size=32)["norm"] == norm
        assert norm in NORMS
        assert bool(seen[-1].max() > 3) is (norm == "byte")
        assert bool(seen[-1].min() < 0) is (norm == "imagenet")


@pytest.mark.parametrize("name", ["none.onnx", "weights.pt", "text.onnx", "model.h5"])
def test_models_that_cannot_be_used_are_one_line(folder, tmp_path, capsys, name):
    if name == "text.onnx":
        pytest.importorskip("onnxruntime")
    if name == "weights.pt":
        torch.save({"w": torch.zeros(2)}, tmp_path / name)
    elif name != "none.onnx":
        (tmp_path / name).write_text("nothing")
    assert cli.main(["enhance", "--check", str(tmp_path / name), str(folder)]) == 2
    said = capsys.readouterr().err
    assert name in said
    assert len(said.strip().splitlines()) == 1
