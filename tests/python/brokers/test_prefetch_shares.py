"""The rules by which polls share a prefetch limit, played through at random: no poll is sent here."""

from __future__ import annotations

from random import Random

import pytest
from turbosqs.kombu.sharing import GATHERING, MOST, POLLS, Poll, PrefetchShares


def counts(polls: list[Poll]) -> list[tuple[str, int]]:
    return [(poll.queue, poll.count) for poll in polls]


def test_one_poll_takes_what_there_is_room_for() -> None:
    shares = PrefetchShares()
    polls, wake = shares.plan(["q"], 8, 0, 0.0)
    assert (counts(polls), wake, shares.reserved) == ([("q", 8)], None, 8)
    assert shares.plan(["q"], 8, 0, 0.0) == ([], None)


def test_full_polls_make_more_of_them_and_empty_ones_fewer() -> None:
    shares = PrefetchShares()
    now, under_way = 0.0, shares.plan(["q"], 0, 0, 0.0)[0]
    most = 0
    for _ in range(6):
        for poll in under_way:
            shares.returned(poll, MOST, now, 1.0)
        under_way = shares.plan(["q"], 0, 0, now)[0]
        most = max(most, len(under_way))
    assert most == POLLS
    for poll in under_way:
        shares.returned(poll, 0, now, 1.0)
    assert shares.plan(["q"], 0, 0, now) == ([], 1.0), "an empty queue is let alone for a moment"
    assert len(shares.plan(["q"], 0, 0, 1.0)[0]) == 1


def test_a_little_room_waits_for_more_while_there_is_something_to_do() -> None:
    shares = PrefetchShares()
    assert shares.plan(["q"], 8, 7, 0.0) == ([], GATHERING)
    assert shares.plan(["q"], 8, 6, GATHERING / 2) == ([], GATHERING)
    assert counts(shares.plan(["q"], 8, 6, GATHERING)[0]) == [("q", 2)]
    # With half of it free nothing is waited for, nor by a worker that has nothing.
    assert counts(PrefetchShares().plan(["q"], 8, 4, 0.0)[0]) == [("q", 4)]
    assert counts(PrefetchShares().plan(["q"], 1, 0, 0.0)[0]) == [("q", 1)]


def test_queues_share_and_take_turns() -> None:
    shares = PrefetchShares()
    polls, _ = shares.plan(["a", "b", "c"], 8, 0, 0.0)
    assert counts(polls) == [("a", 2), ("b", 3), ("c", 3)]
    few = PrefetchShares()
    seen = []
    for _ in range(4):
        polls, _ = few.plan(["a", "b", "c"], 1, 0, 0.0)
        assert [poll.is_brief for poll in polls] == [True], "the others wait for its place"
        seen += [poll.queue for poll in polls]
        few.returned(polls[0], 0, 0.0, 0.0)
    assert seen == ["a", "b", "c", "a"]


def test_an_idle_queue_leaves_the_room_to_a_busy_one() -> None:
    shares = PrefetchShares()
    for poll in shares.plan(["idle", "busy"], 20, 0, 0.0)[0]:
        shares.returned(poll, poll.count if poll.queue == "busy" else 0, 0.0, 0.0)
    wanted: dict[str, int] = {}
    for queue, count in counts(shares.plan(["idle", "busy"], 20, 0, 0.0)[0]):
        wanted[queue] = wanted.get(queue, 0) + count
    assert wanted["idle"] == 1
    assert wanted["busy"] >= MOST


def test_a_queue_that_fails_is_asked_again_when_its_time_has_come() -> None:
    shares = PrefetchShares()
    [poll] = shares.plan(["q"], 4, 0, 0.0)[0]
    shares.failed(poll, 2.0)
    assert (shares.reserved, shares.plan(["q"], 4, 0, 1.0)) == (0, ([], 2.0))
    assert counts(shares.plan(["q"], 4, 0, 2.0)[0]) == [("q", 4)]


@pytest.mark.parametrize("seed", range(30))
def test_the_limit_is_never_exceeded_and_no_queue_is_forgotten(seed: int) -> None:
    random = Random(seed)
    names = [f"q{number}" for number in range(random.randint(1, 5))]
    limit = random.choice([0, 1, 2, 3, 8, 40, 100])
    shares, under_way, held, now = PrefetchShares(), [], 0, 0.0
    polled = dict.fromkeys(names, 0.0)
    for _ in range(300):
        polls, wake = shares.plan(names, limit, held, now)
        under_way += polls
        for poll in polls:
            assert 1 <= poll.count <= MOST
            polled[poll.queue] = now
        assert shares.reserved == sum(poll.count for poll in under_way)
        if limit:
            assert held + shares.reserved <= limit
        for name in names:
            assert sum(poll.queue == name for poll in under_way) <= POLLS
        if not under_way and held == 0:
            assert wake is not None, "nothing would ever happen again"
        match random.randrange(4):
            case 0 | 1 if under_way:
                poll = under_way.pop(random.randrange(len(under_way)))
                received = random.choice([0, random.randint(0, poll.count), poll.count])
                held += received
                shares.returned(poll, received, now, random.choice([0.0, 0.5]))
            case 2 if under_way:
                poll = under_way.pop(random.randrange(len(under_way)))
                shares.failed(poll, now + 0.5) if random.random() < 0.5 else shares.given_up(poll)
            case _:
                held -= random.randint(0, held)
        now += random.random() / 4
    # However little room there is, each queue has its turn while polls come back empty.
    held, before = 0, now
    for _ in range(20 * len(names)):
        for poll in under_way:
            shares.returned(poll, 0, now, 0.0)
        now += 1.0
        under_way = shares.plan(names, limit, held, now)[0]
        for poll in under_way:
            polled[poll.queue] = now
    assert all(time > before for time in polled.values())
