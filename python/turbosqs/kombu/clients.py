"""The core behind kombu's SQS clients, which are boto3's and stay so for all that moves no message."""

from __future__ import annotations

import logging

from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError

from .._at_exit import flush_at_exit
from .._core import Client, Counts, Failure
from .._delegate import Owner
from .._green import find_select
from .._lock import lock
from ..batching import Batching, as_argument
from ..patching.counts import FAST
from ..patching.listeners import is_passed_on, name_added
from ..patching.settings import UnknownSettingError, core_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_logger = logging.getLogger("turbosqs")

_SEND = "SendMessage"

#: How many cores that send are kept for channels to come.
MOST = 16

#: How the calls of each kind share requests. A poll asks for what its channel has room for, no more; nobody waits for
#: the answer to a delete, so it lingers until the one before is answered.
_KINDS: dict[str, Batching | bool] = {
    "ReceiveMessage": False,
    "DeleteMessage": Batching(linger=0.01),
    "ChangeMessageVisibility": Batching(linger=0.01),
    _SEND: True,
}


class CoreClients:
    """What moves the messages of one of kombu's clients: a core client for each kind of call."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._counts = Counts()
        self._made: dict[str, tuple[Client, Owner]] = {}
        # Why it stays kombu's own, once that has been logged.
        self._reason: str | None = None

    def core(self, operation: str, unheard: bool = False) -> Client | None:
        """The core for an operation, with the credentials that kombu's client has now.

        Args:
            operation: Its name, as the API has it.
            unheard: Whether tools that trace the client's calls are to be heard as well: then they have to be
                kombu's client's own.

        Returns:
            None if the calls of the client are not the core's to make: somebody listens who would miss them, or it
            is set up in a way that the core does not know. A line in the log says so.

        Raises:
            NoCredentialsError: there are none.
            What botocore's credentials raise when they are refreshed.
        """
        made = self._made.get(operation)
        if made is None and self._reason is None:
            made = self._make(operation)
        if made is None:
            return None
        core, owner = made
        reason = owner.way(operation)
        if reason is not None and ((unheard and reason != "sockets") or not _is_let_through(reason)):
            if unheard and _is_let_through(reason):
                return None
            self._stay(f"somebody listens to its calls ({reason})")
            return None
        self._reason = None
        owner.hand_over(core)
        return core

    def keep_handing_over(self, operation: str) -> None:
        """Have a thread give the core of an operation the credentials of now, if they are refreshed by being asked for.

        Args:
            operation: One that ``core`` was asked for.
        """
        core, owner = self._made[operation]
        owner.keep_handing_over(core)

    def count(self) -> None:
        """A call more on the core, for ``turbosqs.stats``."""
        self._counts.add(FAST, is_traced=False)

    def _make(self, operation: str) -> tuple[Client, Owner] | None:
        with lock():
            made = self._made.get(operation)
            if made is not None:
                return made
            try:
                arguments = core_arguments(self._client, name_added(self._client))
                batching = as_argument(_KINDS[operation])
                owner = Owner(self._client)
                core = _shared(owner, arguments) if operation == _SEND else None
                if core is None:
                    core = Client({**arguments, "batching": batching}, resolved=True)
                    if operation == _SEND:
                        _share(owner, arguments, core)
            except (UnknownSettingError, Failure, BotoCoreError, TypeError, ValueError, AttributeError) as error:
                # kombu's own way is always good; AttributeError is another botocore than we know.
                self._stay(f"{type(error).__name__}: {error}")
                return None
            flush_at_exit()
            made = self._made[operation] = core, owner
        return made

    def _stay(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            _logger.warning("Celery's messages move by kombu's own transport: %s", reason)


def _is_let_through(reason: str) -> bool:
    """Whether whoever replaced something lets calls through, as instrumentation does and a mock does not."""
    match reason.partition(":")[0]:
        case "traced":
            return True
        case "wrapped":
            return is_passed_on()
        case "sockets":
            # Those of greenlets, which wait for the core by their own means.
            return is_passed_on() and find_select() is not None
    return False


# Cores that send, the last ones made: each channel of kombu's has a client of its own, and what they send for the same
# account is to share requests.
_sending: dict[tuple[str, str], Client] = {}


def _key(owner: Owner, arguments: dict[str, Any]) -> tuple[str, str] | None:
    credentials = owner.client._request_signer._credentials
    current = None if credentials is None else credentials.get_frozen_credentials()
    return None if current is None else (repr(arguments), str(current.access_key))


def _shared(owner: Owner, arguments: dict[str, Any]) -> Client | None:
    key = _key(owner, arguments)
    return None if key is None else _sending.get(key)


def _share(owner: Owner, arguments: dict[str, Any], core: Client) -> None:
    key = _key(owner, arguments)
    if key is not None:
        _sending[key] = core
        while len(_sending) > MOST:
            del _sending[next(iter(_sending))]


#: Where a client keeps it.
_ATTRIBUTE = "_turbosqs_core_clients"


def core_clients(client: Any) -> CoreClients | None:
    """The core behind a client; None if it is none of botocore's, as in tests."""
    if not isinstance(client, BaseClient):
        return None
    found: CoreClients | None = client.__dict__.get(_ATTRIBUTE)
    if found is None:
        with lock():
            found = client.__dict__.setdefault(_ATTRIBUTE, CoreClients(client))
    return found
