"""Timing: quantiles, interleaving, ratios per round."""

from __future__ import annotations

import gc

import pytest

from foveate.measure import timing


def test_quantiles_interpolate():
    found = timing.summarize([5.0, 1.0, 2.0, 4.0, 3.0])
    assert (found.median, found.count) == (3.0, 5)
    assert found.low == pytest.approx(1.4)
    assert found.high == pytest.approx(4.6)


def test_one_value_is_its_own_quantiles():
    assert timing.summarize([2.0]).as_dict() == {"median": 2.0, "q10": 2.0, "q90": 2.0, "count": 1}


def test_nothing_measured_is_an_error():
    with pytest.raises(ValueError, match="at least one"):
        timing.summarize([])


class Clock:
    """A clock that only advances when a call says so."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(timing.time, "perf_counter", lambda: self.now)

    def takes(self, seconds, log=None, name=None):
        def call():
            self.now += seconds
            if log is not None:
                log.append(name)

        return call


def test_every_call_runs_once_a_round_in_rotating_order(monkeypatch):
    clock, log = Clock(monkeypatch), []
    calls = {name: clock.takes(1.0, log, name) for name in "abc"}
    timing.interleave(calls, rounds=3, warmup=0)
    assert "".join(log[3:]) == "abc" + "bca" + "cab"  # the first three calibrate


def test_short_calls_are_repeated_and_averaged(monkeypatch):
    clock, log = Clock(monkeypatch), []
    found = timing.interleave({"a": clock.takes(0.001, log, "a")}, 1, warmup=0, shortest=0.05)
    assert len(log) == 1 + 50
    assert found.seconds["a"] == [pytest.approx(0.001)]


def test_ratio_is_taken_inside_each_round():
    # a machine that slows down by ten between rounds changes no ratio
    timings = timing.Timings({"slow": [2.0, 20.0, 200.0], "fast": [1.0, 10.0, 100.0]})
    assert timings.ratio("slow", "fast").as_dict() == {
        "median": 2.0,
        "q10": 2.0,
        "q90": 2.0,
        "count": 3,
    }


def test_garbage_collection_is_put_back_even_after_an_error():
    def fails():
        if not gc.isenabled():
            raise RuntimeError("inside a measurement")

    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="inside"):
        timing.interleave({"a": fails}, rounds=1)
    assert gc.isenabled()


def test_rounds_must_be_positive():
    with pytest.raises(ValueError, match="rounds is 0"):
        timing.interleave({"a": lambda: None}, rounds=0)
