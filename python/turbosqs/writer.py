"""``batch_writer``: one thread, many messages, full requests.

The idiom is boto3's own, from DynamoDB's ``Table.batch_writer``.
"""

from ._core import Failure, Writer
from .errorfactory import exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from . import _core
    from .progress import Progress


class BatchWriter:
    """Sends messages in batches while the caller goes on; ``client.batch_writer`` makes one.

    Each method takes the arguments of the client's method of that name, without ``QueueUrl``, and returns None at once;
    it waits only while too much is unanswered (``Batching.max_waiting``, ``Batching.max_waiting_bytes``). Leaving the
    block sends the rest, waits for all answers, and raises one ``BatchWriterError`` if any entry was not accepted.
    When as many as ``Batching.max_waiting`` were not, it is raised at once. Messages of one message group leave in the
    order in which they were given.
    """

    def __init__(self, core: "_core.Client", queue_url: str, progress: "Progress | None" = None) -> None:
        """Wrap a core client.

        Arguments:
            core: what sends.
            queue_url: of the queue.
            progress: shows how many messages have been answered.
        """
        self._url = queue_url
        self._writer = Writer(core, queue_url)
        self._put = self._writer.put
        self._progress = progress
        self._left = False

    def __del__(self) -> None:
        writer: Any = getattr(self, "_writer", None)
        if writer is not None and not self._left and writer.is_unfinished:
            from warnings import warn

            message = "a batch_writer is gone whose block was never left: what became of its entries is not known"
            warn(message, ResourceWarning, stacklevel=2, source=self)

    def __enter__(self) -> "Self":
        self._left = False
        return self

    def __exit__(
        self,
        exception_type: "type[BaseException] | None",
        error: "BaseException | None",
        traceback: "TracebackType | None",
    ) -> None:
        self._left = True
        try:
            self.flush()
        except Exception as failed:
            from ._own_exceptions import BatchWriterError

            if error is None:
                raise
            if isinstance(error, BatchWriterError) and isinstance(failed, BatchWriterError):
                # The one that ended the block, because so much had failed, is the one that tells of all.
                error.failures.extend(failed.failures)
                return
            # What ended the block goes on; what became of the entries must not get lost behind it.
            from warnings import warn

            warn(f"beside the exception that ended the block: {failed}", RuntimeWarning, stacklevel=2)
        finally:
            if self._progress is not None and self._writer.is_mine:
                self._progress.close(*self._writer.progress())

    def send_message(self, **kwargs: "Any") -> None:
        """Send a message; see ``SQS.send_message``.

        Raises:
            ParamValidationError: the arguments do not fit the operation; nothing is sent of this message.
        """
        self._take("SendMessage", kwargs)

    def delete_message(self, **kwargs: "Any") -> None:
        """Delete a message; see ``SQS.delete_message``.

        Raises:
            ParamValidationError: the arguments do not fit the operation.
        """
        self._take("DeleteMessage", kwargs)

    def change_message_visibility(self, **kwargs: "Any") -> None:
        """Change how long a message stays invisible; see ``SQS.change_message_visibility``.

        Raises:
            ParamValidationError: the arguments do not fit the operation.
        """
        self._take("ChangeMessageVisibility", kwargs)

    def flush(self) -> None:
        """Send everything that was given so far, and wait until it is answered.

        Raises:
            BatchWriterError: entries that were not accepted, those of earlier batches included.
        """
        self._writer.send()
        while not self._writer.wait(0.1):
            self._show()
        failures = self._writer.take_failures()
        if failures:
            raise _error(failures)

    def _take(self, operation: str, params: "Any") -> None:
        if "QueueUrl" in params:
            raise TypeError("a batch_writer has its QueueUrl already; its methods take the other arguments")
        params["QueueUrl"] = self._url
        try:
            failing = self._put(operation, params)
        except Failure as failure:
            error = exception(failure)
        else:
            if self._progress is not None:
                self._show()
            if not failing:
                return
            # No use in going on, and no room to remember much more of it.
            error = _error(self._writer.take_failures())
        raise error

    def _show(self) -> None:
        if self._progress is not None and self._progress.is_due():
            given, answered = self._writer.progress()
            self._progress.show(given, answered)


def _error(failures: "list[tuple[str, dict[str, Any], Exception]]") -> Exception:
    from ._own_exceptions import BatchWriterError, FailedEntry

    entries = [
        FailedEntry(operation, params, exception(error) if isinstance(error, Failure) else error)
        for operation, params, error in failures
    ]
    return BatchWriterError(entries)
