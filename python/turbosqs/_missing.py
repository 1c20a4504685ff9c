"""What to do where the extension module is missing or cannot be loaded."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

ADVICE = """\
For this machine: pip install --force-reinstall turbosqs
To take to another, such as a Lambda function on x86_64:
    pip install --platform manylinux2014_x86_64 --only-binary=:all: --target FOLDER turbosqs
In a checkout: make build"""


def explain(why: str = "") -> ImportError:
    """An exception that says what is there, what is wanted, and how to get it.

    Args:
        why: the loader's own words, where there is a file that it could not load.
    """
    folder = Path(__file__).parent
    found = sorted(path.name for path in folder.glob("_core.*") if path.suffix not in (".py", ".pyi"))
    python = f"{sys.implementation.name} {platform.python_version()} on {sys.platform} {platform.machine()}"
    there = f"what is there ({', '.join(found)}) is not for it" if found else "there is none"
    reason = f" The loader says: {why}" if why else ""
    text = f"turbosqs has no extension module for {python} in {folder}: {there}.{reason}\n{ADVICE}"
    return ImportError(text, name=f"{__package__}._core")
