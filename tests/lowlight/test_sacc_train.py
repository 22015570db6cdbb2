"""SACC's trainings on a toy: four textures in the light and in the dark, and a small frozen net."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from foveate.lowlight.sacc.adaptation import Diagnosis, adapt, load_images
from foveate.lowlight.sacc.curve import ConcaveCurve
from foveate.lowlight.sacc.ensemble import CurveFamily, PseudoLabels, train_curve_ce, vote
from foveate.lowlight.sacc.frozen import EnhancedModel, Frozen, accuracy, to_unit
from foveate.lowlight.sacc.plus import adapt_plus
from foveate.lowlight.sacc.pretext import Features, PretextHead, RotatedJigsaw, distant_codes
from foveate.lowlight.sacc.reference import train_curve_pairs
from foveate.lowlight.sacc.selfalign import choose_task, train_curve_pt, train_pretext
from foveate.lowlight.train import train

SIDE = 16


def textures(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Stripes of two directions, a chequered field and a slope; uint8 `[N, 3, 16, 16]`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    base = np.stack(
        [np.sin(y * 1.2), np.sin(x * 1.2), np.sin(x) * np.sin(y) * 1.5, (x + y) / 15 - 1]
    )
    labels = rng.integers(0, 4, count)
    shift = rng.integers(0, SIDE, (count, 2))
    pictures = [np.roll(base[c], s, (0, 1)) for c, s in zip(labels, shift, strict=True)]
    level, swing = rng.uniform(0.4, 0.6, (count, 3, 1, 1)), rng.uniform(0.15, 0.3, (count, 1, 1, 1))
    values = (
        level + swing * np.stack(pictures)[:, None] + rng.normal(0, 0.03, (count, 3, SIDE, SIDE))
    )
    return torch.from_numpy((values.clip(0, 1) * 255).astype(np.uint8)), torch.from_numpy(labels)


def darkened(clean: torch.Tensor, seed: int) -> torch.Tensor:
    """A twelfth of the light of the code values, with noise, in 8 bits."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(clean.shape, generator=generator) * 0.004
    return ((to_unit(clean) / 12 + noise).clamp(0, 1) * 255).round().byte()


