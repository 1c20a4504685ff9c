"""The other CPythons of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

#: The version, where it is a CPython that the stable ABI of 3.10 is for; free-threaded ones have none.
PROBE = """
import sys, sysconfig
if sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print("%d.%d" % sys.version_info[:2])
"""


def others() -> dict[str, str]:
    """One interpreter of each version but this one's, on PATH or among pyenv's."""
    found: dict[str, str] = {}
    own = "{}.{}".format(*sys.version_info[:2])
    folders = [str(folder) for folder in sorted(Path.home().glob(".pyenv/versions/*/bin"))]
    for version in (f"3.{minor}" for minor in range(10, 16)):
        for path in (os.environ.get("PATH", ""), *folders):
            name = shutil.which(f"python{version}", path=path)
            # A shim of pyenv may stand for a version that is not installed, or not chosen: it fails.
            if name is not None and version != own and version not in found:
                done = subprocess.run(
                    [name, "-S", "-c", PROBE], capture_output=True, text=True, timeout=20, check=False
                )
                if done.stdout.strip() == version:
                    found[version] = name
    return found


OTHERS = others()
