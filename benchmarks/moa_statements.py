"""Claims about MoA: the paper's, and what we ask of our own cache."""

from __future__ import annotations

from benchmarks.claims import Claim
from benchmarks.moa_tables import BF16, Lookup, load


def _accuracies(n: Lookup, *ways: str, task: str = "needle_text", length: int = 4096) -> str:
    return ", ".join(f"{way} {n.quality(way, task, length, 'accuracy'):.2f}" for way in ways)


def _speeds(n: Lookup, cache: str, name: str = "moa.json") -> str:
    def of(value: str) -> str:
        return f"{n.speed(cache, 8, value, name):.2f}"

    return (
        f"whole step {of('over_static')} times, attention alone {of('attention_over_static')} "
        f"times; beside a static cache read by our own kernel {of('over_static_of_foveate')} and "
        f"{of('attention_over_static_of_foveate')} times"
    )


def _reach(n: Lookup, *ways: str) -> str:
    return ", ".join("{} {:,} ({:,} kept)".format(way, *n.reach(way)) for way in ways)


def _share(n: Lookup, way: str, length: int, task: str = "needle_text") -> float:
    return n.quality(way, task, length, "accuracy")


def _mean(n: Lookup, way: str) -> float:
    """Share of one number found, over the lengths of both retrieval tasks."""
    found = [
        n.quality(way, task, length, "accuracy")
        for task in ("needle_text", "multikey")
        for length in (2048, 4096, 8192)
    ]
    return sum(found) / len(found)


def _means(n: Lookup, *ways: str) -> str:
    return ", ".join(f"{way} {_mean(n, way):.2f}" for way in ways)


