"""What one client's calls on the core need, and whether a call may go there: that of aiobotocore's clients."""

from __future__ import annotations

import logging

from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from ..._at_exit import flush_at_exit
from ..._core import Client, Counts, Failure
from ..._exchange import BATCHED, Exchange, ask, current
from ..._lock import lock
from ..._logs import install
from ..call_path import CallPath, error_of
from ..counts import FAST
from ..model import Model
from ..settings import UnknownSettingError
from ..tracing import with_trace, without_digest
from . import cores
from .functions import functions
from .settings import core_arguments
from .tracing import run_around

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from ..tracing import Tools

#: Why there is no core for a client, whose calls are its own then. AttributeError is another aiobotocore than we know.
UNFIT = (UnknownSettingError, Failure, BotoCoreError, TypeError, ValueError, AttributeError)

_logger = logging.getLogger("turbosqs")
# Programs may make a client for each message.
_told: set[str] = set()


class AwaitedPath(CallPath):
    """A client's way to the core, which it shares with clients of the same settings."""

    def __init__(self, client: Any, counts: Counts | None = None) -> None:
        """Look at the client.

        Args:
            client: aiobotocore's client.
            counts: where calls are counted; None for new counts.
        """
        self._functions = functions()
        super().__init__(client, None, Counts() if counts is None else counts)
        self._model = Model(client.meta.service_model)
        self._is_signed = client._request_signer.signature_version is not UNSIGNED
        # What is added to the User-Agent.
        self._name = ""
        self._arguments: dict[str, Any] | None = None
        # What the core is shared by; None while there is no core, and once it is the client's own.
        self._shared: cores.SharedCore | None = None
        self._is_own = False
        # What the core signs with.
        self._credentials: Any = None
        self._is_unfit = not self.is_known
        # How many calls that may share a request are under way, on each core: credentials that are others have another.
        self._unanswered: dict[Client, int] = {}

    def again(self, client: Any) -> AwaitedPath:
        return AwaitedPath(client, self.counts)

    def choose(self, client: Any, operation_name: str, api_params: dict[str, Any]) -> tuple[str, Tools | None]:
        if self._is_unfit:
            return "settings", None
        seen = self.look(client, operation_name)
        if seen.way is not None:
            return seen.way, None
        if not self._model.is_known(operation_name, api_params):
            return "model", None
        if self.is_closed:
            return "closed", None
        if seen.name != self._name and not self._is_own:
            self._name, self._arguments, self._shared, self.core = seen.name, None, None, None
        return FAST, seen.tools

    @property
    def is_closed(self) -> bool:
        """Whether the client is outside of its ``async with``, where aiobotocore does not want it to be used."""
        return self._session.__dict__.get("_sessions", self) is None

    async def make(
        self,
        client: Any,
        operation_name: str,
        api_params: dict[str, Any],
        original: Callable[[Any, str, dict[str, Any]], Awaitable[Any]],
    ) -> Any:
        """Make a call.

        Args:
            client: aiobotocore's client.
            operation_name: such as ``SendMessage``.
            api_params: its arguments.
            original: aiobotocore's function, for a call that stays there.

        Raises:
            The service's errors, of the client's own classes; what the client's credentials raise.
        """
        way, tools = self.choose(client, operation_name, api_params)
        if way == FAST:
            credentials = await self._current_credentials()
            if self.core is None or credentials != self._credentials:
                way = await self._sign_with(client, credentials)
        self.counts.add(way, tools is not None and way == FAST)
        if way != FAST:
            return await original(client, operation_name, api_params)
        if tools is None:
            return await self._answer(client, operation_name, api_params)
        if not tools.around:
            return await self._traced(client, operation_name, api_params, tools)
        return await run_around(
            tools, client, self._url, operation_name, lambda: self._traced(client, operation_name, api_params, tools)
        )

    async def leave(self) -> None:
        """Have what the client has sent leave, and wait until it is answered. What others use stays open."""
        if not self._unanswered:
            return
        exchange = current()
        for core in list(self._unanswered):
            mark = exchange.mark()
            waiting = True
            while waiting:
                # What has no room to leave yet moves up meanwhile.
                waiting = exchange.is_waiting(core, mark)
                await ask(core, Exchange.flush)

    def take_own(self, client: Any) -> Client:
        """A core of the client's own, which sends by itself and is signed for by whatever the client's credentials are.

        The client's calls go there as well from now on: what a handler does with its message is known to its consumer.

        Raises:
            One of ``UNFIT``: there is none for the client.
        """
        with lock():
            if not self._is_own:
                self._name = self.look(client, "ReceiveMessage").name
                self._arguments = _at_once(core_arguments(client, self._name))
                install()
                self.core = Client(self._arguments, resolved=True)
                self._shared, self._credentials, self._is_own = None, None, True
                flush_at_exit()
        return self.core  # type: ignore[no-any-return]

    async def hand_over(self) -> None:
        """Give the client's own core what aiobotocore would sign with now.

        Raises:
            NoCredentialsError: there is nothing.
            What aiobotocore's credentials raise when they are refreshed.
        """
        credentials = await self._current_credentials()
        if credentials != self._credentials or (self._is_signed and credentials is None):
            self._give(credentials)

    async def _current_credentials(self) -> Any:
        owner = self._signer._credentials if self._is_signed else None
        return None if owner is None else await owner.get_frozen_credentials()

    def _give(self, credentials: Any) -> None:
        """Have the client's own core sign with these."""
        if not _are_whole(credentials):
            raise NoCredentialsError
        self.core.set_credentials(credentials.access_key, credentials.secret_key, credentials.token)
        self._credentials = credentials

    async def _sign_with(self, client: Any, credentials: Any) -> str:
        """Have calls signed with these, by the client's own core or the one of all clients with the same settings and
        credentials; the way of the call."""
        if self._is_signed and not _are_whole(credentials):
            return "credentials"
        if self._is_own:
            self._give(credentials)
            return FAST
        try:
            if self._arguments is None:
                self._arguments = await core_arguments(client, self._name)
            shared = cores.take(self._arguments, credentials)
        except UNFIT as error:
            reason = f"{type(error).__name__}: {error}"
            if reason not in _told:
                _told.add(reason)
                _logger.warning("an SQS client stays on aiobotocore's path: %s", reason)
            self._is_unfit = True
            return "settings"
        # Of its own in what is counted for each owner: how much may be unanswered.
        self._shared, self._credentials, self.core = shared, credentials, shared.client.share()
        return FAST

    async def _traced(self, client: Any, operation_name: str, api_params: dict[str, Any], tools: Tools) -> Any:
        header = tools.header(client, self._url, operation_name, api_params) if tools.are_asked else None
        params, traced = (api_params, None) if header is None else with_trace(operation_name, api_params, header)
        # What bears it in its messages does without the header.
        header = header if traced is None else None
        try:
            reply = await self._answer(client, operation_name, params, header)
        except ClientError as refusal:
            if tools.see_attempts:
                tools.repeated(self._url, operation_name, refusal.response)
            raise
        if tools.see_attempts:
            tools.repeated(self._url, operation_name, reply)
        return reply if traced is None else without_digest(reply, traced)

    async def _answer(
        self, client: Any, operation_name: str, api_params: dict[str, Any], header: str | None = None
    ) -> Any:
        core, unanswered = self.core, self._unanswered
        is_batched = operation_name in BATCHED
        if is_batched:
            unanswered[core] = unanswered.get(core, 0) + 1
        exchange = current()
        weakly = exchange.weakly
        try:
            number, future = exchange.call(core, operation_name, api_params, 0, header)
            # As `ask` has it, which would be one coroutine more for each call.
            del exchange
            try:
                answer = await future
            except BaseException:
                if (again := weakly()) is not None:
                    again.abandon(number)
                raise
            if not isinstance(answer, BaseException):
                return answer
            raise answer
        except Failure as failure:
            error = self.error_of(client, failure)
        finally:
            if is_batched:
                if unanswered[core] == 1:
                    del unanswered[core]
                else:
                    unanswered[core] -= 1
        raise error

    def error_of(self, client: Any, failure: Failure) -> Exception:
        """What the client raises for a failure of the core's."""
        return error_of(client, self._model, failure)


def _are_whole(credentials: Any) -> bool:
    return credentials is not None and credentials.access_key is not None and credentials.secret_key is not None


def _at_once(coroutine: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """What a coroutine comes to that awaits functions and waits for nothing: aiobotocore's own way to an endpoint.

    Raises:
        UnknownSettingError: it waits for something.
    """
    try:
        coroutine.send(None)
    except StopIteration as done:
        found: dict[str, Any] = done.value
        return found
    coroutine.close()
    raise UnknownSettingError("its endpoint is not aiobotocore's own to find: that takes more than a computation")
