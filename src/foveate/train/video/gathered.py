"""The fine stage of VSA with plain batched products: kept cubes are gathered, then attended.

    for each cube of queries:  K, V of its `keep` cubes in one row   →   softmax(Q Kᵀ) V

The one thing to know: it is the same attention as `foveate.gated_attention`, exact and
differentiable, for devices without kernels of ours. It copies keep/N of K and V for each cube of
queries, so it costs memory where kernels do not: keep · volume · D numbers for each cube.
"""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from ...attn.select import VSA
from ...models.video import GATE, VideoSparseAttention, gate_of


def gathered_attention(
    q: Tensor, k: Tensor, v: Tensor, select: VSA, cubes: Tensor | None = None
) -> Tensor:
    """Fine stage of VSA alone.

    Args:
        q: Queries, `[B, H, Lq, D]`, row-major over the grid.
        k: Keys, `[B, H, Lk, D]`.
        v: Values, `[B, H, Lk, Dv]`.
        select: Grid, cubes and how many are kept; `mass`, `correct` and `skip` are not served.
        cubes: Cubes to visit, int64 `[B, H, nQ, kept]`; None chooses them as `select` does.

    Returns:
        `[B, H, Lq, Dv]`.

    Raises:
        ValueError: `select` has an option that is not served.
    """
    check_served(select)
    rows = select.arrange(q, k, v)
    if cubes is None:
        cubes = chosen(*(x.detach() for x in select.means(*rows[:2])), select)
    return select.queries.untile(attended(*rows, select, cubes))


def check_served(select: VSA) -> None:
    """Raise ValueError for options that gathering has no room for."""
    for name in ("mass", "correct", "skip"):
        if getattr(select, name):
            raise ValueError(
                f"select has {name} set, which gathered attention does not serve; expected it "
                "unset, or a layer on the CPU (VideoSparseAttention)"
            )


def chosen(q: Tensor, k: Tensor, select: VSA) -> Tensor:
    """The cubes that `select` keeps, from means `[B, H, N, D]`; int64 `[B, H, nQ, kept]`."""
    with torch.autocast(q.device.type, enabled=False):  # near scores must not become equal
        scores = (q.float() @ k.float().mT) * q.shape[-1] ** -0.5
    bias = select.log_sizes(scores)
    if bias is not None:
        scores = scores + bias
    if select.own:
        scores.diagonal(dim1=-2, dim2=-1).fill_(inf)
    return scores.topk(select.kept, dim=-1).indices


def attended(q: Tensor, k: Tensor, v: Tensor, select: VSA, cubes: Tensor) -> Tensor:
    """Attention of tiled q over the kept cubes of tiled k and v."""
    here, there = select.queries, select.keys
    batch, heads, number, kept = cubes.shape
    q = q.reshape(batch * heads, number, here.volume, -1)
    place = cubes.reshape(batch * heads, -1)
    own = torch.arange(batch * heads, device=q.device).unsqueeze(1)
    flat = (place + own * there.number).flatten()

    def gather(x: Tensor) -> Tensor:
        x = x.reshape(batch * heads * there.number, there.volume * x.shape[-1])
        return x.index_select(0, flat).view(batch * heads, number, kept * there.volume, -1)

    scores = (q @ gather(k).mT) * q.shape[-1] ** -0.5  # [BH, nQ, slots, kept · slots]
    if not there.exact:
        filled = there.filled(q.device).view(there.number, there.volume)
        seen = filled[place].view(batch * heads, number, 1, -1)
        scores = scores.masked_fill(~seen, -inf)
    out = scores.softmax(dim=-1).to(v.dtype) @ gather(v)
    return out.view(batch, heads, number * here.volume, -1)


class GatheredAttention(VideoSparseAttention):
    """`VideoSparseAttention` with its fine stage gathered; same parameters, same results."""

    attend = staticmethod(attended)

    def forward(self, x: Tensor, rotary=None) -> Tensor:
        q, k, v = self.norm_q(self.to_q(x)), self.norm_k(self.to_k(x)), self.to_v(x)
        q, k, v = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, k, v))
        if rotary is not None:
            q, k = rotary(q, k)
        check_served(self.select)
        if torch.is_autocast_enabled(x.device.type):  # norms give float32: twice as much to gather
            q, k, v = (y.to(torch.get_autocast_dtype(x.device.type)) for y in (q, k, v))
        rows = self.select.arrange(q, k, v)
        means = self.means(*rows)
        out = self.fine(q, k, v, rows, means)
        if self.to_gate_fine is not None:
            out = out * gate_of(self.to_gate_fine, x, self.heads)
        out = self.add_coarse(out, means, x)
        return self.to_out(out.to(x.dtype).transpose(1, 2).flatten(2))

    def means(self, *rows: Tensor) -> tuple[Tensor, ...]:
        """What stands for each cube in the coarse stage, of tiled q, k and v."""
        return self.select.means(*rows)

    def choose(self, means: tuple[Tensor, ...]) -> Tensor:
        """The cubes to visit."""
        return chosen(means[0].detach(), means[1].detach(), self.select)

    def fine(self, q, k, v, rows: tuple[Tensor, ...], means: tuple[Tensor, ...]) -> Tensor:
        """The fine stage, in row-major order."""
        if self.select.visits_all:
            return scaled_dot_product_attention(q, k, v)
        cubes = self.choose(means)
        if torch.is_grad_enabled() and q.requires_grad:
            # gathered rows and probabilities are made again on the way back: kept they would take
            # many times the memory of all else
            out = checkpoint(self.attend, *rows, self.select, cubes, use_reentrant=False)
        else:
            out = self.attend(*rows, self.select, cubes)
        return self.select.queries.untile(out)

    def add_coarse(self, out: Tensor, means: tuple[Tensor, ...], x: Tensor) -> Tensor:
        """The result with the gated coarse stage."""
        bias = self.select.log_sizes(means[0])
        bias = None if bias is None else bias.unsqueeze(0)
        looked = scaled_dot_product_attention(*means, attn_mask=bias)
        gate = gate_of(self.get_submodule(GATE), x, self.heads)
        return out + (gate * self.select.queries.lift(looked)).to(out.dtype)
