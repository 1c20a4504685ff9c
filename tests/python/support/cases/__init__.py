"""The one list of cases."""

from __future__ import annotations

from .errors import CASES as ERRORS
from .language import Case
from .messages import CASES as MESSAGES
from .queues import CASES as QUEUES

CASES: tuple[Case, ...] = (*QUEUES, *MESSAGES, *ERRORS)
#: Each case once, to parametrize a test's `service` and `case`.
ONCE = [("embedded" if "embedded" in case.servers else "moto", case) for case in CASES]
#: Each case on each server that it is for. What the two make of it is compared for one client, and is so for all.
PLAYED = [(server, case) for server in ("moto", "embedded") for case in CASES if server in case.servers]
