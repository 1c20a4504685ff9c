"""``aio.Session``: where asyncio clients come from, used as aioboto3's and aiobotocore's are."""

from __future__ import annotations

from .. import session
from .sqs import SQS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .. import sqs as blocking


class Session(session.Session):
    """Settings that asyncio clients share; see ``turbosqs.Session``.

    ``client`` makes an asyncio client, for ``async with`` or without. Clients of other services than SQS are
    aioboto3's, when it is installed, and so are all resources, that of ``sqs`` on our client.
    """

    def _own(self, client: blocking.SQS) -> SQS:  # type: ignore[override]
        return SQS(client)

    def _others(self, service_name: str, arguments: dict[str, Any]) -> Any:
        return self._aioboto3(f"client({service_name!r})").client(service_name, **session.given(arguments))

    def create_client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        """``client`` by the name that aiobotocore's sessions have for it: the same arguments and errors."""
        return self.client(service_name, *args, **kwargs)

    def resource(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        """An asynchronous resource, for ``async with``: aioboto3's, of ``sqs`` on our client.

        Args:
            service_name: ``sqs``, or any name that aioboto3 has resources for.
            args, kwargs: as for ``aioboto3.Session.resource``.

        Raises:
            ModuleNotFoundError: aioboto3 is not installed.
            For ``sqs``: what ``client`` raises.
        """
        theirs = self._aioboto3(f"resource({service_name!r})")
        if service_name == "sqs":
            # The resource layer asks it for the one client that it needs.
            theirs.client = self.client
        return theirs.resource(service_name, *args, **kwargs)

    def _aioboto3(self, wanted: str) -> Any:
        """aioboto3's session of the same arguments."""
        from importlib import import_module

        try:
            aioboto3 = import_module("aioboto3")
        except ModuleNotFoundError as error:
            if error.name != "aioboto3":
                raise
            message = f"turbosqs.aio itself is SQS only, {wanted} needs aioboto3: pip install aioboto3"
            raise ModuleNotFoundError(message, name=error.name) from None
        return aioboto3.Session(**session.given(self._arguments))


def awaited(blocking_session: session.Session) -> Session:
    """A session for asyncio that is another one's: its settings, its credentials, its handlers."""
    if isinstance(blocking_session, Session):
        return blocking_session
    shared = Session.__new__(Session)
    shared.__dict__ = blocking_session.__dict__
    return shared
