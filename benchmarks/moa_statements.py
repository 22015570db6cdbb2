"""Claims about MoA: the paper's, and what we ask of our own cache."""

from __future__ import annotations

from benchmarks.claims import Claim
from benchmarks.moa_tables import Lookup


def _accuracies(n: Lookup, *ways: str, task: str = "needle_text", length: int = 4096) -> str:
    return ", ".join(f"{way} {n.quality(way, task, length, 'accuracy'):.2f}" for way in ways)


def _speeds(n: Lookup, cache: str) -> str:
    return (
        f"whole step {n.speed(cache, 8, 'over_static'):.2f} times, attention alone "
        f"{n.speed(cache, 8, 'attention_over_static'):.2f} times; beside a static cache read by "
        f"our own kernel {n.speed(cache, 8, 'over_static_of_foveate'):.2f} and "
        f"{n.speed(cache, 8, 'attention_over_static_of_foveate'):.2f} times"
    )


SCALE = "SmolLM2-135M, plans made on up to 4096 tokens"
STEP = "SmolLM2-135M in float32, batch 8, caches for 8192 tokens, two threads"
CLAIMS = (
    Claim(
        "MoA",
        "Retrieval 1.5 to 7.1 times that of one window at equal density (abstract, table 4)",
        f"one number in a novel, 4096 tokens, density 0.5; {SCALE}",
        lambda n: _accuracies(n, "dense", "MoA 0.5", "uniform 0.5"),
        lambda n: (
            n.quality("MoA 0.5", "needle_text", 4096, "accuracy")
            >= 1.5 * n.quality("uniform 0.5", "needle_text", 4096, "accuracy")
        ),
        "less than 1.5 times here",
    ),
    Claim(
        "MoA",
        "Perplexity at half the density within a few percent of dense (table 4: 3.79 → 3.75)",
        f"a novel, 4096 tokens, density 0.5; {SCALE}",
        lambda n: ", ".join(
            f"{way} {n.quality(way, 'text', 4096, 'perplexity'):.2f}"
            for way in ("dense", "MoA 0.5", "uniform 0.5")
        ),
        lambda n: n.quality("MoA 0.5", "text", 4096, "difference") < 0.03,
        "loses more here",
    ),
    Claim(
        "MoA",
        "Perplexity is better than with one window at equal density (table 4: 3.75 and 4.48)",
        f"a novel, 4096 tokens, densities 0.5 and 0.25; {SCALE}",
        lambda n: "; ".join(
            f"{d}: "
            + ", ".join(
                f"{way} {n.quality(f'{way} {d}', 'text', 4096, 'perplexity'):.2f}"
                for way in ("MoA", "uniform")
            )
            for d in ("0.5", "0.25")
        ),
        lambda n: all(
            n.quality(f"MoA {d}", "text", 4096, "loss")
            < n.quality(f"uniform {d}", "text", 4096, "loss")
            for d in ("0.5", "0.25")
        ),
        "not on a novel, where near words matter: plans are made for answers that lie far back",
    ),
    Claim(
        "MoA",
        "Keeps retrieving at a density of 0.25 (§5.3: above 0.9 at 8k)",
        f"one number in a novel, 4096 tokens, density 0.25; {SCALE}",
        lambda n: _accuracies(n, "dense", "MoA 0.25", "uniform 0.25", "split 0.25"),
        lambda n: n.quality("MoA 0.25", "needle_text", 4096, "accuracy") > 0.9,
        "not with the 90 key heads of this model",
    ),
    Claim(
        "MoA",
        "Plans go on to work on longer texts than they were made with (elastic rules, table 5)",
        "one number in a novel, 8192 tokens, twice the longest profiled length, density 0.5",
        lambda n: _accuracies(n, "dense", "MoA 0.5", "uniform 0.5", "split 0.5", length=8192),
        lambda n: (
            n.quality("MoA 0.5", "needle_text", 8192, "accuracy")
            > n.quality("dense", "needle_text", 8192, "accuracy") - 0.1
        ),
        "not here: heads that see everything carry further than rules found on shorter texts",
    ),
    Claim(
        "MoA",
        "At half the density the effective context is that of dense attention (table 4, fig. 4)",
        "largest length with more than 90 % of numbers found, density 0.5, lengths up to 8192",
        lambda n: ", ".join(
            f"{way} {n.effective(way, 'needle_text'):,}"
            for way in ("dense", "MoA 0.5", "uniform 0.5")
        ),
        lambda n: n.effective("MoA 0.5", "needle_text") >= n.effective("dense", "needle_text"),
        "shorter here",
    ),
    Claim(
        "MoA",
        "Decoding at half the density is faster than from a static dense cache (1.5 times, fig. 6)",
        STEP,
        lambda n: _speeds(n, "MoA spans"),
        lambda n: n.speed("MoA spans", 8, "over_static") >= 1.5,
        "less than 1.5 times",
    ),
    Claim(
        "MoA (ours)",
        "With INT8 codes at least 2.5 times a static dense cache in float32",
        STEP,
        lambda n: _speeds(n, "MoA spans, INT8"),
        lambda n: n.speed("MoA spans, INT8", 8, "over_static") >= 2.5,
        "less than 2.5 times",
    ),
    Claim(
        "MoA (ours)",
        "Memory at most 0.55 of a dense float32 cache, with codes 0.16",
        "bytes of the stores for 8192 tokens, density 0.5",
        lambda n: (
            f"{n.speed('MoA spans', 8, 'memory'):.3f} and "
            f"{n.speed('MoA spans, INT8', 8, 'memory'):.3f}"
        ),
        lambda n: (
            n.speed("MoA spans", 8, "memory") <= 0.55
            and n.speed("MoA spans, INT8", 8, "memory") <= 0.16
        ),
        "more",
    ),
)
