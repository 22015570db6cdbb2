"""The factorised benchmark: its end points, its inputs, its effects, and going on after a stop."""

import json

import pytest
import torch

from foveate.lowlight.fem import effects, report
from foveate.lowlight.fem.factors import FACTORS, Factors, build_input, naive_input, preset, stored
from foveate.lowlight.fem.trainings import Budget, default_configs, make_data, raw_data, run
from foveate.lowlight.jpeg import compress
from foveate.lowlight.pairs import LowLight, Source


def test_no_module_hides_a_public_name():
    from types import ModuleType

    from foveate.lowlight import datasets, fem, reenet

    for room in (datasets, fem, reenet):
        for name in room.__all__ * 2:  # loading one name may have loaded a module called as another
            assert not isinstance(getattr(room, name), ModuleType), f"{room.__name__}.{name}"


def photos(count=3, size=64, seed=8):
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, 6, 6, generator=generator)
    big = torch.nn.functional.interpolate(small, size=(size, size + 16), mode="bicubic")
    return [(x.clamp(0, 1) * 255).byte() for x in big]


@pytest.fixture(scope="module")
def pair():
    return Source(photos(), LowLight(ratios=(10, 300), contrasts=(0.2, 0.8)), 32, 6, seed=1)(0)


def test_with_all_factors_the_input_is_the_raw_file_itself(pair):
    assert stored(pair, Factors.of("all")) is pair.short_raw
    seen, base = build_input(pair, Factors.of("all"), 50.0)
    assert seen.shape == (6, 9, 16, 16)
    assert base.shape == (6, 3, 32, 32)


def test_with_no_factor_the_input_is_the_8_bit_srgb_file(pair):
    file = stored(pair, Factors())
    camera = preset(pair.camera)
    assert torch.equal(file, compress(camera.render(pair.short_raw), 95))
    codes = file * 255
    assert (codes - codes.round()).abs().max() < 1e-4
    # and with the scene's own balance, depth and no compression it is the pair's own picture
    assert torch.allclose(stored(pair, Factors.of("WJ")), pair.short, atol=1e-6)


@pytest.mark.parametrize("code", FACTORS)
def test_each_factor_alone_changes_what_the_network_sees(pair, code):
    plain, _ = build_input(pair, Factors(), 50.0)
    seen, base = build_input(pair, Factors.of(code), 50.0)
    assert base.shape == pair.long.shape
    assert seen.isfinite().all()
    assert seen.shape != plain.shape or not torch.equal(seen, plain)
    assert seen.shape[1] == (9 if code == "M" else 25)


def test_linear_files_are_proportional_to_light(pair):
    exact = stored(pair, Factors.of("LWBCJ"))
    from foveate.lowlight import mosaic

    light = mosaic.demosaic(pair.short_raw * pair.camera.plane_gains())
    assert torch.allclose(exact, light)
    rounded = stored(pair, Factors.of("LWCJ"))  # through 8-bit codes and back
    inside = (light > 0) & (light < 1)
    step = pair.camera.decode(pair.camera.encode(light) + 1 / 255) - light
    assert ((rounded - light).abs() <= step + 1e-4)[inside].all()


def test_known_exposure_times_bring_pairs_to_their_brightness(pair):
    _, known = build_input(pair, Factors.of("LTWBMJ"), 50.0)
    _, fixed = build_input(pair, Factors.of("LWBMJ"), 50.0)
    miss = [
        (base.mean((1, 2, 3)) - pair.long.mean((1, 2, 3))).abs().mean() for base in (known, fixed)
    ]
    assert miss[0] < 0.5 * miss[1]


def test_under_a_power_law_linearity_says_nothing_beyond_exposure_time():
    simulator = LowLight(ratios=(10, 300), contrasts=(0, 0), base="power")
    power = Source(photos(), simulator, 32, 6, seed=1)(0)
    pictures = {c: stored(power, Factors.of(c)) for c in ("WBJT", "WBJLT")}
    k = power.ratio.reshape(-1, 1, 1, 1)
    amplified = pictures["WBJT"] * k ** (1 / 2.2)
    again = (pictures["WBJLT"].clamp_min(0) * k) ** (1 / 2.2)
    seen = pictures["WBJLT"] > 1e-5
    assert (amplified - again)[seen].abs().max() < 1e-3 * float(amplified.max())


def test_without_controls_one_encoding_is_left(pair):
    seen, base = naive_input(pair, Factors.of("LT"), 50.0)
    assert seen.shape[1] == 12
    assert not base.any()
    assert naive_input(pair, Factors.of("all"), 50.0)[0].shape[1] == 4


def test_names_and_default_configurations():
    assert str(Factors.of("TL")) == "LT"
    assert str(Factors.of("none")) == "none"
    assert Factors.of("all").all
    names = [str(f) for f in default_configs()]
    assert len(names) == len(set(names)) == 17
    with pytest.raises(ValueError, match=r"unknown factors \['X'\]"):
        Factors.of("LX")


