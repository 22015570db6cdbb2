"""Rules (α, β) to choose from: which there are, what each costs and loses at every length.

A rule costs a head C(N) / N, the share of a text that its cache keeps, and loses what the profile
says of a window as wide as C(N) leaves beside the sink.

The one thing to know: "profile" counts as the original's optimiser does (the sink beside the span,
spans cut to whole blocks before they are clipped); "deployment", the default, as caches are built.
Source: MoA (arXiv 2406.14909v3), §3.2 and §4.2; the grid as in its published code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from foveate.attn.select.moa import MoA

MEANINGS = ("deployment", "profile")
BETAS = tuple(x / 8 for x in range(9))


@dataclass(frozen=True)
class Rules:
    """Candidates, the shortest span at the greatest length first.

    Args:
        alphas: α of each candidate.
        betas: β of each candidate.
        sink: First keys, always visible.
        block: Tokens of a block.
        meaning: What a span counts, one of `MEANINGS`.
    """

    alphas: tuple[float, ...]
    betas: tuple[float, ...]
    sink: int = 64
    block: int = 64
    meaning: str = "deployment"

    def __post_init__(self) -> None:
        if self.meaning not in MEANINGS:
            raise ValueError(f'meaning is "{self.meaning}"; expected {" or ".join(MEANINGS)}')

    def __len__(self) -> int:
        return len(self.alphas)

    @property
    def select(self) -> MoA:
        """A selection with as many heads as there are candidates."""
        rule = "profile" if self.meaning == "profile" else "blocks"
        return MoA(self.alphas, self.betas, sink=self.sink, rule=rule, block=self.block)

    def density(self, length: int) -> Tensor:
        """Share of a text that each candidate keeps, float64 `[R]`.

        Args:
            length: N.
        """
        if self.meaning == "deployment":
            kept = torch.tensor(self.select.spans(length), dtype=torch.float64)
            return (kept / length).clamp_(max=1)
        n = length // self.block
        blocks = torch.tensor(self.select.windows(length), dtype=torch.float64)
        return (blocks + self.sink // self.block).clamp_(max=n) / n

    def loss(self, windows: Tensor, length: int) -> Tensor:
        """Loss of each candidate.

        Args:
            windows: Loss of windows of 0 … n blocks, `[..., n + 1]`.
            length: N.

        Returns:
            `[..., R]`.
        """
        width = torch.tensor(self.select.windows(length)).clamp_(max=windows.shape[-1] - 1)
        return windows[..., width]


def candidates(
    lengths: Sequence[int],
    beyond: Sequence[int] = (),
    step: int | None = None,
    betas: Sequence[float] = BETAS,
    alphas: Sequence[float] | None = None,
    **options: object,
) -> Rules:
    """The grid of rules for some lengths.

    Kept are rules that stay within the text at the greatest profiled and the greatest of all
    lengths, and keep something at the smallest.

    Args:
        lengths: Profiled lengths.
        beyond: Further lengths that rules must make sense at.
        step: Distance of the values of α; None takes half the smallest length, which is 1024 for
            2048, 4096, 8192.
        betas: Values of β.
        alphas: Values of α; None takes −(smallest length) … greatest profiled length.
        **options: Fields of `Rules`.

    Raises:
        ValueError: No length is given, or no rule is left.
    """
    if not lengths or min(lengths) < 1:
        raise ValueError(f"lengths is {tuple(lengths)}; expected at least one, above 0")
    least, longest, last = min((*lengths, *beyond)), max(lengths), max((*lengths, *beyond))
    if alphas is None:
        step = step or max(1, least // 2)
        alphas = [float(a) for a in range(-least, longest + 1, step)]
    pairs = [
        (a, b)
        for a in alphas
        for b in betas
        if a + b * longest <= longest and a + b * last <= last and a + b * least > 0
    ]
    if not pairs:
        raise ValueError(f"no rule fits the lengths {tuple(lengths)}; expected other alphas, betas")
    pairs.sort(key=lambda pair: (pair[0] + pair[1] * last, pair))
    return Rules(*zip(*pairs, strict=True), **options)  # type: ignore[arg-type]


def told_apart(rules: Rules, lengths: Sequence[int]) -> Rules:
    """The rules without those that equal another one at all lengths but grow less beyond them.

    Args:
        rules: Candidates.
        lengths: All lengths that have a loss or a budget.
    """
    later = rules.density(2 * max(lengths)).tolist()
    best: dict[tuple[float, ...], int] = {}
    for r, spans in enumerate(zip(*(rules.density(n).tolist() for n in lengths), strict=True)):
        if spans not in best or later[r] > later[best[spans]]:
            best[spans] = r
    kept = sorted(best.values())
    return replace(
        rules,
        alphas=tuple(rules.alphas[r] for r in kept),
        betas=tuple(rules.betas[r] for r in kept),
    )
