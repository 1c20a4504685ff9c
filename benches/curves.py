"""Draws the curves of docs/scale.json: ``python benches/curves.py FILE FOLDER``, where matplotlib is.

Its colours have the same contrast with a white page and with a dark one, so one file serves both.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt

GREY, COLOURS = "#777b80", ("#e05d1a", "#3d85c6", "#6a9f3f")
#: From how many times the least on the most is shown beside it on a logarithmic axis.
DECADES = 50
PANELS = (("rate", "messages a second"), ("cpu", "CPU, µs a message"), ("memory", "memory grown, MB"))


def draw(curve: dict[str, Any], path: Path) -> None:
    """Panels side by side: what is done in a second, CPU and memory, as far as they are known."""
    known = {name for series in curve["series"] for point in series["points"] for name in point}
    chosen = [pair for pair in PANELS if pair[0] in known]
    figure, panels = plt.subplots(1, len(chosen), figsize=(3.5 * len(chosen), 3.0), layout="constrained")
    for panel, (name, label) in zip(panels, chosen, strict=True):
        for series, colour in zip(curve["series"], COLOURS, strict=False):
            points = [point for point in series["points"] if point.get(name) is not None]
            panel.plot(
                [point["x"] for point in points],
                [point[name] for point in points],
                marker="o",
                markersize=3,
                linewidth=1.4,
                color=colour,
                label=series["label"],
            )
            if (knee := series["knees"].get(name)) is not None:
                panel.axvline(knee, color=colour, linestyle=":", linewidth=1)
                panel.annotate(f"{knee:,.10g}", (knee, 1), xycoords=("data", "axes fraction"), color=colour, fontsize=7)
        if curve["log"]:
            panel.set_xscale("log", base=curve["log"])
            panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        values = [point[name] for series in curve["series"] for point in series["points"]]
        if min(values) > 0 and max(values) > DECADES * min(values):
            panel.set_yscale("log")
        else:
            panel.set_ylim(min(0, *values) * 1.08, max(values) * 1.08)
        panel.set_xlabel(curve["axis"], color=GREY, fontsize=8)
        panel.set_title(label, color=GREY, fontsize=9)
        panel.tick_params(colors=GREY, labelsize=7)
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:,.5g}" if value < 1_000 else f"{value:,.0f}")
        for spine in panel.spines.values():
            spine.set_color(GREY)
    if len(curve["series"]) > 1:
        panels[0].legend(fontsize=7, labelcolor=GREY, frameon=False)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    matplotlib.rcParams |= {"svg.hashsalt": "turbosqs", "svg.fonttype": "none", "font.family": "sans-serif"}
    source, folder = map(Path, sys.argv[1:])
    for name, curve in json.loads(source.read_text())["curves"].items():
        draw(curve, folder / f"scale-{name}.svg")


if __name__ == "__main__":
    main()
