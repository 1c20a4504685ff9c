"""The results as a picture: bars of CPU per message, as SVG.

Its colours have the same contrast with a white page and with a dark one, so one file serves both.
"""

from __future__ import annotations

from html import escape

from benches.plan import GROUPS, SCENARIOS
from benches.results import Results, known

WIDTH, LABELS, BARS = 840, 250, 440
ROW, TITLE, GAP = 20, 24, 10
TEXT, OTHERS, OURS = "#777b80", "#8a8f98", "#e05d1a"


def svg(results: Results) -> str:
    """CPU per message on the first server, a bar for each work."""
    groups = []
    for group in GROUPS:
        bars = [
            (run.work.label, outcome.median("cpu"), results.ratio(run, "cpu"))
            for run, outcome in results.items()
            if run.scenario == SCENARIOS[0] and run.group == group and run.counted and not group.servers
        ]
        if bars := [bar for bar in bars if known(bar[1])]:
            groups.append((group.title, bars))
    longest = max((cpu for _, bars in groups for _, cpu, _ in bars), default=1.0)
    lines, top = [], 34
    lines.append(_text(0, 16, f"CPU per message, µs; server of {SCENARIOS[0].title}", size=15, weight="bold"))
    for title, bars in groups:
        lines.append(_text(0, top + 14, title, weight="bold"))
        top += TITLE
        for label, cpu, ratio in bars:
            width = max(cpu / longest * BARS, 1.5)
            colour = OURS if label.startswith("turbosqs") else OTHERS
            less = f"   {ratio:.0f} times less" if known(ratio) and ratio >= 1.5 else ""
            lines.append(_text(LABELS - 8, top + 13, label, anchor="end"))
            lines.append(f'<rect x="{LABELS}" y="{top + 2}" width="{width:.1f}" height="{ROW - 6}" fill="{colour}"/>')
            lines.append(_text(LABELS + width + 6, top + 13, f"{cpu:.3g}{less}"))
            top += ROW
        top += GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}"'
    style = 'font-family="system-ui, sans-serif" font-size="13"'
    return "\n".join([f'{head} role="img" aria-label="CPU per message, by library" {style}>', *lines, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, *, size: int = 13, weight: str = "normal", anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
    return f'<text {place} fill="{TEXT}" xml:space="preserve">{escape(text)}</text>'
