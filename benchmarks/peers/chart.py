"""The races as one bar chart: an SVG that needs no fonts or scripts and follows the reader's light or dark theme."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LABELS, BARS, ROW, BAR, GAP = 890, 360, 420, 22, 14, 34
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.muted { fill: #59636e; }
.ours { font-weight: 600; }
rect { fill: #afb8c1; }
rect.ours { fill: #0969da; }
line { stroke: #d1d9e0; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc; }
.muted { fill: #9198a1; }
rect { fill: #57606a; }
rect.ours { fill: #4493f8; }
line { stroke: #3d444d; }
}
"""


def chart(cases: Mapping[str, Mapping[str, Any]]) -> str:
    """A panel for each case: samples a second, the longer the better; of whole processes seconds, the shorter."""
    parts: list[str] = []
    top = 0
    for result in cases.values():
        top = _panel(parts, result, top)
    described = "Bar chart: Penstock and its peers; the same figures stand in the tables beside it."
    size = f'viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    return "\n".join([head, f"<title>{described}</title>", f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def short(value: float) -> str:
    """Three significant digits: 1.23M, 45.6k, 789."""
    for scale, letter in ((1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{letter}"
    return f"{value:.3g}"


def _panel(parts: list[str], result: Mapping[str, Any], top: int) -> int:
    """Append a panel below `top`; returns where it ends."""
    what = "seconds" if result["whole"] else "samples_per_second"
    rows = [row for row in result["rows"].values() if what in row]
    rows.sort(key=lambda row: row["seconds"])
    unit = "seconds, shorter is better" if result["whole"] else "samples a second, longer is better"
    parts.append(f'<text class="title" x="0" y="{top + 16}">{escape(result["title"])}</text>')
    parts.append(f'<text class="muted" x="0" y="{top + 34}">{unit}</text>')
    longest = max((row[what] for row in rows), default=1)
    y = top + 44
    parts.append(f'<line x1="{LABELS}" y1="{y}" x2="{LABELS}" y2="{y + ROW * len(rows)}"/>')
    for row in rows:
        mark = ' class="ours"' if row["ours"] else ""
        width = max(BARS * row[what] / longest, 1)
        shown = f"{row[what]:.1f}" if result["whole"] else short(row[what])
        base = y + ROW - 7
        parts.append(f'<text{mark} x="{LABELS - 8}" y="{base}" text-anchor="end">{escape(row["label"])}</text>')
        parts.append(f'<rect{mark} x="{LABELS}" y="{y + (ROW - BAR) // 2}" width="{width:.1f}" height="{BAR}" rx="2"/>')
        parts.append(f'<text{mark} x="{LABELS + width + 6:.1f}" y="{base}">{shown}</text>')
        y += ROW
    return y + GAP
