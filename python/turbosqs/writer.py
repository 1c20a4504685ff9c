"""``batch_writer``: many messages from one caller, full requests.

The idiom is boto3's own, from DynamoDB's ``Table.batch_writer``.
"""

from __future__ import annotations

import sys
from operator import attrgetter

from ._core import Failure, Writer
from ._green import waits_of
from ._signatures import takes
from .errorfactory import exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self, Unpack

    from . import _core, types
    from .progress import Progress
    from .telemetry.calls import WriterPut
    from .telemetry.recorder import Recorder


class BaseBatchWriter:
    """The part that the sync and the asyncio writer have in common."""

    _recorder: Recorder | None = None

    def __init__(self, core: _core.Client, queue_url: str, progress: bool = False) -> None:
        """Wrap a core client.

        Args:
            core: what sends.
            queue_url: of the queue.
            progress: show on standard error how many messages have been answered.

        Raises:
            TypeError: the URL is no str.
        """
        if not isinstance(queue_url, str):
            raise TypeError(f"QueueUrl must be a str, not {type(queue_url).__name__}")
        self._url = queue_url
        self._writer = Writer(core, queue_url)
        self._waits = waits_of(core, self._writer)
        self._core = core
        self._plain_put: Callable[..., Any] = self._waits.put
        self._put: Callable[[str, dict[str, Any]], Any] = self._plain_put
        # A program without a standard error has nowhere to show it.
        self._progress = _progress() if progress and sys.stderr is not None else None
        self._left = False
        self._recorded: WriterPut | None = None

    def _record(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._recorded = None
        if recorder is not None:
            self._recorded = recorder.writes(self._core, self._plain_put, self._has_room)
        self._put = self._recorded or self._plain_put

    @staticmethod
    def _has_room(put: Any) -> bool:  # noqa: ARG004
        """Whether an entry was taken, by what putting it has returned."""
        return True

    def __repr__(self) -> str:
        given, answered = self._writer.progress()
        return f"<{type(self).__module__}.BatchWriter of {self._url}: {given:,} given, {answered:,} answered>"

    def __del__(self) -> None:
        writer: Any = getattr(self, "_writer", None)
        if writer is not None and not self._left and writer.is_unfinished:
            from warnings import warn

            message = "a batch_writer is gone whose block was never left: what became of its entries is not known"
            warn(message, ResourceWarning, stacklevel=2, source=self)

    def _give(self, operation: str, params: dict[str, Any]) -> Any:
        """Have the core take the arguments of one operation; what it says."""
        if "QueueUrl" in params:
            raise TypeError("a batch_writer has its QueueUrl already; its methods take the other arguments")
        params["QueueUrl"] = self._url
        try:
            taken = self._put(operation, params)
        except Failure as failure:
            error = exception(failure)
        else:
            if self._progress is not None:
                self._show()
            return taken
        raise error

    def _report(self, failed: Exception, error: BaseException | None) -> None:
        """Raise what became of the entries, unless the block has ended by an exception: that one goes on."""
        from ._own_exceptions import BatchWriterError

        if error is None:
            raise failed
        if isinstance(error, BatchWriterError) and isinstance(failed, BatchWriterError):
            # The one that ended the block, because so much had failed, is the one that tells of all. What was given
            # earlier may have failed later.
            error.failures[:] = sorted([*error.failures, *failed.failures], key=attrgetter("_position"))
            return
        # It must not get lost behind the other.
        from warnings import warn

        warn(f"beside the exception that ended the block: {failed}", RuntimeWarning, stacklevel=3)

    def _close(self) -> None:
        if self._recorded is not None:
            self._recorded.close()
        if self._progress is not None and self._writer.is_mine:
            self._progress.close(*self._writer.progress())

    def _give_up(self) -> None:
        """So much has failed that there is no use in going on, and no room to remember much more of it."""
        raise _error(self._writer.take_failures())

    def _show(self) -> None:
        if self._progress is not None and self._progress.is_due():
            given, answered = self._writer.progress()
            self._progress.show(given, answered)

    def _raise_failures(self) -> None:
        """Raise what has failed so far."""
        if self._recorded is not None:
            self._recorded.read()
        failures = self._writer.take_failures()
        if failures:
            raise _error(failures)


class BatchWriter(BaseBatchWriter):
    """Sends messages in batches while the caller goes on; ``client.batch_writer`` makes one.

    Each method takes the arguments of the client's method of that name, without ``QueueUrl``, and returns None at once;
    it waits only while too much is unanswered (``Batching.max_waiting``, ``Batching.max_waiting_bytes``). Leaving the
    block sends the rest, waits for all answers, and raises one ``BatchWriterError`` if any entry was not accepted.
    When as many as ``Batching.max_waiting`` were not, it is raised at once. Messages of one message group leave in the
    order in which they were given.
    """

    def __enter__(self) -> Self:
        self._left = False
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left = True
        try:
            self.flush()
        except Exception as failed:  # noqa: BLE001 - it is raised or shown
            self._report(failed, error)
        finally:
            self._close()

    def send_message(self, **kwargs: Unpack[types.SendMessageEntry]) -> None:
        """Send a message; see ``SQS.send_message``.

        Raises:
            ParamValidationError: the arguments do not fit the operation; nothing is sent of this message.
        """
        self._take("SendMessage", kwargs)

    takes(send_message, "SendMessageEntry")

    def delete_message(self, **kwargs: Unpack[types.DeleteMessageEntry]) -> None:
        """Delete a message; see ``SQS.delete_message``.

        Raises:
            ParamValidationError: the arguments do not fit the operation.
        """
        self._take("DeleteMessage", kwargs)

    takes(delete_message, "DeleteMessageEntry")

    def change_message_visibility(self, **kwargs: Unpack[types.ChangeMessageVisibilityEntry]) -> None:
        """Change how long a message stays invisible; see ``SQS.change_message_visibility``.

        Raises:
            ParamValidationError: the arguments do not fit the operation.
        """
        self._take("ChangeMessageVisibility", kwargs)

    takes(change_message_visibility, "ChangeMessageVisibilityEntry")

    def flush(self) -> None:
        """Send everything that was given so far, and wait until it is answered.

        Raises:
            BatchWriterError: entries that were not accepted, those of earlier batches included.
        """
        self._writer.send()
        while not self._waits.wait(0.1):
            self._show()
        self._raise_failures()

    def _take(self, operation: str, params: Any) -> None:
        if self._give(operation, params):
            self._give_up()


def _progress() -> Progress:
    from .progress import Progress

    return Progress()


def _error(failures: list[tuple[int, str, dict[str, Any], Exception]]) -> Exception:
    from ._own_exceptions import BatchWriterError, FailedEntry

    entries = [
        FailedEntry(operation, params, exception(error) if isinstance(error, Failure) else error, position)
        for position, operation, params, error in failures
    ]
    return BatchWriterError(entries)
