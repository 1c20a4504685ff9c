"""Tables in Markdown, and the numbers in them."""

from __future__ import annotations

from benches.results import known


def number(value: float, digits: int = 3) -> str:
    """Three significant digits, thousands with commas."""
    if not known(value):
        return ""
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def ratio(value: float) -> str:
    return f"{number(value)}x" if known(value) else ""


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, whose first column is text and whose others are numbers; its lines end up aligned."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]

    def line(cells: list[str]) -> str:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|" + "|".join("-" * (w + 2) if c == 0 else "-" * (w + 1) + ":" for c, w in enumerate(widths)) + "|"
    return "\n".join([line(heads), rule, *map(line, rows)])
