"""Where the libraries are that are measured: ``python -m benches.environments`` sees to it.

Those that cannot live in the project's own environment have one each, a folder in ``.venv/bench``. turbosqs is the
newest wheel of ``dist/``, unpacked: what users get, whatever is built for work. What is written in Rust by hand is a
package of its own, ``benches/rust``, built with the wheel's profile.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from scripts import environments

ROOT = environments.ROOT
#: What is written in Rust by hand, and how it is built: as the extension module is for the wheel.
CRATE, PROFILE = ROOT / "benches" / "rust", "wheel"
#: The folders, and the environments that are made there.
NAMES = {
    "aiobotocore": "bench-aiobotocore",
    "curves": "bench-curves",
    "fanferro": "bench-fanferro",
    "instrumentation": "instrumentation",
}


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
        oldest = ".".join(map(str, environments.ENVIRONMENTS[NAMES[environment]]))
        raise MissingError(f"needs an environment made by `make bench`, from Python {oldest} or newer")
    return str(python)


def program() -> str:
    """The program that does the works of hand-written Rust.

    Raises:
        MissingError: It is not there.
    """
    built = _folder("rust") / PROFILE / "hand-written"
    if not built.exists():
        raise MissingError("needs the program of benches/rust, which `python -m benches.environments` builds, by cargo")
    return str(built)


def build_program() -> None:
    """Builds it, unless it is there and as its sources are."""
    if not CRATE.is_dir():
        print("hand-written Rust is left out: a source distribution has no benches/rust")
        return
    # Not as people at work make their builds quick, or fit for one processor alone.
    without = [f"--unset={name}" for name in ("CARGO_INCREMENTAL", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS")]
    command: list[str | Path] = ["env", *without, "cargo", "build", "--quiet", "--locked", "--profile", PROFILE]
    environments.run([*command, "--manifest-path", CRATE / "Cargo.toml", "--target-dir", _folder("rust")])


def _folder(environment: str) -> Path:
    return Path(sys.prefix) / "bench" / environment


def wheel() -> Path:
    """The wheel that is measured.

    Raises:
        MissingError: There is none.
    """
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise MissingError("there is no wheel in dist/: `make wheel`")
    return wheels[-1]


def unpacked() -> Path:
    """Where the wheel is unpacked."""
    return _folder("turbosqs")


def main() -> None:
    made, chosen = unpacked(), wheel()
    mark = made.with_suffix(".txt")
    now = f"{chosen.name} {chosen.stat().st_mtime_ns}"
    if not (mark.exists() and mark.read_text() == now):
        shutil.rmtree(made, ignore_errors=True)
        install = [environments.uv(), "pip", "install", "--quiet", "--no-deps", "--no-index", "--compile-bytecode"]
        environments.run([*install, "--target", made, chosen])  # type: ignore[list-item]
        mark.write_text(now)
    for name, environment in NAMES.items():
        try:
            environments.make(environment, _folder(name))
        except environments.NoPythonError as error:
            print(f"{name} is left out: {error}")
    build_program()


if __name__ == "__main__":
    main()
