"""``aio.Session``: where asyncio clients come from, used as aioboto3's and aiobotocore's are."""

from __future__ import annotations

from .. import session
from .sqs import SQS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, overload

    from ..batching import Batching


class Session(session.Session):
    """Settings that asyncio clients share; see ``turbosqs.Session``."""

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def client(
            self,
            service_name: Literal["sqs"],
            region_name: str | None = None,
            api_version: str | None = None,
            use_ssl: bool = True,
            verify: bool | str | None = None,
            endpoint_url: str | None = None,
            aws_access_key_id: str | None = None,
            aws_secret_access_key: str | None = None,
            aws_session_token: str | None = None,
            config: Any = None,
            aws_account_id: str | None = None,
            batching: Batching | bool | None = None,
            telemetry: bool | None = None,
        ) -> SQS: ...

        @overload
        def client(self, service_name: str, *args: Any, **kwargs: Any) -> Any: ...

    def client(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        """An asyncio client, for ``async with`` or without.

        Args:
            service_name: ``sqs``; any other service is handed to aioboto3, when it is installed.
            Others: as for ``turbosqs.Session.client``.

        Raises:
            ModuleNotFoundError: another service, and aioboto3 is not installed.
            Others: what ``turbosqs.Session.client`` raises.
        """
        return connect(self, service_name, *args, **kwargs)

    def resource(self, service_name: str, *args: Any, **kwargs: Any) -> Any:
        """An asynchronous resource: aioboto3's, for every service.

        Raises:
            ModuleNotFoundError: aioboto3 is not installed.
        """
        return _aioboto3(self, f"resource({service_name!r})").resource(service_name, *args, **kwargs)


def connect(settings: session.Session, service_name: str, *args: Any, **kwargs: Any) -> Any:
    """A client with the settings of a session, asyncio's or not; see ``Session.client``."""
    if service_name != "sqs":
        return _aioboto3(settings, f"client({service_name!r})").client(service_name, *args, **kwargs)
    # The base class's own: a session for asyncio has another of that name.
    return SQS(session.Session.client(settings, service_name, *args, **kwargs))


def _aioboto3(settings: session.Session, wanted: str) -> Any:
    """aioboto3's session of the same arguments."""
    from importlib import import_module

    try:
        aioboto3 = import_module("aioboto3")
    except ModuleNotFoundError as error:
        if error.name != "aioboto3":
            raise
        message = f"turbosqs.aio itself is SQS only, {wanted} needs aioboto3: pip install aioboto3"
        raise ModuleNotFoundError(message, name=error.name) from None
    return aioboto3.Session(**{name: value for name, value in settings._arguments.items() if value is not None})