PROFILED = max((load("moa-quality.json") or {"profiled": [8192]})["profiled"])
NOVEL = f"SmolLM2-135M, plans made on up to {PROFILED} tokens"
BOTH = f"mean of one number and one of six at 2048, 4096 and 8192 tokens; {NOVEL}"
STEP = "SmolLM2-135M in float32, batch 8, caches for 8192 tokens, two threads"
CLAIMS = (
    Claim(
        "MoA",
        "Retrieval 1.5 to 7.1 times that of one window at equal density (abstract, table 4)",
        f"one number in a novel, 4096 and 8192 tokens, density 0.5; {NOVEL}",
        lambda n: "; ".join(
            f"{x}: {_accuracies(n, 'dense', 'MoA 0.5', 'uniform 0.5', length=x)}"
            for x in (4096, 8192)
        ),
        lambda n: all(
            _share(n, "MoA 0.5", x) >= 1.5 * _share(n, "uniform 0.5", x) for x in (4096, 8192)
        ),
        "less than 1.5 times at one of both lengths",
    ),
    Claim(
        "MoA",
        "Retrieval at half the density is that of dense attention (table 4: 0.97 and 0.98)",
        f"one number in a novel, 2048 to 8192 tokens, density 0.5; {NOVEL}",
        lambda n: "; ".join(
            f"{x}: {_accuracies(n, 'dense', 'MoA 0.5', length=x)}" for x in (2048, 4096, 8192)
        ),
        lambda n: all(
            _share(n, "MoA 0.5", x) >= _share(n, "dense", x) - 0.05 for x in (2048, 4096, 8192)
        ),
        "more than 0.05 is lost at some length",
    ),
    Claim(
        "MoA (ours)",
        "Finds more than heads that see all or little, as DuoAttention splits them",
        f"densities 0.5 and 0.25; {BOTH}",
        lambda n: _means(n, "MoA 0.5", "split 0.5", "MoA 0.25", "split 0.25"),
        lambda n: all(_mean(n, f"MoA {d}") > _mean(n, f"split {d}") for d in ("0.5", "0.25")),
        "not at both densities",
    ),
    Claim(
        "MoA",
        "Perplexity at half the density within a few percent of dense (table 4: 3.79 → 3.75)",
        f"a novel, 4096 tokens, density 0.5; {NOVEL}",
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
        f"a novel, 4096 tokens, densities 0.5 and 0.25; {NOVEL}",
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
        f"one number in a novel, 4096 and 8192 tokens, density 0.25; {NOVEL}",
        lambda n: "; ".join(
            f"{x}: {_accuracies(n, 'dense', 'MoA 0.25', 'uniform 0.25', 'split 0.25', length=x)}"
            for x in (4096, 8192)
        ),
        lambda n: all(_share(n, "MoA 0.25", x) > 0.9 for x in (4096, 8192)),
        "not with the 90 key heads of this model",
    ),
    Claim(
        "MoA",
        "Plans go on to work on longer texts than they were made with (elastic rules, table 5)",
        "one number in a novel, 8192 tokens, plan made on 2048 tokens, density 0.5",
        lambda n: _accuracies(n, "dense", "MoA-short 0.5", "uniform 0.5", "split 0.5", length=8192),
        lambda n: _share(n, "MoA-short 0.5", 8192) > _share(n, "dense", 8192) - 0.1,
        "not here: profile at the lengths that you will use",
    ),
    Claim(
        "MoA",
        "At half the density the effective context is that of dense attention (table 4, fig. 4)",
        "largest length with more than 90 % of numbers found, density 0.5, lengths up to 8192",
        lambda n: _reach(n, "dense", "MoA 0.5", "uniform 0.5"),
        lambda n: n.reach("MoA 0.5")[0] >= n.reach("dense")[0],
        "shorter here",
    ),
    Claim(
        "MoA",
        "The effective context is 3.9 times the mean number of kept keys (abstract)",
        "largest length with more than 90 % of numbers found, density 0.25, lengths up to 8192",
        lambda n: _reach(n, "MoA 0.25", "uniform 0.25"),
        lambda n: 0 < 3.5 * n.reach("MoA 0.25")[1] <= n.reach("MoA 0.25")[0],
        "not at this density, see the row on a density of 0.25",
    ),
    Claim(
        "MoA (ours)",
        "Plans do not live on calibration that resembles the tests",
        f"plans made without the kind “facts”, density 0.5; {BOTH}",
        lambda n: _means(n, "MoA 0.5", "MoA-plain 0.5", "uniform 0.5"),
        lambda n: _mean(n, "MoA-plain 0.5") >= _mean(n, "MoA 0.5") - 0.05,
        "without it plans find less",
    ),
    Claim(
        "MoA (ours)",
        "The joint score finds better plans than the sum of single pairs",
        f"densities 0.5 and 0.25; {BOTH}",
        lambda n: _means(n, "MoA 0.5", "MoA-joint 0.5", "MoA 0.25", "MoA-joint 0.25"),
        lambda n: all(_mean(n, f"MoA-joint {d}") > _mean(n, f"MoA {d}") for d in ("0.5", "0.25")),
        "not at both densities",
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
        "In bfloat16 at least 1.7 times a static dense cache, with INT8 codes 2.5 times",
        STEP.replace("float32", "bfloat16"),
        lambda n: f"{_speeds(n, 'MoA spans', BF16)}; INT8: {_speeds(n, 'MoA spans, INT8', BF16)}",
        lambda n: (
            n.speed("MoA spans", 8, "over_static", BF16) >= 1.7
            and n.speed("MoA spans, INT8", 8, "over_static", BF16) >= 2.5
        ),
        "less here",
    ),
    Claim(
        "MoA (ours)",
        "A plan for 7B parameters is optimised in seconds a program, one for 70B in half a minute",
        "made-up profiles of 32 × 32 and 80 × 64 heads, 48 rules, two threads, HiGHS",
        lambda n: (
            "; ".join(
                f"{name} {n.solver(name, 'seconds'):.1f} s, gap {n.solver(name, 'gap'):.2%}"
                for name in ("7B", "70B")
            )
            + f"; load average {n.load():.1f}"
        ),
        lambda n: n.solver("7B", "seconds") <= 10 and n.solver("70B", "seconds") <= 30,
        "takes longer",
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
