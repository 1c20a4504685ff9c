"""The tests of aiobotocore's clients on the core, which run where aiobotocore is: it wants another botocore than boto3.

Two generations: the current one, and the one that aioboto3 brings. `make python` makes their environments.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import turbosqs

TESTS = Path(__file__).parent.parent / "aiobotocore_clients"
#: Two of the files take as long as all others together: in pieces they are run beside each other.
PIECES = {"cases": ["test_cases.py"], "processes": ["test_processes.py"]}
PIECES["others"] = sorted({path.name for path in TESTS.glob("test_*.py")} - {name for [name] in PIECES.values()})


# Half a minute, where nothing else runs.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("generation", ["aiobotocore", "aioboto3"])
def test_aiobotocores_clients(generation: str, piece: str) -> None:
    python = Path(sys.prefix) / generation / "bin" / "python"
    if not python.exists():
        pytest.fail(f"there is no {python}: `make python` makes it")
    # The package is that of this tree, extension and all; moto is in this environment.
    settings = {"PYTHONPATH": str(Path(turbosqs.__file__).parent.parent), "MOTO_PYTHON": sys.executable}
    # What pytest says of itself here is not for that one.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [
        str(python),
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *(str(TESTS / name) for name in PIECES[piece]),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**kept, **settings}, timeout=590, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
