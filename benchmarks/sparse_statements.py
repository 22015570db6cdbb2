"""Claims about sparse selection: SpargeAttn, XAttention, and what we add to them."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from benchmarks.claims import Claim
from benchmarks.sparse_tables import Lookup, retrieval

AT = 0.35  # density at which rules are compared; the table shows others
MODEL = "SmolLM2-135M, 6 layers of 4096 tokens of a novel"


def _errors(n: Lookup, study: str, *rows: str, at: float = AT) -> str:
    return ", ".join(f"{row} {n.error(study, row, at):.4f}" for row in rows)


def _needed(n: Lookup, study: str, row: str, data: str) -> list[tuple[int, float]]:
    """(length, density needed for a relative L1 of 0.08)."""
    found = [
        (length, n(study, row, length, data)["density_for"]["0.08"])
        for length in n.lengths(study, row, data)
    ]
    return [(length, density) for length, density in found if density is not None]


def _told(pairs: list[tuple[int, float]]) -> str:
    return ", ".join(f"{length:,}: {100 * (1 - density):.0f} %" for length, density in pairs)


def _grows(pairs: list[tuple[int, float]]) -> bool:
    return len(pairs) > 1 and pairs[-1][1] < pairs[0][1]


def _profile(select: str) -> dict[str, Any]:
    """What the shipped profile reached on text that it was not made with."""
    file = resources.files("foveate.data").joinpath("profiles", f"smollm2-135m-{select}.json")
    if not file.is_file():
        raise LookupError(f"no profile for {select}")
    reached = json.loads(file.read_text(encoding="utf-8"))["reached"]
    return {
        "tuned": reached["held_out"],
        "fixed": reached["fixed_threshold_at_equal_density"]["held_out"],
    }


def _tuned(select: str) -> str:
    found = _profile(select)
    return (
        f"L1 {found['fixed']['l1']:.4f} → {found['tuned']['l1']:.4f} at density "
        f"{found['tuned']['density']:.3f}"
    )


def _better(select: str) -> bool:
    found = _profile(select)
    return found["tuned"]["l1"] < found["fixed"]["l1"]


def _scores(select: str, value: str, length: int | None = None) -> tuple[float, float]:
    """Mean over retrieval tasks at the longest length: dense and with a selection."""
    record = retrieval()
    if record is None:
        raise LookupError("no retrieval results")
    length = max(record["lengths"]) if length is None else length
    labels = [record["ways"][0]["label"]]
    labels += [way["label"] for way in record["ways"] if select in way["label"]][-1:]
    means = []
    for label in labels:
        mine = [
            r[value]
            for r in record["summary"]
            if r["way"] == label and r["length"] == length and r["task"] != "text"
        ]
        if not mine:
            raise LookupError("no retrieval results")
        means.append(sum(mine) / len(mine))
    if len(means) < 2:
        raise LookupError(f"no retrieval results with {select}")
    return means[0], means[1]


def _kept(select: str) -> str:
    recall, ranking = _scores(select, "recall"), _scores(select, "ranking")
    return (
        f"recall {100 * recall[0]:.1f} → {100 * recall[1]:.1f} %, ranking "
        f"{100 * ranking[0]:.1f} → {100 * ranking[1]:.1f} %"
    )


def _holds_retrieval(select: str) -> bool:
    recall, ranking = _scores(select, "recall"), _scores(select, "ranking")
    return recall[1] > recall[0] - 0.02 and ranking[1] > ranking[0] - 0.02


CLAIMS = (
    Claim(
        "SpargeAttn",
        "About half of attention can be skipped at a relative L1 of 0.08 (Llama-3.1, 128K: 54 %)",
        "study 10: sparsity that our rule reaches at L1 0.08 on the model",
        lambda n: _told(_needed(n, "sparge", "share", "model")),
        lambda n: _needed(n, "sparge", "share", "model")[-1][1] < 0.5,
        "less at our lengths",
    ),
    Claim(
        "SpargeAttn",
        "Sparsity at a fixed error grows with length (8K 6.8 % → 128K 54 %)",
        "study 10: sparsity at L1 0.08; made-up data beyond what the model can read",
        lambda n: (
            f"model {_told(_needed(n, 'sparge', 'share', 'model'))}; made up "
            f"{_told(_needed(n, 'xattention', 'stride 16, share', 'made up'))}"
        ),
        lambda n: _grows(_needed(n, "sparge", "share", "model")),
        "not on this model",
    ),
    Claim(
        "SpargeAttn",
        "The self-similarity judge lowers the error (0.0325 → 0.0316 on CogVideoX)",
        f"study 8: {MODEL}, density 0.5",
        lambda n: _errors(n, "sparge", "inclusive", "inclusive, judge 0.3", at=0.5),
        lambda n: (
            n.error("sparge", "inclusive, judge 0.3", 0.5) < n.error("sparge", "inclusive", 0.5)
        ),
        "not on this model at equal density: what the judge keeps costs more than it gives",
    ),
    Claim(
        "SpargeAttn",
        "The second filter adds sparsity to the first (51.2 → 54 %; alone 27.7 %)",
        "study 11: native precision, six layers, 4096 tokens, 2^-8",
        lambda n: ", ".join(
            f"{row} {100 * r['sparsity']:.1f} % (L1 {r['error']:.4f})"
            for row in ("first filter alone", "second alone, 2^-8", "both, 2^-8")
            for r in (n("filters", row),)
        ),
        lambda n: (
            n("filters", "both, 2^-8")["sparsity"] > n("filters", "first filter alone")["sparsity"]
        ),
        "not seen",
    ),
    Claim(
        "SpargeAttn",
        "A Hilbert order makes blocks of video tokens more alike and attention sparser than rows",
        "study 12: a made-up smooth field of 8 × 24 × 32 tokens with noise",
        lambda n: ", ".join(
            f"{row}: likeness {n('orders', row)['likeness_k']:.3f}, L1 at density 0.25 "
            f"{n('orders', row)['error_at']['0.25']:.4f}"
            for row in ("row by row", "Hilbert")
        ),
        lambda n: (
            n("orders", "Hilbert")["likeness_k"] > n("orders", "row by row")["likeness_k"]
            and n("orders", "Hilbert")["error_at"]["0.25"]
            < n("orders", "row by row")["error_at"]["0.25"]
        ),
        "not seen",
    ),
    Claim(
        "Sparge (ours)",
        "Blocks chosen by their own share err less than the released rules at equal density",
        f"study 8: {MODEL}, density {AT}; the released rules, with our diagonal and without",
        lambda n: _errors(
            n,
            "sparge",
            "share",
            "exclusive",
            "top-k of all",
            "released: mass, judge off",
            "released: top-k",
        ),
        lambda n: (
            n.error("sparge", "share", AT)
            < min(n.error("sparge", row, AT) for row in ("exclusive", "top-k of all"))
        ),
        "no",
    ),
    Claim(
        "XAttention (ours)",
        "Blocks chosen by their own share err less than the released rule at equal density",
        f"study 9: {MODEL}, stride 16, density {AT}",
        lambda n: _errors(
            n, "xattention", "stride 16, share", "released: stride 16", "released: stride 8"
        ),
        lambda n: (
            n.error("xattention", "stride 16, share", AT)
            < n.error("xattention", "released: stride 8", AT)
        ),
        "no",
    ),
    Claim(
        "Sparge (ours)",
        "Always visiting the diagonal is needed under a causal rule",
        f"study 8: {MODEL}, density {AT}; as released a query may see nothing at all",
        lambda n: _errors(n, "sparge", "exclusive", "released: mass, judge off"),
        lambda n: (
            n.error("sparge", "exclusive", AT)
            < 0.5 * n.error("sparge", "released: mass, judge off", AT)
        ),
        "no difference here",
    ),
    Claim(
        "SpargeAttn",
        "Thresholds tuned for each head are better than one for all",
        "the shipped profile on text that it was not made with",
        lambda n: _tuned("sparge"),
        lambda n: _better("sparge"),
        "no",
    ),
    Claim(
        "XAttention",
        "Antidiagonals are a better pattern than diagonals or random places (table 5)",
        f"study 9: {MODEL}, stride 16, density {AT}",
        lambda n: _errors(
            n,
            "xattention",
            "released: stride 16",
            "stride 16, diagonal",
            "stride 16, random pattern",
        ),
        lambda n: (
            n.error("xattention", "released: stride 16", AT)
            < min(
                n.error("xattention", f"stride 16, {row}", AT)
                for row in ("diagonal", "random pattern")
            )
        ),
        "than diagonals, not than random places",
    ),
    Claim(
        "XAttention",
        "Strides up to 16 are about as good as 4; 64 is not (table 6)",
        f"study 9: {MODEL}, density {AT}",
        lambda n: _errors(
            n, "xattention", *(f"released: stride {stride}" for stride in (4, 8, 16, 64))
        ),
        lambda n: (
            n.error("xattention", "released: stride 16", AT)
            < 1.05 * n.error("xattention", "released: stride 4", AT)
            and n.error("xattention", "released: stride 64", AT)
            > 1.1 * n.error("xattention", "released: stride 4", AT)
        ),
        "16 is; at these lengths 64 loses little, too",
    ),
    Claim(
        "XAttention",
        "A threshold is better than a fixed number of blocks (table 7)",
        f"study 9: {MODEL}, stride 16, density {AT}",
        lambda n: _errors(n, "xattention", "released: stride 16", "stride 16, top-k of visible"),
        lambda n: (
            n.error("xattention", "released: stride 16", AT)
            < n.error("xattention", "stride 16, top-k of visible", AT)
        ),
        "no",
    ),
    Claim(
        "XAttention",
        "Predicted thresholds are better than one for all (table 8)",
        "the shipped profile on text that it was not made with",
        lambda n: _tuned("xattention"),
        lambda n: _better("xattention"),
        "no",
    ),
    Claim(
        "XAttention",
        "Retrieval stays as good as with dense attention (RULER: 87.5 → 88.1 to 88.5 %)",
        "`foveate eval`, tasks in the style of RULER, the longest length of the table below",
        lambda n: _kept("xattention"),
        lambda n: _holds_retrieval("xattention"),
        "some is lost",
    ),
    Claim(
        "SpargeAttn",
        "Retrieval stays as good as with dense attention (needle: 0.907 → 0.909)",
        "`foveate eval`, tasks in the style of RULER, the longest length of the table below",
        lambda n: _kept("sparge"),
        lambda n: _holds_retrieval("sparge"),
        "some is lost",
    ),
    Claim(
        "XAttention (ours)",
        "The temperature of the paper's text is no better than that of its code",
        f"study 9: {MODEL}, stride 16, density {AT}",
        lambda n: _errors(
            n, "xattention", "released: stride 16", "stride 16, temperature of the paper"
        ),
        lambda n: (
            n.error("xattention", "released: stride 16", AT)
            <= n.error("xattention", "stride 16, temperature of the paper", AT)
        ),
        "it is better",
    ),
    Claim(
        "both (ours)",
        "Mean correction of skipped blocks lowers the error at equal density",
        f"studies 8 and 9: {MODEL}, density {AT}",
        lambda n: (
            f"sparge {_errors(n, 'sparge', 'share', 'share, mean correction')}; xattention "
            f"{_errors(n, 'xattention', 'stride 16, share', 'stride 16, share, mean correction')}"
        ),
        lambda n: (
            n.error("sparge", "share, mean correction", AT) < n.error("sparge", "share", AT)
            and n.error("xattention", "stride 16, share, mean correction", AT)
            < n.error("xattention", "stride 16, share", AT)
        ),
        "not for both",
    ),
    Claim(
        "both (ours)",
        "Antidiagonals choose better than block means at the same block size",
        f"study 9: {MODEL}, blocks of 128 × 128, density {AT}",
        lambda n: _errors(n, "xattention", "released: stride 16", "block means", "random blocks"),
        lambda n: (
            n.error("xattention", "released: stride 16", AT)
            < n.error("xattention", "block means", AT)
        ),
        "no",
    ),
)
