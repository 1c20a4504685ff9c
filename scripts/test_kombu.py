"""kombu's own tests of its SQS transport, from its source distribution, on turbosqs: all of them pass.

    python scripts/test_kombu.py

Twice: with ``turbosqs.patch()`` in force, and with our transport and channel in the place of kombu's. The distribution
is fetched by pip, by the hash in the lock of the environment ``development``, and kept beside that.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import environments

FOLDER = environments.VENV / "kombu"
TESTS = ("t/unit/transport/SQS", "t/unit/asynchronous/aws")
MODES = {"patch": "with turbosqs.patch()", "transport": "with turbosqs.kombu's transport and channel"}


def requirement() -> str:
    """kombu's entry in the lock, hashes and all."""
    lock = (environments.LOCKS / "development.txt").read_text()
    found = re.search(r"^kombu==(\S+)((?: \\\n    --hash=\S+)+)", lock, re.MULTILINE)
    if found is None:
        raise RuntimeError("kombu is not in requirements/development.txt")
    return f"kombu=={found[1]}{found[2]}\n"


def sources() -> Path:
    """Where kombu's distribution is unpacked."""
    wanted = requirement()
    folder: Path = FOLDER / wanted.split()[0].replace("==", "-")
    if not folder.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as temporary:
            lines = Path(temporary, "requirements.txt")
            lines.write_text(wanted)
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "kombu"]
            command += ["--require-hashes", "--dest", temporary, "--requirement", str(lines)]
            subprocess.run(command, check=True)
            (archive,) = Path(temporary).glob("*.tar.gz")
            with tarfile.open(archive) as files:
                files.extractall(temporary, filter="data")
            Path(temporary, folder.name).rename(folder)
    return folder


def passes(folder: Path, mode: str) -> bool:
    """Whether all tests pass."""
    paths = [str(environments.ROOT / "scripts"), str(environments.ROOT / "python")]
    settings = {**os.environ, "KOMBU_SUITE": mode, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "kombu_suite", *TESTS]
    return subprocess.run(command, env=settings, cwd=folder, check=False).returncode == 0


def main() -> int:
    folder = sources()
    failed = []
    for mode, words in MODES.items():
        print(f"{folder.name}, {words}:", flush=True)
        if not passes(folder, mode):
            failed.append(words)
    if failed:
        print(f"failed: {'; '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
