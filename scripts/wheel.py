"""Builds what is published, into dist/: a source distribution, and a wheel that is built from it.

    python scripts/wheel.py [--target TARGET] [--interpreter PYTHON]

The wheel is for CPython 3.10 and every newer one, and on Linux for any distribution with glibc 2.17 or newer (musl
1.2, for a target that says so): Zig is the C compiler and linker there, for other processors too. It is refused if it
is larger than promised, or if it needs more of the system than its name says. ``--interpreter`` makes one for that
Python alone, as a free-threaded one needs it.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import environments
from environments import ROOT, UnusableError, executable

DIST = ROOT / "dist"
PROFILE = "wheel"

#: The most that a wheel may take, as it is downloaded and when it is unpacked, in bytes.
LARGEST, LARGEST_UNPACKED = 6_000_000, 12_000_000

#: What it is built with: the oldest glibc and musl that a wheel runs on.
GLIBC, MUSL = "manylinux2014", "musllinux_1_2"

LICENCES = ("LICENSE", "THIRD-PARTY-LICENSES.txt")


def build_environment(interpreter: str | None) -> dict[str, str]:
    """This environment, without the settings with which people make their own builds quick."""
    unwanted = (
        "CARGO_PROFILE_",
        "CARGO_INCREMENTAL",
        "CARGO_BUILD_",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "VIRTUAL_ENV",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    for name in ("PYO3_CONFIG_FILE", "PYO3_BUILD_EXTENSION_MODULE"):
        kept.pop(name, None)
    # Random numbers are the operating system's, as OpenSSL's are. AWS-LC would measure the processor's jitter as well,
    # which takes the first https request of a process 30 ms of CPU.
    kept["AWS_LC_SYS_NO_JITTER_ENTROPY"] = "1"
    if interpreter is None:
        kept |= {"PYO3_CONFIG_FILE": str(ROOT / "scripts" / "pyo3.txt"), "PYO3_BUILD_EXTENSION_MODULE": "1"}
    return kept


def run(command: list[str | Path], folder: Path, variables: dict[str, str]) -> None:
    done = subprocess.run(command, check=False, cwd=folder, env=variables)
    if done.returncode != 0:
        raise UnusableError(f"`{' '.join(map(str, command))}` failed with {done.returncode}")


def unpack(sdist: Path, folder: Path) -> None:
    """Makes a folder what the archive holds. A file that is the same stays as it is, and is not compiled anew."""
    with tarfile.open(sdist) as archive:
        wanted = {}
        for member in archive:
            path = Path(*Path(member.name).parts[1:])
            if member.isfile() and (file := archive.extractfile(member)) is not None:
                if path.is_absolute() or ".." in path.parts:
                    raise UnusableError(f"{sdist.name} holds {member.name}")
                wanted[folder / path] = file.read()
    for path in [path for path in folder.rglob("*") if path.is_file() and path not in wanted]:
        path.unlink()
    for path, contents in wanted.items():
        if not path.is_file() or path.read_bytes() != contents:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(contents)


def build(target: str | None, interpreter: str | None) -> Path:
    """The source distribution, and the wheel from it.

    Args:
        target: Rust's name of what it is for; this machine for None.
        interpreter: The one Python that it is for; every one from 3.10 on for None.

    Returns:
        The wheel.
    """
    place = environments.VENV / "wheel"
    environments.make("wheel", place)
    maturin = executable(place, "maturin")
    variables = build_environment(interpreter)
    variables["PATH"] = os.pathsep.join([str(maturin.parent), variables["PATH"]])
    DIST.mkdir(exist_ok=True)
    for old in DIST.glob("*.tar.gz"):
        old.unlink()
    run([maturin, "sdist", "--out", DIST], ROOT, variables)
    (sdist,) = DIST.glob("*.tar.gz")
    built_in = Path(variables.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))) / "sdist"
    unpack(sdist, built_in)
    command: list[str | Path] = [maturin, "build", "--profile", PROFILE, "--locked"]
    fresh = DIST / "fresh"
    if target is not None:
        command += ["--target", target]
    if interpreter is not None:
        command += ["--interpreter", interpreter]
    if platform.system() == "Linux":
        compatibility = MUSL if target is not None and target.endswith("musl") else GLIBC
        command += ["--zig", "--compatibility", compatibility]
    run([*command, "--out", fresh], built_in, variables)
    (wheel,) = fresh.glob("*.whl")
    wheel = wheel.replace(DIST / wheel.name)
    fresh.rmdir()
    if platform.system() == "Linux":
        run([executable(place, "auditwheel"), "show", wheel], DIST, variables)
    return wheel  # type: ignore[no-any-return]


def examine(wheel: Path) -> str:
    """What is to be said of a wheel: its name and sizes.

    Raises:
        UnusableError: It is too large, or lacks a licence, or its list of what is in it.
    """
    size = wheel.stat().st_size
    with zipfile.ZipFile(wheel) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
        names = archive.namelist()
    missing = [name for name in LICENCES if not any(path.endswith(f".dist-info/licenses/{name}") for path in names)]
    if not any(".dist-info/sboms/" in path for path in names):
        missing.append("SBOM")
    if missing:
        raise UnusableError(f"{wheel.name} lacks {', '.join(missing)}")
    line = f"{wheel.name}: {size / 1e6:.2f} MB, unpacked {unpacked / 1e6:.2f} MB"
    if size > LARGEST or unpacked > LARGEST_UNPACKED:
        raise UnusableError(f"{line}; the most is {LARGEST / 1e6:g} and {LARGEST_UNPACKED / 1e6:g}")
    return line


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", help="what it is for, as Rust names it (default: this machine)")
    parser.add_argument(
        "--interpreter", metavar="PYTHON", help="the one Python that it is for (default: 3.10 and newer)"
    )
    arguments = parser.parse_args()
    try:
        print(examine(build(arguments.target, arguments.interpreter)))
    except UnusableError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
