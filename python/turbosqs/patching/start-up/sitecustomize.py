"""Runs before a program that ``turbosqs run`` starts, and before its children; see ``turbosqs._run``.

The folder goes from ``sys.path`` again, and another ``sitecustomize``, which this one stands before, has its turn.
A child may be of any Python there ever was, so this is written in what all of them understand.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module


def _patch():  # type: ignore[no-untyped-def]
    try:
        from turbosqs.patching.hook import patch_when_imported
    except ModuleNotFoundError as error:
        if error.name != "turbosqs":
            raise
        # A child may be of a Python that has nothing to do with ours; the program itself was meant to be patched.
        parent = os.getppid() if hasattr(os, "getppid") else None
        if os.environ.get("TURBOSQS_RUN") in (str(os.getpid()), "child of %s" % parent):  # noqa: UP031
            sys.stderr.write("turbosqs run: not patched, %s has no turbosqs\n" % sys.executable)  # noqa: UP031
    else:
        patch_when_imported()
        if os.environ.get("TURBOSQS_RUN_STATS"):
            from turbosqs._cost import tell_at_exit
            from turbosqs.patching.counts import by_botocore

            tell_at_exit(by_botocore)


def _give_way():  # type: ignore[no-untyped-def]
    """Import the ``sitecustomize`` that would have been imported without this one."""
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not loaded at start-up
    sys.path[:] = [place for place in sys.path if os.path.abspath(place) != here]  # noqa: PTH100
    ours = sys.modules.pop(__name__)
    try:
        import_module(__name__)
    except ImportError as error:
        if getattr(error, "name", __name__) != __name__:
            raise
        # The import system wants to find what it began with.
        sys.modules[__name__] = ours


if __name__ == "sitecustomize":
    try:
        if sys.version_info >= (3, 10):  # noqa: UP036
            _patch()  # type: ignore[no-untyped-call]
    finally:
        _give_way()  # type: ignore[no-untyped-call]
