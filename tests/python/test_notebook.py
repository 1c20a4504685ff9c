"""``examples/tour.ipynb`` runs from top to bottom in a kernel of its own, and shows what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "tour.ipynb"
EXECUTE = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=50).execute()
nbformat.write(notebook, sys.argv[2])
"""


def outputs(cell: dict[str, Any]) -> dict[str, str]:
    """What a cell shows, by kind."""
    shown: dict[str, str] = {}
    for output in cell.get("outputs", []):
        assert output["output_type"] != "error", output
        if output["output_type"] == "stream":
            # On a busy machine what a cell prints comes in parts.
            shown[output["name"]] = shown.get(output["name"], "") + "".join(output["text"])
        else:
            shown |= {kind: "".join(text) for kind, text in output["data"].items()}
    return shown


@pytest.mark.usefixtures("environment")
def test_the_tour(tmp_path: Path) -> None:
    executed = tmp_path / "executed.ipynb"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", EXECUTE, str(NOTEBOOK), str(executed)],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cells = [cell for cell in json.loads(executed.read_text())["cells"] if cell["cell_type"] == "code"]
    texts = [outputs(cell) for cell in cells]
    assert all("stderr" not in shown for shown in texts)
    plain = [shown.get("text/plain", shown.get("stdout", "")) for shown in texts]
    assert "('two coffees', '7')" in plain
    assert any("QueueDoesNotExist" in text or "The specified queue does not exist" in text for text in plain)
    assert any(text.startswith("(1000, (100, ") for text in plain)
    assert any("/orders']" in text for text in plain)
    assert plain[-1] == "{'ApproximateNumberOfMessages': '4000'}"
    chart = texts[-2]["image/svg+xml"]
    for way in ("one after another", "32 threads", "1,000 coroutines", "batch_writer"):
        assert way in chart
    assert "1,000 requests" in chart
    assert chart.count("100 requests") >= 2
