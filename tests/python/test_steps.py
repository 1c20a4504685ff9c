"""What `make` prints of a step: a line, or everything when it fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STEP = Path(__file__).resolve().parents[2] / "scripts" / "step.py"
TALKS = "import sys; print('noise'); print('3 passed'); print('more', file=sys.stderr); sys.exit(int(sys.argv[1]))"


def step(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(STEP), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_of_a_success_one_line_with_its_time() -> None:
    done = step("Some tests", sys.executable, "-c", TALKS, "0")
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert line.startswith("Some tests  ")
    assert line.endswith(" s")


def test_of_a_success_the_closing_lines_that_are_asked_for() -> None:
    done = step("--closing", r"\d passed", "Some tests", sys.executable, "-c", TALKS, "0")
    assert done.stdout.splitlines()[1:] == ["3 passed"]


def test_of_a_failure_everything() -> None:
    done = step("--closing", r"\d passed", "Some tests", sys.executable, "-c", TALKS, "7")
    assert done.returncode == 1
    assert {"noise", "3 passed", "more"} <= set(done.stdout.splitlines())
    assert "Some tests: FAILED" in done.stdout
    assert "failed with 7" in done.stdout


def test_a_command_that_is_not_there() -> None:
    done = step("Some tests", "no-such-command-here")
    assert done.returncode == 127
    assert "there is no no-such-command-here" in done.stderr


def test_the_time_of_several_steps() -> None:
    done = step("--since", "0", "All of it")
    assert done.returncode == 0
    assert done.stdout.startswith("All of it  ")
    assert " min " in done.stdout
