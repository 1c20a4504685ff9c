"""Stands where the extension module is not: Python prefers that to this one, which can only say what is wrong."""

from __future__ import annotations

from ._missing import explain

raise explain()
