"""boto3's own SQS clients on the Rust core: ``turbosqs.patch()`` and what belongs to it.

    hook.py       when clients are on the core: from when on, and until when
    client.py     calls that have left botocore: on to the core, or back
    seam.py       where they leave it: in botocore's own functions, below whatever others put around them
    call_path.py  what one client's calls on the core need, and whether a call may go there
    keys.py       whether a client's credentials are those that the core has
    listeners.py  who would miss a call that botocore does not make
    tracing.py    what instrumentation does below the seam, beside a call of the core's
    tools.py      which instrumentation is known
    settings.py   from what botocore resolved to what the core is built from
    counts.py     how many calls went which way
    awaited/      all of it for aiobotocore's clients
    start-up/     how ``turbosqs run`` gets into a process before its program does

Nothing here imports botocore before somebody else has, so that a process without boto3 pays nothing.
"""

from __future__ import annotations

from .counts import stats
from .hook import patch, patched, unpatch

__all__ = ["patch", "patched", "stats", "unpatch"]
