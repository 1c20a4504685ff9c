"""``batch_writer`` for coroutines: many messages, full requests, and no wait for each answer."""

from __future__ import annotations

from asyncio import sleep

from .._exchange import Exchange
from .._signatures import takes
from ..writer import BaseBatchWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self, Unpack

    from .. import types
    from .sqs import SQS

#: So many messages may be taken before other coroutines have their turn.
TURN = 256


class BatchWriter(BaseBatchWriter):
    """Sends messages in batches while the coroutine goes on; ``client.batch_writer`` makes one.

    Its methods take the arguments of the client's methods of those names, without ``QueueUrl``. Awaiting one takes the
    message; it waits only while too much is unanswered (``Batching.max_waiting``, ``Batching.max_waiting_bytes``).
    Leaving the block sends the rest, waits for all answers, and raises one ``BatchWriterError`` if any entry was not
    accepted. When as many as ``Batching.max_waiting`` were not, it is raised at once. Messages of one message group
    leave in the order in which they were given.
    """

    def __init__(self, client: SQS, queue_url: str, progress: bool = False) -> None:
        """Write by a client.

        Args:
            client: what sends.
            queue_url: of the queue.
            progress: show on standard error how many messages have been answered.

        Raises:
            TypeError: the URL is no str.
        """
        super().__init__(client._core, queue_url, progress)
        self._ask = client._ask
        self._put = self._plain_put = self._writer.offer
        self._taken = 0

    @staticmethod
    def _has_room(put: Any) -> bool:
        return not put

    async def __aenter__(self) -> Self:
        self._left = False
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left = True
        try:
            await self.flush()
        except Exception as failed:  # noqa: BLE001 - it is raised or shown
            self._report(failed, error)
        finally:
            self._close()

    async def send_message(self, **kwargs: Unpack[types.SendMessageEntry]) -> None:
        """Send a message; see ``SQS.send_message``.

        Raises:
            ParamValidationError: the arguments do not fit the operation; nothing is sent of this message.
        """
        await self._take("SendMessage", kwargs)

    takes(send_message, "SendMessageEntry")

    async def delete_message(self, **kwargs: Unpack[types.DeleteMessageEntry]) -> None:
        """Delete a message; see ``SQS.delete_message``.

        Raises:
            ParamValidationError: the arguments do not fit the operation.
        """
        await self._take("DeleteMessage", kwargs)

    takes(delete_message, "DeleteMessageEntry")

    async def change_message_visibility(self, **kwargs: Unpack[types.ChangeMessageVisibilityEntry]) -> None:
        """Change how long a message stays invisible; see ``SQS.change_message_visibility``.

        Raises:
            ParamValidationError: the arguments do not fit the operation.
        """
        await self._take("ChangeMessageVisibility", kwargs)

    takes(change_message_visibility, "ChangeMessageVisibilityEntry")

    async def flush(self) -> None:
        """Send everything that was given so far, and wait until it is answered.

        Raises:
            BatchWriterError: entries that were not accepted, those of earlier batches included.
        """
        await self._ask(Exchange.await_answers, self._writer)
        self._show()
        self._raise_failures()

    async def _take(self, operation: str, params: Any) -> None:
        weight = self._give(operation, params)
        while weight:
            await self._ask(Exchange.await_room, self._writer, weight)
            # The arguments have passed.
            weight = self._put(operation, params)
        if self._writer.is_failing:
            self._give_up()
        self._taken += 1
        if self._taken % TURN == 0:
            await sleep(0)
