"""What one client's calls on the core need, and whether a call may go there."""

from __future__ import annotations

import logging

from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError, ClientError

from .._at_exit import flush_at_exit
from .._core import Client, Counts, Failure, Shortcut
from .._lock import lock
from .._logs import flush, install
from ..config import warn_of_no_verification
from ..errorfactory import exception
from ..telemetry.tag import TAG
from .counts import FAST
from .keys import watched
from .listeners import Listening
from .model import Model, as_query, with_older_code, without_empty
from .settings import UnknownSettingError, core_arguments
from .tracing import url_of, with_trace, without_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .. import _core
    from .listeners import Seen
    from .tracing import Tools

_logger = logging.getLogger("turbosqs")


class CallPath(Listening):
    """A client's way to the core.

    Attributes:
        core: the core's client; None before there is one.
        counts: how many calls went which way.
        shortcuts: by operation, what makes calls whose way has been decided, as long as it is the same.
    """

    def __init__(self, client: Any, core: Any, counts: Counts) -> None:
        """Look at the client.

        Args:
            client: botocore's client.
            core: the core's.
            counts: where calls are counted.
        """
        super().__init__(client)
        self.core = core
        self.counts = counts
        self.shortcuts: dict[str, Shortcut] = {}
        self._url = url_of(client)

    def again(self, client: Any) -> CallPath:
        """The same for the client as it is now; the counts go on."""
        raise NotImplementedError

    def stats(self) -> dict[str, Any]:
        """The counts, beside whatever the core counts."""
        core_stats = getattr(self.core, "stats", None)
        if core_stats is None:
            return self.counts.copy()
        from .._cost import cost

        counts = core_stats()
        return {**counts, **self.counts.copy(), "cost": cost(counts)}

    def choose(self, client: Any, operation_name: str, api_params: dict[str, Any]) -> tuple[str, Tools | None]:
        """The way of a call, and the known tools that trace it. Credentials are handed over here.

        Returns:
            ``FAST``, or why the call is botocore's, see ``stats``; and None if no known tool traces it.

        Raises:
            What botocore's credentials raise when they are refreshed.
        """
        raise NotImplementedError

    def call(
        self,
        client: Any,
        operation_name: str,
        api_params: dict[str, Any],
        tools: Tools | None,
        is_inside: bool = False,
    ) -> Any:
        """A call on the core, as the tools would see it. The service's errors are of the client's own classes.

        Args:
            client, operation_name, api_params: the call.
            tools: None if no known tool traces it.
            is_inside: this is what their wrappers of ``Endpoint.make_request`` are around.
        """
        if tools is None:
            return self._call(client, operation_name, api_params)
        url = self._url
        if tools.around and not is_inside:
            return tools.run_around(client, url, operation_name, self.call, (client, operation_name, api_params, tools))
        traced = None
        header = tools.header(client, url, operation_name, api_params) if tools.are_asked else None
        if header is not None:
            api_params, traced = with_trace(operation_name, api_params, header)
            if traced is not None:
                # What bears it in its messages does without the header.
                header = None
        if not tools.see_attempts:
            reply = self._call(client, operation_name, api_params, header)
        else:
            try:
                reply = self._call(client, operation_name, api_params, header)
            except ClientError as refusal:
                tools.repeated(url, operation_name, refusal.response)
                raise
            if reply["ResponseMetadata"]["RetryAttempts"]:
                tools.repeated(url, operation_name, reply)
        return reply if traced is None else without_digest(reply, traced)

    def _call(self, client: Any, operation_name: str, api_params: dict[str, Any], header: str | None = None) -> Any:
        raise NotImplementedError

    def error_of(self, client: Any, failure: Failure) -> Exception:
        """What the client raises for a failure of the core's."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what only this path has."""


