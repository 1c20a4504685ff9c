"""How the polls of a channel share its prefetch limit: pure rules, without a clock and without I/O.

What a poll asks for counts against the limit from the moment at which it leaves. So however many polls are under way,
what they bring never exceeds the limit together with what the worker has.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The most that one poll can bring.
MOST = 10

#: The most polls of one queue at a time.
POLLS = 10

#: How long a poll waits for more room while the worker has something to do, in seconds. With room for one message at a
#: time there would be a request for each.
GATHERING = 0.01


class Poll:
    """A poll that may leave.

    Attributes:
        queue: the queue's name.
        count: how many messages to ask for; they are reserved.
        is_brief: whether other queues wait for the room that it takes.
    """

    __slots__ = ("count", "is_brief", "queue")

    def __init__(self, queue: str, count: int, is_brief: bool) -> None:
        self.queue = queue
        self.count = count
        self.is_brief = is_brief


class _Queue:
    """What is known of a queue.

    Attributes:
        polls: how many are under way.
        wanted: how many there may be: more while they come back full.
        limit: how much one asks for at most, where several queues share the room.
        not_before: when the next one may leave.
    """

    __slots__ = ("limit", "not_before", "polls", "wanted")

    def __init__(self) -> None:
        self.polls = 0
        self.wanted = 1
        self.limit = MOST
        self.not_before = 0.0


class PrefetchShares:
    """Who of a channel's queues may poll, and for how many messages.

    Attributes:
        reserved: how many messages the polls that are under way may bring.
    """

    def __init__(self) -> None:
        self.reserved = 0
        self._queues: dict[str, _Queue] = {}
        # Since when there is room, but little.
        self._gathering: float | None = None
        # Whose turn it is, when there is not enough room for all.
        self._turn = 0

    def plan(self, queues: Iterable[str], limit: int, held: int, now: float) -> tuple[list[Poll], float | None]:
        """The polls that are to leave now.

        Args:
            queues: The queues that are consumed from.
            limit: The prefetch limit; 0 for none.
            held: How many messages the worker has: those without an answer to their acknowledgement included.
            now: The time, in seconds.

        Returns:
            The polls, whose messages are reserved; and when to ask again if nothing happens before.
        """
        names = list(dict.fromkeys(queues))
        for name in [name for name, queue in self._queues.items() if name not in names and queue.polls == 0]:
            del self._queues[name]
        known = [(name, self._queues.setdefault(name, _Queue())) for name in names]
        if names:
            turn = self._turn % len(names)
            known = known[turn:] + known[:turn]
        paused = [queue.not_before for _, queue in known if queue.polls == 0 and queue.not_before > now]
        wake = min(paused, default=None)
        ready = [each for each in known if each[1].polls < each[1].wanted and each[1].not_before <= now]
        room = limit - held - self.reserved if limit else MOST * POLLS * max(len(names), 1)
        if not ready or room <= 0:
            self._gathering = None
            return [], wake
        enough = max(1, min(MOST, limit // 2)) if limit else 1
        if held > 0 and room < enough:
            if self._gathering is None:
                self._gathering = now
            until = self._gathering + GATHERING
            if now < until:
                return [], until if wake is None else min(wake, until)
        self._gathering = None
        return self._polls(ready, names, room, enough, 0 < limit < len(names)), wake

    def _polls(
        self, ready: list[tuple[str, _Queue]], names: list[str], room: int, enough: int, is_brief: bool
    ) -> list[Poll]:
        polls: list[Poll] = []

        def add(name: str, queue: _Queue, count: int) -> int:
            polls.append(Poll(name, count, is_brief))
            queue.polls += 1
            self.reserved += count
            return count

        bare = [(name, queue) for name, queue in ready if queue.polls == 0]
        for position, (name, queue) in enumerate(bare):
            if room <= 0:
                break
            share = min(MOST, max(1, room // (len(bare) - position)))
            room -= add(name, queue, min(share, queue.limit) if len(names) > 1 else share)
            self._turn = names.index(name) + 1
        for name, queue in ready:
            while 0 < queue.polls < queue.wanted and room >= enough:
                room -= add(name, queue, min(MOST, room))
        return polls

    def returned(self, poll: Poll, received: int, now: float, pause: float) -> None:
        """A poll has come back.

        Args:
            poll: Which.
            received: How many messages it has brought.
            now: The time, in seconds.
            pause: How long the queue is let alone when it was empty, in seconds.
        """
        queue = self._back(poll)
        if received >= poll.count:
            queue.wanted = min(POLLS, queue.wanted * 2)
            queue.limit = MOST
        elif received == 0:
            queue.wanted = max(1, queue.wanted // 2)
            queue.limit = 1
            queue.not_before = now + pause
            return
        queue.not_before = now

    def failed(self, poll: Poll, until: float) -> None:
        """A poll has failed; the next one of its queue leaves when that time has come."""
        queue = self._back(poll)
        queue.wanted = 1
        queue.not_before = until

    def given_up(self, poll: Poll) -> None:
        """Nobody waits for a poll any more."""
        self._back(poll)

    def _back(self, poll: Poll) -> _Queue:
        self.reserved -= poll.count
        queue = self._queues.setdefault(poll.queue, _Queue())
        queue.polls = max(0, queue.polls - 1)
        return queue
