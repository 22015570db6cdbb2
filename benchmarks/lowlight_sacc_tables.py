"""Tables and verdicts about SACC, made from the lowlight-sacc*.json files.

The one thing to know: a verdict is a condition on measured numbers, and a claim whose numbers are
missing is "open"; nothing is typed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.lowlight_photos import PATCH_PHOTOS
from foveate.lowlight.classical import BASELINES

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet: `python -m benchmarks.lowlight_{}` fills this in."
FIXED = [name for name in BASELINES if name != "none"]
GAMMAS = [name for name in FIXED if name.startswith("gamma")]

Record = dict[str, Any]


def parts() -> dict[str, Callable[[], str]]:
    """The generated parts of docs/sacc.md and docs/claims.md that speak of SACC."""
    return {
        "saccpatch": patch_table,
        "saccgates": gate_table,
        "saccpretext": pretext_table,
        "saccablations": ablation_table,
        "saccpeople": people_table,
        "saccagreement": agreement_table,
        "saccflow": flow_table,
        "saccspeed": speed_table,
        "saccclaims": claims_table,
    }


def load(name: str) -> Record | None:
    """A file of results, or None."""
    path = RESULTS / f"lowlight-{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def patch_table() -> str:
    """Baselines and SACC, best fixed baseline in bold."""
    result = load("sacc")
    if result is None:
        return NOT_YET.format("sacc")
    arms = result["summary"]
    best = max((n for n in FIXED if n in arms), key=lambda n: arms[n]["mean"])
    names = ["clean", "none", *(n for n in FIXED if n in arms)]
    names += [n for n in arms if n.startswith("SACC-CE") and n.count(",") <= 2 and _main(n)]
    names += [n for n in arms if n == "votes themselves" or n.startswith("SACC+")]
    rows = []
    for name in names:
        arm = arms[name]
        shown = f"**{name}**" if name == best or name == "SACC-CE" else name
        low, high = (100 * v for v in arm["interval"])
        rows.append([shown, _percent(arm), f"{low:.1f} to {high:.1f}", str(len(arm["seeds"]))])
    return _table(["arm", "top-1 %, mean ± deviation", "95 % interval", "seeds"], rows)


def gates(result: Record) -> list[tuple[str, float, float, bool]]:
    """What must hold: text, measured value, bound, verdict."""
    arms = result["summary"]

    def mean(name: str) -> float:
        return 100 * arms[name]["mean"]

    ce = mean("SACC-CE")
    fixed = {n: mean(n) for n in FIXED if n in arms}
    best = max(fixed, key=fixed.__getitem__)
    gamma = max(fixed[n] for n in GAMMAS if n in fixed)
    plus = _plus(arms)
    having = [s["arms"] for s in result["seeds"] if plus in s["arms"]]
    drop = sum(a["clean"]["accuracy"] - a[plus]["clean"] for a in having) / max(1, len(having))
    return [
        ("SACC-CE above the dark picture by at least 25 points", ce - mean("none"), 25, True),
        ("SACC-CE above the best fixed gamma by at least 5 points", ce - gamma, 5, True),
        ("SACC-CE above mean scaling", ce - fixed["mean scaling"], 0, True),
        (f"SACC-CE above the best fixed baseline ({best})", ce - fixed[best], 0, True),
        (f"{plus} loses at most 1.5 points in normal light", 100 * drop, 1.5, False),
    ]


def gate_table() -> str:
    """The conditions on the first table."""
    result = load("sacc")
    if result is None:
        return NOT_YET.format("sacc")
    rows = [
        [text, f"{value:+.1f}", "yes" if (value >= bound if above else value <= bound) else "no"]
        for text, value, bound, above in gates(result)
    ]
    return _table(["condition (means over seeds)", "points", "holds"], rows)


def pretext_table() -> str:
    """Heads and curves of each pretext task."""
    result = load("sacc")
    arms = {} if result is None else result["summary"]
    names = [n for n in arms if n.startswith("SACC-PT")]
    if not names:
        return NOT_YET.format("sacc")
    rows = []
    for name in names:
        having = [s["arms"][name] for s in result["seeds"] if name in s["arms"]]

        def share(key: str, having: list[Record] = having) -> str:
            return f"{100 * sum(h[key] for h in having) / len(having):.0f}"

        heads = [share(k) for k in ("head, normal light", "head, dark", "head, enhanced")]
        trusted = f"{sum(h['ready'] for h in having)} of {len(having)}"
        rows.append([name[9:], str(having[0]["classes"]), *heads, trusted, _percent(arms[name])])
    head = ["pretext task", "classes", "head: light", "dark", "enhanced", "head trusted"]
    return _table([*head, "top-1 %"], rows)


def ablation_table() -> str:
    """SACC-CE with one thing changed, over the seeds that have it, against the main arm there."""
    result = load("sacc")
    arms = {} if result is None else result["summary"]
    names = [n for n in arms if n.startswith("SACC-CE, ")]
    if not names:
        return NOT_YET.format("sacc")
    rows = []
    for name in names:
        main = arms["SACC-CE"]["seeds"]
        both = [(v, main[s]) for s, v in arms[name]["seeds"].items() if s in main]
        gap = 100 * sum(a - b for a, b in both) / len(both)
        rows.append([name[9:], _percent(arms[name]), f"{gap:+.1f}", str(len(both))])
    return _table(["SACC-CE with", "top-1 %", "against SACC-CE, same seeds", "seeds"], rows)


def people_table() -> str:
    """PSNR of the curve for people, by ratio."""
    result = load("sacc-people")
    if result is None:
        return NOT_YET.format("people")
    table = result["PSNR on held-out photographs"]
    names = ["curve", "none", "gamma 2.2", "hyperbola 0.1", "mean scaling", "equalisation", "CLAHE"]
    names += ["best single gain, known original", "EV push"]
    rows = []
    for name in names:
        if all(name in row for row in table.values()):
            shown = {"curve": "**the curve that ships**", "EV push": "EV push of the curve"}
            values = [f"{row[name]:.2f}" for row in table.values()]
            rows.append([shown.get(name, name), *values])
    return _table(["PSNR (dB)", *(f"ratio {k}" for k in table)], rows)


def agreement_table() -> str:
    """Agreement of EfficientNet-Lite0 with itself in the light."""
    result = load("sacc-agreement")
    if result is None:
        return NOT_YET.format("agreement")
    rows = []
    for name, arm in result["arms"].items():
        if "steps" in arm:
            name = f"{name} ({arm['steps']} steps, {len(PATCH_PHOTOS) * arm['adapt_crops']} crops)"
        low, high = (100 * v for v in arm["interval"])
        rows.append([name, f"{100 * arm['agreement']:.1f}", f"{low:.1f} to {high:.1f}"])
    head = f"{result['sure crops']} of {result['all crops']} crops"
    return _table([head, "agreement, %", "95 % interval"], rows)


def flow_table() -> str:
    """End-point errors by ratio."""
    result = load("sacc-flow")
    if result is None:
        return NOT_YET.format("flow")
    arms = result["arms"]
    ratios = list(dict.fromkeys(n.split(", ratio ")[1] for n in arms if ", ratio " in n))
    names = list(dict.fromkeys(n.split(", ratio ")[0] for n in arms if ", ratio " in n))
    rows = [["clean pair", *[f"{arms['clean']['EPE']:.2f}"] * len(ratios)]]
    rows += [[n, *(f"{arms[f'{n}, ratio {r}']['EPE']:.2f}" for r in ratios)] for n in names]
    return _table(["EPE (pixels)", *(f"ratio {r}" for r in ratios)], rows)


def speed_table() -> str:
    """Milliseconds of a whole call on one core."""
    result = load("sacc-speed")
    if result is None:
        return NOT_YET.format("speed")
    keys = ("processor median", "processor worst", "best")
    rows = [
        [name, f"{row['curve'][keys[0]]:.1f}", *(f"{row['whole'][k]:.1f}" for k in keys)]
        for name, row in result["sizes"].items()
    ]
    head = ["picture, 8 bits", "its curve, ms", "whole call, ms", "slowest call", "best by clock"]
    return _table(head, rows)


SCALE = "PhotoPatch-30: 30 photographs, simulated low light, ratios 20 to 80"


def claims_table() -> str:
    """One row for each claim."""
    arms = (load("sacc") or {}).get("summary", {})
    agreed = (load("sacc-agreement") or {}).get("arms", {})
    told = [_ce_claim(arms), _pt_claim(arms), _plus_claim(arms), _lite0_claim(agreed)]
    texts = [
        ("SACC-CE: votes of fixed curves teach a frozen classifier's curve", SCALE),
        ("SACC-PT: a pretext task alone does so", SCALE),
        ("SACC+: adapting the model afterwards adds to it", SCALE),
        ("SACC-CE helps a model trained on ImageNet", "agreement of EfficientNet-Lite0"),
    ]
    rows = [[*text, *said] for text, said in zip(texts, told, strict=True)]
    return _table(["claim", "how we test it, at which scale", "measured", "verdict"], rows)


def _ce_claim(arms: Record) -> tuple[str, str]:
    if "SACC-CE" not in arms:
        return "not measured", "open"
    value, dark, fixed = (_of(arms, n) for n in ("SACC-CE", "none", _best(arms, FIXED)))
    told = f"{dark:.1f} → {value:.1f} %; best fixed baseline {fixed:.1f} %"
    return told, "holds" if value > fixed else "helps, but a fixed baseline helps more"


def _pt_claim(arms: Record) -> tuple[str, str]:
    tasks = [n for n in arms if n.startswith("SACC-PT")]
    if not tasks:
        return "not measured", "open"
    best = _best(arms, tasks)
    value, dark, gamma = (_of(arms, n) for n in (best, "none", _best(arms, GAMMAS)))
    told = f"{best[9:]} {value:.1f} %; dark {dark:.1f} %, best gamma {gamma:.1f} %"
    heads = [s["arms"][best]["ready"] for s in (load("sacc") or {})["seeds"] if best in s["arms"]]
    if value > gamma and any(heads):
        return told, "holds"
    if value > gamma:
        return told, "the curve helps, but no head had learnt its task (docs/sacc.md)"
    return told, "helps, but a gamma helps more" if value > dark else "not here"


def _plus_claim(arms: Record) -> tuple[str, str]:
    if _plus(arms) not in arms:
        return "not measured", "open"
    seeds = arms[_plus(arms)]["seeds"]  # compared over the seeds that have both
    before = 100 * sum(arms["SACC-CE"]["seeds"][s] for s in seeds) / len(seeds)
    after = _of(arms, _plus(arms))
    told = f"{before:.1f} → {after:.1f} % ({len(seeds)} seeds)"
    return told, "holds" if after > before else "not here"


def _plus(arms: Record) -> str:
    """The arm as `adapt_plus` does it by default, else an older one."""
    return "SACC+, mix 0.5" if "SACC+, mix 0.5" in arms else "SACC+"


def _lite0_claim(arms: Record) -> tuple[str, str]:
    ours = [n for n in arms if n.startswith("SACC-CE")]
    if not ours:
        return "not measured", "open"
    shares = {n: {"mean": a["agreement"]} for n, a in arms.items()}
    best, fixed = _best(shares, ours), _best(shares, [n for n in arms if "SACC" not in n])
    value, bound, dark = (_of(shares, n) for n in (best, fixed, "none"))
    told = f"{dark:.1f} → {value:.1f} %; best fixed baseline ({fixed}) {bound:.1f} %"
    return told, "holds" if value > bound else "helps, but a fixed baseline helps more"


def _of(arms: Record, name: str) -> float:
    return 100 * arms[name]["mean"]


def _best(arms: Record, names: list[str]) -> str:
    return max((n for n in names if n in arms), key=lambda n: arms[n]["mean"])


def _main(name: str) -> bool:
    return name in ("SACC-CE", "SACC-CE, rgb", "SACC-CE, rgb, balanced", "SACC-CE, hyperbolas vote")


def _percent(arm: Record) -> str:
    return f"{100 * arm['mean']:.1f} ± {100 * arm['deviation']:.1f}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
