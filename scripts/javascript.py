"""The AWS SDK for JavaScript, in a folder: ``python scripts/javascript.py FOLDER``.

FOLDER becomes what ``tests/python/sdks/javascript/package-lock.json`` says, unless it is already. npm installs it, by
the hashes of the lock and without running anything of the packages. Where there is no npm nothing is made: the test
that needs it says so.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

LOCKED = Path(__file__).resolve().parent.parent / "tests/python/sdks/javascript"
INSTALL = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]


def main(folder: Path) -> int:
    npm = shutil.which("npm")
    if npm is None:
        print("there is no npm on this machine: the SDK for JavaScript is left out")
        return 0
    lock = (LOCKED / "package-lock.json").read_text("utf-8")
    made = folder / "made.json"
    if made.exists() and made.read_text("utf-8") == lock:
        return 0
    made.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCKED / name, folder / name)
    status = subprocess.run([npm, *INSTALL], cwd=folder, check=False).returncode
    if status == 0:
        made.write_text(lock, "utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
