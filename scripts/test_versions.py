"""The tests of patched clients with older boto3s and with the newest, each in an environment of its own.

    python scripts/test_versions.py [NAME ...]

A name is that of an environment ``boto3-NAME`` (see ``environments.py``), which is made in ``.venv/versions``.
moto's server, which stands for SQS, is that of the Python that runs this.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import environments

FOLDER = environments.VENV / "versions"
PREFIX = "boto3-"
TESTS = "tests/python/patching"
#: What holds with every version, whatever protocol it speaks.
EVERYWHERE = (f"{TESTS}/test_versions.py",)
#: What needs a server that the embedded one can be.
WITH_JSON = (
    f"{TESTS}/test_patch.py",
    f"{TESTS}/test_listening.py",
    f"{TESTS}/test_settings.py",
    f"{TESTS}/test_shortcut.py",
)
PROTOCOL = """
import botocore.session
print(botocore.session.Session().get_service_model("sqs").metadata["protocol"])
"""


def passes(python: Path) -> bool:
    """Whether the tests that suit its boto3 pass with this Python."""
    asked = subprocess.run([python, "-c", PROTOCOL], capture_output=True, text=True, check=True)
    tests = EVERYWHERE if asked.stdout.strip() == "query" else EVERYWHERE + WITH_JSON
    # The package is that of this tree, extension and all.
    settings = {**os.environ, "PYTHONPATH": str(environments.ROOT / "python"), "MOTO_PYTHON": sys.executable}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, env=settings, cwd=environments.ROOT, check=False).returncode == 0


def main(names: list[str]) -> int:
    known = [name.removeprefix(PREFIX) for name in environments.ENVIRONMENTS if name.startswith(PREFIX)]
    if unknown := sorted(set(names) - set(known)):
        print(f"there is no {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or known:
        print(f"{PREFIX}{name}:", flush=True)
        folder = FOLDER / name
        try:
            environments.make(f"{PREFIX}{name}", folder)
        except environments.UnusableError as error:
            print(error, file=sys.stderr)
            failed.append(name)
            continue
        if not passes(environments.executable(folder, "python")):
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
