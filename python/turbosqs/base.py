"""What a client is beside its operations, whichever way they are waited for."""

from ._operations import METHOD_TO_API, PAGINATORS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from . import _core
    from ._core import Stats
    from .errorfactory import SQSExceptions
    from .meta import ClientMeta


class BaseClient:
    """The part that the sync and the asyncio client have in common.

    Attributes:
        meta: region, endpoint, configuration and service model; see ``turbosqs.meta.ClientMeta``.
    """

    meta: "ClientMeta"
    _core: "_core.Client"

    @property
    def exceptions(self) -> "SQSExceptions":
        """The service's errors as classes: ``except client.exceptions.QueueDoesNotExist``."""
        from .errorfactory import exceptions

        return exceptions()

    def can_paginate(self, operation_name: str) -> bool:
        """Whether an operation has a paginator.

        Arguments:
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

    def get_waiter(self, waiter_name: str) -> "NoReturn":
        """Refuse, as boto3 does: SQS has no waiters.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"Waiter does not exist: {waiter_name}")

    def stats(self) -> "Stats":
        """What this client has done so far.

        Returns:
            A dict. ``requests``: HTTP requests by action, repeated attempts included; ``messages``: calls that could
            share a request, by action; ``fill``: the mean number of them in a request; ``flushes``: how many requests
            left, by reason (``idle``: nothing was in flight; ``full``: ten entries; ``bytes``: 1 MiB; ``returned``: the
            last request in flight was back; ``linger``: waited long enough; ``flush``: ``close`` or the end of a
            ``batch_writer``; ``apart``: an entry of a batch that was refused as a whole, asked for alone);
            ``retries``: repeated attempts, of requests and of entries.
        """
        return self._core.stats()

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

    def __reduce_ex__(self, protocol: object) -> "NoReturn":
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
