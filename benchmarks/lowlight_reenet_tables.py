"""Tables and verdicts about REENet and FEM, made from lowlight-reenet.json and lowlight-fem.json.

The one thing to know: a verdict is a condition on measured numbers, and a claim whose numbers are
missing is "open"; nothing is typed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NOT_YET = "Not measured yet: `python -m benchmarks.{}` fills this in."
RIVALS = {
    "plain-power": "plain U-Net, brightened by k^(1/2.2)",
    "plain-camera": "plain U-Net, brightened by the analytic camera",
    "analytic": "analytic pipeline with a median",
}
NAMES = {
    "nothing": "the dark picture itself",
    **RIVALS,
    "reenet": "**after REENet**",
    "bridge": "with the bridge",
    "bridge-together": "with the bridge, together for 3/4 of the steps",
    "reenet, RAW": "the same network, from the RAW file",
    "reenet, auto": "exposure chosen by brightness",
    "reenet, 1 EV too bright": "told twice the ratio",
    "reenet, 1 EV too dark": "told half the ratio",
}
USES = [n for n in NAMES if n.startswith("reenet, ")]

Record = dict[str, Any]


def parts() -> dict[str, Callable[[], str]]:
    """The generated parts of docs/reenet.md and docs/claims.md that speak of REENet and FEM."""
    return {
        "reenetpsnr": lambda: score_table("same camera", "psnr", 2),
        "reenetssim": lambda: score_table("same camera", "ssim", 3),
        "reenetgate": gate_table,
        "reenetsets": sets_table,
        "reenethow": how,
        "femfactors": factor_table,
        "femstudies": study_table,
        "femratios": ratio_table,
        "reenetclaims": claims_table,
    }


def load(name: str) -> Record | None:
    """A record of benchmarks/results, if there is one."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _table(head: list[str], rows: list[list[str]]) -> str:
    rule = "|---|" + "---:|" * (len(head) - 1)
    return "\n".join(["| " + " | ".join(r) + " |" for r in (head, *rows)]).replace(
        "\n", f"\n{rule}\n", 1
    )


def score_table(which: str, metric: str, digits: int) -> str:
    """Mean over seeds and crops, for every way and ratio."""
    result = load("lowlight-reenet.json")
    if result is None:
        return NOT_YET.format("lowlight_reenet")
    rows = []
    for name in [n for n in NAMES if n in result["table"] and which in result["table"][n]]:
        cells = result["table"][name][which][metric]
        rows.append([NAMES[name], *(f"{cells[k]['mean']:.{digits}f}" for k in cells)])
    heads = [k if k == "all" else f"×{k}" for k in result["table"]["reenet"][which][metric]]
    return _table(["", *heads], rows)


def gate_table() -> str:
    """REENet minus its rivals, with intervals."""
    result = load("lowlight-reenet.json")
    if result is None:
        return NOT_YET.format("lowlight_reenet")
    rows = []
    for rival, sets in result["gate"].items():
        gaps = sets["same camera"]
        cells = [f"{g['mean']:+.2f} [{g['low']:+.2f}, {g['high']:+.2f}]" for g in gaps.values()]
        rows.append([f"minus {RIVALS[rival]}", *cells])
    for rival, sets in result.get("bridge", {}).items():
        cells = [
            f"{g['mean']:+.2f} [{g['low']:+.2f}, {g['high']:+.2f}]"
            for g in sets["same camera"].values()
        ]
        rows.append([f"with the bridge, minus {RIVALS[rival]}", *cells])
    heads = [k if k == "all" else f"×{k}" for k in gaps]
    return _table(["dB", *heads], rows)


def sets_table() -> str:
    """PSNR over all ratios, on every test set."""
    result = load("lowlight-reenet.json")
    if result is None:
        return NOT_YET.format("lowlight_reenet")
    names = [n for n in NAMES if n in result["table"] and n not in USES]
    rows = [
        [NAMES[n], *(f"{result['table'][n][s]['psnr']['all']['mean']:.2f}" for s in result["sets"])]
        for n in names
    ]
    return _table(["", *result["sets"]], rows)


def how() -> str:
    """What was trained, in one paragraph."""
    result = load("lowlight-reenet.json")
    if result is None:
        return NOT_YET.format("lowlight_reenet")
    steps, photos = result["steps"], result["photos"]
    size = ", ".join(f"{n} {result['parameters'][n]:,}" for n in result["parameters"])
    return (
        f"Trained on {len(photos['train'])} photographs, tested on {len(photos['test'])} others "
        f"({result['crops']} crops of 160 pixels, each at every ratio), seeds "
        f"{', '.join(map(str, result['seeds']))}. Steps: unprocess {steps['unprocess']:,}, "
        f"reconstruct {steps['reconstruct']:,}, process {steps['process']:,}, joint "
        f"{steps['joint']:,}; controls {sum(steps.values()):,}; batch {result['batch']} crops of "
        f"{result['patch']} pixels. Parameters: {size}. Machine: one {result['machine']['name']}, "
        f"torch {result['machine']['torch']}."
    )


def _cell(effect: dict[str, float] | None) -> str:
    if effect is None:
        return "–"
    return f"{effect['mean']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]"


def factor_table() -> str:
    """Every factor alone and taken away, and Shapley values where all sets were trained."""
    result = load("lowlight-fem.json")
    if result is None:
        return NOT_YET.format("lowlight_fem")
    main, values = result["studies"]["main"], result.get("shapley")
    rows = []
    for code, name in result["factors"].items():
        row = [f"{code} {name}", *(_cell(main[k].get(code)) for k in ("add_one", "drop_one"))]
        rows.append([*row, f"{values[code]:+.2f}"] if values else row)
    head = ["factor", "alone, added to sRGB (dB)", "taken away from RAW (dB)"]
    return _table([*head, "Shapley (dB)"] if values else head, rows)


