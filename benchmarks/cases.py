"""All cases, with the goals they are measured against.

The one thing to know: names are stable. A result file stores results by name, and `compare` matches
two files by name.
"""

from __future__ import annotations

from foveate.measure.case import Case

ALL_PEERS = ("sdpa", "openvino-bf16", "openvino-f32", "onnxruntime")
SHORT = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}
SHAPES = tuple((d, causal) for d in (64, 128) for causal in (False, True))


def _name(precision: str, dtype: str, d: int, causal: bool, *rest: str) -> str:
    form = "causal" if causal else "full"
    return "-".join([precision, SHORT[dtype], f"d{d}", form, *rest])


def _long() -> list[Case]:
    """[1, 8, 4096, D], one thread: every precision against torch, int8 against all peers."""
    cases = []
    for d, causal in SHAPES:
        for dtype in ("float32", "bfloat16"):
            cases.append(
                Case(
                    _name("int8", dtype, d, causal, "t1"),
                    precision="int8",
                    dtype=dtype,
                    head_dim=d,
                    causal=causal,
                    peers=ALL_PEERS,
                    goals=(("sdpa", 3.5), ("openvino-bf16", 1.6)),
                )
            )
        cases.append(
            Case(
                _name("native", "bfloat16", d, causal, "t1"),
                precision="native",
                dtype="bfloat16",
                head_dim=d,
                causal=causal,
                peers=("sdpa", "sdpa-float32", "openvino-bf16"),
                goals=(("sdpa", 1.8),),
            )
        )
        for precision, name, goal in (
            ("native", "native", None),
            ("sage", "sage", None),
            ("sage2", "sage2", 2.0),
            ("sage2(qk_bits=4)", "sage2-int4", 1.5),
            ("sage2++", "sage2++", None),
            ("sage3", "sage3", 1.0),
        ):
            cases.append(
                Case(
                    _name(name, "float32", d, causal, "t1"),
                    precision=precision,
                    head_dim=d,
                    causal=causal,
                    goals=(("sdpa", goal),) if goal else (),
                )
            )
    return cases


def _two_threads() -> list[Case]:
    """The same with two threads: the ratio to torch should hold within 10 %."""
    cases = []
    for case in _long():
        if case.precision in ("int8", "native", "sage2") and case.dtype != "bfloat16":
            name = case.name.removesuffix("-t1") + "-t2"
            cases.append(case.with_(name=name, threads=2, peers=("sdpa",), goals=()))
    return cases


def _short() -> list[Case]:
    """256 tokens: the overhead of a call matters."""
    return [
        Case(
            _name("int8", dtype, d, causal, "l256", "t1"),
            dtype=dtype,
            q_length=256,
            k_length=256,
            head_dim=d,
            causal=causal,
            peers=("sdpa", "openvino-bf16"),
            goals=(("sdpa", 1.3),),
        )
        for d, causal in SHAPES
        for dtype in ("float32", "bfloat16")
    ]


def _decode() -> list[Case]:
    """One query against 8192 packed keys, with and without grouped heads."""
    return [
        Case(
            f"decode-{precision}-{SHORT[dtype]}-d{d}-g{8 // heads}-t1",
            precision=precision,
            dtype=dtype,
            q_length=1,
            k_length=8192,
            kv_heads=heads,
            head_dim=d,
            packed=True,
            peers=("sdpa",) if dtype == "float32" else ("sdpa", "sdpa-float32"),
            goals=(("sdpa", 2.0),) if precision == "int8" and dtype == "float32" else (),
        )
        for d in (64, 128)
        for heads in (8, 2)
        for precision, dtype in (("int8", "float32"), ("int8", "bfloat16"), ("native", "bfloat16"))
    ]


def _sparse() -> list[Case]:
    """Block layouts: time should fall with density."""
    return [
        Case(
            _name("int8", "float32", d, causal, f"density{round(100 * density)}", "t1"),
            head_dim=d,
            causal=causal,
            density=density,
            peers=("dense", "sdpa"),
            goals=(("dense", ratio),),
        )
        for d, causal in SHAPES
        for density, ratio in ((0.25, 1 / 0.30), (0.10, 1 / 0.14))
    ]


def _selected() -> list[Case]:
    """Selections, their estimate included: [1, 8, 16384, 128], one thread, a quarter visited.

    On N(0, 1) data every block has about the same mass, so a threshold of 0.25 visits a quarter.
    """
    return [
        Case(
            _name(name, "float32", 128, causal, "l16384", "t1"),
            select=select,
            q_length=16384,
            k_length=16384,
            head_dim=128,
            causal=causal,
            peers=("dense",),
            goals=(("dense", 1 / 0.36),) if causal else (),
            estimate_goal=share if causal else None,
        )
        for causal in (True, False)
        for name, select, share in (
            ("sparge", "sparge(keep=0.25,count_of=visible)", 0.06),
            ("sparge-judge", "sparge(keep=0.25,count_of=visible,similarity=0.0)", 0.06),
            ("xattention16", "xattention(0.25,stride=16)", 0.08),
            ("xattention8", "xattention(0.25,stride=8)", None),
        )
    ]


def _training() -> list[Case]:
    """Forward and backward, [1, 8, 4096, D], one thread; of a video also 12.5 % of its cubes."""
    cases = []
    for d, causal in SHAPES:
        for precision, goal in (("native", 1.0), ("sagebwd", 1.6)):
            name = _name(precision, "float32", d, causal, "backward", "t1")
            case = Case(name, precision, head_dim=d, causal=causal, backward=True)
            cases.append(case.with_(goals=(("sdpa", goal),)))
            if causal:
                continue
            cases.append(
                case.with_(
                    name=f"vsa-{name}",
                    select="vsa((16,16,16),keep=0.125)",
                    peers=("dense", "sdpa"),
                    goals=(("dense", 5.0),) if precision == "native" else (),
                )
            )
    return cases


def _accuracy() -> list[Case]:
    """sage.md's D1 shape and channel-biased keys: short, for the error columns."""
    return [
        Case(
            f"{name}-f32-{inputs}-2048-t1",
            precision=precision,
            q_heads=2,
            kv_heads=2,
            q_length=2048,
            k_length=2048,
            head_dim=128,
            inputs=inputs,
        )
        for inputs in ("normal", "biased")
        for precision, name in (("int8", "int8"), ("sage2", "sage2"), ("sage3", "sage3"))
    ]


CASES: tuple[Case, ...] = (
    *_long(),
    *_two_threads(),
    *_short(),
    *_decode(),
    *_sparse(),
    *_selected(),
    *_training(),
    *_accuracy(),
)


def select(pattern: str | None, quick: bool = False) -> list[Case]:
    """Cases whose name contains one of the comma-separated parts of `pattern`; all if None.

    Args:
        pattern: For example "int8,decode".
        quick: Only the cases that carry a goal.
    """
    parts = pattern.split(",") if pattern else [""]
    chosen = [c for c in CASES if any(part in c.name for part in parts)]
    return [c for c in chosen if c.goals] if quick else chosen
