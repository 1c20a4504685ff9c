"""kombu's SQS transport, with channels whose messages the core moves."""

from __future__ import annotations

from botocore.exceptions import ClientError
from kombu.transport import SQS
from kombu.utils.url import parse_url

from .._core import monotonic
from .channel import Channel
from .exchange import wait_for
from .failures import ReceiveError, has_failed
from .publishing import LatePublishing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: How long to look away at most, in seconds.
_LOOK = 1.0


class Transport(SQS.Transport):  # type: ignore[misc]
    """``kombu.transport.SQS.Transport`` on the Rust core.

    All transport options of kombu's own mean what they mean there.
    """

    Channel = Channel

    _late_publishing: LatePublishing | None = None

    @property
    def late_publishing(self) -> LatePublishing:
        """What is published with ``publish_batching``."""
        if self._late_publishing is None:
            self._late_publishing = LatePublishing()
        return self._late_publishing

    def close_connection(self, connection: Any) -> None:
        """As kombu's; what was published is sent first."""
        if self._late_publishing is not None:
            self._late_publishing.close()
        super().close_connection(connection)

    def establish_connection(self) -> Any:
        """As kombu's.

        Raises:
            ReceiveError: the service refuses a worker that connects anew, which is to try again.
            botocore.exceptions.ClientError: it refuses anybody else.
        """
        try:
            return super().establish_connection()
        except ClientError as error:
            if has_failed():
                raise ReceiveError(f"the service refuses to be connected to: {error}") from error
            raise

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver messages, those that have come or the next that come.

        Raises:
            socket.timeout: none have come within ``timeout`` seconds.
            ReceiveError: a queue cannot be received from.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            every: Any = self.channels
            channels = [channel for channel in every if channel._consumers]
            if not channels or not all(channel.is_driven_by_core for channel in channels):
                super().drain_events(connection, timeout=timeout, **kwargs)
                return
            if sum([channel.pump() for channel in channels]):
                return
            left = _LOOK if deadline is None else deadline - monotonic()
            if left <= 0:
                raise TimeoutError
            wait_for([channel.descriptor for channel in channels], min(left, _LOOK))


class UrlTransport(Transport):
    """The same for ``turbosqs+sqs://`` URLs, of which kombu leaves the part behind the ``+`` to the transport."""

    can_parse_url = True

    class Channel(Channel):
        @property
        def conninfo(self) -> Any:
            """Host, port, user and password of the URL."""
            return _Parsed(super().conninfo)


class _Parsed:
    """kombu's ``Connection``, its URL taken apart."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        parts = parse_url(connection.hostname) if "://" in (connection.hostname or "") else {}
        for name in ("hostname", "port", "userid", "password"):
            setattr(self, name, parts.get(name, getattr(connection, name)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