def study_table() -> str:
    """L and T under four assumptions."""
    result = load("lowlight-fem.json")
    if result is None:
        return NOT_YET.format("lowlight_fem")
    rows = []
    for name, study in result["studies"].items():
        if "interaction" not in study:
            continue
        score, seeds = study["score"], study["seeds"]
        cells = [f"{score[n]['mean']:.2f}" for n in ("none", "L", "T", "LT")]
        trained = f"{seeds['LT']} × {study['steps']:,}"
        given = score["LT"]["mean"] - score["T"]["mean"]
        rows.append([name, *cells, f"{given:+.2f}", _cell(study["interaction"]), trained])
    heads = ["study", "∅", "L", "T", "L, T", "L given T", "L×T", "seeds × steps"]
    return _table(heads, rows)


def ratio_table() -> str:
    """What taking L or T away costs, by ratio and by noise."""
    result = load("lowlight-fem.json")
    if result is None:
        return NOT_YET.format("lowlight_fem")
    main = result["studies"]["main"]
    groups = {f"k = {k}": v for k, v in main["by_ratio"].items()} | main["by_gain"]
    codes = list(result["factors"])
    rows = [
        [name, *(f"{v['drop_one'][c]['mean']:+.2f}" if c in v["drop_one"] else "–" for c in codes)]
        for name, v in groups.items()
    ]
    return _table(["taken away from RAW (dB)", *codes], rows)


@dataclass(frozen=True)
class Claim:
    """A statement of the paper's abstract and how our numbers bear on it."""

    system: str
    text: str
    tested: str
    file: str
    measured: Callable[[Record], str]
    holds: Callable[[Record], bool]
    otherwise: str


def _gaps(r: Record, rival: str, ours: str = "gate") -> list[Record]:
    gaps = r[ours][rival]["same camera"]
    return [g for k, g in gaps.items() if k != "all"]


def _beats(rival: str, ours: str = "gate") -> Callable[[Record], bool]:
    return lambda r: all(g["mean"] > 0 for g in _gaps(r, rival, ours))


def _told(rival: str, ours: str = "gate") -> Callable[[Record], str]:
    def text(r: Record) -> str:
        return ", ".join(
            f"×{k} {g['mean']:+.2f} dB"
            for k, g in r[ours][rival]["same camera"].items()
            if k != "all"
        )

    return text


def _ranked(r: Record) -> list[str]:
    worth = r["studies"]["main"]["drop_one"]
    return sorted(worth, key=lambda c: -worth[c]["mean"])


def _worth(r: Record) -> str:
    worth = r["studies"]["main"]["drop_one"]
    return ", ".join(f"{c} {worth[c]['mean']:+.2f}" for c in _ranked(r)) + " dB"


SCALE = "simulated low light, held-out photographs, k 4 to 300"
CLAIMS = (
    Claim(
        "FEM",
        "Linearity and exposure time are the properties of RAW that matter most (abstract)",
        "seven factors, each taken away from RAW; simulated low light, random tone curves",
        "lowlight-fem.json",
        _worth,
        lambda r: set(_ranked(r)[:2]) == {"L", "T"},
        "not here: see docs/reenet.md",
    ),
    Claim(
        "REENet",
        "RAW-guided unprocessing, exposure and processing beat an sRGB network of the same size",
        f"PSNR against a plain U-Net that knows k; {SCALE}",
        "lowlight-reenet.json",
        _told("plain-power"),
        _beats("plain-power"),
        "not at every ratio",
    ),
    Claim(
        "REENet (ours)",
        "With a bridge past the mosaic it does so at every ratio (means; intervals reach below 0)",
        f"the same, `Config(bridge=True)`; {SCALE}",
        "lowlight-reenet.json",
        _told("plain-power", "bridge"),
        _beats("plain-power", "bridge"),
        "not at every ratio",
    ),
    Claim(
        "REENet (ours)",
        "The gain is more than the analytic camera that it starts from",
        f"PSNR against a plain U-Net handed the analytic rendering; {SCALE}",
        "lowlight-reenet.json",
        _told("plain-camera"),
        _beats("plain-camera"),
        "not at every ratio",
    ),
    Claim(
        "REENet (ours)",
        "It beats unprocessing, a median and rendering without learning by at least 0.5 dB",
        f"PSNR against the analytic pipeline; {SCALE}",
        "lowlight-reenet.json",
        _told("analytic"),
        lambda r: all(g["mean"] >= 0.5 for g in _gaps(r, "analytic")),
        "not at every ratio",
    ),
)


def claims_table() -> str:
    """One row for each claim."""
    rows = []
    for claim in CLAIMS:
        result = load(claim.file)
        if result is None:
            measured, verdict = "not measured", "open"
        else:
            try:
                measured = claim.measured(result)
                verdict = "holds" if claim.holds(result) else claim.otherwise
            except KeyError:  # a network that was not trained in these runs
                measured, verdict = "not measured", "open"
        rows.append([claim.system, claim.text, claim.tested, measured, verdict])
    head = ["system", "claim", "how we test it, at which scale", "measured", "verdict"]
    return _table(head, rows).replace("|---|---:|---:|---:|---:|", "|---|---|---|---|---|")
