"""Running a case: first prove that the answer is right, then time it against its peers.

The one thing to know: a wrong or missing answer is never timed. Every call, ours and the peers', is
compared with a float64 softmax on a sample of query rows before the first measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..attn.layouts.blocks import Band, BlockLayout
from ..attn.layouts.rules import block_regions
from ..attn.precision import precision_named
from ..attn.select import selection_named
from . import peers
from .case import Case, layout, tensors
from .error import cosine, relative_l1
from .machine import load_average
from .memory import peak_memory
from .timing import interleave

PEER_BOUND = 0.05  # bfloat16 peers stay below 0.01; a wrong mask or order is far above


class Wrong(RuntimeError):
    """A call's error is larger than its bound, so its time means nothing."""


def ours(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Callable[[], Tensor]:
    """foveate's call for a case: a function without arguments that returns out `[B, Hq, Lq, D]`."""
    import foveate

    precision = parse_precision(case.precision)
    if case.packed:
        kv = foveate.PackedKV(k, v, precision=precision)
        return lambda: kv.attend(q, causal=case.causal)
    chosen = parse_select(case.select) if case.select else layout(case) or "dense"
    return lambda: foveate.attention(
        q, k, v, select=chosen, precision=precision, causal=case.causal
    )


def parse_select(text: str) -> Any:
    """A selection from text, "sparge(keep=0.25)"; raises as `parse_precision` does."""
    from foveate.models.spec import parse

    chosen = parse(f"foveate:{text}").select
    return selection_named(chosen) if isinstance(chosen, str) else chosen


def chooser(case: Case, q: Tensor, k: Tensor, v: Tensor) -> Callable[[], BlockLayout | None]:
    """The choice of blocks alone, as the call of `ours` makes it; None where it visits all."""
    import foveate

    if case.select is None:
        made = layout(case)
        return lambda: made
    p = foveate.plan(
        q,
        k,
        v,
        select=parse_select(case.select),
        precision=parse_precision(case.precision),
        causal=case.causal,
    )
    return lambda: p.select.layout(q, k, p.request, p.kernels)


def parse_precision(text: str) -> Any:
    """A precision from text: "int8", or with arguments, "sage2(qk_bits=4)".

    Raises:
        ValueError: Not a precision, or an argument it does not take; the message says which are.
    """
    if "(" in text:
        from foveate.models.spec import parse

        return parse(f"foveate:{text}").precision
    return text if text == "auto" else precision_named(text)


def reference_rows(
    case: Case,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    rows: Tensor,
    blocks: BlockLayout | None = None,
) -> Tensor:
    """Exact attention of some query rows in float64.

    Args:
        case: The causal rule.
        q, k, v: The case's tensors, `[B, H, L, D]`.
        rows: Numbers of the query rows, `[R]`.
        blocks: Visited blocks; None takes those of the case's density.

    Returns:
        out float64 `[B, Hq, R, D]`.
    """
    group = case.q_heads // case.kv_heads
    keys = k.double().repeat_interleave(group, dim=1)
    values = v.double().repeat_interleave(group, dim=1)
    scores = q[:, :, rows].double() @ keys.transpose(2, 3) * case.head_dim**-0.5
    if case.causal:
        last = rows + case.k_length - case.q_length
        scores.masked_fill_(torch.arange(case.k_length) > last.unsqueeze(1), -torch.inf)
    blocks = blocks or layout(case)
    if blocks is not None:
        bq, bk = blocks.block
        seen = blocks.to_dense()[:, :, rows // bq].repeat_interleave(bk, 3)[..., : case.k_length]
        scores.masked_fill_(~seen, -torch.inf)
    return torch.softmax(scores, dim=-1).nan_to_num() @ values


def sample_rows(case: Case, count: int = 64) -> Tensor:
    """Rows to verify: spread evenly, the first and the last included."""
    return torch.linspace(0, case.q_length - 1, min(count, case.q_length)).round().long()


def run(
    case: Case,
    rounds: int = 7,
    tick: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Verify and time one case.

    Args:
        case: What to run.
        rounds: Interleaved measurements of each call.
        tick: Called with a word about the step that begins, for progress bars.

    Returns:
        The case, seconds and error of foveate and of each peer, and the ratios; plain values.

    Raises:
        Wrong: foveate's own result misses its bound.
    """
    say = tick or (lambda _: None)
    before = torch.get_num_threads()
    torch.set_num_threads(case.threads)
    try:
        with torch.no_grad():
            return _run(case, rounds, say)
    finally:
        torch.set_num_threads(before)


def _run(case: Case, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    say("preparing")
    if case.backward:
        from .training import verified

        calls, errors, skipped, blocks, extra = verified(case, say)
        return _timed(case, rounds, say, calls, errors, skipped, blocks, extra)
    q, k, v = tensors(case)
    rows = sample_rows(case)
    choose = chooser(case, q, k, v)
    blocks = choose()
    exact = reference_rows(case, q, k, v, rows, blocks)
    say("verifying foveate")
    mine = ours(case, q, k, v)
    with peak_memory() as memory:
        first = mine()
    error = _error(first[:, :, rows], exact)
    del first
    accept(case, error)
    calls: dict[str, Callable[[], Any]] = {"foveate": mine}
    if case.select is not None:
        calls["estimate"] = choose
    errors, skipped = {"foveate": error}, {}
    for name in case.peers:
        say(f"verifying {name}")
        _add_peer(name, case, (q, k, v), rows, exact, calls, errors, skipped)
    return _timed(case, rounds, say, calls, errors, skipped, blocks, memory.extra)


def accept(case: Case, error: dict[str, float]) -> None:
    """Raises Wrong where an error is above the case's bound."""
    if not error["relative_l1"] <= case.error_bound:  # also true for NaN
        raise Wrong(
            f"{case.name}: relative L1 error {error['relative_l1']:.4f} is above the bound "
            f"{case.error_bound}, so it was not timed"
        )


def _timed(
    case: Case,
    rounds: int,
    say: Callable[[str], None],
    calls: dict[str, Callable[[], Any]],
    errors: dict[str, dict[str, float]],
    skipped: dict[str, str],
    blocks: BlockLayout | None,
    extra: int | None,
) -> dict[str, Any]:
    say("timing")
    load = load_average()
    timings = interleave(calls, rounds, tick=lambda: say("timing"))
    record = _record(case, timings, errors, skipped, blocks)
    return record | {"load": load, "peak_memory": extra}


def _add_peer(
    name: str,
    case: Case,
    qkv: tuple[Tensor, Tensor, Tensor],
    rows: Tensor,
    exact: Tensor,
    calls: dict[str, Callable[[], Tensor]],
    errors: dict[str, dict[str, float]],
    skipped: dict[str, str],
) -> None:
    """Prepare and verify one peer; one that cannot run or is wrong is recorded with its reason."""
    try:
        call = peers.prepare(name, case, *qkv)
    except peers.Unavailable as reason:
        skipped[name] = str(reason)
        return
    error = _error(call()[:, :, rows], exact)
    # a dense peer of a sparse case answers another question; only its time is of interest
    comparable = (case.density is None and case.select is None) or name == "flex"
    if comparable and not error["relative_l1"] <= max(PEER_BOUND, case.error_bound):
        skipped[name] = f"wrong here: relative L1 error {error['relative_l1']:.3f}"
        return
    calls[name] = call
    if comparable:
        errors[name] = error


def _record(
    case: Case,
    timings: Any,
    errors: dict[str, Any],
    skipped: dict[str, str],
    blocks: BlockLayout | None,
) -> dict[str, Any]:
    mine = timings.summary("foveate")
    record: dict[str, Any] = {
        "case": case.as_dict(),
        "seconds": mine.as_dict(),
        "gops": case.operations / mine.median / 1e9,
        "error": errors["foveate"],
        "peers": {},
    }
    record["density"] = 1.0 if blocks is None else blocks.density()
    if case.select is not None:
        record["density"] = visited_share(case, blocks)
    if "estimate" in timings.seconds:
        record["estimate"] = {"seconds": timings.summary("estimate").as_dict()}
        if "dense" in timings.seconds:
            share = timings.ratio("estimate", "dense").as_dict()
            record["estimate"]["share_of_dense"] = share
    for name in case.peers:
        if name in skipped:
            record["peers"][name] = {"skipped": skipped[name]}
            continue
        record["peers"][name] = {
            "seconds": timings.summary(name).as_dict(),
            "ratio": timings.ratio(name, "foveate").as_dict(),
            "error": errors.get(name),
        }
    return record


def visited_share(case: Case, blocks: BlockLayout | None) -> float:
    """Visited blocks ÷ blocks with at least one visible pair."""
    if blocks is None:
        return 1.0
    band = Band(after=0) if case.causal else None
    allowed, _ = block_regions(band, blocks.lengths, blocks.block)
    return blocks.density() * allowed[0].numel() / float(allowed[0].sum())


def _error(out: Tensor, exact: Tensor) -> dict[str, float]:
    return {
        "relative_l1": float(relative_l1(out.double(), exact)),
        "cosine": float(cosine(out.double(), exact)),
    }
