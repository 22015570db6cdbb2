"""Packed sequences: each attends within itself, as if it were alone."""

from __future__ import annotations

import pytest
import torch

from foveate import TopK, Window, attention, attention_varlen

Q_LENGTHS = [5, 64, 64, 64, 1, 0, 130, 7]
K_LENGTHS = [5, 64, 64, 70, 90, 3, 130, 0]


def starts(lengths, dtype=torch.int32):
    return torch.tensor([0, *lengths], dtype=dtype).cumsum(0).to(dtype)


def packed(dtype=torch.float32, v_dim=40):
    q = torch.randn(sum(Q_LENGTHS), 4, 64).to(dtype)
    k = torch.randn(sum(K_LENGTHS), 2, 64).to(dtype)
    v = torch.randn(sum(K_LENGTHS), 2, v_dim).to(dtype)
    return q, k, v, starts(Q_LENGTHS), starts(K_LENGTHS)


@pytest.mark.parametrize("precision", ["native", "int8", "sage2"])
@pytest.mark.parametrize(
    "options",
    [{}, {"causal": True}, {"select": Window(9, 2), "causal": True}, {"select": TopK(1)}],
    ids=str,
)
def test_every_sequence_attends_as_if_alone(precision, options):
    q, k, v, cu_q, cu_k = packed()
    out, lse = attention_varlen(
        q, k, v, cu_q, cu_k, precision=precision, return_lse=True, **options
    )
    assert out.shape == (len(q), 4, 40)
    assert lse.shape == (4, len(q))
    for n in range(len(Q_LENGTHS)):
        rows, keys = slice(cu_q[n], cu_q[n + 1]), slice(cu_k[n], cu_k[n + 1])
        alone, alone_lse = attention(
            *(x[None].transpose(1, 2) for x in (q[rows], k[keys], v[keys])),
            precision=precision,
            return_lse=True,
            **options,
        )
        torch.testing.assert_close(out[rows], alone[0].transpose(0, 1), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(lse[:, rows], alone_lse[0], rtol=1e-5, atol=1e-5)


def test_starts_may_be_long_and_inputs_views():
    q, k, v, cu_q, cu_k = packed()
    views = [torch.stack([x, x], dim=1)[:, 0] for x in (q, k, v)]
    out = attention_varlen(*views, cu_q.long(), cu_k.long())
    assert torch.equal(out, attention_varlen(q, k, v, cu_q, cu_k))


def test_no_sequence_gives_nothing():
    q = torch.randn(0, 4, 64)
    none = torch.zeros(1, dtype=torch.int32)
    assert attention_varlen(q, q, q, none, none).shape == (0, 4, 64)


def test_equal_neighbours_are_attended_together(monkeypatch):
    from foveate.attn import api

    shapes = []
    real = api.attention

    def spy(q, *args, **kwargs):
        shapes.append(tuple(q.shape))
        return real(q, *args, **kwargs)

    monkeypatch.setattr(api, "attention", spy)
    attention_varlen(*packed())
    assert shapes == [
        (1, 4, 5, 64),
        (2, 4, 64, 64),
        (1, 4, 64, 64),
        (1, 4, 1, 64),
        (1, 4, 130, 64),
        (1, 4, 7, 64),
    ]
