"""What mypy and pyright say of programs: right ones pass, and each mistake is caught where it is.

Both are run with the stub packages (mypy_boto3_sqs, types_boto3_sqs, types_aiobotocore_sqs), in an environment of their
own, which `make python` makes; and once more without. pyright is basedpyright, which brings its Node along.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import turbosqs

PROGRAMS = Path(__file__).parent / "programs"
PACKAGE = Path(turbosqs.__file__).parent.parent
STUBBED = Path(sys.prefix) / "typing"
#: What needs no stubs.
PLAIN = ["alone.py", "mistakes.py"]
EVERY = sorted(path.name for path in PROGRAMS.glob("*.py"))

Line = tuple[str, int]


def mistakes(names: list[str]) -> set[Line]:
    lines = {name: (PROGRAMS / name).read_text("utf-8").splitlines() for name in names}
    return {(name, number) for name in names for number, line in enumerate(lines[name], 1) if "# mistake" in line}


@pytest.fixture(params=["stubs", "none"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """An interpreter that finds the package as an installed one, and the programs for it."""
    python = STUBBED / "bin" / "python"
    if not python.exists():
        pytest.fail(f"there is no {python}: `make python` makes it")
    if request.param == "none":
        bare = tmp_path / "bare"
        subprocess.run([str(python), "-m", "venv", "--without-pip", str(bare)], check=True)
        python = bare / "bin" / "python"
    command = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    (site / "turbosqs.pth").write_text(f"{PACKAGE}\n", "utf-8")
    return python, EVERY if request.param == "stubs" else PLAIN


def run(command: list[str | Path]) -> str:
    variables = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROGRAMS, env=variables)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_mypy(environment: tuple[Path, list[str]], tmp_path: Path) -> None:
    python, names = environment
    command: list[str | Path] = [STUBBED / "bin" / "mypy", "--strict", "--python-executable", python]
    out = run([*command, "--config-file=", "--cache-dir", tmp_path / "cache", "--hide-error-context", *names])
    found = {(name, int(number)) for name, number in re.findall(r"(?m)^(\w+\.py):(\d+): error: ", out)}
    assert found == mistakes(names), out


@pytest.mark.timeout(300)
def test_pyright(environment: tuple[Path, list[str]], tmp_path: Path) -> None:
    python, names = environment
    settings = tmp_path / "pyrightconfig.json"
    include = [str(PROGRAMS / name) for name in names]
    settings.write_text(json.dumps({"typeCheckingMode": "standard", "include": include, "pythonVersion": "3.11"}))
    out = run([STUBBED / "bin" / "basedpyright", "--outputjson", "--pythonpath", python, "--project", settings])
    complaints = [each for each in json.loads(out)["generalDiagnostics"] if each["severity"] == "error"]
    found = {(Path(each["file"]).name, each["range"]["start"]["line"] + 1) for each in complaints}
    assert found == mistakes(names), json.dumps(complaints, indent=1)