class PatchedPath(CallPath):
    """That of a patched client, whose core is made for the first call that goes there."""

    def __init__(self, client: Any, counts: Counts | None = None) -> None:
        super().__init__(client, None, Counts() if counts is None else counts)
        self._model = Model(client.meta.service_model)
        self._is_signed = client._request_signer.signature_version is not UNSIGNED
        self._credentials: Any = None
        # What the core adds to the User-Agent.
        self._name = ""
        self._is_unfit = not self.is_known

    def again(self, client: Any) -> PatchedPath:
        return PatchedPath(client, self.counts)

    def choose(self, client: Any, operation_name: str, api_params: dict[str, Any]) -> tuple[str, Tools | None]:
        if operation_name in self.shortcuts:
            # It has met something: a warning that waits to be logged, perhaps.
            flush()
        if self._is_unfit:
            return "settings", None
        seen = self.look(client, operation_name)
        if seen.way is not None:
            return seen.way, None
        if not self._model.is_known(operation_name, api_params):
            return "model", None
        if (self.core is None or seen.name != self._name) and not self._make_core(client, seen.name):
            return "settings", None
        if self._is_signed and not self._hand_over_credentials():
            return "credentials", None
        if self._model.is_ours(operation_name):
            self._shorten(operation_name, seen)
        return FAST, seen.tools

    def _shorten(self, operation_name: str, seen: Seen) -> None:
        """Have the operation's next calls do without all this, until something changes."""
        # The core has what we remember of the credentials.
        with lock():
            found = watched(self._signer, self._credentials) if self._is_signed else ([], None)
            if found is not None and seen.watch is not None:
                shortcut = Shortcut(seen.watch, self.core, operation_name, self.counts, *found, seen.tools)
                self.shortcuts[operation_name] = shortcut

    def _make_core(self, client: Any, name: str) -> bool:
        """Make the core's client, now that nobody listens to botocore finding the endpoint; another if handlers add
        another name to the User-Agent by now."""
        is_unverified = False
        # One for all threads: credentials are handed over once.
        with lock():
            if (self.core is None or name != self._name) and not self._is_unfit:
                try:
                    install()
                    arguments = core_arguments(client, name)
                    core = Client(arguments, resolved=True)
                    if self._credentials is not None:
                        core.set_credentials(*self._credentials[:3])
                    is_unverified = self.core is None and arguments["verify"] is False
                    self.core, self._name = core, name
                    flush_at_exit()
                except (UnknownSettingError, Failure, BotoCoreError, TypeError, ValueError, AttributeError) as error:
                    # botocore's path is always good; AttributeError is another botocore than we know.
                    _logger.warning("an SQS client stays on botocore's path: %s: %s", type(error).__name__, error)
                    self._is_unfit = True
        if is_unverified:
            # botocore's HTTP library would with each request.
            warn_of_no_verification(client.meta.endpoint_url)
        return not self._is_unfit

    def _hand_over_credentials(self) -> bool:
        """Give the core what botocore would sign with now; False if there is nothing."""
        if self._signer._credentials is None:
            return False
        current = self._signer._credentials.get_frozen_credentials()
        if current == self._credentials:
            # They may be other objects.
            self._credentials = current
            return True
        if current is None or current.access_key is None or current.secret_key is None:
            return False
        # Of two threads the core and we must remember the same one's.
        with lock():
            self.core.set_credentials(current.access_key, current.secret_key, current.token)
            self._credentials = current
        return True

    def _call(self, client: Any, operation_name: str, api_params: dict[str, Any], header: str | None = None) -> Any:
        try:
            reply = self.core.call(operation_name, api_params, trace=header)
        except Failure as failure:
            error = self.error_of(client, failure)
        else:
            return without_empty(reply) if self._model.is_query else reply
        raise error

    def error_of(self, client: Any, failure: Failure) -> Exception:
        return error_of(client, self._model, failure)

    def close(self) -> None:
        """Send what lingers, and close the core's idle connections."""
        if self.core is not None:
            self.core.flush()
            self.core.close()


def error_of(client: Any, model: Model, failure: Failure) -> Exception:
    """What a client raises for a failure of the core's; the service's errors are of the client's own classes."""
    if len(failure.args) != 3:
        return exception(failure)
    code, response, operation = failure.args
    if model.is_query:
        code, response = as_query(response)
    elif model.has_older_codes:
        code, response = with_older_code(response)
    error: Exception = client.exceptions.from_code(code)(response, operation)
    return error


class OwnPath(CallPath):
    """That of the client behind one of ours, which the tools look at."""

    def __init__(self, client: Any, core: _core.Client, hand_over: Callable[[_core.Client], None]) -> None:
        super().__init__(client, core, Counts(is_patched=False))
        self._hand_over = hand_over

    def again(self, client: Any) -> OwnPath:
        return OwnPath(client, self.core, self._hand_over)

    def choose(
        self,
        client: Any,
        operation_name: str,
        api_params: dict[str, Any],  # noqa: ARG002
    ) -> tuple[str, Tools | None]:
        if not self.is_known:
            return "settings", None
        seen = self.look(client, operation_name)
        if seen.way is not None:
            return seen.way, None
        self._hand_over(self.core)
        return FAST, seen.tools

    def _call(
        self,
        client: Any,
        operation_name: str,
        api_params: dict[str, Any],
        header: str | None = None,
    ) -> Any:
        try:
            return self.core.call(operation_name, api_params, TAG.get(), header)
        except Failure as failure:
            error = self.error_of(client, failure)
        raise error

    def error_of(self, client: Any, failure: Failure) -> Exception:  # noqa: ARG002
        return exception(failure)
