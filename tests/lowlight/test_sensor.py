"""The simulated sensor: its mean and variance are those of the model; what it loses as JPEG."""

import io
import json

import pytest
import torch

from foveate.lowlight import jpeg
from foveate.lowlight.sensor import SENSORS, SensorNoise


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("level", [0.02, 0.4])
def test_flat_field_has_the_models_mean_and_variance(sensor, level):
    generator = torch.Generator().manual_seed(11)
    noise = SensorNoise(sensor)
    ratio, gain = torch.tensor([20.0]), torch.tensor([noise.constants.gains[0] * 4])
    full = noise.constants.white - noise.constants.black
    long_raw = torch.full((1, 4, 160, 160), level)  # 102,400 samples
    state = generator.get_state()
    read, row = noise.deviations(gain, generator)
    generator.set_state(state)
    dn = noise.expose(long_raw, ratio, gain, generator) * full
    mean = full * level / 20
    within = dn - dn.mean(-1, keepdim=True)  # lines removed: row noise is checked by itself
    variance = float(within.square().sum() / (dn.numel() - dn.numel() / 160))
    expected = float(gain * mean + read**2) + 1 / 12
    assert float(dn.mean()) == pytest.approx(mean, rel=0.02)
    assert variance == pytest.approx(expected, rel=0.02)
    lines = dn.mean(-1)[0]  # [4, 160]: R and Gr of a line of the sensor share their row noise
    shared = torch.corrcoef(lines)
    noise_of_mean = expected / 160
    predicted = float(row**2) / (float(row**2) + noise_of_mean)
    assert shared[0, 1] == pytest.approx(predicted, abs=0.2)
    assert abs(shared[0, 2]) < 0.25


def test_values_are_whole_digital_numbers_and_stay_above_minus_black():
    noise = SensorNoise("sony_a7s2")
    generator = torch.Generator().manual_seed(0)
    short = noise.expose(
        torch.rand(2, 4, 16, 16) * 0.01,
        torch.tensor([300.0, 100.0]),
        torch.tensor([6.0, 6.0]),
        generator,
    )
    dn = short.double() * 15871
    assert (dn - dn.round()).abs().max() < 1e-3
    assert (dn < 0).any()
    assert dn.min() >= -512


def test_equal_seeds_give_equal_noise_and_choices_travel_as_json():
    noise = SensorNoise("canon_5d4", "tukey", -0.1, (0.5, 2))
    again = SensorNoise(**json.loads(json.dumps(noise.parameters())))
    assert again == noise
    shots = [
        n.expose(
            torch.full((1, 4, 8, 8), 0.1),
            torch.tensor([10.0]),
            torch.tensor([1.0]),
            torch.Generator().manual_seed(2),
        )
        for n in (noise, again)
    ]
    assert torch.equal(*shots)
    drawn = noise.draw_gain(500, torch.Generator().manual_seed(1))
    assert drawn.min() >= 0.5
    assert drawn.max() <= 2


def test_tukey_has_heavier_tails_than_the_gaussian():
    like = torch.zeros(400_000)
    generator = torch.Generator().manual_seed(4)
    kurtosis = {}
    for shape in (-0.1, 0.0, 0.14):
        x = SensorNoise(read="tukey", shape=shape)._standard(like, generator).double()
        x = x - x.mean()
        kurtosis[shape] = float(x.pow(4).mean() / x.square().mean().square())
    assert kurtosis[0.14] == pytest.approx(3.0, abs=0.15)  # λ = 0.14 is close to a Gaussian
    assert kurtosis[-0.1] > kurtosis[0.0] > 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sensor": "phone"}, "unknown sensor"),
        ({"read": "cauchy"}, 'read is "cauchy"'),
        ({"gains": (2, 1)}, "expected 0 < low"),
    ],
)
def test_unknown_noise_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        SensorNoise(**change)


@pytest.mark.parametrize("quality", [95, 75, 30])
def test_jpeg_loses_what_a_jpeg_file_loses(quality):
    image = pytest.importorskip("PIL.Image")
    numpy = pytest.importorskip("numpy")
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(1, 3, 9, 12, generator=generator)
    picture = torch.nn.functional.interpolate(small, size=(72, 100), mode="bicubic").clamp(0, 1)
    picture = (picture + 0.03 * torch.randn(picture.shape, generator=generator)).clamp(0, 1)
    ours = jpeg.compress(picture, quality)
    codes = (picture[0] * 255).round().byte().permute(1, 2, 0).numpy()
    file = io.BytesIO()
    image.fromarray(codes).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    theirs = torch.from_numpy(numpy.array(image.open(file)).copy()).permute(2, 0, 1)[None] / 255
    lost = (theirs - picture).square().mean().sqrt()
    assert (ours - theirs).square().mean().sqrt() < 0.35 * lost
    assert (ours - picture).square().mean().sqrt() == pytest.approx(float(lost), rel=0.08)


def test_jpeg_quality_out_of_range_is_refused():
    with pytest.raises(ValueError, match="quality is 0"):
        jpeg.compress(torch.zeros(1, 3, 8, 8), 0)
