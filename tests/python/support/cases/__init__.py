"""The one list of cases."""

from __future__ import annotations

from .errors import CASES as ERRORS
from .language import Case
from .messages import CASES as MESSAGES
from .queues import CASES as QUEUES

CASES: tuple[Case, ...] = (*QUEUES, *MESSAGES, *ERRORS)
#: Each case on each server that it is for, to parametrize a test's `service` and `case`.
PLAYED = [(server, case) for server in ("moto", "embedded") for case in CASES if server in case.servers]
