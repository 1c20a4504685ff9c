"""What a program is told where the package cannot work: an old Python, an extension module that does not fit."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import turbosqs

PACKAGE = Path(turbosqs.__file__).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package without its extension module."""
    shutil.copytree(
        PACKAGE, tmp_path / "turbosqs", ignore=shutil.ignore_patterns("_core.*.so", "_core.pyd", "__pycache__")
    )
    return tmp_path


def complaint(place: Path, code: str, python: str | Path = sys.executable) -> str:
    """The last line of an uncaught exception, and what its text goes on with."""
    command = [python, "-c", f"import sys; sys.path.insert(0, {str(place)!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert done.returncode == 1, done
    return done.stderr


@pytest.mark.parametrize(
    "code", ["import turbosqs; turbosqs.client('sqs')", "from turbosqs import Consumer", "import turbosqs.aio"]
)
def test_without_an_extension_module(copy: Path, code: str) -> None:
    told = complaint(copy, code)
    assert f"turbosqs has no extension module for cpython {sys.version.split()[0]} on " in told
    assert "there is none." in told
    assert "pip install --platform manylinux2014_x86_64 --only-binary=:all: --target FOLDER turbosqs" in told


def test_with_one_that_is_for_another_machine(copy: Path) -> None:
    """What becomes of a package that was installed on one machine and copied to another."""
    suffix = next(
        path.name.removeprefix("_core.") for path in PACKAGE.glob("_core.*") if path.suffix in (".so", ".pyd")
    )
    (copy / "turbosqs" / f"_core.{suffix}").write_bytes(b"\xcf\xfa\xed\xfe" + bytes(4096))
    told = complaint(copy, "import turbosqs; turbosqs.client('sqs')")
    assert f"what is there (_core.{suffix}) is not for it. The loader says: " in told
    assert "pip install --force-reinstall turbosqs" in told


def old_pythons() -> list[Path]:
    return sorted((Path.home() / ".pyenv" / "versions").glob("3.[7-9].*/bin/python"))


@pytest.mark.parametrize("python", old_pythons() or [None], ids=lambda path: str(path and path.parent.parent.name))
def test_a_python_that_is_too_old(python: Path | None) -> None:
    if python is None:
        pytest.skip("no Python before 3.10 is here")
    assert "ImportError: turbosqs needs Python 3.10 or newer; " in complaint(PACKAGE.parent, "import turbosqs", python)
