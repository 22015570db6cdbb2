"""Numbers as text: one place for how seconds, ratios and shares are written."""

from __future__ import annotations

from typing import Any


def seconds(value: float) -> str:
    """1.234 → "1.23 s", 12.34 → "12.3 s", 123.4 → "123 s"."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} s"


def times(value: float) -> str:
    """2.345 → "2.35×"."""
    return f"{value:.2f}×"


def signed(share: float) -> str:
    """0.0123 → "+1.23 %", with a true minus sign; 0 → "0.00 %"."""
    text = f"{abs(share) * 100:.2f} %"
    if text == "0.00 %":
        return text
    return ("+" if share > 0 else "−") + text


def percent(share: float) -> str:
    """0.98765 → "98.8 %"."""
    return f"{share * 100:.1f} %"


def mebibytes(size: int | None) -> str:
    """Bytes → "123 MiB"; unknown → "–"."""
    return "–" if size is None else f"{size / 2**20:.0f} MiB"


def quickest(rows: list[dict[str, Any]], bound: float = 0.01) -> dict[str, Any] | None:
    """The quickest row whose perplexity rises by at most `bound`; None if there is none."""
    fit = [row for row in rows[1:] if not row["error"] and row["change"] <= bound]
    return max(fit, key=lambda row: row["speedup"], default=None)


def verdict(record: dict[str, Any]) -> str:
    """One sentence: the quickest choice that changes perplexity by at most one percent."""
    best = quickest(record["rows"])
    if best is None:
        return "No choice stayed within 1 % of the baseline's perplexity."
    pace = f"{times(best['speedup'])} as fast as" if best["speedup"] >= 1 else "slower than"
    return (
        f"{best['label']} reads {record['tokens']:,} tokens {pace} torch SDPA (whole model); "
        f"perplexity {signed(best['change'])}, next token equal at {percent(best['agreement'])}."
    )


def rich_table(record: dict[str, Any]) -> Any:
    """The rows as a `rich` table."""
    from rich.table import Table

    best = quickest(record["rows"])
    table = Table(box=None, pad_edge=False, header_style="bold", row_styles=("", ""))
    table.add_column("attention")
    for heading in ("time", "speed-up", "perplexity", "change", "same next token", "memory"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in record["rows"]:
        if row["error"]:
            table.add_row(row["label"], f"[dim]{row['error']}[/dim]")
            continue
        style = "bold green" if best is not None and row["label"] == best["label"] else None
        table.add_row(
            row["label"],
            seconds(row["median"]),
            times(row["speedup"]),
            f"{row['perplexity']:.3f}",
            signed(row["change"]),
            percent(row["agreement"]),
            mebibytes(row["memory"]),
            style=style,
        )
    return table
