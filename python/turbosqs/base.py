"""What a client is beside its operations, whichever way they are waited for."""

from __future__ import annotations

from ._lock import lock
from ._operations import METHOD_TO_API, PAGINATORS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypedDict

    from . import _core
    from ._core import Client as Core
    from ._cost import Cost
    from ._listened import Listened
    from .errorfactory import SQSExceptions
    from .meta import ClientMeta

    class _Stats(TypedDict):
        requests: dict[str, int]
        messages: dict[str, int]
        fill: dict[str, float]
        flushes: dict[str, int]
        retries: int
        botocore: dict[str, int]
        billed: dict[str, int]
        unshared: dict[str, int]
        cost: Cost


#: Parts of a client of botocore's.
PARTS = (
    "_cache",
    "_endpoint",
    "_exceptions_factory",
    "_loader",
    "_request_signer",
    "_response_parser",
    "_ruleset_resolver",
    "_serializer",
    "_user_agent_creator",
)


def _part(name: str) -> Any:
    """A property that is a part of a client, by its name in botocore's."""

    def read(client: BaseClient) -> Any:
        from ._private import part

        def whole(wanted: str) -> Any:
            return client._listened.make(wanted).client

        return part(name, None if client._listened.is_owned else client._core, whole, lambda: client.meta.config)

    return property(read)


class BaseClient:
    """The part that the sync and the asyncio client have in common.

    Attributes:
        meta: region, endpoint, configuration and service model; see ``turbosqs.meta.ClientMeta``.
    """

    meta: ClientMeta
    _core: _core.Client
    _listened: Listened
    #: Whether it is recorded: None as others are; see ``turbosqs.telemetry``.
    _telemetry: bool | None = None

    @property
    def exceptions(self) -> SQSExceptions:
        """The service's errors as classes: ``except client.exceptions.QueueDoesNotExist``."""
        from .errorfactory import exceptions

        return exceptions()

    def __repr__(self) -> str:
        return (
            f"<{type(self).__module__.removesuffix('.sqs')}.SQS in {self.meta.region_name} at {self.meta.endpoint_url}>"
        )

    def can_paginate(self, operation_name: str) -> bool:
        """Whether an operation has a paginator.

        Args:
            operation_name: the method's name, such as ``list_queues``.

        Raises:
            KeyError: no such method.
        """
        if operation_name not in METHOD_TO_API:
            raise KeyError(operation_name)
        return operation_name in PAGINATORS

    @property
    def waiter_names(self) -> list[str]:
        """Empty: SQS has no waiters."""
        return []

    def get_waiter(self, waiter_name: str) -> NoReturn:
        """Refuse, as boto3 does: SQS has no waiters.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"Waiter does not exist: {waiter_name}")

    def _core_for(self, wanted: str, operation_names: tuple[str, ...]) -> Core:
        """The core, for what makes calls of its own: refused while a mock, a stub or a handler would miss them.

        Raises:
            RuntimeError: somebody would.
        """
        return self._listened.core(wanted, operation_names)

    # Private names of botocore's clients that programs read; see ``turbosqs._private``.

    if TYPE_CHECKING:

        @property
        def _request_signer(self) -> Any: ...

    else:
        for _name in PARTS:
            locals()[_name] = _part(_name)
        del _name

    _PY_TO_OP_NAME = METHOD_TO_API

    @property
    def _client_config(self) -> Any:
        return self.meta.config

    @property
    def _service_model(self) -> Any:
        return self.meta.service_model

    def _get_credentials(self) -> Any:
        return self._request_signer._credentials

    def stats(self) -> _Stats:
        """What this client has done so far.

        Returns:
            A dict. ``requests``: HTTP requests by action, repeated attempts included; ``messages``: calls that could
            share a request, by action (30 ``ReceiveMessage`` here and 5 among the requests: 30 receives became 5
            requests); ``fill``: the mean number of them in a request; ``flushes``: how many requests
            left, by reason (``idle``: nothing was in flight; ``full``: ten entries; ``bytes``: 1 MiB; ``returned``: the
            last request in flight was back; ``linger``: waited long enough; ``flush``: ``close`` or the end of a
            ``batch_writer``; ``solo``: an entry that was refused with its batch or in it, asked for alone);
            ``retries``: repeated attempts, of requests and of entries; ``botocore``: calls that botocore has made,
            because somebody listened, by the reason, see ``turbosqs.stats``; ``billed``: requests as SQS bills them, at
            the rates of ``standard`` and ``fifo`` queues; ``unshared``: the same if each call had been a request of its
            own; ``cost``: what ``turbosqs.cost`` makes of these two.
        """
        from ._cost import cost

        with lock():
            counts = self._core.stats()
            return {**counts, "botocore": dict(self._listened.counts), "cost": cost(counts)}

    def _paging(self, operation_name: str) -> dict[str, str]:
        """How an operation is paged.

        Raises:
            OperationNotPageableError: it has no pages.
            KeyError: no such method.
        """
        if not self.can_paginate(operation_name):
            from .exceptions import OperationNotPageableError

            raise OperationNotPageableError(operation_name=operation_name)
        return PAGINATORS[operation_name]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        from pickle import PicklingError

        raise PicklingError("Can't pickle an SQS client: it holds connections. Make one where it is used")


def api_name(method: str) -> str:
    """The API's name of a client's method, for ``generate_presigned_url``.

    Raises:
        UnknownClientMethodError: no such method.
    """
    operation = METHOD_TO_API.get(method)
    if operation is None:
        from .exceptions import UnknownClientMethodError

        raise UnknownClientMethodError(method_name=method)
    return operation
