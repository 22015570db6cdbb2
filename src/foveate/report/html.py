"""The report: one HTML file that needs no network, no script and no second file."""

from __future__ import annotations

import os
import tempfile
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from .blocks import block_maps
from .figures import heatmap, tradeoff
from .tables import mebibytes, percent, quickest, seconds, signed, times, verdict


def write(record: dict[str, Any], path: str | os.PathLike[str]) -> Path:
    """Write the report of a record; the file appears complete or not at all.

    Args:
        record: What `foveate demo` collected.
        path: Where; the folder must exist.

    Raises:
        OSError: The file cannot be written there.
    """
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=".report-", suffix=".html", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page(record))
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return target


def page(record: dict[str, Any]) -> str:
    """The report as one string of HTML."""
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    title = f"{record['model']['title']} reads {record['tokens']:,} tokens"
    body = [
        _head(record, title),
        _figures_of_merit(record),
        _section("Every way of attending", _table(record), _TABLE_NOTE),
        _section(
            "Speed against accuracy", f"<figure>{tradeoff(record['rows'])}</figure>", _DOT_NOTE
        ),
        _map(record),
        _blocks(record),
        _answer(record),
        _section("How this was measured", _facts(record), _method(record)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)} · foveate</title><style>{style}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


_TABLE_NOTE = (
    "<p class=note>Time is the whole prefill: embedding, all layers with a filled cache, and the "
    "logits "
    "of the last token. <b>Speed-up</b> compares with torch SDPA in the same round. "
    "<b>Perplexity</b> "
    "is how many tokens the model hesitates between, over every token of the text: lower is "
    "better, and "
    "equal to the baseline means nothing was lost. <b>Same next token</b> is the share of "
    "positions "
    "where the most probable next token is that of the baseline; two correct computations in 16 "
    "bits "
    "may differ where two tokens are nearly tied. "
    "<b>Memory</b> is the peak above what was in use before.</p>"
)
_DOT_NOTE = (
    "<p class=note>Right is faster, low is more faithful. The hollow dot is the baseline; a dot "
    "far "
    "above the zero line bought its speed with accuracy.</p>"
)


def _head(record: dict[str, Any], title: str) -> str:
    text = record["text"]
    return (
        f"<header><p class=brand>foveate</p><h1>{escape(title)}</h1>"
        f"<p class=lead>The text is the beginning of <cite>{escape(text['title'])}</cite> "
        f"({escape(text['by'])}). The weights and the text are the same in every row; only the "
        "attention "
        f"changes. {escape(verdict(record))}</p></header>"
    )


def _figures_of_merit(record: dict[str, Any]) -> str:
    best = quickest(record["rows"])
    if best is None:
        return ""
    tiles = [
        (times(best["speedup"]), f"as fast as torch SDPA, whole model, with {best['label']}"),
        (signed(best["change"]), "change of perplexity"),
        (percent(best["agreement"]), "of next tokens unchanged"),
    ]
    return (
        "<div class=tiles>"
        + "".join(
            f"<div><b>{escape(big)}</b><span>{escape(small)}</span></div>" for big, small in tiles
        )
        + "</div>"
    )


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _table(record: dict[str, Any]) -> str:
    rows, best = record["rows"], quickest(record["rows"])
    longest = max(row["median"] for row in rows if not row["error"])
    lines = [_row(row, longest, best is not None and row["label"] == best["label"]) for row in rows]
    return (
        "<div class=scroll><table><thead><tr><th>attention<th "
        "class=bars>time<th>speed-up<th>perplexity"
        "<th>change<th>same next token<th>memory</tr></thead><tbody>"
        + "".join(lines)
        + "</tbody></table></div>"
    )


def _row(row: dict[str, Any], longest: float, best: bool) -> str:
    note = f"<small>{escape(row['note'])}</small>" if row["note"] else ""
    first = f"<th scope=row>{escape(row['label'])}{note}"
    if row["error"]:
        return f"<tr class=failed>{first}<td colspan=6>{escape(row['error'])}</tr>"
    kind = "base" if row["name"] == "sdpa" else "best" if best else ""
    cells = [
        times(row["speedup"]),
        f"{row['perplexity']:.3f}",
        signed(row["change"]),
        percent(row["agreement"]),
        mebibytes(row["memory"]),
    ]
    bar = f'<i style="--share:{row["median"] / longest:.3f}"></i>'
    return (
        f'<tr class="{kind}">{first}<td '
        f"class=bars><div>{bar}<span>{seconds(row['median'])}</span></div>"
        + "".join(f"<td>{escape(cell)}" for cell in cells)
        + "</tr>"
    )


