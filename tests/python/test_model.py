"""What is generated from botocore's model is what the generator makes of it today."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: As it was before the fixtures gave the tests another home: rustfmt's toolchain lives in the real one.
ENVIRONMENT = dict(os.environ)
#: What the generator writes is laid out by these; where a wheel is tried there may be neither.
TOOLS = (shutil.which("rustfmt"), shutil.which("ruff", path=str(Path(sys.executable).parent)))
pytestmark = pytest.mark.skipif(None in TOOLS, reason="the generator needs rustfmt and ruff")


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "generate_model.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=ENVIRONMENT)


def test_generated_files_are_fresh() -> None:
    done = check(ROOT)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The generator and what it generates, where a test can change them."""
    for folder in ("scripts", "src/model", "python/turbosqs", "python/turbosqs/_annotations"):
        copied = tmp_path / folder
        copied.mkdir(parents=True)
        for file in (ROOT / folder).iterdir():
            if file.suffix in {".py", ".pyi", ".rs"}:
                copied.joinpath(file.name).write_text(file.read_text("utf-8"), "utf-8")
    for name in ("rustfmt.toml", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    return tmp_path


def test_the_check_can_fail(copy: Path) -> None:
    """A member that botocore's model no longer has makes the table stale."""
    table = copy / "src" / "model" / "table.rs"
    table.write_text(table.read_text("utf-8").replace('name: "DelaySeconds"', 'name: "Delay"', 1), "utf-8")
    done = check(copy)
    assert done.returncode == 1
    assert "table.rs" in done.stderr


def test_another_botocore_with_the_same_model_makes_nothing_stale(copy: Path) -> None:
    """Generated files name the botocore that they were made from; one that leaves SQS alone changes nothing."""
    folders = (copy / "src" / "model", copy / "python" / "turbosqs")
    origin = re.compile(r"from botocore [0-9.]+[0-9]")
    made = [
        file
        for folder in folders
        for file in folder.iterdir()
        if file.is_file() and origin.search(file.read_text("utf-8"))
    ]
    assert {"table.rs", "_operations.py", "_model.py", "types.py"} <= {file.name for file in made}
    for file in made:
        file.write_text(origin.sub("from botocore 1.2.3", file.read_text("utf-8")), "utf-8")
    done = check(copy)
    assert done.returncode == 0, done.stderr
