"""What one client's calls on the core need, and whether a call may go there."""

import logging
from operator import is_, itemgetter

from botocore import UNSIGNED  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
from botocore.history import get_global_history_recorder  # type: ignore[import-untyped]

from .._at_exit import flush_at_exit
from .._core import Client, Failure
from .._lock import lock
from ..errorfactory import exception
from .counts import FAST, Counts
from .listeners import NAMES, Audience, emitter, replaced
from .model import is_known
from .settings import UnknownSettingError, core_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_logger = logging.getLogger("turbosqs")
_history = get_global_history_recorder()

#: What a client is made of. Programs exchange parts now and then.
_parts = itemgetter("_endpoint", "_request_signer", "_serializer", "_ruleset_resolver", "_user_agent_creator", "meta")


class Lane:
    """A client's way to the core.

    Attributes:
        core: the core's client, made for the first call that goes there.
        counts: how many calls went which way.
    """

    def __init__(self, client: "Any", call: "Any", counts: "Counts | None") -> None:
        """Look at the client.

        Arguments:
            client: botocore's client.
            call: what has to be the client's ``_make_api_call``.
            counts: None to begin with nothing.
        """
        self.counts = Counts() if counts is None else counts
        self.core: Any = None
        self._call = call
        self._parts = _parts(client.__dict__)
        self._endpoint = client._endpoint
        self._session = client._endpoint.http_session
        self._signer = client._request_signer
        # How many attributes the client and its parts had when none of them stood before a method. To stand there is
        # to be one more: what they have of their own is never taken away.
        self._numbers: tuple[int, ...] = ()
        self._model = client.meta.service_model
        self._events = client.meta.events
        self._emitter = emitter(client)
        # The emitter's lookup cache, and who listens to what for as long as it has that one.
        self._audiences: tuple[Any, dict[str, Audience]] = (None, {})
        self._is_signed = client._request_signer.signature_version is not UNSIGNED
        self._credentials: Any = None
        self._is_unfit = self._emitter is None

    def is_outdated(self, client: "Any") -> bool:
        """Whether the client is no longer made of what it was made of."""
        return (
            not all(map(is_, _parts(client.__dict__), self._parts))
            or client.meta.events is not self._events
            or self._endpoint.http_session is not self._session
        )

    def choose(self, client: "Any", operation_name: str) -> str:
        """The way of a call: ``FAST``, or why it is botocore's; see ``stats``. Credentials are handed over here.

        Raises:
            What botocore's credentials raise when they are refreshed.
        """
        if self._is_unfit:
            return "settings"
        way = replaced()
        if way is not None:
            return way
        if type(client)._make_api_call is not self._call or self._is_shadowed(client):
            return "wrapped"
        audience = self._audience(operation_name)
        if audience.way is not None:
            return audience.way
        for mock in audience.mocks:
            if mock.enabled:
                return "moto"
        if _history._enabled:
            return "history"
        if self.core is None and not self._make_core(client):
            return "settings"
        if self._is_signed and not self._hand_over_credentials():
            return "credentials"
        return FAST

    def _is_shadowed(self, client: "Any") -> bool:
        """Whether a method that carries calls was replaced in this very client, or in a part of it."""
        attributes = client.__dict__, self._endpoint.__dict__, self._session.__dict__, self._signer.__dict__
        numbers = tuple(map(len, attributes))
        if numbers == self._numbers:
            return False
        if not all(map(NAMES.isdisjoint, attributes)):
            return True
        self._numbers = numbers
        return False

    def _audience(self, operation_name: str) -> Audience:
        # In this order: a handler that comes meanwhile replaces the cache that the answer is kept under.
        cache = self._emitter._lookup_cache
        known = self._audiences
        if known[0] is not cache:
            self._audiences = known = (cache, {})
        audience = known[1].get(operation_name)
        if audience is None:
            audience = Audience(self._emitter._handlers, operation_name)
            if not is_known(self._model, operation_name):
                audience.way = audience.way or "model"
            known[1][operation_name] = audience
        return audience

    def _make_core(self, client: "Any") -> bool:
        """Make the core's client, now that nobody listens to botocore finding the endpoint."""
        # One for all threads: credentials are handed over once.
        with lock():
            if self.core is None and not self._is_unfit:
                try:
                    self.core = Client(core_arguments(client), resolved=True)
                    flush_at_exit()
                except (UnknownSettingError, Failure, BotoCoreError, TypeError, ValueError, AttributeError) as error:
                    # botocore's path is always good; AttributeError is another botocore than we know.
                    _logger.warning("an SQS client stays on botocore's path: %s: %s", type(error).__name__, error)
                    self._is_unfit = True
        return not self._is_unfit

    def _hand_over_credentials(self) -> bool:
        """Give the core what botocore would sign with now; False if there is nothing."""
        if self._signer._credentials is None:
            return False
        current = self._signer._credentials.get_frozen_credentials()
        if current == self._credentials:
            return True
        if current is None or current.access_key is None or current.secret_key is None:
            return False
        # Of two threads the core and we must remember the same one's.
        with lock():
            self.core.set_credentials(current.access_key, current.secret_key, current.token)
            self._credentials = current
        return True

    def call(self, client: "Any", operation_name: str, api_params: "dict[str, Any]") -> "Any":
        """A call on the core. The service's errors are of the client's own classes."""
        try:
            return self.core.call(operation_name, api_params)
        except Failure as failure:
            if len(failure.args) == 3:
                code, response, operation = failure.args
                error = client.exceptions.from_code(code)(response, operation)
            else:
                error = exception(failure)
        raise error

    def stats(self) -> "dict[str, Any]":
        """The counts, beside whatever the core counts."""
        core_stats = getattr(self.core, "stats", None)
        return {**(core_stats() if core_stats is not None else {}), **self.counts.copy()}

    def close(self) -> None:
        """Send what waits for company, and close the core's idle connections."""
        if self.core is not None:
            self.core.flush()
            self.core.close()
