"""What one client's calls on the core need, and whether a call may go there: that of aiobotocore's clients."""

from __future__ import annotations

import logging

from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError, ClientError

from ..._core import Counts, Failure
from ..._exchange import BATCHED, Exchange, ask, current
from ..call_path import CallPath, error_of
from ..counts import FAST
from ..model import Model
from ..settings import UnknownSettingError
from ..tracing import with_trace, without_digest
from . import cores
from .functions import functions
from .settings import core_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from ..tracing import Tools

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
        self._shared: cores.SharedCore | None = None
        # What that one signs with.
        self._credentials: Any = None
        self._is_unfit = not self.is_known
        # Calls under way that may share a request.
        self._unanswered = 0

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
        if self._session.__dict__.get("_sessions", self) is None:
            return "closed", None
        if seen.name != self._name:
            self._name, self._arguments, self._shared = seen.name, None, None
        return FAST, seen.tools

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
            credentials = None
            if self._is_signed and (owner := self._signer._credentials) is not None:
                credentials = await owner.get_frozen_credentials()
            if self._shared is None or credentials != self._credentials:
                way = await self._share(client, credentials)
        self.counts.add(way, tools is not None and way == FAST)
        if way != FAST:
            return await original(client, operation_name, api_params)
        if tools is not None:
            return await self._traced(client, operation_name, api_params, tools)
        return await self._answer(client, operation_name, api_params)

    def error_of(self, client: Any, failure: Failure) -> Exception:
        return error_of(client, self._model, failure)

    async def leave(self) -> None:
        """Have what the client has sent leave, and wait until it is answered. What others use stays open."""
        if not self._unanswered:
            return
        core = self.core
        exchange = current()
        mark = exchange.mark()
        waiting = True
        while waiting:
            # What has no room to leave yet moves up meanwhile.
            waiting = exchange.is_waiting(core, mark)
            await ask(core, Exchange.flush)

    async def _share(self, client: Any, credentials: Any) -> str:
        """Take what clients of the same settings and credentials share; the way of the call."""
        if self._is_signed and (
            credentials is None or credentials.access_key is None or credentials.secret_key is None
        ):
            return "credentials"
        try:
            if self._arguments is None:
                self._arguments = await core_arguments(client, self._name)
            shared = cores.take(self._arguments, credentials)
        except (UnknownSettingError, Failure, BotoCoreError, TypeError, ValueError, AttributeError) as error:
            # aiobotocore's path is always good; AttributeError is another aiobotocore than we know.
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
        header = tools.header(client, operation_name, api_params)
        params, traced = (api_params, None) if header is None else with_trace(operation_name, api_params, header)
        # What bears it in its messages does without the header.
        header = header if traced is None else None
        try:
            reply = await self._answer(client, operation_name, params, header)
        except ClientError as refusal:
            if tools.sees_attempts:
                tools.repeated(client, operation_name, refusal.response)
            raise
        if tools.sees_attempts:
            tools.repeated(client, operation_name, reply)
        return reply if traced is None else without_digest(reply, traced)

    async def _answer(
        self, client: Any, operation_name: str, api_params: dict[str, Any], header: str | None = None
    ) -> Any:
        is_batched = operation_name in BATCHED
        self._unanswered += is_batched
        exchange = current()
        weakly = exchange.weakly
        try:
            number, future = exchange.call(self.core, operation_name, api_params, 0, header)
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
            self._unanswered -= is_batched
        raise error