def _map(record: dict[str, Any]) -> str:
    picture = record.get("map")
    if not picture:
        return ""
    note = (
        f"<p class=note>Layer {picture['layer']}, head {picture['head']}, while the model reads "
        "the first "
        f"{picture['tokens']:,} tokens. Each row is a group of "
        f"{picture['tokens'] // len(picture['mass'])} "
        "queries, each column as many keys; the darker, the more of its attention a query spends "
        "there "
        f"(one step is a factor of 1.8). In this head {percent(picture['share95'])} of the "
        "visible keys "
        f"hold 95&nbsp;% of the attention, on average; over all heads of the layer it is "
        f"{percent(picture['layer_share95'])}. The rest is what a selection may skip.</p>"
    )
    return _section("Where one head looks", f"<figure>{heatmap(picture)}</figure>", note)


def _blocks(record: dict[str, Any]) -> str:
    picture = record.get("blocks")
    if not picture:
        return ""
    ways = "; ".join(
        f"{escape(way['label'])} {percent(way['layer_density'])} and "
        f"{percent(way['layer_retained'])}"
        for way in picture["ways"]
    )
    note = (
        f"<p class=note>Layer {picture['layer']}, head {picture['head']}, first "
        f"{picture['tokens']:,} tokens; a cell is {picture['tokens'] // len(picture['mass'])} "
        "queries (downwards) by as many keys (to the right), and the darker, the more attention "
        "(one step is a factor of 1.8). The tinted cells are those that a selection visits, "
        "chosen before anything was computed exactly; attention that it misses is drawn in the "
        "other colour. Blocks and mass "
        f"over all heads of the layer: {ways}.</p>"
    )
    return _section("What a selection keeps of it", block_maps(picture), note)


def _answer(record: dict[str, Any]) -> str:
    answer = record.get("answer")
    if not answer:
        return ""
    right = (
        "It is right." if answer["right"] else f"It is wrong: the number was {answer['expected']}."
    )
    return _section(
        "Does it still find things?",
        f"<p>One sentence was hidden in the text, {percent(answer['depth'])} of the way in: "
        f"<q>{escape(answer['hidden'])}</q> Then the model, attending with "
        f"<b>{escape(answer['label'])}</b>, was asked for it.</p>"
        f"<blockquote><p>{escape(answer['question'])}<b>{escape(answer['text'])}</b></p></blockquote>"
        f"<p class=note>{escape(right)} Greedy decoding, {answer['prompt_tokens']:,} tokens read "
        "and "
        f"{answer['new_tokens']} written in {seconds(answer['seconds'])}.</p>",
    )


def _facts(record: dict[str, Any]) -> str:
    machine, model = record["machine"], record["model"]
    versions = ", ".join(
        f"{name} {version}" for name, version in record["versions"].items() if version
    )
    facts = {
        "Model": f"{model['title']}, {model['parameters'] / 1e6:.0f} M parameters in "
        f"{model['dtype']}, "
        f"{model['layers']} layers, {model['heads']} query and {model['kv_heads']} key heads of "
        f"{model['head_dim']} ({model['licence']})",
        "Text": f"{record['text']['title']}, {record['tokens']:,} tokens "
        f"({record['text']['licence']})",
        "Processor": f"{machine['cpu']}, {record['threads']} threads",
        "Instructions": ", ".join(machine["features"]),
        "Memory": f"{machine['memory_gib']} GiB",
        "Versions": versions,
        "Rest of the model": "compiled with torch.compile" if record["compiled"] else "eager torch",
        "Date": record["date"],
    }
    if record.get("load") is not None:
        facts["Load before"] = f"{record['load']:.2f} runnable processes (one-minute average)"
    cells = "".join(f"<dt>{escape(k)}<dd>{escape(str(v))}" for k, v in facts.items())
    return f"<dl>{cells}</dl>"


def _method(record: dict[str, Any]) -> str:
    rounds = max(len(row["seconds"]) for row in record["rows"] if not row["error"])
    turn = "once" if rounds == 1 else f"{rounds} times, in turns; the table shows the median"
    return (
        f"<p class=note>Each way read the text {turn}, after a short warm-up. Prefill uses the "
        "named "
        "precision; steps with at most 16 queries (decoding) run in the model's own dtype. Other "
        "work on "
        "the machine makes all times longer and the ratios less certain.</p>"
    )
