"""What a library takes to download and on the disk: the wheel that is measured, and boto3 with what it needs."""

from __future__ import annotations

import zipfile
from importlib.metadata import distribution
from pathlib import Path

from benches.environments import wheel
from benches.tables import number, table

#: boto3, and what pip installs with it.
BOTO3 = ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3")
MEGA = 1e6


def download() -> float:
    """Megabytes of the wheel."""
    return wheel().stat().st_size / MEGA


def unpacked() -> float:
    """Megabytes of what is in it."""
    with zipfile.ZipFile(wheel()) as archive:
        return sum(entry.file_size for entry in archive.infolist()) / MEGA


def installed(*packages: str) -> float:
    """Megabytes of packages of this environment, without what Python has compiled."""
    paths = {Path(str(path.locate())) for name in packages for path in distribution(name).files or ()}
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file()) / MEGA


def markdown() -> str:
    """The table; each row is what `pip install` brings."""
    rows = [
        ["turbosqs: " + f"`{wheel().name}`", number(download()), number(unpacked())],
        [f"boto3, botocore and {len(BOTO3) - 2} others", "", number(installed(*BOTO3))],
    ]
    return table(["", "to download, MB", "unpacked, MB"], rows)
