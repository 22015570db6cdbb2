"""Claims about sparse selection: SpargeAttn, XAttention, and what we add to them."""

from __future__ import annotations

from benchmarks.claims import Claim
from benchmarks.sparse_numbers import (
    AT,
    ahead,
    better,
    by_length,
    errors,
    grows,
    holds_retrieval,
    kept,
    needed,
    told,
    tuned,
)

MODEL = "SmolLM2-135M, 6 layers of 4096 tokens of a novel"

CLAIMS = (
    Claim(
        "SpargeAttn",
        "About half of attention can be skipped at a relative L1 of 0.08 (Llama-3.1, 128K: 54 %)",
        "study 10: sparsity that our rule reaches at L1 0.08 on the model",
        lambda n: told(needed(n, "sparge", "share", "model")),
        lambda n: needed(n, "sparge", "share", "model")[-1][1] < 0.5,
        "less at our lengths",
    ),
    Claim(
        "SpargeAttn",
        "Sparsity at a fixed error grows with length (8K 6.8 % → 128K 54 %)",
        "study 10: sparsity at L1 0.08; made-up data beyond what the model can read",
        lambda n: (
            f"model {told(needed(n, 'sparge', 'share', 'model'))}; made up "
            f"{told(needed(n, 'xattention', 'stride 16, share', 'made up'))}"
        ),
        lambda n: grows(needed(n, "sparge", "share", "model")),
        "not on this model",
    ),
    Claim(
        "SpargeAttn",
        "The self-similarity judge lowers the error (0.0325 → 0.0316 on CogVideoX)",
        f"study 8: {MODEL}, density 0.5",
        lambda n: errors(n, "sparge", "inclusive", "inclusive, judge 0.3", at=0.5),
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
        f"study 8 at each length the model reads, density {AT}; all with our diagonal",
        lambda n: by_length(n, "sparge", "share", "exclusive", "top-k of all"),
        lambda n: ahead(n, "sparge", "share", "exclusive", "top-k of all"),
        "than the rule of mass; of top-k it is ahead at some lengths only",
    ),
    Claim(
        "XAttention (ours)",
        "Blocks chosen by their own share err less than the released rule at equal density",
        f"study 9 at each length the model reads, density {AT}",
        lambda n: by_length(
            n, "xattention", "stride 16, share", "released: stride 16", "released: stride 8"
        ),
        lambda n: ahead(
            n, "xattention", "stride 16, share", "released: stride 16", "released: stride 8"
        ),
        "no",
    ),
    Claim(
        "Sparge (ours)",
        "Always visiting the diagonal is needed under a causal rule",
        f"study 8: {MODEL}, density {AT}; as released a query may see nothing at all",
        lambda n: errors(n, "sparge", "exclusive", "released: mass, judge off"),
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
        lambda n: tuned("sparge"),
        lambda n: better("sparge"),
        "no",
    ),
    Claim(
        "XAttention",
        "Antidiagonals are a better pattern than diagonals or random places (table 5)",
        f"study 9: {MODEL}, stride 16, density {AT}",
        lambda n: errors(
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
        lambda n: errors(
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
        lambda n: errors(n, "xattention", "released: stride 16", "stride 16, top-k of visible"),
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
        lambda n: tuned("xattention"),
        lambda n: better("xattention"),
        "no",
    ),
    Claim(
        "XAttention",
        "Retrieval stays as good as with dense attention (RULER: 87.5 → 88.1 to 88.5 %)",
        "`foveate eval`, tasks in the style of RULER, the longest length of the table below",
        lambda n: kept("xattention"),
        lambda n: holds_retrieval("xattention"),
        "some is lost",
    ),
    Claim(
        "SpargeAttn",
        "Retrieval stays as good as with dense attention (needle: 0.907 → 0.909)",
        "`foveate eval`, tasks in the style of RULER, the longest length of the table below",
        lambda n: kept("sparge"),
        lambda n: holds_retrieval("sparge"),
        "some is lost",
    ),
    Claim(
        "XAttention (ours)",
        "The temperature of the paper's text is no better than that of its code",
        f"study 9: {MODEL}, stride 16, density {AT}",
        lambda n: errors(
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
            f"sparge {errors(n, 'sparge', 'share', 'share, mean correction')}; xattention "
            f"{errors(n, 'xattention', 'stride 16, share', 'stride 16, share, mean correction')}"
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
        lambda n: errors(n, "xattention", "released: stride 16", "block means", "random blocks"),
        lambda n: (
            n.error("xattention", "released: stride 16", AT)
            < n.error("xattention", "block means", AT)
        ),
        "no",
    ),
)
