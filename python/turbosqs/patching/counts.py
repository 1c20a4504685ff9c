"""How many calls of patched clients went which way."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The key of the calls on the core.
FAST = "fast"
#: The key of those among them that an instrumentation tool has traced. Every other key says why botocore made a call.
TRACED = "traced"


def stats(client: Any = None) -> dict[str, Any]:
    """How many calls patched clients have made in this process, by the way they went.

    Args:
        client: a patched client, to have its own calls only, and beside them what its core counts: the keys of
            ``turbosqs.SQS.stats``. Clients of aiobotocore's with the same settings and credentials share a core.

    Returns:
        Under ``fast`` the calls on the Rust core, and under ``traced`` how many of those an instrumentation tool has
        recorded (Sentry, OpenTelemetry, Datadog, X-Ray, Elastic, New Relic). The others took botocore's own path, and
        their key says why:
            ``events: some.module.function``: that handler was registered for an event of the call; without a name,
                one of botocore's own was taken out.
            ``stubber``: a ``botocore.stub.Stubber`` was active.
            ``moto``: moto's mock was on.
            ``wrapped: some.module.function``: that function stood in the place of one of botocore's: of
                ``BaseClient._make_api_call``, say. A mock that does not call on to botocore's function is not
                counted.
            ``sockets``: Python's sockets were replaced (gevent, eventlet, pytest-socket).
            ``history``: botocore's history recorder was on.
            ``credentials``: there were none to sign with.
            ``model``: botocore's model of the operation is not the one that the core was built for.
            ``settings``: the client is set up in a way that the core does not know.
            ``closed``: a client of aiobotocore's was used outside of its ``async with``.

    Raises:
        TypeError: ``client`` is no patched client of SQS.
    """
    if client is None:
        # Only now: who patches may never use boto3.
        from .._core import Counts

        return Counts.of_all()
    from .hook import of_client

    return of_client(client)


def by_botocore() -> dict[str, int]:
    """How many calls of patched clients botocore has made in this process, by the reason."""
    return {way: number for way, number in stats().items() if way not in (FAST, TRACED)}
