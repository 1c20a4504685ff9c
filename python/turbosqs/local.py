"""An SQS of one's own, in memory, for tests and trials: boto3, or any other AWS SDK, can talk to it.

As a pytest fixture::

    @pytest.fixture
    def sqs_server():
        with turbosqs.local.Server() as server:
            yield server

A client of it needs an endpoint, and credentials that can be anything::

    boto3.client("sqs", endpoint_url=server.endpoint_url, region_name="us-east-1",
                 aws_access_key_id="test", aws_secret_access_key="test")
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, TypedDict

from turbosqs import _core

__all__ = ["Faults", "Server", "Stats"]


class Stats(TypedDict):
    """What a server has done so far."""

    requests: dict[str, int]
    """Requests by action (``"SendMessage"``), those refused included."""
    connections: int
    """Connections accepted."""
    handshakes: int
    """TLS handshakes that came to their end."""
    resumed: int
    """Those of them that took up the session of an earlier one."""


class Faults:
    """What is to go wrong, on purpose: ``server.faults.add("throttle", actions=["SendMessage"], times=2)``."""

    def __init__(self, server: _core.LocalServer) -> None:
        self._server = server

    def add(
        self,
        kind: Literal["delay", "throttle", "access_denied", "server_error", "reset", "half_reply", "partial_failure"],
        *,
        actions: Iterable[str] = (),
        rate: float = 1.0,
        times: int | None = None,
        seconds: float = 0.0,
        status: int = 503,
        performed: bool = False,
        entries: Iterable[int] | None = None,
        sender_fault: bool = False,
    ) -> None:
        """Lets a fault strike requests from now on, besides those added before.

        Args:
            kind: What goes wrong.

                * ``"delay"``: the request is carried out ``seconds`` later, by the machine's clock.
                * ``"throttle"``: it is refused as ``RequestThrottled``.
                * ``"access_denied"``: refused as ``AccessDenied``; it is not carried out.
                * ``"server_error"``: it is answered with the HTTP ``status``; it is not carried out.
                * ``"reset"``: its connection is reset, before it is carried out, or after with ``performed=True``.
                * ``"half_reply"``: it is carried out, and its connection closed in the middle of the reply.
                * ``"partial_failure"``: entries of a batch fail, and the others do not.
            actions: The actions to strike (``"SendMessage"``); none for all.
            rate: How likely a request is struck (an entry, for ``"partial_failure"``), from 0 to 1.
            times: How many requests are struck at most; ``None`` for no limit. A request that the fault comes to
                nothing for, because another was first or no entry failed, is not counted.
            seconds: For ``"delay"``: how long, up to 86,400; so much is also the most that several delays add up to.
            status: For ``"server_error"``: from 500 to 599.
            performed: For ``"reset"``: whether the request is carried out first.
            entries: For ``"partial_failure"``: the positions that fail, from 0 to 9, whatever the rate.
            sender_fault: For ``"partial_failure"``: what the failed entries say in ``SenderFault``.

        Raises:
            ValueError: An argument is not as described above.
            RuntimeError: The server is stopped, or belongs to the parent of this process.
        """
        self._server.add_fault(
            kind,
            actions=_several("actions", actions),
            rate=rate,
            times=times,
            seconds=seconds,
            status=status,
            performed=performed,
            entries=None if entries is None else list(entries),
            sender_fault=sender_fault,
        )

    def clear(self) -> None:
        """Lets nothing go wrong any more.

        Raises:
            RuntimeError: The server is stopped, or belongs to the parent of this process.
        """
        self._server.clear_faults()


def _several(parameter: str, names: Iterable[str]) -> list[str]:
    """The names as a list; a single string would pass for one name for each of its letters."""
    if isinstance(names, str):
        raise ValueError(f"{parameter} must be several strings, not the single {names!r}")  # noqa: TRY004 (what is documented)
    return list(names)


def _read(path: str | os.PathLike[str]) -> tuple[str, bytes]:
    """What the file is called, and what it holds."""
    return os.fspath(path), Path(path).read_bytes()


class Server:
    """A running embedded SQS. It starts when it is made and stops when its ``with`` block or its life ends.

    Args:
        port: The port to listen on; 0 takes any free one.
        host: The address to listen on: an IP address, or ``"localhost"``. Nothing beyond the machine itself can reach
            the default.
        clock: ``"real"`` lets the server's time pass with the machine's, plus what :meth:`advance` adds.
            ``"manual"`` lets it pass by :meth:`advance` alone; long polls end by either clock.
        sixty_second_rules: Enforce that a queue is purged once in 60 seconds at most (``PurgeQueueInProgress``) and
            that the name of a deleted queue is not taken again for 60 seconds (``QueueDeletedRecently``).
        queues: Names of queues to make at once; one that ends in ``.fifo`` becomes a FIFO queue.
        account: The account number of callers whose access key is not itself twelve digits.
        region: The region of callers that do not sign their requests, and of ``queues``.
        log: Write a line per request to standard error: ``True`` or ``"text"`` for people, ``"json"`` for programs.
        allow_hosts: Host names that clients may use for the server, besides IP addresses, names without a dot
            (``sqs``, a service of docker compose) and ``localhost`` with all that ends in it. Requests to any other
            name are refused, as are those of web pages: both could come from a page that anybody made. Pages of these
            hosts may act.
        cors: Origins (``"http://localhost:3000"``) whose web pages may act and read replies.
        tls_cert: Speak TLS, and nothing else, with the certificate in this file (PEM; what is between it and its
            authority comes after it). Clients have to trust whoever signed it (``verify=``, ``AWS_CA_BUNDLE``), and it
            has to be for the name in their ``endpoint_url``: :attr:`endpoint_url` has ``127.0.0.1``.
        tls_key: The file of its key (PEM, not encrypted). The two go together.

    Raises:
        OSError: The port is taken, the address is not one of this machine's, or a file cannot be read.
        ValueError: An argument is not as described above; of the files of ``tls_cert`` and ``tls_key`` it says what is
            wrong with which.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        clock: Literal["real", "manual"] = "real",
        sixty_second_rules: bool = False,
        queues: Iterable[str] = (),
        account: str = "000000000000",
        region: str = "us-east-1",
        log: bool | Literal["text", "json"] = False,
        allow_hosts: Iterable[str] = (),
        cors: Iterable[str] = (),
        tls_cert: str | os.PathLike[str] | None = None,
        tls_key: str | os.PathLike[str] | None = None,
    ) -> None:
        names = _several("queues", queues)
        if (tls_cert is None) != (tls_key is None):
            raise ValueError("tls_cert and tls_key go together: TLS needs a certificate and its key")
        tls = None if tls_cert is None or tls_key is None else (_read(tls_cert), _read(tls_key))
        self._server = _core.LocalServer(
            host=host,
            port=port,
            clock=clock,
            sixty_second_rules=sixty_second_rules,
            account=account,
            region=region,
            log=("text" if log else None) if isinstance(log, bool) else log,
            allow_hosts=_several("allow_hosts", allow_hosts),
            cors=_several("cors", cors),
            tls=tls,
        )
        self.faults = Faults(self._server)
        try:
            for name in names:
                self.create_queue(name)
        except BaseException:
            self.stop()
            raise

    @property
    def endpoint_url(self) -> str:
        """``http://127.0.0.1:PORT``, or ``https`` with TLS: what a client takes as its ``endpoint_url``."""
        return self._server.endpoint_url

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self._server.port

    def create_queue(
        self, name: str, attributes: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Makes a queue as CreateQueue does, without a client.

        Args:
            name: Its name; with ``.fifo`` at the end it becomes a FIFO queue.
            attributes: Its attributes, as in boto3's ``create_queue(Attributes=...)``.
            tags: Its tags.

        Returns:
            Its URL.

        Raises:
            ValueError: The service would refuse this; the message says in its words why.
            RuntimeError: The server is stopped, or belongs to the parent of this process.
        """
        wanted = dict(attributes or {})
        if name.endswith(".fifo"):
            wanted.setdefault("FifoQueue", "true")
        return self._server.create_queue(name, list(wanted.items()), list((tags or {}).items()))

    def advance(self, seconds: float) -> None:
        """Moves the server's clock forward; delays, visibility and retention run out at once.

        Args:
            seconds: By how much; 0 or more.

        Raises:
            ValueError: ``seconds`` is negative or no number.
            RuntimeError: The server is stopped, or belongs to the parent of this process.
        """
        self._server.advance(seconds)

    def reset(self) -> None:
        """Forgets all queues, messages, faults and counts. Connections and the time stay, waiting receives end empty.

        Raises:
            RuntimeError: The server is stopped, or belongs to the parent of this process.
        """
        self._server.reset()

    def stats(self) -> Stats:
        """What the server has done since it started or was last reset.

        Raises:
            RuntimeError: The server is stopped, or belongs to the parent of this process.
        """
        return self._server.stats()

    def stop(self) -> None:
        """Stops listening and closes every connection. Stopping twice is stopping once; in a forked child it does
        nothing, since the server is the parent's.
        """
        self._server.stop()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
