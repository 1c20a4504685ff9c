"""kombu's own tests of its SQS transport, from its source distribution, on turbosqs: all of them pass.

    python scripts/test_kombu.py

Twice: with ``turbosqs.patch()`` in force, and with our transport and channel in the place of kombu's. The distribution
is fetched by pip, by the hash in the lock of the environment ``development``, and kept beside that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import environments
import sources

TESTS = ("t/unit/transport/SQS", "t/unit/asynchronous/aws")
MODES = {"patch": "with turbosqs.patch()", "transport": "with turbosqs.kombu's transport and channel"}


def passes(folder: Path, mode: str) -> bool:
    """Whether all tests pass."""
    paths = [str(environments.ROOT / "scripts"), str(environments.ROOT / "python")]
    settings = {**os.environ, "KOMBU_SUITE": mode, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "kombu_suite", *TESTS]
    return subprocess.run(command, env=settings, cwd=folder, check=False).returncode == 0


def main() -> int:
    folder = sources.unpacked("kombu", "development")
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
