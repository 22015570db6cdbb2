"""Views of an evaluation: tables for the terminal, a page, a picture.

The one thing to know: every view is made of the record that `foveate eval --json` prints.
"""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from .lines import curves
from .tables import seconds, signed

TEXT = "text"


def ways(record: dict[str, Any]) -> list[str]:
    """Labels of the ways, in order."""
    return [way["label"] for way in record["ways"]]


def rows_of(record: dict[str, Any], value: str) -> tuple[list[str], list[list[str]]]:
    """A table: a row for each length and way, a column for each task.

    Args:
        record: The evaluation.
        value: "recall" or "ranking".

    Returns:
        Header and rows.
    """
    tasks = [task for task in record["tasks"] if task != TEXT]
    header = ["tokens", "attention", *tasks, "mean"]
    found = {(r["way"], r["task"], r["length"]): r for r in record["summary"]}
    rows = []
    for length in record["lengths"]:
        for way in ways(record):
            values = [found.get((way, task, length), {}).get(value) for task in tasks]
            known = [v for v in values if v is not None]
            if known:
                mean = sum(known) / len(known)
                cells = ["–" if v is None else f"{100 * v:.0f}" for v in values]
                rows.append([f"{length:,}", way, *cells, f"{100 * mean:.1f}"])
    return header, rows


def text_rows(record: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table of perplexity and time."""
    header = ["tokens", "attention", "perplexity", "change", "± error", "second half", "prefill"]
    rows = []
    for r in _sorted(record, TEXT):
        error = "–" if r["error"] is None else f"{100 * r['error']:.2f} %"
        change = "–" if r["change"] is None else signed(r["change"])
        rows.append(
            [
                f"{r['length']:,}",
                r["way"],
                f"{r['perplexity']:.3f}",
                change,
                error,
                f"{r['late_perplexity']:.3f}",
                seconds(r["seconds"]),
            ]
        )
    return header, rows


def _sorted(record: dict[str, Any], task: str) -> list[dict[str, Any]]:
    order = {name: number for number, name in enumerate(ways(record))}
    mine = [r for r in record["summary"] if r["task"] == task]
    return sorted(mine, key=lambda r: (r["length"], order[r["way"]]))


TITLES = {
    "recall": "Recall: answers found in what the model wrote, in percent",
    "ranking": "Ranking: a right answer beats a wrong one, in percent (50 is guessing)",
}


def page(record: dict[str, Any]) -> str:
    """The evaluation as one HTML page that needs nothing else."""
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    title = f"What {record['model']['title']} keeps"
    longest = max(record["lengths"])
    parts = [
        f"<header><p class=brand>foveate</p><h1>{escape(title)}</h1><p class=lead>Perplexity on a "
        f"real text and generated retrieval tasks, up to {longest:,} tokens. Every way of "
        "attending gets the same samples; dense attention of torch is the baseline.</p></header>"
    ]
    for name, header, rows, figure, note in _parts(record):
        parts.append(f"<section><h2>{escape(name)}</h2>{figure}{_table(header, rows)}{note}")
        parts.append("</section>")
    parts.append(_facts(record))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · foveate</title><style>{style}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _parts(record: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]], str, str]]:
    found, base = [], ways(record)[0]
    if TEXT in record["tasks"]:
        note = (
            "<p class=note>Change and its standard error are of paired samples: the same text "
            "with the baseline. Second half is the perplexity of the later half of each sample, "
            "whose tokens have most to look back to. Prefill is the median time to read a "
            "sample.</p>"
        )
        found.append(
            ("Perplexity", *text_rows(record), _figure(_series(record, "perplexity"), base), note)
        )
    if any(task != TEXT for task in record["tasks"]):
        for value in ("recall", "ranking"):
            title, _, rest = TITLES[value].partition(": ")
            note = f"<p class=note>{escape(rest[0].upper() + rest[1:])}.</p>"
            figure = _figure(_series(record, value), base, share=True)
            found.append((title, *rows_of(record, value), figure, note))
    return found


def _series(record: dict[str, Any], value: str) -> dict[str, list[tuple[int, float]]]:
    """Way → (length, value): perplexity, or the mean over the retrieval tasks."""
    series: dict[str, list[tuple[int, float]]] = {}
    for way in ways(record):
        for length in record["lengths"]:
            mine = [
                r[value]
                for r in record["summary"]
                if r["way"] == way and r["length"] == length and value in r
            ]
            if mine:
                series.setdefault(way, []).append((length, sum(mine) / len(mine)))
    return series


def _figure(series: dict[str, Any], base: str, share: bool = False) -> str:
    if len({length for points in series.values() for length, _ in points}) < 2:
        return ""
    title = "mean over tasks, %" if share else "perplexity"
    return f"<figure>{curves(series, title, base, percent=share)}</figure>"


def _table(header: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(name)}" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<div class=scroll><table class="plain"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _facts(record: dict[str, Any]) -> str:
    model, machine = record["model"], record["machine"]
    counts = [r["samples"] for r in record["summary"]]
    facts = {
        "Model": f"{model['title']}, {model['parameters'] / 1e6:.0f} M parameters in "
        f"{model['dtype']} ({model['licence']})",
        "Samples": f"{min(counts)} to {max(counts)} for each task, length and way",
        "Tasks": "; ".join(f"{name}: {what}" for name, what in record["tasks"].items()),
        "Text": record["text"],
        "Ways": "; ".join(f"{w['label']} = {w['note'] or w['name']}" for w in record["ways"]),
        "Processor": f"{machine['cpu']}, {record['threads']} threads",
        "Versions": ", ".join(f"{k} {v}" for k, v in record["versions"].items() if v),
        "Date": record["date"],
    }
    cells = "".join(f"<dt>{escape(k)}<dd>{escape(str(v))}" for k, v in facts.items())
    note = (
        "<p class=note>A prompt and its answer together have the length that is given. The prompt "
        "is read with the named attention; steps with at most 16 queries (writing the answer) "
        "attend densely. Tasks are in the style of RULER, made smaller where a small model needs "
        "it.</p>"
    )
    return f"<section><h2>How this was measured</h2><dl>{cells}</dl>{note}</section>"


def picture(record: dict[str, Any], path: Path) -> None:
    """The curves as a PNG.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    titles = {"perplexity": "perplexity", "recall": "recall, %", "ranking": "ranking, %"}
    panels = {value: _series(record, value) for value in titles}
    panels = {value: series for value, series in panels.items() if series}
    figure = Figure(figsize=(4.2 * len(panels), 3.6), layout="constrained")
    for axes, (value, series) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for number, (way, points) in enumerate(series.items()):
            lengths, values = zip(*points, strict=True)
            factor = 1 if value == "perplexity" else 100
            style = {"color": "0.55", "lw": 3, "zorder": 1} if number == 0 else {"lw": 1.5}
            axes.plot(lengths, [v * factor for v in values], "o-", label=way, **style)
        if value != "perplexity":
            axes.set_ylim(min(90, axes.get_ylim()[0] // 10 * 10), 101)
        axes.set_title(titles[value], loc="left")
        axes.set_xscale("log", base=2)
        axes.set_xticks(record["lengths"], [f"{n:,}" for n in record["lengths"]])
        axes.set_xlabel("tokens")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150, format="png")
