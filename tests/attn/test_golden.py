"""The golden figures of the Sage family: cosine and relative L1 on fixed kinds of data.

A figure is met within 5 % of the error it reports (1 − cosine, or relative L1), plus half its last
printed digit.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks.golden import (
    D1,
    D2,
    D3,
    D4,
    EXACT,
    V_OFFSET,
    Golden,
    biased,
    exact,
    fp8,
    long,
    run,
    scores,
)
from foveate.attn.formats import FP8
from foveate.measure.error import errors, relative_l2


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def near(measured: float, printed: str, percent_of_one: bool = False) -> bool:
    """Within 5 % of the printed error, plus half of its last digit."""
    figure, digits = float(printed), len(printed.partition(".")[2])
    half = 0.5 * 10.0**-digits
    if percent_of_one:
        measured, figure = 100 * (1 - measured), 100 - figure
    return abs(measured - figure) <= 0.05 * figure + half


def measure(case: Golden) -> tuple[float, float]:
    """Cosine and relative L1, means over the case's draws."""
    found = []
    for seed in case.seeds:
        q, k, v = case.inputs(seed)
        out, _ = run(q, k, v, case.recipe)
        found.append(errors(out - case.offset, exact(q, k, v)[0] - case.offset))
    return (
        sum(e.cosine for e in found) / len(found),
        sum(e.relative_l1 for e in found) / len(found),
    )


@pytest.mark.parametrize("case", [*D1, *D3], ids=lambda case: case.name)
def test_golden_figures_are_met(case):
    cosine, relative_l1 = measure(case)
    assert near(cosine, case.cosine, percent_of_one=True), (cosine, case.cosine)
    if case.relative_l1 is not None:
        assert near(relative_l1, case.relative_l1), (relative_l1, case.relative_l1)


@pytest.mark.parametrize(("length", "one_level", "two_levels"), D4, ids=["L4096", "L65536"])
def test_fp22_sums_drift_with_length_unless_they_have_two_levels(length, one_level, two_levels):
    q, k, v = long(length)
    recipe = scores(8, smooth="k", p=FP8(), v=FP8())
    wide, _ = run(q, k, v, fp8(recipe, "fp32"))
    assert near(relative_l2(run(q, k, v, fp8(recipe, "fp22"))[0], wide), _plain(one_level))
    assert near(relative_l2(run(q, k, v, fp8(recipe, "fp22+fp32"))[0], wide), _plain(two_levels))


@pytest.fixture(scope="module")
def biased_errors() -> dict[tuple[int, str], list[tuple[float, float]]]:
    """(1 − cosine, relative L1) on D2 for each draw, by bits and smoothing."""
    found: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for seed in range(24):
        q, k, v = biased(seed)
        q = q[:, :, :128]
        reference = exact(q, k, v)[0] - V_OFFSET
        for bits, smooth in D2:
            out, _ = run(q, k, v, scores(bits, smooth=smooth, p=EXACT, v=EXACT))
            e = errors(out - V_OFFSET, reference)
            found.setdefault((bits, smooth), []).append((1 - e.cosine, e.relative_l1))
    return found


@pytest.mark.parametrize(("bits", "smooth"), D2, ids=lambda x: str(x) or "none")
def test_channel_bias_figures_lie_among_our_draws(biased_errors, bits, smooth):
    # the draw of channel biases behind the printed figures is not known, and errors differ tenfold
    # between draws, so 5 % of one draw would say nothing
    draws = [cosine_error for cosine_error, _ in biased_errors[bits, smooth]]
    assert min(draws) <= 1 - float(D2[bits, smooth]) / 100 <= max(draws)


def test_each_smoothing_helps_under_a_channel_bias(biased_errors):
    for bits in (8, 4):
        none, k, q, both = (
            _middle([error for error, _ in biased_errors[bits, smooth]])
            for smooth in ("", "k", "q", "qk")
        )
        assert both < 0.2 * min(k, q) < 0.1 * none


def test_smoothing_q_is_worth_three_to_four_times_in_l1_even_at_8_bits(biased_errors):
    pairs = zip(biased_errors[8, "k"], biased_errors[8, "qk"], strict=True)
    assert 3 <= _middle([k / both for (_, k), (_, both) in pairs]) <= 6


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _plain(printed: str) -> str:
    """ "2.8e-3" as "0.0028"."""
    mantissa, exponent = printed.split("e-")
    digits = len(mantissa.partition(".")[2]) + int(exponent)
    return f"{float(printed):.{digits}f}"
