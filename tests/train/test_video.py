"""Films, tokens, the transformer, flow matching: the parts of a video model."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from foveate import VSA, gated_attention
from foveate.models.video import VideoSparseAttention
from foveate.train import Share, generator
from foveate.train.video import (
    DenseAttention,
    Film,
    GatheredAttention,
    PatchCodec,
    Plan,
    VideoDiT,
    flow_loss,
    gathered_attention,
    held_out_loss,
    model_flops,
    moving_shapes,
    sample,
    side_by_side,
    sparse,
    transformer_flops,
)
from foveate.train.video.flops import attention_pairs, vsa_pairs
from foveate.train.video.flow import mixed, noisy

# gathered attention


@pytest.mark.parametrize(
    ("grid", "cube", "keep", "options"),
    [
        ((4, 6, 8), (2, 2, 2), 5, {}),
        ((4, 6, 8), (2, 3, 4), 0.5, {"own": True}),
        ((3, 5, 7), (2, 2, 2), 6, {}),
        ((3, 5, 7), (2, 2, 4), 4, {"sized": True, "balanced": True}),
        ((2, 4, 4), (2, 2, 2), 4, {}),
    ],
)
def test_gathered_attention_is_the_attention_of_vsa(grid, cube, keep, options):
    select = VSA(grid, cube, keep=keep, **options)
    draw = generator(3)
    q, k, v, up = (
        torch.randn(2, 3, math.prod(grid), 16, generator=draw, requires_grad=i < 3)
        for i in range(4)
    )
    gathered = gathered_attention(q, k, v, select)
    ours = gated_attention(q, k, v, select=select, coarse=0.0)
    torch.testing.assert_close(gathered, ours, rtol=1e-4, atol=1e-5)
    a = torch.autograd.grad((gathered * up).sum(), (q, k, v))
    b = torch.autograd.grad((ours * up).sum(), (q, k, v))
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"gates": "head", "fine_gate": True}])
def test_a_gathered_layer_is_the_sparse_layer_with_the_same_parameters(options):
    select = VSA((3, 4, 6), (2, 2, 2), keep=4, sized=True)
    layers = []
    for kind in (VideoSparseAttention, GatheredAttention):
        torch.manual_seed(1)
        layer = kind(24, 3, select, **options)
        nn.init.normal_(layer.to_gate_compress.weight)
        layers.append(layer)
    layers[1].load_state_dict(layers[0].state_dict())
    x = torch.randn(2, 72, 24)
    outs = [layer(x) for layer in layers]
    torch.testing.assert_close(*outs, rtol=1e-4, atol=1e-5)
    for out in outs:
        out.square().sum().backward()
    for (name, a), (_, b) in zip(*(x.named_parameters() for x in layers), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_gathering_refuses_what_it_does_not_serve():
    x = torch.randn(1, 1, 64, 8)
    with pytest.raises(ValueError, match="select has mass set"):
        gathered_attention(x, x, x, VSA((4, 4, 4), (2, 2, 2), keep=2, mass=0.5))


# the transformer


def model(attention=None, grid=(2, 4, 4), layers=2) -> VideoDiT:
    torch.manual_seed(0)
    net = VideoDiT(grid, 6, 32, 2, layers, attention)
    for parameter in net.parameters():  # zeros would hide most of the network
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return net


def test_sparse_attention_that_keeps_all_cubes_is_dense_attention():
    select = VSA((2, 4, 4), (2, 2, 2), keep=1.0)
    x, time = torch.randn(2, 32, 6), torch.tensor([0.2, 0.9])
    dense = model()
    for device in ("cpu", "meta"):  # the maker for other devices gives the gathered layer
        net = VideoDiT((2, 4, 4), 6, 32, 2, 2, sparse(32, 2, select, device))
        missing = net.load_state_dict(dense.state_dict(), strict=False)
        assert not missing.unexpected_keys
        assert all("to_gate_compress" in name for name in missing.missing_keys)
        torch.testing.assert_close(net(x, time), dense(x, time), rtol=1e-4, atol=1e-5)
    assert isinstance(net.sparse_layers()[0], GatheredAttention)


def test_the_model_sees_places_and_times():
    net = model()
    x = torch.randn(1, 32, 6).expand(2, -1, -1)
    a, b = net(x, torch.tensor([0.1, 0.2]))
    assert (a - b).abs().max() > 1e-3
    turned = net(x.flip(1), torch.tensor([0.1, 0.2]))[0].flip(0)
    assert (a - turned).abs().max() > 1e-3


def test_positions_are_relative():
    # a head's score of two tokens depends on how far apart they are, not on where they stand
    net = model(grid=(3, 5, 5))
    q, k = (torch.randn(1, 1, 1, 16).expand(-1, -1, 75, -1) for _ in range(2))
    q, k = net.positions(q, k)
    scores = (q @ k.mT).view(3, 5, 5, 3, 5, 5)
    torch.testing.assert_close(scores[0, 1, 2, 1, 0, 3], scores[1, 3, 3, 2, 2, 4])
    assert (scores[0, 0, 0, 0, 0, 1] - scores[0, 0, 0, 0, 1, 0]).abs() > 1e-4


def test_every_parameter_learns():
    net = model(sparse(32, 2, VSA((2, 4, 4), (2, 2, 2), keep=2)))
    flow_loss(net, noisy(torch.randn(2, 32, 6), 0, 0, range(2))).backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="dim is 30 and heads 4"):
        VideoDiT((2, 4, 4), 6, 30, 4)
    with pytest.raises(ValueError, match="5 heads do not divide"):
        DenseAttention(32, 5)


# flow matching


def test_noise_depends_on_the_sample_and_not_on_who_draws_it():
    x = torch.randn(4, 8, 3)
    whole = noisy(x, 5, 7, range(4))
    parts = [noisy(x[2 * r : 2 * r + 2], 5, 7, Share(r, 2).of(4)) for r in (0, 1)]
    for all_of_it, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(all_of_it, torch.cat([first, second]))
    other = noisy(x, 5, 8, range(4))
    assert not torch.equal(whole[0], other[0])


def test_the_velocity_leads_from_noise_to_the_picture():
    x, noise = torch.randn(3, 8, 2), torch.randn(3, 8, 2)
    at, _, velocity = mixed(x, noise, torch.full((3,), 0.3))
    torch.testing.assert_close(at - 0.3 * velocity, x)
    torch.testing.assert_close(at + 0.7 * velocity, noise)


def test_times_are_logit_normal():
    times = noisy(torch.zeros(4000, 1, 1), 0, 0, range(4000))[1]
    logits = times.logit()
    assert abs(float(logits.mean())) < 0.05
    assert abs(float(logits.std()) - 1) < 0.05


class Exact(nn.Module):
    """The best velocity for data that is N(1, 0.25)."""

    def forward(self, x, time):
        t = time.view(-1, 1, 1)
        var = (1 - t) ** 2 * 0.25 + t**2
        mean_x = 1 + (1 - t) * 0.25 / var * (x - (1 - t))
        mean_noise = t / var * (x - (1 - t))
        return mean_noise - mean_x


def test_the_sampler_turns_noise_into_data():
    noise = torch.randn(1, 4000, 1, generator=generator(1))
    seen = []
    made = sample(Exact(), noise, 20, lambda *steps: seen.append(steps))
    assert abs(float(made.mean()) - 1) < 0.02
    assert abs(float(made.std()) - 0.5) < 0.02
    assert seen[-1] == (20, 20)


def test_held_out_loss_is_the_same_every_time():
    x = 1 + 0.5 * torch.randn(20, 50, 1, generator=generator(2))
    best = held_out_loss(Exact(), x, part=7)
    assert best == held_out_loss(Exact(), x, part=7)

    class Zero(nn.Module):
        def forward(self, x, time):
            return torch.zeros_like(x)

    assert best < 0.4 * held_out_loss(Zero(), x)


# floating-point operations


def test_flops_of_the_paper():
    # 32 of 256 cubes of 64 tokens: 8 times fewer in attention; the coarse stage 0.2 % of the fine
    fine, coarse = vsa_pairs(VSA((16, 32, 32), (4, 4, 4), keep=32))
    dense = float(16384**2)
    assert dense / fine == 8
    assert coarse / fine == pytest.approx(0.002, rel=0.05)
    assert coarse / dense == pytest.approx(0.00024, rel=0.05)
    # 410M parameters (24 layers of 1024, 16384 tokens): 2.53 times fewer in training
    size = {"parameters": 416e6, "tokens": 16384, "dim": 1024, "layers": 24}
    ratio = transformer_flops(**size) / transformer_flops(**size, density=1 / 8, cube=64)
    assert ratio == pytest.approx(2.53, abs=0.015)
    low = transformer_flops(**size, coefficient=12.0)
    assert low / transformer_flops(**size, density=1 / 8, cube=64, coefficient=12) < 2.4


@pytest.mark.parametrize(
    ("grid", "keep", "sparsity"),
    [((16, 32, 32), 32, 0.875), ((16, 28, 52), 32, 0.912), ((20, 48, 80), 0.1, 0.9)],
)
def test_sparsities_of_the_paper(grid, keep, sparsity):
    select = VSA(grid, (4, 4, 4), keep=keep)
    fine, _ = vsa_pairs(select)
    assert 1 - fine / select.queries.tokens**2 == pytest.approx(sparsity, abs=5e-4)


def test_flops_of_a_model_are_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    net = model(grid=(4, 4, 4))
    counted = model_flops(net)
    plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain:
        net(torch.randn(1, 64, 6), torch.tensor([0.5]))
    assert counted.forward == counter.get_total_flops()
    assert counted.training == 3.5 * counted.attention + 3 * counted.linear


def test_flops_of_sparse_layers():
    select = VSA((4, 4, 4), (2, 2, 2), keep=2)
    layer = VideoSparseAttention(32, 2, select)
    assert attention_pairs(layer, 64) == 64 * 2 * 8 + 8 * 8
    assert attention_pairs(DenseAttention(32, 2), 64) == 64**2
    a, b = (
        model_flops(model(sparse(32, 2, select), grid=(4, 4, 4))),
        model_flops(model(grid=(4, 4, 4))),
    )
    assert a.linear - b.linear == 2 * 64 * 32 * 32 * 2  # the gates of two layers
    layer.keep = 8
    assert attention_pairs(layer, 64) == 64**2 + 8 * 8


# codec and films


def test_the_codec_keeps_what_the_film_is_made_of():
    film = moving_shapes(480, 32)
    codec = PatchCodec(2, 8, 24)
    starts = film.starts(8)
    kept = codec.measure(film.batch(starts, 8, 0, 0, range(16)))
    assert 0.95 < kept < 1
    clips = film.batch(starts, 8, 0, 1, range(4))
    tokens = codec.encode(clips)
    assert tokens.shape == (4, 4 * 4 * 4, 24)
    assert 0.3 < float(tokens.var()) < 3
    back = codec.decode(tokens, codec.grid(8, 32))
    error = (back.float() - clips.float()).square().mean()
    assert error < 0.08 * clips.float().var()


def test_a_codec_with_all_components_loses_nothing_but_rounding():
    codec = PatchCodec(1, 4, 48)
    clips = torch.randint(0, 256, (8, 4, 16, 16, 3), generator=generator(0)).to(torch.uint8)
    assert codec.measure(clips) == pytest.approx(1)
    back = codec.decode(codec.encode(clips), codec.grid(4, 16))
    assert (back.int() - clips.int()).abs().max() <= 1
    with pytest.raises(ValueError, match="clips of 5 frames of 16 pixels are not made of patches"):
        PatchCodec(2, 8, 4).grid(5, 16)


def test_clips_stay_inside_shots_and_stretches():
    film = Film(torch.zeros(400, 8, 8, 3, dtype=torch.uint8), [50, 130, 131, 390])
    train, held_out = (set(film.starts(6, held_out=h).tolist()) for h in (False, True))
    assert train
    assert held_out
    frames = [{s + i for s in starts for i in range(6)} for starts in (train, held_out)]
    assert not frames[0] & frames[1], "no frame is trained on and held out"
    for start in train | held_out:
        assert not {50, 130, 131, 390} & set(range(start + 1, start + 6)), start
    with pytest.raises(ValueError, match="no shot of 99 frames"):
        film.starts(99)


def test_a_batch_is_a_function_of_its_number():
    film = moving_shapes(240, 16)
    starts = film.starts(8)
    a, b = (film.batch(starts, 8, 0, 5, range(3)) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(a[1:], film.batch(starts, 8, 0, 5, range(1, 3)))
    assert not torch.equal(a, film.batch(starts, 8, 0, 6, range(3)))


def test_shapes_move_and_repeat():
    film = moving_shapes(96, 32, seed=4)
    assert torch.equal(film.frames, moving_shapes(96, 32, seed=4).frames)
    assert not torch.equal(film.frames, moving_shapes(96, 32, seed=5).frames)
    assert (film.frames[0] != film.frames[20]).any()
    assert film.cuts == [48]


def test_side_by_side():
    clips = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1, 1).expand(5, 2, 4, 6, 3)
    sheet = side_by_side(clips)
    assert sheet.shape == (2, 10, 22, 3)
    assert sheet[0, 7, 9].tolist() == [4, 4, 4]
    assert sheet[0, 7, 17].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"attention": "flash"}, "attentions are vsa, dense"),
        ({"size": 63}, "clips of 16 frames of 63 pixels are not made of patches"),
        ({"keep": 65}, "VSA.keep is 65, more than the 64 cubes"),
        ({"batch": 0}, "batch is 0"),
        ({"anneal": -1}, "anneal is -1"),
    ],
)
def test_plans_name_what_does_not_fit(wrong, says):
    with pytest.raises(ValueError, match=says):
        Plan(**wrong)


@pytest.mark.parametrize("anneal", [1, 7, 60, 601])
def test_annealing_of_a_plan_ends_in_time(anneal):
    plan = Plan(anneal=anneal)
    cubes, schedule = plan.select.keys.number, plan.schedule
    assert schedule.kept(0, cubes) == cubes or anneal == 1
    assert schedule.kept(anneal, cubes) == plan.select.kept
    assert schedule.last(cubes) <= anneal