def test_a_run_scores_goes_on_and_is_reported(tmp_path):
    budget = Budget(steps=3, seeds=(0,), widths=(4, 8), pairs=12, patch=16, batch=4)
    simulator = LowLight(ratios=(10, 300))
    data = make_data(photos(2), photos(2, seed=5), simulator, budget, (10, 100), 2)
    assert len(data.test) == 2 * 2 * 2
    assert data.photo == [0, 0, 1, 1] * 2
    path = tmp_path / "main-3-seed0.json"
    some = [Factors.of(c) for c in ("none", "L", "T", "LT", "all")]
    first = run(some[:2], data, budget, path, quiet=True)
    told = run(some, data, budget, path, quiet=True)
    assert told["scores"][:2] == json.loads(json.dumps(first["scores"]))
    assert [s["factors"] for s in told["scores"]] == ["none", "L", "T", "LT", "LTWBMCJ"]
    assert all(len(s["psnr"]) == 8 for s in told["scores"])
    found = report.write_report(tmp_path, 3)
    assert set(found["studies"]["main"]["add_one"]) == {"L", "T"}
    assert "exposure time" in (tmp_path / "fem_report.md").read_text()
    assert json.loads((tmp_path / "fem_report.json").read_text()) == found
    with pytest.raises(ValueError, match='unknown inputs "half"'):
        run(some, data, budget, inputs="half")
    with pytest.raises(ValueError, match="another budget"):
        run(some, data, Budget(steps=4, pairs=12), path)
    with pytest.raises(FileNotFoundError, match="main-9"):
        report.write_report(tmp_path, 9)


def test_a_folder_of_raw_files_can_be_measured(tmp_path):
    pytest.importorskip("rawpy")
    pytest.importorskip("tifffile")
    from foveate.lowlight.pairs import low_light
    from foveate.lowlight.raw import write_dng
    from foveate.lowlight.raw_pairs import RawFolder

    rows = ["short,long"]
    for n, photo in enumerate(photos(3)):
        one, _ = low_light(photo, 20 + 20 * n, seed=n)
        for name, raw, seconds in (("s", one.short_raw, 0.01), ("l", one.long_raw, 0.2 + 0.2 * n)):
            write_dng(tmp_path / f"{name}{n}.dng", raw, one.camera.at(0), exposure=seconds)
        rows.append(f"s{n}.dng,l{n}.dng")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    budget = Budget(steps=2, seeds=(0,), widths=(4, 8), pairs=6, patch=16, batch=2)
    data = raw_data(RawFolder(tmp_path), [1], budget, 3)
    assert data.photo == [0, 0, 0]
    assert data.test.ratio.tolist() == pytest.approx([40.0] * 3, rel=1e-3)
    assert 20 <= data.gain <= 60
    told = run([Factors.of("all")], data, budget, quiet=True)
    assert len(told["scores"][0]["psnr"]) == 3
    with pytest.raises(ValueError, match="expected both kinds"):
        raw_data(RawFolder(tmp_path), [0, 1, 2], budget)


def made(values):
    """Score files as a run would write them: 2 photographs, 2 crops each, 1 ratio."""
    scores = [{"factors": n, "seed": s, "psnr": v} for n, v in values.items() for s in (0, 1)]
    return [{"photo": [0, 0, 1, 1], "ratio": [10.0] * 4, "gain": [1.0] * 4, "scores": scores}]


def test_effects_are_differences_of_scores():
    base = [20.0, 21, 22, 23]
    runs = made(
        {
            "none": base,
            "L": [v + 1 for v in base],
            "T": [v + 5 for v in base],
            "LT": [v + 8 + (i > 1) for i, v in enumerate(base)],
        }
    )
    told = effects.summary(runs)
    assert told["add_one"]["L"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert told["add_one"]["T"]["mean"] == 5
    assert told["interaction"] == {"mean": 2.5, "low": 2.0, "high": 3.0}
    assert told["seeds"]["LT"] == 2
    with pytest.raises(ValueError, match="no scores"):
        effects.Scores([{**runs[0], "scores": []}])


def test_shapley_values_are_exact_for_a_game_with_known_values():
    worth = {"L": 1.0, "T": 4.0, "B": 0.5}

    def value(factors):
        both = 2.0 if {"L", "T"} <= factors.on else 0.0
        return sum(worth.get(c, 0.0) for c in factors.on) + both

    asked = []
    found = effects.shapley(lambda f: asked.append(f) or value(f), permutations=4000)
    assert found["B"] == pytest.approx(0.5)
    assert found["W"] == 0
    assert found["L"] == pytest.approx(2.0, abs=0.06)
    assert sum(found.values()) == pytest.approx(value(Factors.of("all")))
    assert len(asked) == len(set(asked)) <= 128
    with pytest.raises(ValueError, match="permutations is 0"):
        effects.shapley(value, 0)


def test_the_waterfall_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    values = {"none": [20.0] * 4, "LTWBMCJ": [27.0] * 4}
    values |= {c: [20.0 + i / 2] * 4 for i, c in enumerate(FACTORS)}
    (tmp_path / "main-5-seed0.json").write_text(
        json.dumps({**made(values)[0], "budget": {"steps": 5}})
    )
    report.write_report(tmp_path, 5)
    assert (tmp_path / "fem_report.png").stat().st_size > 5000
