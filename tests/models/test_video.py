"""VSA in models: the layer, a Wan transformer of diffusers, gates in checkpoints, annealing."""

from __future__ import annotations

import pytest
import torch

from foveate import VSA, attention
from foveate.models.annealing import Annealing
from foveate.models.video import VideoSparseAttention


def hidden(length=450, dim=32, batch=2):
    return torch.randn(batch, length, dim, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cubes", [364, 1200, 40, 32, 7, 1])
@pytest.mark.parametrize("keep", [32, 0.1, 0.2, 1, 1.0])
@pytest.mark.parametrize("drop", [10, 4, 0.03, 0.1, 0.05])
def test_annealing_reaches_its_target_exactly(cubes, keep, drop):
    from foveate.attn.select.vsa import cubes_kept

    schedule = Annealing(keep, drop, interval=5, hold=7)
    target, last = cubes_kept(keep, cubes), schedule.last(cubes)
    kept = [schedule.kept(step, cubes) for step in range(last + 20)]
    assert kept[:7] == [cubes] * 7
    assert kept == sorted(kept, reverse=True)
    assert set(kept[last:]) == {target}
    assert last == 0 or kept[last - 1] > target


def test_annealing_of_the_paper():
    """364 cubes to 32, ten fewer every 50 steps after 50 dense ones."""
    schedule = Annealing()
    assert [schedule.kept(n, 364) for n in (0, 49, 50, 99, 100, 1699, 1700, 9999)] == [
        *(364, 364, 354, 354, 344, 34, 32, 32)
    ]
    assert schedule.last(364) == 1700


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"keep": 0}, "Annealing.keep is 0"),
        ({"keep": 1.5}, "Annealing.keep is 1.5"),
        ({"drop": 0}, "Annealing.drop is 0"),
        ({"interval": 0}, "Annealing.interval is 0"),
        ({"hold": -1}, "Annealing.hold is -1"),
    ],
)
def test_schedules_without_meaning_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Annealing(**options)


@pytest.mark.parametrize("gates", ["channel", "head"])
def test_layer_starts_without_its_coarse_stage_and_learns_it(gates):
    torch.manual_seed(0)
    layer = VideoSparseAttention(32, 4, VSA((5, 9, 10), keep=4), gates=gates, fine_gate=True)
    x = hidden()
    q, k, v = layer.norm_q(layer.to_q(x)), layer.norm_k(layer.to_k(x)), layer.to_v(x)
    q, k, v = (y.unflatten(-1, (4, -1)).transpose(1, 2) for y in (q, k, v))
    expected = layer.to_out(attention(q, k, v, select=layer.select).transpose(1, 2).flatten(2))
    torch.testing.assert_close(layer(x), expected)
    before = layer(x).square().mean()
    optimizer = torch.optim.SGD(layer.parameters(), 0.5)
    for _ in range(3):
        optimizer.zero_grad()
        layer(x).square().mean().backward()
        assert all(p.grad is not None for p in layer.parameters())
        optimizer.step()
    assert layer(x).square().mean() < before
    assert bool(layer.to_gate_compress.weight.any())
    assert bool(layer.to_gate_compress.bias.any())


def test_layer_anneals_saves_and_loads(tmp_path):
    layer = VideoSparseAttention(32, 4, VSA((5, 9, 10), keep=1.0))
    layer.keep = Annealing(keep=2, drop=4, interval=1, hold=1).kept(2, layer.select.keys.number)
    assert layer.select.kept == layer.keep == 10
    torch.nn.init.normal_(layer.to_gate_compress.weight)
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    other = VideoSparseAttention(32, 4, layer.select)
    other.load_state_dict(torch.load(tmp_path / "layer.pt", weights_only=True))
    assert torch.equal(other(hidden()), layer(hidden()))
    turned = layer(hidden(), rotary=lambda q, k: (q.flip(-1), k.flip(-1)))
    torch.testing.assert_close(turned, layer(hidden()))  # the same products


def test_layer_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="dim is 30, which 4 heads do not divide"):
        VideoSparseAttention(30, 4, VSA((4, 4, 4), keep=1))
    with pytest.raises(TypeError, match="select is str; expected a VSA"):
        VideoSparseAttention(32, 4, "vsa")
    with pytest.raises(ValueError, match="gates is 'token'"):
        VideoSparseAttention(32, 4, VSA((4, 4, 4), keep=1), gates="token")
    layer = VideoSparseAttention(32, 4, VSA((5, 9, 10), keep=4))
    with pytest.raises(ValueError, match=r"q has 449 tokens, but VSA.grid \(5, 9, 10\) holds 450"):
        layer(hidden(449))


