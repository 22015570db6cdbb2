"""Which target runs: the environment variable, and what a bad value leads to."""

from __future__ import annotations

import json

import pytest

from tests.cpu.kit import TARGETS, python

ACTIVE = """
import torch, foveate
from foveate import _native
q = torch.zeros(1, 1, 8, 32)
foveate.attention(q, q, q, precision="native", backend="cpu")
print(_native.active())
"""


@pytest.mark.parametrize("name", TARGETS)
def test_variable_chooses_the_target(name):
    done = python(ACTIVE, FOVEATE_TARGET=name)
    assert done.stdout.strip() == name, done.stderr[-2000:]


def test_empty_variable_means_the_best():
    done = python(ACTIVE, FOVEATE_TARGET="")
    assert done.stdout.strip() == TARGETS[0], done.stderr[-2000:]


def test_unknown_target_is_refused_with_what_there_is():
    code = """
import json, torch, foveate
from foveate.cli.doctor import backends
q = torch.zeros(1, 1, 8, 32)
try:
    foveate.attention(q, q, q, precision="native", backend="cpu")
except foveate.BackendError as error:
    said, refusals = str(error), error.refusals
out = foveate.attention(q, q, q, precision="native")
print(json.dumps([said, refusals, backends()["cpu"]["int8"], list(out.shape)]))
"""
    done = python(code, FOVEATE_TARGET="neon")
    assert done.returncode == 0, done.stderr[-2000:]
    said, refusals, doctor, shape = json.loads(done.stdout)
    reason = refusals["cpu"]
    assert reason.startswith('FOVEATE_TARGET: unknown CPU target "neon"')
    assert all(name in reason for name in TARGETS)
    assert reason in said
    assert 'backend="reference" can' in said
    assert doctor == reason
    assert shape == [1, 1, 8, 32]  # "auto" goes on with the reference


def test_doctor_names_the_target_that_runs():
    code = "from foveate.cli import main; main(['doctor', '--json'])"
    done = python(code, FOVEATE_TARGET="portable")
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["extension"]["targets"] == list(TARGETS)
    assert found["extension"]["active"] == "portable"
