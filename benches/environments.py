"""The environments of libraries that cannot live in the project's own: ``python -m benches.environments`` makes them.

Each is a folder in ``.venv``, made from the dependency group ``bench-NAME`` of pyproject.toml.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

#: The oldest Python that each can do with.
ENVIRONMENTS = {"aiobotocore": (3, 10), "fanferro": (3, 12)}


class MissingError(Exception):
    """A work cannot run here; the message says what it needs."""


def interpreter(environment: str) -> str:
    """The Python of an environment; of the project's own for ``""``.

    Raises:
        MissingError: The environment is not there.
    """
    if not environment:
        return sys.executable
    python = _folder(environment) / "bin" / "python"
    if not python.exists():
        oldest = ".".join(map(str, ENVIRONMENTS[environment]))
        raise MissingError(f"needs an environment made by `make bench`, from Python {oldest} or newer")
    return str(python)


def _folder(environment: str) -> Path:
    return Path(sys.prefix) / "bench" / environment


def _pythons() -> Iterator[str]:
    """The Pythons of this machine; the project's own first, so that the libraries are compared on the same one."""
    yield sys.executable
    yield from filter(None, (shutil.which(f"python3.{minor}") for minor in range(12, 20)))
    yield from map(str, sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")))


def _python(oldest: tuple[int, int]) -> str | None:
    """The first of them that works and is not older."""
    check = f"import sys; sys.exit(sys.version_info < {oldest})"
    for python in _pythons():
        if subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0:
            return python
    return None


def make(environment: str, oldest: tuple[int, int]) -> None:
    """Makes an environment, unless it is there and as new as its dependency group."""
    folder, project = _folder(environment), ROOT / "pyproject.toml"
    made = folder / "made"
    if made.exists() and made.stat().st_mtime >= project.stat().st_mtime:
        return
    python = _python(oldest)
    if python is None:
        print(f"{environment} is left out: no Python {'.'.join(map(str, oldest))} or newer here")
        return
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--upgrade", "pip>=25.1"], check=True)
    subprocess.run([*pip, "--group", f"bench-{environment}"], check=True, cwd=ROOT)
    made.touch()


if __name__ == "__main__":
    for name, least in ENVIRONMENTS.items():
        make(name, least)
