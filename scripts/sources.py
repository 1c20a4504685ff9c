"""Source distributions of the packages in a lock: for tests that only those have, unpacked beside the environment.

They are fetched by pip, by the hash in the lock.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import environments

FOLDER = environments.VENV / "sources"


def unpacked(package: str, environment: str) -> Path:
    """Where a package's distribution is unpacked.

    Args:
        package: its name on PyPI.
        environment: one that has it.

    Raises:
        RuntimeError: it has not.
    """
    wanted = _requirement(package, environment)
    folder: Path = FOLDER / wanted.split()[0].replace("==", "-").replace("_", "-")
    if not folder.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as temporary:
            lines = Path(temporary, "requirements.txt")
            lines.write_text(wanted)
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", package]
            command += ["--require-hashes", "--dest", temporary, "--requirement", str(lines)]
            subprocess.run(command, check=True)
            (archive,) = Path(temporary).glob("*.tar.gz")
            with tarfile.open(archive) as files:
                files.extractall(temporary, filter="data")
            Path(temporary, archive.name.removesuffix(".tar.gz")).rename(folder)
    return folder


def _requirement(package: str, environment: str) -> str:
    """A package's entry in a lock, hashes and all."""
    path = environments.lock_file(environment)
    found = re.search(rf"^{re.escape(package)}==(\S+)((?: \\\n    --hash=\S+)+)", path.read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{package} is not in {path}")
    return f"{package}=={found[1]}{found[2]}\n"
