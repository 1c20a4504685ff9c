"""The one list of cases."""

from __future__ import annotations

from .cases_errors import CASES as ERRORS
from .cases_messages import CASES as MESSAGES
from .cases_queues import CASES as QUEUES
from .language import Case

CASES: tuple[Case, ...] = (*QUEUES, *MESSAGES, *ERRORS)
