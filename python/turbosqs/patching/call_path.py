"""What one client's calls on the core need, and whether a call may go there."""

import logging

from botocore import UNSIGNED  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

from .._at_exit import flush_at_exit
from .._core import Client, Failure
from .._lock import lock
from ..errorfactory import exception
from .counts import FAST, Counts
from .listeners import Listening
from .model import Model, as_query, without_empty
from .settings import UnknownSettingError, core_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_logger = logging.getLogger("turbosqs")


class CallPath(Listening):
    """A client's way to the core.

    Attributes:
        core: the core's client, made for the first call that goes there.
        counts: how many calls went which way.
    """

    def __init__(self, client: "Any", call: "Any", counts: "Counts | None") -> None:
        """Look at the client.

        Args:
            client: botocore's client.
            call: what has to be the client's ``_make_api_call``.
            counts: None to begin with nothing.
        """
        super().__init__(client)
        self.counts = Counts() if counts is None else counts
        self.core: Any = None
        self._call = call
        self._model = Model(client.meta.service_model)
        self._is_signed = client._request_signer.signature_version is not UNSIGNED
        self._credentials: Any = None
        self._is_unfit = not self.is_known

    def choose(self, client: "Any", operation_name: str, api_params: "dict[str, Any]") -> str:
        """The way of a call: ``FAST``, or why it is botocore's; see ``stats``. Credentials are handed over here.

        Raises:
            What botocore's credentials raise when they are refreshed.
        """
        if self._is_unfit:
            return "settings"
        way = self.way(client, operation_name)
        if way is not None:
            return way
        if type(client)._make_api_call is not self._call:
            return "wrapped"
        if not self._model.is_known(operation_name, api_params):
            return "model"
        if self.core is None and not self._make_core(client):
            return "settings"
        if self._is_signed and not self._hand_over_credentials():
            return "credentials"
        return FAST

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
            reply = self.core.call(operation_name, api_params)
        except Failure as failure:
            if len(failure.args) == 3:
                code, response, operation = failure.args
                if self._model.is_query:
                    code, response = as_query(response)
                error = client.exceptions.from_code(code)(response, operation)
            else:
                error = exception(failure)
        else:
            return without_empty(reply) if self._model.is_query else reply
        raise error

    def stats(self) -> "dict[str, Any]":
        """The counts, beside whatever the core counts."""
        core_stats = getattr(self.core, "stats", None)
        return {**(core_stats() if core_stats is not None else {}), **self.counts.copy()}

    def close(self) -> None:
        """Send what lingers, and close the core's idle connections."""
        if self.core is not None:
            self.core.flush()
            self.core.close()
