"""The environments of libraries that cannot live in the project's own: ``python -m benches.environments`` makes them.

Each is a folder in ``.venv``, made from the lock of ``bench-NAME``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from scripts import environments

ROOT = environments.ROOT
NAMES = ("aiobotocore", "fanferro")


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
        oldest = ".".join(map(str, environments.ENVIRONMENTS[f"bench-{environment}"]))
        raise MissingError(f"needs an environment made by `make bench`, from Python {oldest} or newer")
    return str(python)


def _folder(environment: str) -> Path:
    return Path(sys.prefix) / "bench" / environment


def main() -> None:
    for name in NAMES:
        try:
            environments.make(f"bench-{name}", _folder(name))
        except environments.NoPythonError as error:
            print(f"{name} is left out: {error}")


if __name__ == "__main__":
    main()
