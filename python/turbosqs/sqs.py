"""The client: boto3's SQS client in names, arguments, replies and exceptions, on the Rust core."""

from ._core import Failure
from ._operations import METHOD_TO_API, PAGINATORS, Operations
from .errorfactory import exception
from .meta import ClientMeta

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from . import _core
    from ._core import Stats
    from .errorfactory import SQSExceptions
    from .paginate import Paginator
    from .writer import BatchWriter


class SQS(Operations):
    """A client for Amazon SQS; ``turbosqs.client("sqs")`` makes one.

    The 23 operations are methods that take keyword arguments and return dicts. A client may be used from any number
    of threads, and after a fork.

    Attributes:
        meta: region, endpoint, configuration and service model; see ``turbosqs.meta.ClientMeta``.
    """

    meta: ClientMeta

    def __init__(self, core: "_core.Client", config: "Any" = None, profile_name: "str | None" = None) -> None:
        """Wrap a core client.

        Arguments:
            core: what sends.
            config, profile_name: what it was made with, for ``meta.config``.
        """
        self.meta = ClientMeta(core, config, profile_name)
        self._core = core
        self._call = core.call
        _flush_at_exit()

    def _make_api_call(self, operation_name: str, api_params: "dict[str, Any]") -> "dict[str, Any]":
        """One operation by the API's name, as in boto3; every method comes through here.

        Raises:
            What the method raises.
        """
        try:
            return self._call(operation_name, api_params)
        except Failure as failure:
            error = exception(failure)
        raise error

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

    def get_paginator(self, operation_name: str) -> "Paginator":
        """The paginator of ``list_queues`` or ``list_dead_letter_source_queues``.

        Raises:
            OperationNotPageableError: the operation has no pages.
            KeyError: no such method.
        """
        from .paginate import Paginator

        if not self.can_paginate(operation_name):
            from .exceptions import OperationNotPageableError

            raise OperationNotPageableError(operation_name=operation_name)
        return Paginator(getattr(self, operation_name), PAGINATORS[operation_name])

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

    def generate_presigned_url(
        self,
        ClientMethod: str,  # noqa: N803
        Params: "dict[str, Any] | None" = None,  # noqa: N803
        ExpiresIn: "int | str | None" = 3600,  # noqa: N803
        HttpMethod: "str | None" = None,  # noqa: N803
    ) -> str:
        """Sign a request for somebody else to send.

        Arguments:
            ClientMethod: the method's name, such as ``send_message``.
            Params: what the method would be called with.
            ExpiresIn: how long the URL is good for, in seconds; a text of digits will do. None is an hour.
            HttpMethod: the verb that it is signed for; None for the operation's own.

        Raises:
            UnknownClientMethodError: no such method.
            ParamValidationError: ``Params`` do not fit the operation.
            TypeError, ValueError: ``ExpiresIn`` is no number of seconds.
        """
        operation = METHOD_TO_API.get(ClientMethod)
        if operation is None:
            from .exceptions import UnknownClientMethodError

            raise UnknownClientMethodError(method_name=ClientMethod)
        try:
            return self._core.presign(operation, {} if Params is None else Params, ExpiresIn, HttpMethod)
        except Failure as failure:
            error = exception(failure)
        raise error

    def batch_writer(self, *, QueueUrl: str, progress: bool = False) -> "BatchWriter":  # noqa: N803
        """For one thread that has many messages: full requests, many at a time, and bounded memory.

            with sqs.batch_writer(QueueUrl=url) as batch:
                for row in rows:
                    batch.send_message(MessageBody=row)

        Arguments:
            QueueUrl: of the queue that all of them are for.
            progress: show a progress bar on standard error: tqdm's, if tqdm is installed.

        Returns:
            A context manager with ``send_message``, ``delete_message`` and ``change_message_visibility``, which return
            at once. Leaving the block sends the rest and raises one ``turbosqs.exceptions.BatchWriterError`` for all
            entries that were not accepted.
        """
        from .writer import BatchWriter

        if not isinstance(QueueUrl, str):
            raise TypeError(f"QueueUrl must be a str, not {type(QueueUrl).__name__}")
        bar = None
        if progress:
            import sys

            # A program without a standard error has nowhere to show it.
            if sys.stderr is not None:
                from .progress import Progress

                bar = Progress()
        return BatchWriter(self._core, QueueUrl, bar)

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

    def close(self) -> None:
        """Send what waits for company, wait until it is answered, and close idle connections.

        The client stays usable, as boto3's does.
        """
        self._core.flush()
        self._core.close()

    def __reduce_ex__(self, protocol: object) -> "NoReturn":
        from pickle import PicklingError

        raise PicklingError("Can't pickle an SQS client: it holds connections. Make one where it is used")


#: Seconds for what is still on its way when the interpreter ends. Requests of an SQS that answers take far less.
EXIT_PATIENCE = 10.0
_registered = False


def _flush_at_exit() -> None:
    """Have everything sent that still waits for company when the interpreter ends."""
    global _registered
    if not _registered:
        import atexit

        _registered = True
        atexit.register(_exit)


def _exit() -> None:
    from ._core import drain, unanswered

    try:
        drain(EXIT_PATIENCE)
    finally:
        if count := unanswered():
            import sys

            print(
                f"turbosqs: {count} entries had no answer when the program ended; they may not have been sent",
                file=sys.stderr,
            )
