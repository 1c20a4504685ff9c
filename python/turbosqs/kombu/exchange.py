"""A channel's exchange with the core: calls go out at once, answers come in many at a time.

Answers wait in a completion queue, whose descriptor is readable while there are any: Celery's hub watches it, and who
has no hub waits for it. What is done with an answer is done by whoever drains; calls may begin in any thread.
"""

from __future__ import annotations

import os
import select
from collections import deque
from itertools import count

from .._core import CompletionQueue
from .._green import find_select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .. import _core

    #: Takes a reply, or a failure as a value.
    _OnAnswer = Callable[[Any], None]


class Exchange:
    """Calls that are under way, and what is to be done with their answers."""

    def __init__(self) -> None:
        self._completions = CompletionQueue()
        self._numbers = count()
        self._awaited: dict[int, _OnAnswer] = {}
        # What found too much unanswered: core, operation, arguments, and their number.
        self._waiting: deque[tuple[int, _core.Client, str, dict[str, Any]]] = deque()
        self._pid = os.getpid()
        #: How many calls have begun and not left.
        self.lingering = 0

    @property
    def descriptor(self) -> int:
        """Readable while there are answers."""
        return self._completions.descriptor

    @property
    def is_mine(self) -> bool:
        """Whether this is the process that made it; a forked child must leave it alone."""
        return self._pid == os.getpid()

    def call(
        self,
        core: _core.Client,
        operation: str,
        params: dict[str, Any],
        on_answer: _OnAnswer,
        lingers: bool = False,
    ) -> int:
        """Begin an operation.

        Args:
            core: What sends.
            operation: Its name, as the API has it.
            params: Its arguments.
            on_answer: Is given the reply, or the failure, when the answer is drained.
            lingers: Whether it is to leave with others, at the next ``leave``.

        Returns:
            The call's number.

        Raises:
            Failure: the arguments do not fit the operation.
        """
        number = next(self._numbers)
        self._awaited[number] = on_answer
        try:
            has_left = not self._waiting and self._begin(number, core, operation, params)
        except BaseException:
            del self._awaited[number]
            raise
        if not has_left:
            self._waiting.append((number, core, operation, params))
        elif not lingers:
            self.leave()
        return number

    def leave(self) -> None:
        """Let everything leave that has begun."""
        self.lingering = 0
        self._completions.leave()

    def after(self, core: _core.Client, seconds: float, on_time: _OnAnswer) -> int:
        """Have something done when so many seconds are over, by the core's clock."""
        number = next(self._numbers)
        self._awaited[number] = on_time
        self._completions.sleep(number, core, seconds)
        return number

    def abandon(self, number: int) -> None:
        """Nobody waits for a call any more."""
        if self._awaited.pop(number, None) is not None:
            self._completions.abandon(number)

    def drain(self) -> int:
        """Do what is to be done with the answers that have come.

        Returns:
            How many there were.

        Raises:
            What the first of those raised that raised something; all of them have had their turn by then.
        """
        answers = self._completions.drain()
        raised: BaseException | None = None
        for number, answer in answers:
            try:
                self._answer(number, answer)
            except BaseException as error:  # noqa: BLE001 - it is raised below
                raised = raised or error
        while self._waiting:
            try:
                if not self._begin(*self._waiting[0]):
                    break
            except Exception as error:  # noqa: BLE001 - it is the call's
                self._answer(self._waiting[0][0], error)
            self._waiting.popleft()
            self.leave()
        if raised is not None:
            raise raised
        return len(answers)

    def wait(self, timeout: float) -> bool:
        """Wait until there is an answer, ``timeout`` seconds at most; whether there is."""
        return wait_for([self.descriptor], timeout)

    def _answer(self, number: int, answer: Any) -> None:
        on_answer = self._awaited.pop(number, None)
        # None: it was abandoned.
        if on_answer is not None:
            on_answer(answer)

    def _begin(self, number: int, core: _core.Client, operation: str, params: dict[str, Any]) -> bool:
        """Whether there was room for it."""
        if number in self._awaited:
            if not self._completions.begin(number, core, operation, params):
                return False
            self.lingering += 1
        return True


def wait_for(descriptors: list[int], timeout: float) -> bool:
    """Wait until one of several descriptors is readable, ``timeout`` seconds at most; whether one is.

    Where threads are greenlets, the others run meanwhile.
    """
    green = find_select()
    if green is not None:
        return bool(green(descriptors, [], [], max(timeout, 0.0))[0])
    if not hasattr(select, "poll"):
        # Windows; it knows sockets alone, which the descriptors are there.
        return bool(select.select(descriptors, [], [], max(timeout, 0.0))[0])
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(timeout, 0.0) * 1000))
