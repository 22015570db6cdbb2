"""The report of a factorised benchmark: a table, a waterfall from sRGB to RAW, one JSON.

The one thing to know: it is made from the score files alone, so it can be made again at any time,
and while trainings still run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import weights
from .effects import Scores, shapley, summary
from .factors import FACTORS, Factors


def write_report(folder: str | Path, steps: int, metric: str = "psnr") -> dict[str, Any]:
    """Read `STUDY-STEPS-seedN.json` of a folder and write `fem_report.{json,md,png}` beside them.

    Args:
        folder: Where the scores are.
        steps: Steps of the trainings to report; a study that has none takes its longest.
        metric: "psnr" or "ssim".

    Returns:
        What `fem_report.json` holds.

    Raises:
        FileNotFoundError: There are no such scores.
    """
    folder = Path(folder)
    found: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for path in sorted(folder.glob("*-seed*.json")):
        held = json.loads(path.read_text())
        if held["scores"]:
            name, count, _ = path.stem.rsplit("-", 2)
            found.setdefault(name.replace("-", " "), {}).setdefault(int(count), []).append(held)
    if steps not in found.get("main", {}):
        raise FileNotFoundError(f"{folder} holds no main-{steps}-seed*.json with scores")
    studies = {name: by.get(steps) or by[max(by)] for name, by in found.items()}
    result: dict[str, Any] = {
        "what": "simulated low light; factors beyond L and T, network and data are ours",
        "metric": metric,
        "budget": {k: v for k, v in studies["main"][0]["budget"].items() if k != "seeds"},
        "factors": FACTORS,
        "studies": {
            name: {"steps": runs[0]["budget"]["steps"], **_rounded(summary(runs, metric))}
            for name, runs in studies.items()
        },
    }
    exact = _shapley(studies["main"], metric)
    if exact:
        result["shapley"] = _rounded(exact)
    weights.write_bytes(folder / "fem_report.json", (json.dumps(result, indent=1) + "\n").encode())
    weights.write_bytes(folder / "fem_report.md", markdown(result).encode())
    waterfall(result, folder / "fem_report.png")
    return result


def _shapley(runs: list[dict[str, Any]], metric: str) -> dict[str, float] | None:
    """Shapley values, if every set of factors has been scored."""
    scores = Scores(runs, metric)
    if len(scores.values) < 2 ** len(FACTORS):
        return None
    return shapley(lambda f: scores.effect({str(f): 1.0})["mean"], permutations=2000)


def markdown(result: Mapping[str, Any]) -> str:
    """The tables, for people."""
    main = result["studies"]["main"]
    unit = "dB" if result["metric"] == "psnr" else ""
    lines = [
        f"What RAW is good for: {result['metric'].upper()}, simulated low light, "
        f"{result['budget']['steps']} steps, mean [95 % interval over photographs].",
        "",
        f"| factor | alone, on top of sRGB ({unit}) | taken away from RAW ({unit}) |",
        "|---|---:|---:|",
    ]
    for code, name in FACTORS.items():
        cells = [_cell(main[kind].get(code)) for kind in ("add_one", "drop_one")]
        lines.append(f"| {code} {name} | {' | '.join(cells)} |")
    ends = [(n, main["score"].get(n)) for n in ("none", "L", "T", "LT", str(Factors.of("all")))]
    told = ", ".join(f"{n} {v['mean']:.2f}" for n, v in ends if v)
    lines += ["", f"Scores: {told}."]
    for name, study in result["studies"].items():
        if "interaction" in study:
            alone = ", ".join(f"{c} {study['add_one'][c]['mean']:+.2f}" for c in "LT")
            given = study["score"]["LT"]["mean"] - study["score"]["T"]["mean"]
            lines.append(
                f"- {name}: alone {alone}; L given T {given:+.2f}; "
                f"L×T {_cell(study['interaction'])}"
            )
    if "shapley" in result:
        parts = ", ".join(f"{c} {v:+.2f}" for c, v in result["shapley"].items())
        lines += ["", f"Shapley values: {parts}."]
    return "\n".join(lines) + "\n"


def _cell(effect: Mapping[str, float] | None) -> str:
    if effect is None:
        return "not run"
    return f"{effect['mean']:+.2f} [{effect['low']:+.2f}, {effect['high']:+.2f}]"


def waterfall(result: Mapping[str, Any], path: str | Path) -> bool:
    """Draw the way from sRGB to RAW; False without matplotlib.

    Steps are Shapley values where all sets were scored. Else they are add-one effects, and what is
    missing to RAW (or too much) stands as "together", because effects alone need not add up.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return False
    main = result["studies"]["main"]
    ends = [main["score"].get(n) for n in ("none", str(Factors.of("all")))]
    if None in ends:
        return False
    begin, end = (e["mean"] for e in ends)
    steps = dict(result.get("shapley") or {c: e["mean"] for c, e in main["add_one"].items()})
    steps = dict(sorted(steps.items(), key=lambda item: -item[1]))
    names = [FACTORS[c] for c in steps]
    values = list(steps.values())
    if "shapley" not in result:
        names.append("together")
        values.append(end - begin - sum(values))
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    at, floor = begin, min(begin, end) - 2
    axes.bar(0, begin - floor, bottom=floor, color="#6c757d")
    for x, value in enumerate(values, 1):
        axes.bar(x, value, bottom=at, color="#2a9d8f" if value >= 0 else "#e76f51")
        axes.annotate(
            f"{value:+.2f}", (x, max(at, at + value)), ha="center", va="bottom", fontsize=9
        )
        axes.plot([x - 0.4, x + 1.4], [at + value] * 2, color="#999999", linewidth=0.7)
        at += value
    axes.bar(len(values) + 1, end - floor, bottom=floor, color="#264653")
    for x, value in ((0, begin), (len(values) + 1, end)):
        axes.annotate(f"{value:.2f}", (x, value), ha="center", va="bottom", fontsize=9)
    axes.set_xticks(range(len(values) + 2), ["sRGB", *names, "RAW"], rotation=28, ha="right")
    axes.set_ylabel("PSNR (dB)" if result["metric"] == "psnr" else "SSIM")
    axes.set_ylim(floor, None)
    axes.margins(y=0.1)
    kind = "Shapley values" if "shapley" in result else "each factor alone"
    axes.set_title(f"From sRGB to RAW, {kind} (simulated low light)", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
    return True


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value