@pytest.fixture(scope="module")
def toy():
    """A net that knows the textures in the light, and has never seen them in the dark."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 4),
    )  # fmt: skip
    clean, labels = textures(400, 0)

    def loss(step, generator):
        rows = torch.randint(len(clean), (32,), generator=generator)
        return nn.functional.cross_entropy(net(to_unit(clean[rows])), labels[rows])

    train(net, loss, 150, lr=5e-3, quiet=True)
    net.zero_grad()
    return Frozen(net), clean, labels


@pytest.fixture(scope="module")
def night():
    """Dark pictures to learn from, and dark ones with labels to test on."""
    unlabelled, hidden = textures(300, 1)
    test, labels = textures(200, 2)
    return darkened(unlabelled, 1), hidden, darkened(test, 2), labels, test


def test_votes_teach_a_curve_and_the_model_stays_as_it_is(toy, night, tmp_path):
    frozen, _, _ = toy
    dark, hidden, test, labels, clean = night
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    in_the_dark = accuracy(frozen, test, labels)
    assert accuracy(frozen, clean, labels) > 0.95
    assert in_the_dark < 0.6
    curve = ConcaveCurve("shared")
    told = {"steps": 120, "batch": 32, "quiet": True}
    _, votes = train_curve_ce(curve, frozen, dark, folder=tmp_path, **told)
    assert accuracy(frozen, test, labels, curve) > in_the_dark + 0.25
    assert (votes.labels == hidden)[votes.kept].float().mean() > 0.8
    assert all(torch.equal(v, before[k]) for k, v in frozen.state_dict().items())
    assert all(p.grad is None for p in frozen.parameters())
    assert (tmp_path / "round2" / "model.safetensors").exists()


def test_plus_keeps_the_model_good_in_the_light(toy, night):
    frozen, clean, truth = toy
    dark, _, test, labels, bright = night
    curve = ConcaveCurve("shared")
    train_curve_ce(curve, frozen, dark, steps=100, batch=32, rounds=1, quiet=True)
    tuned = adapt_plus(frozen, curve, dark, (clean, truth), steps=60, batch=32, quiet=True)
    assert accuracy(tuned, test, labels, curve) >= accuracy(frozen, test, labels, curve) - 0.03
    assert accuracy(tuned, bright, labels) >= accuracy(frozen, bright, labels) - 0.015
    assert not torch.equal(tuned.model[0].weight, frozen.model[0].weight)
    assert torch.equal(tuned.model[1].running_mean, frozen.model[1].running_mean)


def test_the_filter_keeps_the_surest_of_every_class():
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2])
    confidence = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.3, 0.2, 0.1])
    agreement = torch.tensor([5, 1, 5, 5, 5, 5, 5])
    votes = PseudoLabels(labels, confidence, agreement, torch.ones(7, dtype=torch.bool))
    kept = votes.filtered(keep=0.5, agree=3).kept
    assert kept.tolist() == [True, False, False, False, True, False, True]
    with pytest.raises(ValueError, match="keep is 0; expected a share in"):
        votes.filtered(keep=0)


def test_the_vote_is_the_mean_of_probabilities(toy, night):
    frozen, _, _ = toy
    dark = night[0][:20]
    family = CurveFamily(alphas=(0.1,), means=(0.4,))
    found = vote(frozen, dark, family, batch=7)
    shares = [frozen(curve(to_unit(dark))).softmax(-1) for curve in family.curves()]
    mean = torch.stack(shares).mean(0)
    assert len(family) == 3
    assert torch.equal(found.labels, mean.argmax(-1))
    torch.testing.assert_close(found.confidence, mean.amax(-1))
    single = torch.stack([s.argmax(-1) for s in shares])
    assert torch.equal(found.agreement, (single == found.labels).sum(0))


def test_a_family_needs_members():
    with pytest.raises(ValueError, match="CurveFamily has no curve"):
        CurveFamily(alphas=(), means=(), identity=False)
    with pytest.raises(ValueError, match=r"CurveFamily\.alphas has -1"):
        CurveFamily(alphas=(-1,))


@pytest.mark.parametrize("turned", [False, True])
def test_classes_of_puzzles_are_far_apart(turned):
    codes = distant_codes(9, 30, turned)
    assert codes.shape == (30, 9)
    assert all(sorted((row % 9).tolist()) == list(range(9)) for row in codes)
    assert (codes.max() >= 9) == turned
    apart = (codes[:, None] != codes[None]).sum(-1)
    assert apart[~torch.eye(30, dtype=torch.bool)].min() >= 7


def test_a_puzzle_is_the_picture_cut_permuted_and_turned():
    task = RotatedJigsaw(grid=2, classes=6, cell=4, tile=4, rotation="per_tile")
    image = torch.arange(64.0).view(1, 1, 8, 8).expand(1, 3, 8, 8)
    label = torch.tensor([3])
    puzzle = task(image, label, torch.Generator().manual_seed(0))[0, 0]
    for place in range(4):
        source, turns = int(task.order[3, place]), int(task.turns[3, place])
        sy, sx, y, x = source // 2 * 4, source % 2 * 4, place // 2 * 4, place % 2 * 4
        piece = torch.rot90(image[0, 0, sy : sy + 4, sx : sx + 4], turns)
        assert torch.equal(puzzle[y : y + 4, x : x + 4], piece)


@pytest.mark.parametrize(
    ("task", "classes", "size"),
    [
        (RotatedJigsaw(), 30, 192),
        (RotatedJigsaw(rotation="global"), 120, 192),
        (RotatedJigsaw(2, 24, 8, 7, rotation="none"), 24, 14),
        (RotatedJigsaw(1, cell=16, tile=14), 4, 14),
    ],
)
def test_tasks_have_their_classes_and_sizes(task, classes, size):
    generator = torch.Generator().manual_seed(0)
    labels = task.labels(5, generator)
    assert task.classes == classes
    assert task(torch.rand(5, 3, 100, 120), labels, generator).shape == (5, 3, size, size)


def test_a_rotation_is_a_rotation():
    task = RotatedJigsaw(1, cell=8, tile=8)
    image = torch.rand(4, 3, 8, 8)
    turned = task(image, torch.arange(4), torch.Generator().manual_seed(0))
    for k in range(4):
        assert torch.equal(turned[k], torch.rot90(image[k], k, (-2, -1)))


def test_a_pretext_head_teaches_a_curve(toy, night):
    frozen, clean, _ = toy
    features = Features(frozen, size=SIDE)
    fading = torch.linspace(1.0, 0.3, SIDE)[:, None]  # tells which way is up
    lit = (clean * fading).byte()
    hard, easy = RotatedJigsaw(3, 300, 5, 3), RotatedJigsaw(1, cell=16, tile=16)
    found = choose_task(features, lit, [hard, easy], steps=60, batch=32, lr=3e-4, quiet=True)
    assert found.task is easy
    assert found.accuracy > 0.5
    curve = ConcaveCurve("shared")
    before = [p.clone() for p in found.head.parameters()]
    start = [p.clone() for p in curve.parameters()]
    log = train_curve_pt(curve, found, darkened(lit, 3), steps=30, batch=16, quiet=True).log
    assert np.isfinite(log[-1]["loss"])
    assert all(map(torch.equal, found.head.parameters(), before))
    assert not all(map(torch.equal, curve.parameters(), start))


def test_a_head_is_trusted_only_when_it_knows_its_task(toy):
    frozen, clean, _ = toy
    features = Features(frozen, size=SIDE)
    found = train_pretext(features, RotatedJigsaw(3, 30, 5, 4), clean, steps=3, quiet=True)
    assert not found.ready
    better = type(found)(found.task, features, found.head, accuracy=0.4, plateau=0.6)
    worse = type(found)(found.task, features, found.head, accuracy=0.4, plateau=0.9)
    assert better.ready
    assert not worse.ready


def test_features_take_the_last_map_or_the_one_asked_for(toy):
    frozen, _, _ = toy
    last = Features(frozen, size=SIDE)
    assert (last.layer, last.channels, last.size) == ("6", 32, (8, 8))
    first = Features(frozen, "0", SIDE)
    assert first(torch.rand(2, 3, SIDE, SIDE)).shape == (2, 16, SIDE, SIDE)
    assert PretextHead(16, 5, first.size)(first(torch.rand(2, 3, 16, 16))).shape == (2, 5)
    with pytest.raises(ValueError, match="layer is 'nothing'; expected a module with a map"):
        Features(frozen, "nothing", SIDE)


def test_adapt_takes_a_folder_and_returns_a_model_for_its_place(toy, night, tmp_path):
    image = pytest.importorskip("PIL.Image")
    frozen, _, _ = toy
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    scale = torch.tensor(std).view(3, 1, 1), torch.tensor(mean).view(3, 1, 1)

    class Normalised(nn.Module):
        """The toy as a model that wants normalised pictures."""

        def __init__(self):
            super().__init__()
            self.net = frozen.model

        def forward(self, x):
            return self.net(x * scale[0] + scale[1])

    model = Normalised().train()
    for number, x in enumerate(night[0][:120]):
        image.fromarray(x.permute(1, 2, 0).numpy()).save(tmp_path / f"{number}.png")
    adapted, found = adapt(
        model, tmp_path, mean=mean, std=std, size=SIDE, steps=120, channels="shared", quiet=True
    )
    assert isinstance(adapted, EnhancedModel)
    assert model.training or not adapted.training
    normal = (to_unit(night[2]) - scale[1]) / scale[0]
    with torch.no_grad():
        right = (adapted(normal).argmax(-1) == night[3]).float().mean()
    assert right > accuracy(frozen, night[2], night[3]) + 0.2
    assert found.objective == "ce"
    assert found.pictures == 120
    assert found.dead == 0
    assert found.ev_band[0] <= found.ev <= found.ev_band[1]
    assert "SACC-CE, 120 dark pictures" in str(found)


def test_adapt_serves_a_model_without_logits_by_its_features(toy, night):
    class Detector(nn.Module):
        """Answers with a list, as detectors do."""

        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return [{"boxes": row} for row in self.net(x)]

    frozen, clean, _ = toy
    model = Detector(frozen.model)
    told = {"steps": 8, "batch": 8, "quiet": True}
    adapted, found = adapt(model, night[0][:40], normal_images=clean[:60], **told)
    assert found.objective == "pretext"
    assert isinstance(adapted(to_unit(night[2][:2])), list)
    assert set(found.facts) >= {"classes", "head, normal light", "head good enough"}
    with pytest.raises(ValueError, match="normal_images is None; a pretext head learns on"):
        adapt(model, night[0][:40], **told)
    with pytest.raises(TypeError, match="the model returns list; expected logits"):
        adapt(model, night[0][:40], objective="ce", **told)


def test_a_dead_curve_is_told():
    found = Diagnosis("ce", 5, 0.0, (0.0, 0.0), 0.0, 1.0, {})
    assert "dead       100 % of the curves; try another seed" in str(found)


def test_a_frozen_model_gets_its_flags_and_modes_back():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.LazyLinear(2))
    net(torch.rand(2, 3, 8, 8))
    net[0].weight.requires_grad_(False)
    net.train()
    frozen = Frozen(net)
    frozen.train()
    assert not net[1].training
    frozen.release()
    assert net[1].training
    assert [p.requires_grad for p in net[0].parameters()] == [False, True]


def test_pictures_that_are_missing_or_broken_are_named(tmp_path):
    pytest.importorskip("PIL")
    with pytest.raises(ValueError, match="dark_images: no picture"):
        load_images("dark_images", tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.png is no picture that can be read"):
        load_images("dark_images", tmp_path)
    with pytest.raises(ValueError, match=r"dark_images is \[0, 3, 4, 4\]; expected"):
        load_images("dark_images", torch.zeros(0, 3, 4, 4))


def test_pairs_teach_a_curve_the_exposure_of_the_original(night):
    dark, bright = night[2], night[4]
    curve = ConcaveCurve("shared")
    train_curve_pairs(curve, dark, bright, steps=120, batch=32, penalty=0.1, quiet=True)
    with torch.no_grad():
        after = (curve(to_unit(dark)) - to_unit(bright)).abs().mean()
    assert after < 0.3 * (to_unit(dark) - to_unit(bright)).abs().mean()
    with pytest.raises(ValueError, match=r"bright is \[1, 3, 4, 4\]; expected the shape of dark"):
        train_curve_pairs(curve, dark, torch.zeros(1, 3, 4, 4))