@pytest.fixture
def wan():
    """A small random Wan transformer, and an input for it: grid (5, 6, 7), 8 cubes."""
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    model = diffusers.WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        text_dim=24,
        freq_dim=16,
        ffn_dim=48,
        num_layers=2,
        rope_max_seq_len=32,
    )
    call = {
        "hidden_states": torch.randn(1, 4, 5, 12, 14),
        "timestep": torch.tensor([400]),
        "encoder_hidden_states": torch.randn(1, 6, 24),
    }
    return model, call


def run(model, call):
    return model(**call, return_dict=False)[0]


def test_retrofitted_model_equals_the_dense_one(wan):
    from foveate.models.video import retrofit

    model, call = wan
    expected = run(model, call)
    names = set(model.state_dict())
    handle = retrofit(model, precision="native")
    assert (run(model, call) - expected).abs().max() < 1e-5
    with torch.no_grad():
        assert (run(model, call) - expected).abs().max() < 1e-5
    assert handle.grid == (5, 6, 7)
    assert set(model.state_dict()) - names == set(handle.gates())
    assert "blocks.1.attn1.to_gate_compress.weight" in handle.gates()
    handle.keep = 2
    sparse = run(model, call)
    assert (sparse - expected).abs().max() > 1e-4
    model.fuse_qkv_projections() if hasattr(model, "fuse_qkv_projections") else None
    assert (run(model, call) - sparse).abs().max() < 1e-5
    handle.remove()
    assert (run(model, call) - expected).abs().max() < 1e-5
    assert not any("gate" in name for name in model.state_dict())


def test_retrofit_trains_and_anneals(wan):
    from foveate.models.video import retrofit

    model, call = wan
    handle = retrofit(model)
    schedule = Annealing(keep=2, drop=3, interval=1, hold=1)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    losses, kept = [], []
    for step in range(5):
        kept.append(handle.anneal(schedule, step, grid=(5, 6, 7)))
        loss = run(model, call).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert kept == [8, 5, 2, 2, 2]
    assert losses[-1] < losses[0]
    for parameter in (model.get_parameter(name) for name in handle.gates()):
        assert bool(parameter.any())
    model.enable_gradient_checkpointing()
    assert torch.isfinite(run(model, call)).all()


def test_checkpoints_save_and_load(wan, tmp_path):
    from diffusers import WanTransformer3DModel

    from foveate.models.video import load_gates, retrofit

    model, call = wan
    handle = retrofit(model, keep=3)
    for name in handle.gates():
        torch.nn.init.normal_(model.get_parameter(name))
    expected = run(model, call)
    model.save_pretrained(tmp_path)

    other = WanTransformer3DModel.from_pretrained(tmp_path)  # drops the gates
    again = retrofit(other, keep=3)
    assert (run(other, call) - expected).abs().max() > 1e-4
    load_gates(again, tmp_path)
    torch.testing.assert_close(run(other, call), expected)
    upstream = {name.replace(".attn1.", "."): x for name, x in handle.gates().items()}
    load_gates(again, {name: torch.zeros_like(x) for name, x in upstream.items()})
    assert not any(x.any() for x in again.gates().values())
    load_gates(again, upstream)
    torch.testing.assert_close(run(other, call), expected)


def test_gates_that_are_missing_are_named(wan, tmp_path):
    from foveate.models.video import load_gates, retrofit

    model, _ = wan
    model.save_pretrained(tmp_path)
    handle = retrofit(model)
    for name in handle.gates():
        torch.nn.init.ones_(model.get_parameter(name))
    with pytest.raises(
        ValueError, match=r"has 0 of 4 gate tensors, blocks\.0\.attn1\.to_gate"
    ) as got:
        load_gates(handle, tmp_path)
    assert "\n" not in str(got.value)
    assert all(bool(x.all()) for x in handle.gates().values())  # nothing was loaded
    load_gates(handle, tmp_path, missing="zero")
    assert not any(bool(x.any()) for x in handle.gates().values())
    wrong = {name: x[:1] for name, x in handle.gates().items()}
    with pytest.raises(ValueError, match=r"has shape \[1, 32\] in the checkpoint"):
        load_gates(handle, wrong)
    with pytest.raises(
        ValueError, match=r"source is .*; expected a \.safetensors file or a folder"
    ):
        load_gates(handle, tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="missing is 'skip'"):
        load_gates(handle, {}, missing="skip")


def test_retrofit_refuses_what_does_not_fit(wan):
    from foveate.models.video import retrofit

    model, _ = wan
    with pytest.raises(TypeError, match="model is Linear; expected a WanTransformer3DModel"):
        retrofit(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="grid is given; expected none"):
        retrofit(model, grid=(1, 2, 3))
    with pytest.raises(TypeError, match="cubes"):
        retrofit(model, cubes=3)
    with pytest.raises(ValueError, match="keep is 0"):
        retrofit(model, keep=0)
    handle = retrofit(model)
    with pytest.raises(ValueError, match="has not seen an input yet"):
        _ = handle.select
    with pytest.raises(ValueError, match="model has VSA already"):
        retrofit(model)
