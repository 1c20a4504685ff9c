"""Clients of aiobotocore's that are on the core, as consumers and iterators need them."""

from __future__ import annotations

import sys
from inspect import iscoroutinefunction

from .. import _core
from .._exchange import ask
from .._listened import refuse
from ..patching.hook import path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable
    from typing import Any

    from ..patching.awaited.call_path import AwaitedPath
    from ..patching.awaited.signing import Signing
    from .sqs import SQS


def taken(client: Any, wanted: str) -> SQS | PatchedClient:
    """What polls for somebody, from the client that it was given.

    Args:
        client: what ``turbosqs.aio.client`` makes, or a patched client of aiobotocore's.
        wanted: what it is for, to be named if the client will not do.

    Raises:
        TypeError: neither of these.
        RuntimeError: a patched client whose calls cannot go to the core.
    """
    if isinstance(getattr(client, "_core", None), _core.Client) and iscoroutinefunction(client.close):
        return client  # type: ignore[no-any-return]
    kind = f"{type(client).__module__}.{type(client).__name__}"
    base = getattr(sys.modules.get("aiobotocore.client"), "AioBaseClient", None)
    if base is None or not issubclass(type(client), base) or client.meta.service_model.service_name != "sqs":
        raise TypeError(
            f"{wanted} needs what turbosqs.aio.client makes, or a patched SQS client of aiobotocore's, not {kind}"
        )
    path = path_of(client)
    if path is None:
        raise TypeError(
            f"{wanted} sends from the Rust core, and this client of aiobotocore's does not: call turbosqs.patch(), "
            "or give it what turbosqs.aio.client makes"
        )
    return PatchedClient(client, path, wanted)  # type: ignore[arg-type]


class PatchedClient:
    """A patched client of aiobotocore's, by the names that ours has for what polls.

    Settings are those of the client, errors are of its classes, and credentials are asked of its providers.
    """

    #: Whether it is recorded: as others are.
    _telemetry: bool | None = None

    def __init__(self, client: Any, path: AwaitedPath, wanted: str) -> None:
        """See to it that the client has a core of its own.

        Args:
            client: aiobotocore's.
            path: its way to the core.
            wanted: what it is for.

        Raises:
            RuntimeError: it is closed, or set up in a way that the core does not know.
        """
        from ..patching.awaited.call_path import UNFIT

        if path.is_closed:
            raise RuntimeError(f"{wanted} needs an open client: make it within the client's ``async with``")
        if not path.is_known:
            refuse(wanted, "settings")
        try:
            self._core = path.take_own(client)
        except UNFIT as error:
            raise RuntimeError(
                f"{wanted} sends from the Rust core, and this client stays on aiobotocore's path: {error}. Make it "
                "without that setting, or use what turbosqs.aio.client makes"
            ) from error
        self._client = client
        self._path = path

    def _core_for(self, wanted: str, operation_names: tuple[str, ...]) -> _core.Client:
        """The core, if nobody would miss the calls.

        Raises:
            RuntimeError: somebody listens: a mock, a stub, a handler.
        """
        for operation_name in operation_names:
            way = self._path.look(self._client, operation_name).way
            if way is not None:
                refuse(wanted, way, self._path.is_passed_on)
        return self._core

    async def _keep_signing(self) -> Signing:
        """See to what requests are signed with, in this event loop, for as long as somebody has what this answers.

        Raises:
            NoCredentialsError: there is nothing to sign with.
            What aiobotocore's credentials raise when they are refreshed.
        """
        from ..patching.awaited.signing import Signing

        await self._path.hand_over()
        return Signing(self._path)

    async def _ask(self, begin: Callable[..., tuple[int, Future[Any]]], *arguments: Any) -> Any:
        return await ask(self._core, begin, *arguments)

    def _exception(self, failure: _core.Failure) -> Exception:
        return self._path.error_of(self._client, failure)
