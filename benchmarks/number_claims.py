"""Claims about number formats: SageAttention 1, 2, 2++, 3, and what we add to them."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.claims import Claim, Numbers, percent


def _pair(study: str, first: tuple[str, str], second: tuple[str, str]) -> Callable[[Numbers], str]:
    """Two cosines, "a → b"."""
    return lambda n: f"cosine {percent(n(study, *first))} % → {percent(n(study, *second))} %"


def _overflows(numbers: Numbers) -> bool:
    return numbers("ranges", "448 / 2.25, 128 keys", "worst case") is None


CLAIMS = (
    Claim(
        "SageAttention",
        "Smoothing K makes INT8 scores accurate under a channel bias (§3.1)",
        "study 1: INT8 by thread, exact P·V, 8 draws of biased data; SmolLM2-135M, 6 layers",
        lambda n: "; ".join(
            f"{where}: L1 {n('smoothing', 'INT8, none', column, 'relative_l1'):.3f} → "
            f"{n('smoothing', 'INT8, K', column, 'relative_l1'):.3f}"
            for where, column in (("biased", "D2"), ("model", "model"))
        ),
        lambda n: all(
            n("smoothing", "INT8, K", c, "relative_l1")
            < 0.6 * n("smoothing", "INT8, none", c, "relative_l1")
            for c in ("D2", "model")
        ),
        "holds on biased data; a small gain on this model",
    ),
    Claim(
        "SageAttention",
        "INT8 P·V with a static scale fails in some layers (§3.3)",
        "study 3: exact scores, one sink key of logit 10",
        _pair("pv_formats", ("float16", "T=10"), ("INT8, static P", "T=10")),
        lambda n: n("pv_formats", "INT8, static P", "T=10") < 0.9,
        "not seen",
    ),
    Claim(
        "Sage2 (ours)",
        "Smoothing Q pays at 8 bits too",
        "study 1: INT8 by thread, exact P·V, relative L1",
        lambda n: "; ".join(
            f"{where}: {n('smoothing', 'INT8, K', column, 'relative_l1'):.4f} → "
            f"{n('smoothing', 'INT8, Q and K', column, 'relative_l1'):.4f}"
            for where, column in (("biased", "D2"), ("model", "model"))
        ),
        lambda n: (
            n("smoothing", "INT8, Q and K", "model", "relative_l1")
            < 0.7 * n("smoothing", "INT8, K", "model", "relative_l1")
        ),
        "on biased data only",
    ),
    Claim(
        "Int8 (ours)",
        "A scale of P for each row and tile repairs INT8 P·V",
        "study 3: the same sink",
        _pair("pv_formats", ("INT8, static P", "T=10"), ("INT8, P by row and tile", "T=10")),
        lambda n: n("pv_formats", "INT8, P by row and tile", "T=10") > 0.998,
        "only in part",
    ),
    Claim(
        "SageAttention2",
        "Smoothing Q and K makes INT4 scores usable (80.0 → 99.5 % on CogVideoX)",
        "study 1: INT4 by thread, exact P·V, SmolLM2-135M, 6 layers of 1024 tokens",
        _pair("smoothing", ("INT4, none", "model"), ("INT4, Q and K", "model")),
        lambda n: n("smoothing", "INT4, Q and K", "model") > 0.99,
        "helps, but stays below 99 % here",
    ),
    Claim(
        "SageAttention2",
        "Scales by thread are as accurate as by token and far better than by block",
        "study 2: INT4, smoothed Q and K, N(0, 1), 2048 tokens",
        lambda n: ", ".join(
            f"{name} L1 {n('granularity', f'INT4, {name}', 'D1', 'relative_l1'):.3f}"
            for name in ("token", "thread", "block")
        ),
        lambda n: (
            n("granularity", "INT4, thread", "D1", "relative_l1")
            < 1.05 * n("granularity", "INT4, token", "D1", "relative_l1")
        ),
        "between the two: off the GPU, by token costs the same and is better",
    ),
    Claim(
        "SageAttention2",
        "E4M3 is the best 8-bit format of P and V, then E5M2, then static INT8",
        "study 3: sink of logit 8",
        lambda n: ", ".join(
            f"{name} {percent(n('pv_formats', name, 'T=8'))} %"
            for name in ("E4M3", "E5M2", "INT8, static P")
        ),
        lambda n: (
            n("pv_formats", "E4M3", "T=8")
            > n("pv_formats", "E5M2", "T=8")
            > n("pv_formats", "INT8, static P", "T=8")
        ),
        "another order",
    ),
    Claim(
        "SageAttention2",
        "Two-level accumulation removes the error of the 22-bit accumulator (§3.4)",
        "study 4: V = 1 + 0.25·N, 64 queries, 65536 keys, relative L2",
        lambda n: (
            f"{n('lengths', '65536 keys', 'one level', 'relative_l2'):.1e} → "
            f"{n('lengths', '65536 keys', 'two levels', 'relative_l2'):.1e}"
        ),
        lambda n: n("lengths", "65536 keys", "two levels", "relative_l2") < 1e-4,
        "only in part",
    ),
    Claim(
        "SageAttention2",
        "Smoothing V helps when V has a common offset",
        "study 6: E4M3, V = 8.5 + 0.5·N, cosine of out − 8.5",
        _pair("smooth_v", ("E4M3, off", "8.5 + 0.5·N"), ("E4M3, on", "8.5 + 0.5·N")),
        lambda n: (
            n("smooth_v", "E4M3, on", "8.5 + 0.5·N") > n("smooth_v", "E4M3, off", "8.5 + 0.5·N")
        ),
        "does not help",
    ),
    Claim(
        "SageAttention2++",
        "FP8 P·V summed in float16 within narrow ranges is as accurate as SageAttention2 (table 1)",
        "study 5: N(0, 1), 2048 tokens, chains of 64 keys, relative L1",
        lambda n: ", ".join(
            f"{name} {n('ranges', row, 'D1', 'relative_l1'):.4f}"
            for name, row in (
                ("448/448", "448 / 448, fp22+fp32"),
                ("448/2.25", "448 / 2.25, 64 keys"),
                ("224/4.5", "224 / 4.5, 64 keys"),
            )
        ),
        lambda n: (
            n("ranges", "448 / 2.25, 64 keys", "D1", "relative_l1")
            < 1.03 * n("ranges", "448 / 448, fp22+fp32", "D1", "relative_l1")
        ),
        "a little worse",
    ),
    Claim(
        "SageAttention2++",
        "Chains of 64 keys stay inside float16 for any input, longer ones do not",
        "study 5: equal probabilities and constant V, 448/2.25",
        lambda n: (
            f"64 keys: relative L1 "
            f"{n('ranges', '448 / 2.25, 64 keys', 'worst case', 'relative_l1'):.0e}"
            ", 128 keys: overflow"
            if _overflows(n)
            else "no overflow at 128 keys"
        ),
        lambda n: (
            _overflows(n) and n("ranges", "448 / 2.25, 64 keys", "worst case", "relative_l1") < 1e-3
        ),
        "not seen",
    ),
    Claim(
        "SageAttention3",
        "Two-level P is needed (93.3 → 99.5 %)",
        "study 7: sink of logit 8",
        _pair(
            "fp4_choices",
            ("NVFP4, direct P, scale per head", "T=8"),
            ("NVFP4, two-level P, scale per head", "T=8"),
        ),
        lambda n: (
            n("fp4_choices", "NVFP4, two-level P, scale per head", "T=8")
            > n("fp4_choices", "NVFP4, direct P, scale per head", "T=8") + 0.05
        ),
        "no difference here",
    ),
    Claim(
        "SageAttention3",
        "Smoothing Q and K matters for NVFP4 (91.6 % without, 98.3 % with Q, 99.1 % with K)",
        "study 1: Q and K in NVFP4, exact P·V, SmolLM2-135M, 6 layers of 1024 tokens",
        lambda n: ", ".join(
            f"{name} {percent(n('smoothing', f'NVFP4, {name}', 'model'))} %"
            for name in ("none", "Q", "K", "Q and K")
        ),
        lambda n: (
            n("smoothing", "NVFP4, Q and K", "model")
            > n("smoothing", "NVFP4, none", "model") + 0.01
        ),
        "no difference here",
    ),
    Claim(
        "SageAttention3",
        "NVFP4 is more accurate than MXFP4 (99.5 and 98.4 %)",
        "study 7: all operands in 4 bits, SmolLM2-135M, 6 layers of 1024 tokens",
        lambda n: (
            f"NVFP4 {percent(n('fp4_choices', 'NVFP4, two-level P, scale per head', 'model'))} %, "
            f"MXFP4 {percent(n('fp4_choices', 'MXFP4', 'model'))} %"
        ),
        lambda n: (
            n("fp4_choices", "NVFP4, two-level P, scale per head", "model")
            > n("fp4_choices", "MXFP4", "model")
        ),
        "does not hold here",
    ),
    Claim(
        "Sage3 (ours)",
        "A scale per head keeps small tensors from vanishing in NVFP4",
        "study 7: V · 10⁻³",
        _pair(
            "fp4_choices",
            ("NVFP4, two-level P, no scale per head", "V · 1e−3"),
            ("NVFP4, two-level P, scale per head", "V · 1e−3"),
        ),
        lambda n: (
            n("fp4_choices", "NVFP4, two-level P, scale per head", "V · 1e−3")
            > n("fp4_choices", "NVFP4, two-level P, no scale per head", "V · 1e−3") + 0.005
        ),
        "no difference here",
    ),
)
