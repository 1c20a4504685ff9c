"""Eight consumers in four processes on one queue, while one process is killed and another stands still for a while.

The server is a process of its own, and lets old receipt handles of standard queues act, as SQS does. So whatever the
process that stood still asks for too late would be seen: a third handling, or a message that is visible although
somebody has it. With as many messages as one likes, and its figures shown::

    TURBOSQS_FLEET=100000 pytest -s tests/python/receiving/test_fleet.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import turbosqs
from support import needs
from support.libraries import KEYS, SUBJECT
from support.queues import counts, send
from support.scripts import finish, start
from support.waiting import until

pytestmark = needs.SIGNALS

MESSAGES = int(os.environ.get("TURBOSQS_FLEET", "6000"))

#: Visibility timeout that each process asks for, in seconds. The last one asks for a longer one, so that an extension
#: by somebody else would make its messages visible too early.
VISIBILITY = 3
VISIBILITIES = (VISIBILITY, VISIBILITY, VISIBILITY, 60)

#: So many of the messages are held until the driver releases them, so that somebody has them at every moment between.
HELD = 24

#: How many handlers a consumer runs at a time: so many that held messages alone never keep all of them busy.
CONCURRENCY = HELD + 1

#: A process or a server that got no time for so long, in seconds, may lose leases.
PAUSE = VISIBILITY / 4

SERVER = """
import json, signal
from turbosqs.local import Server

ends = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ends.set())
server = Server()
say(server.endpoint_url, server.create_queue("q"))
pause, before = 0.0, time.monotonic()
while not ends.wait(0.05):
    now = time.monotonic()
    pause, before = max(pause, now - before), now
say(json.dumps({"pause": pause, "requests": server.stats()["requests"]}))
server.stop()
"""


@dataclass
class Handling:
    """One time that a message was handed to a handler."""

    member: int
    consumer: str
    begun: float
    #: When its handler returned.
    ended: float | None = None
    #: Whether it returned because it saw that the lease was lost.
    left: bool = False
    #: What the consumer was told of it: "lost", "undeleted".
    told: list[str] = field(default_factory=list)


class Journals:
    """What the members of a fleet write, read as it comes."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.read = [0] * len(paths)
        #: By the message's body, then by the number of its receive.
        self.handlings: dict[str, dict[int, Handling]] = {}

    def look(self) -> None:
        for member, path in enumerate(self.paths):
            if path.exists():
                with path.open() as file:
                    file.seek(self.read[member])
                    text = file.read()
                text = text[: text.rfind("\n") + 1]
                self.read[member] += len(text)
                for line in text.splitlines():
                    self.note(member, *line.split())

    def note(self, member: int, kind: str, consumer: str, body: str, times: str, at: str) -> None:
        receive, moment = int(times), int(at) / 1e9
        handlings = self.handlings.setdefault(body, {})
        if kind == "begin":
            assert receive not in handlings, f"{body} was handed over twice for one receive"
            handlings[receive] = Handling(member, consumer, moment)
            return
        handling = handlings[receive]
        assert (handling.member, handling.consumer) == (member, consumer)
        if kind in ("end", "left"):
            handling.ended, handling.left = moment, kind == "left"
        else:
            handling.told.append(kind)

    def of(self, body: str) -> list[Handling]:
        handlings = self.handlings.get(body, {})
        return [handlings[receive] for receive in sorted(handlings)]

    def in_hand(self, bodies: set[str]) -> dict[str, Handling]:
        """Those of these messages that were begun and whose latest handler has not returned, with that one."""
        latest = {body: handlings[-1] for body in bodies if (handlings := self.of(body))}
        return {body: handling for body, handling in latest.items() if handling.ended is None}


@contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Whatever happens, it does not outlive the test. One that is stopped can be killed as well."""
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Fleet:
    """Four processes and what becomes of them."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.server = stack.enter_context(ending(start(SUBJECT, "", SERVER)))
        endpoint, self.url = line_of(self.server).split()
        settings = {"region_name": "us-east-1", **KEYS, "endpoint_url": endpoint}
        self.sqs: Any = turbosqs.client("sqs", **settings)
        # Within the first quarter, so that they are begun early.
        self.held = {str(number * (MESSAGES // 4 // HELD)) for number in range(HELD)}
        self.release = folder / "release"
        self.journals = Journals([folder / str(number) for number in range(4)])
        self.members = []
        for path, visibility in zip(self.journals.paths, VISIBILITIES, strict=True):
            options = {
                "client": settings,
                "queue": self.url,
                "concurrency": CONCURRENCY,
                "visibility": visibility,
                "journal": str(path),
                "release": str(self.release),
                "held": sorted(self.held),
            }
            script = str(Path(__file__).with_name("fleet_member.py"))
            command = [sys.executable, "-X", "faulthandler", "-W", "always", script, json.dumps(options)]
            member = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.members.append(stack.enter_context(ending(member)))
        assert [line_of(member) for member in self.members] == ["ready"] * 4
        self.stopped_at = self.continued_at = self.killed_at = 0.0

    def until(self, condition: Callable[[], Any]) -> None:
        def look() -> Any:
            self.journals.look()
            return condition()

        until(look, 60 + MESSAGES / 500)

    def choose(self) -> None:
        """The one to be stopped, with messages that are held in both of its consumers if there is such; the one to be
        killed.
        """
        hands: list[Counter[str]] = [Counter() for _ in self.members]
        for handling in self.journals.in_hand(self.held).values():
            hands[handling.member][handling.consumer] += 1
        order = sorted(range(3), key=lambda member: (len(hands[member]), hands[member].total()))
        self.stopped, self.killed = order[-1], order[-2]

    def held_by(self, member: int) -> set[str]:
        in_hand = self.journals.in_hand(self.held)
        return {body for body, handling in in_hand.items() if handling.member == member}

    def strike(self) -> None:
        """One is stopped and one is killed."""
        self.stopped_at = time.monotonic()
        self.members[self.stopped].send_signal(signal.SIGSTOP)
        self.killed_at = time.monotonic()
        self.members[self.killed].kill()
        self.members[self.killed].wait()
        self.journals.look()
        self.theirs = self.held_by(self.stopped) | self.held_by(self.killed)
        self.frozen = {body: self.journals.in_hand(self.held)[body] for body in self.held_by(self.stopped)}

    def go_on(self, leaves: bool) -> None:
        """The one that was stopped goes on, when its messages are in other hands, after twice the visibility; or it
        leaves at once.
        """
        gone = (self.stopped, self.killed)
        self.until(
            lambda: (
                all(h.member not in gone for h in self.journals.in_hand(self.theirs).values())
                and time.monotonic() > self.stopped_at + 2 * VISIBILITY
            )
        )
        self.others = self.journals.in_hand(self.theirs)
        self.continued_at = time.monotonic()
        if leaves:
            self.members[self.stopped].send_signal(signal.SIGTERM)
        self.members[self.stopped].send_signal(signal.SIGCONT)

    def end(self) -> tuple[dict[int, Any], Any]:
        """What the members that live and the server have to tell at their end."""
        living = {number: member for number, member in enumerate(self.members) if number != self.killed}
        for member in living.values():
            member.send_signal(signal.SIGTERM)
        reports = {number: json.loads(finish(member)) for number, member in living.items()}
        self.journals.look()
        self.sqs.close()
        self.server.send_signal(signal.SIGTERM)
        return reports, json.loads(finish(self.server))

    def whose(self, handling: Handling, paused: set[int]) -> str | None:
        """In whose hands a message was that was handled again; None: in those of one that had no excuse."""
        if handling.member == self.killed:
            # Finished long ago, it would have been deleted.
            late = handling.ended is None or handling.ended > self.killed_at - VISIBILITY
            return "killed" if late else None
        if handling.member == self.stopped:
            late = handling.ended is None or handling.ended > self.stopped_at - VISIBILITY
            # A thread that was stopped between taking a message and its handler's first line begins when it goes on.
            early = handling.begun < self.continued_at + PAUSE
            return "stopped" if late and early and handling.told else None
        return "paused" if handling.member in paused and handling.told else None


@pytest.mark.timeout(180 + MESSAGES // 100)
@pytest.mark.parametrize("leaves", [False, True], ids=["goes on", "leaves"])
def test_one_is_killed_and_one_stands_still(leaves: bool, tmp_path: Path) -> None:
    """Everything is handled; twice only what a dead or stalled process had; it disturbs nobody, and is told."""
    with ExitStack() as stack:
        fleet = Fleet(tmp_path, stack)
        journals = fleet.journals
        began = time.monotonic()
        sent = send(fleet.sqs, fleet.url, MESSAGES // 3)
        fleet.until(lambda: len(journals.in_hand(fleet.held)) == HELD)
        # It strikes while they are busy, and more comes while one stands still.
        sent += send(fleet.sqs, fleet.url, MESSAGES // 3, first=len(sent))
        journals.look()
        fleet.choose()
        fleet.strike()
        assert fleet.frozen, "the one that was stopped had nothing that is held"
        assert fleet.theirs - set(fleet.frozen), "the one that was killed had nothing that is held"
        sent += send(fleet.sqs, fleet.url, MESSAGES - len(sent), first=len(sent))
        fleet.go_on(leaves)

        fleet.until(lambda: all("lost" in h.told and h.left for h in fleet.frozen.values()))
        # All but what is held comes to its end, and what is held stays with those who have it.
        fleet.until(lambda: sum(counts(fleet.sqs, fleet.url)) == HELD)
        time.sleep(VISIBILITY + 0.5)
        journals.look()
        assert journals.in_hand(fleet.theirs) == fleet.others, "somebody was handed what others have"
        assert counts(fleet.sqs, fleet.url) == (0, HELD)
        fleet.release.touch()
        fleet.until(lambda: counts(fleet.sqs, fleet.url) == (0, 0))
        took = time.monotonic() - began
        reports, server = fleet.end()
    paused = {number for number, report in reports.items() if max(report["pause"], server["pause"]) > PAUSE}
    print("\n" + figures(fleet, reports, server, took, paused))
    judge(fleet, sent, reports, paused)


def figures(fleet: Fleet, reports: dict[int, Any], server: Any, took: float, paused: set[int]) -> str:
    """The figures of a run."""
    histories = [fleet.journals.of(body) for body in fleet.journals.handlings]
    again = Counter(fleet.whose(handling, paused) for history in histories for handling in history[:-1])
    earlier = [
        fleet.killed_at - handling.ended
        for history in histories
        for handling in history[:-1]
        if handling.member == fleet.killed and handling.ended is not None
    ]
    still = fleet.continued_at - fleet.stopped_at
    lines = [
        f"{len(histories)} messages in {took:.1f} s, each at most {max(map(len, histories))} times;"
        f" handled again, by who had them before: {dict(again)}",
        f"process {fleet.killed} was killed; of what it had, {len(earlier)} handlers had returned, the first of them"
        f" {max(earlier, default=0):.3f} s before",
        f"process {fleet.stopped} stood still for {still:.1f} s",
        f"requests: {server['requests']}; the server's longest pause: {server['pause']:.2f} s",
    ]
    for number, report in reports.items():
        lost = [stats["lost"] for stats in report["consumers"]]
        lines.append(f"process {number}: lost {lost} (threads, asyncio), longest pause {report['pause']:.2f} s")
    return "\n".join(lines)


def judge(fleet: Fleet, sent: list[str], reports: dict[int, Any], paused: set[int]) -> None:
    """Whether all was handled, and again only for a reason; and how those that live have ended."""
    histories = {body: fleet.journals.of(body) for body in fleet.journals.handlings}
    assert set(histories) == set(sent)
    for body, (*again, last) in histories.items():
        assert last.ended is not None, f"{body} was never finished"
        assert not last.left, f"{body} was given up by the last who had it"
        wrong = [handling for handling in again if fleet.whose(handling, paused) is None]
        assert not wrong, f"{body} was handled {len(again) + 1} times, and had no reason to come back from {wrong}"
    # Nobody else is told of anything, or has lost anything.
    at_fault = {fleet.stopped} | paused
    assert {each.member for history in histories.values() for each in history if each.told} <= at_fault
    for number, report in reports.items():
        assert report["stopped"] is True
        assert report["marks"] == 0, "marks of lost leases are left"
        for stats in report["consumers"]:
            assert (stats["in_progress"], stats["buffered"], stats["polls"], stats["failed"]) == (0, 0, 0, 0)
            assert stats["lost"] == 0 or number in at_fault
