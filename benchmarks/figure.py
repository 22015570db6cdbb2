"""The README's picture, an SVG made from results: how many times faster than torch's attention.

The one thing to know: it is plain text with its own style, and follows the reader's light or dark
mode by itself.
"""

from __future__ import annotations

from html import escape
from typing import Any

BARS = (
    # label, note, case, the peer whose bar it is (None: foveate's own)
    ("torch SDPA", "float32", "int8-f32-d128-full-t1", "sdpa"),
    ("ONNX Runtime", "float32", "int8-f32-d128-full-t1", "onnxruntime"),
    ("OpenVINO", "bfloat16", "int8-f32-d128-full-t1", "openvino-bf16"),
    ("foveate native", "bfloat16", "native-bf16-d128-full-t1", None),
    ("foveate sage3", "FP4", "sage3-f32-d128-full-t1", None),
    ("foveate sage2", "INT8 + FP8", "sage2-f32-d128-full-t1", None),
    ("foveate int8", "INT8", "int8-f32-d128-full-t1", None),
    ("foveate int8", "25 % of the blocks", "int8-f32-d128-full-density25-t1", None),
)
WIDTH, LEFT, RIGHT, ROW, TOP = 760, 236, 116, 34, 64

STYLE = """
  text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .note { fill: #59636e; font-size: 12.5px; }
  .peer { fill: #afb8c1; }
  .own { fill: #0a7ea4; }
  .one { stroke: #59636e; stroke-dasharray: 3 4; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .note { fill: #9198a1; }
    .peer { fill: #57606a; }
    .own { fill: #39a9cf; }
    .one { stroke: #9198a1; }
  }
"""


def speed_figure(results: dict[str, Any]) -> str:
    """The picture as SVG text; bars whose case is not among the results are left out."""
    bars = [bar for bar in (_bar(results, *b) for b in BARS) if bar is not None]
    longest = max((factor for _, _, _, factor, _ in bars), default=1.0)
    unit = (WIDTH - LEFT - RIGHT) / max(longest, 1.0)
    height = TOP + ROW * len(bars) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="Speed of attention on one CPU thread relative to torch SDPA float32">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="16" y="26">Attention on one CPU thread, torch SDPA = 1</text>',
        '<text class="note" x="16" y="46">4096 tokens, 8 heads of 128, whole call with encoding; '
        "right of each bar: factor and relative error</text>",
        f'<line class="one" x1="{LEFT + unit:.1f}" x2="{LEFT + unit:.1f}" y1="{TOP - 8}" '
        f'y2="{height - 12}"/>',
    ]
    if not bars:
        lines.append(f'<text x="16" y="{TOP + 6}">not measured yet: make bench</text>')
    for place, bar in enumerate(bars):
        lines += _draw(place, bar, unit)
    return "\n".join([*lines, "</svg>", ""])


def _bar(
    results: dict[str, Any], label: str, note: str, case: str, peer: str | None
) -> tuple[str, str, bool, float, float | None] | None:
    """(label, note, whether it is foveate, factor over SDPA float32, error), or None."""
    record = results.get(case)
    if record is None:
        return None
    if peer is not None:
        found = record["peers"].get(peer, {})
        if "seconds" not in found or "seconds" not in record["peers"].get("sdpa", {}):
            return None
        seconds = record["peers"]["sdpa"]["seconds"]["median"]
        error = (found.get("error") or {}).get("relative_l1")
        return label, note, False, seconds / found["seconds"]["median"], error
    beside = "sdpa" if record["case"]["dtype"] == "float32" else "sdpa-float32"
    if "ratio" not in record["peers"].get(beside, {}):
        return None
    factor = record["peers"][beside]["ratio"]["median"]
    # a sparse case's error is against the same blocks, not comparable with the others
    error = None if record["case"]["density"] else record["error"]["relative_l1"]
    return label, note, True, factor, error


def _draw(place: int, bar: tuple[str, str, bool, float, float | None], unit: float) -> list[str]:
    label, note, own, factor, error = bar
    y = TOP + ROW * place
    width = max(2.0, factor * unit)
    text = f"{factor:.1f}×"
    if error is not None and error >= 1e-4:
        text += f'<tspan class="note" dx="8">{100 * error:.1f} %</tspan>'
    return [
        f'<text x="16" y="{y + 17}">{escape(label)}'
        f'<tspan class="note" dx="8">{escape(note)}</tspan></text>',
        f'<rect class="{"own" if own else "peer"}" x="{LEFT}" y="{y + 2}" width="{width:.1f}" '
        f'height="20" rx="3"/>',
        f'<text x="{LEFT + width + 8:.1f}" y="{y + 17}">{text}</text>',
    ]
