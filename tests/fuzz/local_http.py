"""HTTP to the embedded SQS: broken framing, JSON, headers and targets, from peers that dawdle or break off.

* Every connection gets well-formed answers, or is closed; a request that is whole gets exactly one.
* A good client beside them is served all the time.
* The server's memory stays bounded, and nothing panics.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import http.client
import json
import random
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import fuzz

#: Of a short run.
COUNT = 400

#: How long an answer, or the end of a connection, may take on a machine that is busy with other things.
TIMEOUT = 30.0

#: The most that the server's memory may grow by: its limit on requests, and what the cases leave in its queues.
MOST_MEMORY = 192 << 20

#: How many connections are left open in the middle of a request.
DAWDLING = 40

ACTIONS: dict[str, dict[str, Any]] = {
    "SendMessage": {
        "MessageBody": "body",
        "DelaySeconds": 0,
        "MessageAttributes": {"a": {"DataType": "String", "StringValue": "v"}},
    },
    "SendMessageBatch": {
        "Entries": [{"Id": "a", "MessageBody": "b"}, {"Id": "b", "MessageBody": "c", "MessageGroupId": "g"}]
    },
    "ReceiveMessage": {
        "MaxNumberOfMessages": 10,
        "WaitTimeSeconds": 0,
        "MessageAttributeNames": ["All"],
        "AttributeNames": ["All"],
    },
    "DeleteMessage": {"ReceiptHandle": "AQEBhandle"},
    "DeleteMessageBatch": {"Entries": [{"Id": "a", "ReceiptHandle": "AQEBhandle"}]},
    "ChangeMessageVisibility": {"ReceiptHandle": "AQEBhandle", "VisibilityTimeout": 0},
    "ChangeMessageVisibilityBatch": {"Entries": [{"Id": "a", "ReceiptHandle": "AQEBhandle", "VisibilityTimeout": 0}]},
    "CreateQueue": {"QueueName": "fuzz", "Attributes": {"VisibilityTimeout": "30"}, "tags": {"a": "b"}},
    "DeleteQueue": {},
    "PurgeQueue": {},
    "GetQueueUrl": {"QueueName": "fuzz", "QueueOwnerAWSAccountId": "000000000000"},
    "ListQueues": {"MaxResults": 5, "NextToken": "token", "QueueNamePrefix": "f"},
    "ListDeadLetterSourceQueues": {"MaxResults": 5},
    "GetQueueAttributes": {"AttributeNames": ["All"]},
    "SetQueueAttributes": {"Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "arn", "maxReceiveCount": 1}'}},
    "TagQueue": {"Tags": {"a": "b"}},
    "UntagQueue": {"TagKeys": ["a"]},
    "ListQueueTags": {},
    "AddPermission": {"Label": "l", "AWSAccountIds": ["123456789012"], "Actions": ["SendMessage"]},
    "RemovePermission": {"Label": "l"},
    "StartMessageMoveTask": {"SourceArn": "arn:aws:sqs:us-east-1:000000000000:fuzz"},
    "CancelMessageMoveTask": {"TaskHandle": base64.b64encode(b"{}").decode()},
    "ListMessageMoveTasks": {"SourceArn": "arn:aws:sqs:us-east-1:000000000000:fuzz"},
}

#: JSON texts that stand in for a value. No number is a wait from 1 to 20 seconds, which would be waited for.
VALUES: list[str] = [
    *("null", "true", "false", "-1", "0", "21", "1e400", "-0.0", "0.5", "9" * 400, "1" + "0" * 5000 + "e-5000"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775809", "NaN", "Infinity", "01", "+1", ".5", "1."),
    *('""', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\uFFFE"', '"\\x41"', '"a\nb"', '"\x01"', '"\\', '"'),
    *(
        "[]",
        "{}",
        "[[]]",
        '{"a": {"a": {}}}',
        '{"": ""}',
        '{"a": 1, "a": 2}',
        "[1, 2",
        "{,}",
        "[,]",
        '{"a"}',
        "'a'",
        "",
    ),
    *('"%s"' % ("x" * 300), '"%s"' % ("é" * 200), '"\\u00e9\\ud83d\\ude80"', '"http://localhost/000000000000/fuzz"'),
    *('"http://[::1/"', '"//"', '"fuzz.fifo"', '"../../etc"', '"arn:aws:sqs:us-east-1:000000000000:fuzz"', '"\ufeff"'),
]

TARGETS: list[bytes] = [
    *(
        b"",
        b"AmazonSQS",
        b"AmazonSQS.",
        b".SendMessage",
        b"AmazonSQS.sendmessage",
        b"AmazonSQS.SendMessage ",
        b"\xff\xfe",
    ),
    *(b"DynamoDB_20120810.ListTables", b"AmazonSQS.SendMessage, AmazonSQS.ListQueues", b"AmazonSQS." + b"x" * 5000),
]

HEADERS: list[bytes] = [
    *(
        b"Host: evil.example",
        b"Host: ",
        b"Host: a:b:c",
        b"Host: [",
        b"Host: \xff",
        b"Host: localhost@evil",
        b"Origin: null",
    ),
    *(
        b"Origin: http://evil.example",
        b"Origin: \x80",
        b"Sec-Fetch-Site: cross-site",
        b"Expect: 100-continue",
        b"Expect: x",
    ),
    *(b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"Content-Type: application/x-www-form-urlencoded"),
    *(
        b"Content-Encoding: gzip",
        b"Authorization: AWS4-HMAC-SHA256 Credential=////",
        b"Authorization: Credential=" + b"/" * 999,
    ),
    *(
        b"Authorization: AWS4 Credential=AKID/20260101/\xff/sqs/aws4_request",
        b"X: " + b"y" * 70_000,
        b"X: a\r\n folded",
    ),
    *(
        b"X : y",
        b": y",
        b"X",
        b"X: \x00",
        b"X\x00: y",
        b"X: y\n",
        b"\xff: y",
        b"Trailer: X",
        b"TE: trailers",
        b"Via: \t\t",
    ),
    *(
        b"X-Amz-Target: AmazonSQS.DeleteQueue",
        b"Transfer-Encoding: identity",
        b"Keep-Alive: timeout=99999999999999999999",
    ),
]


class Case(NamedTuple):
    """What one connection does."""

    data: bytes
    #: Where the data is cut into writes.
    cuts: list[int]
    #: The request is whole, whatever it says: it has to be answered, and the server closes.
    whole: bool
    #: How the peer ends: by half-closing, by a reset, or not (it stays open with others like it).
    ending: str


def value_text(value: Any, dice: random.Random) -> str:
    """A value as JSON text, with one or another part of it exchanged for something else."""
    if dice.random() < 0.08:
        return dice.choice(VALUES)
    if isinstance(value, dict):
        members = [f"{json.dumps(name)}: {value_text(member, dice)}" for name, member in value.items()]
        while members and dice.random() < 0.15:
            members.append(dice.choice([*members, f'"Extra{dice.randrange(9)}": {dice.choice(VALUES)}']))
        dice.shuffle(members)
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        elements = [value_text(element, dice) for element in value]
        return "[" + ", ".join(elements * dice.choice([0, 1, 1, 1, 1, 2, 11])) + "]"
    return json.dumps(value)


def huge(dice: random.Random) -> str:
    """A body that is large, or deep, or has many parts."""
    size = int(2 ** dice.uniform(4, 20))
    kind = dice.randrange(7)
    if kind == 0:
        return "[" * size + "]" * dice.choice([0, size])
    if kind == 1:
        return '{"a":' * size + "1" + "}" * size
    if kind == 2:
        return '{"Entries": [' + ",".join(["{}"] * size) + "]}"
    if kind == 3:
        names = ",".join(f'"{n}":{{}}' for n in range(size // 4))
        return '{"MessageBody": "b", "MessageAttributes": {' + names + "}}"
    if kind == 4:
        return '{"AttributeNames": [' + ",".join(['"All"'] * (size // 4)) + "]}"
    if kind == 5:
        return '{"MessageBody": "' + "\\u0061" * min(size, 1 << 18) + '"}'
    return '{"QueueUrl": "' + "/" * size + '"}'


def body_of(action: str, url: str, dice: random.Random) -> bytes:
    members = {"QueueUrl": url, **ACTIONS[action]} if dice.random() < 0.9 else ACTIONS[action]
    text = huge(dice) if dice.random() < 0.05 else value_text(members, dice)
    body = text.encode("utf-8", "surrogatepass")
    return scramble(body, dice) if dice.random() < 0.2 else body


def scramble(data: bytes, dice: random.Random) -> bytes:
    """Bytes changed, left out, put in and doubled here and there."""
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 1, 2, 4, 16])):
        at = dice.randrange(len(changed) + 1)
        other = min(len(changed), at + dice.choice([1, 1, 2, 8, 100]))
        kind = dice.randrange(4)
        if kind == 0:
            changed[at:other] = dice.randbytes(other - at)
        elif kind == 1:
            del changed[at:other]
        elif kind == 2:
            changed[at:at] = dice.choice(
                [b"\r\n", b"\n", b"\0", b"\r\n\r\n", b": ", b"0\r\n\r\n", b"\xff", dice.randbytes(8)]
            )
        else:
            changed[at:at] = changed[at:other]
    return bytes(changed)


def chunked(body: bytes, dice: random.Random) -> bytes:
    """A body in chunks; one in two has something wrong with it."""
    parts = []
    while body:
        size = dice.choice([1, 2, 7, 100, 65_536, len(body)])
        part, body = body[:size], body[size:]
        extension = dice.choice([b"", b"", b"", b";a=b", b";" + b"x" * dice.choice([10, 20_000])])
        parts.append(b"%x%s\r\n%s\r\n" % (len(part), extension, part))
        if len(parts) > 500:
            parts.append(b"%x\r\n%s\r\n" % (len(body), body) if body else b"")
            break
    end = dice.choice([b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0;x\r\n\r\n", b"000000000000000000\r\n\r\n"])
    sound = b"".join(parts) + end
    if dice.random() < 0.5:
        return sound
    broken = [
        b"FFFFFFFFFFFFFFFF\r\n",
        b"10000000000000000\r\n",
        b"-1\r\n",
        b"0x5\r\nabcde\r\n",
        b"5\nabcde\n",
        b"\r\n",
        b"G\r\n",
    ]
    at = dice.randrange(len(parts) + 1)
    return b"".join([*parts[:at], dice.choice(broken), *parts[at:]]) + end


def framing(body: bytes, dice: random.Random) -> tuple[list[bytes], bytes]:
    """Headers that say where a body ends, and the body; mostly not in agreement."""
    length = len(body)
    kind = dice.randrange(6)
    if kind == 0:
        lie = dice.choice([0, 1, length - 1, length + 1, length * 2, 10**7, 2**31, 2**63, 2**64, 10**30])
        return [b"Content-Length: %d" % lie], body
    if kind == 1:
        text = dice.choice([b"+%d", b"0x%x", b"-%d", b"%d ", b" %d", b"%d,%%d", b"%d, 0", b"%dx", b"00%d", b"%d.0"])
        text = text.replace(b"%%d", b"%d" % length)
        return [b"Content-Length: " + (text % length if b"%" in text else text)], body
    if kind == 2:
        second = dice.choice([length, length, 0, length + 5])
        return [b"Content-Length: %d" % length, b"Content-Length: %d" % second], body
    if kind == 3:
        return [b"Transfer-Encoding: chunked"], chunked(body, dice)
    if kind == 4:
        coding = dice.choice(
            [b"chunked", b" chunked", b"\tchunked", b"xchunked", b"chunked, identity", b"gzip, chunked", b"chunked\x0b"]
        )
        both = [b"Content-Length: %d" % dice.choice([0, length, 4]), b"Transfer-Encoding: " + coding]
        dice.shuffle(both)
        return both, chunked(body, dice)
    return [], body


def request(url: str, dice: random.Random, whole: bool) -> bytes:
    action = dice.choice(list(ACTIONS))
    body = body_of(action, url, dice)
    target = b"AmazonSQS." + action.encode() if dice.random() < 0.9 else dice.choice(TARGETS)
    headers = [b"Host: localhost", b"X-Amz-Target: " + target]
    if whole:
        headers.append(b"Connection: close")
        if dice.random() < 0.3:
            headers.append(b"Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        else:
            headers.append(b"Content-Length: %d" % len(body))
        line = b"POST / HTTP/1.1"
    else:
        framed, body = framing(body, dice)
        headers += framed
        while dice.random() < 0.3:
            headers.append(dice.choice(HEADERS))
        if dice.random() < 0.03:
            headers += [b"X-%d: y" % number for number in range(dice.choice([90, 101, 5000]))]
        method = dice.choice(
            [b"POST"] * 8 + [b"GET", b"HEAD", b"OPTIONS", b"post", b"PRI", b"CONNECT", b"", b"\x16\x03\x01"]
        )
        place = dice.choice(
            [b"/"] * 8
            + [b"*", b"", b"/?Action=ListQueues", b"http://evil.example/", b"http://[", b"/" * 70_000, b"/\xff"]
        )
        version = dice.choice([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"", b"HTTP/1.1 x"])
        line = b" ".join([method, place, version])
        dice.shuffle(headers)
    return b"\r\n".join([line, *headers]) + b"\r\n\r\n" + body


def drawn(url: str, dice: random.Random) -> Case:
    """A case; ``url`` is that of a queue."""
    whole = dice.random() < 0.4
    data = request(url, dice, whole)
    ending = "half-close"
    if not whole:
        while dice.random() < 0.2:
            data += request(url, dice, dice.random() < 0.5)
        if dice.random() < 0.3:
            data = scramble(data, dice)
        if dice.random() < 0.2:
            data = data[: dice.randrange(len(data) + 1)]
        ending = dice.choice(["half-close"] * 6 + ["reset", "stay"])
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.choice([0, 0, 0, 1, 3])))
    return Case(data, cuts, whole, ending)


class MisbehaviourError(Exception):
    """Something that the server must not do."""


def check_answers(text: bytes, ended: bool) -> int:
    """Takes what came apart into answers, and says how many there are.

    Args:
        text: All that came.
        ended: Whether the server closed in order; after a reset the last answer may be cut short.
    """
    count = 0
    while text:
        head, found, rest = text.partition(b"\r\n\r\n")
        if not found:
            if ended:
                raise MisbehaviourError(f"half an answer: {text[:200]!r}")
            return count
        status, *lines = head.split(b"\r\n")
        match = re.fullmatch(rb"HTTP/1\.[01] (\d{3}) [ -~]*", status)
        if match is None or not all(re.fullmatch(rb"[a-z0-9-]+: [ -~]*", line) for line in lines):
            raise MisbehaviourError(f"no head of an answer: {head[:500]!r}")
        if match[1] == b"100":
            text = rest
            continue
        headers = dict(line.split(b": ", 1) for line in lines)
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) < length and ended and not rest.startswith(b"HTTP/1."):
            # An answer to HEAD announces a body that it has not.
            if rest:
                raise MisbehaviourError(f"half a body: {text[:500]!r}")
            length = 0
        body, text = rest[:length], rest[length:]
        if body and b"json" in headers.get(b"content-type", b"") and len(rest) >= length:
            try:
                json.loads(body)
            except ValueError as error:
                raise MisbehaviourError(f"an answer whose body is no JSON: {body[:500]!r}") from error
        count += 1
    return count


def without_body_of_head(data: bytes) -> bool:
    """Whether any request in it may be a HEAD, whose answer cannot be told apart without knowing that."""
    return b"HEAD" in data


def play(one: Case, port: int, dawdlers: collections.deque[socket.socket]) -> None:
    """Does what the case says and checks what comes of it."""
    peer = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    if one.ending == "stay":
        with contextlib.suppress(ConnectionError, TimeoutError):
            peer.settimeout(0.5)
            peer.sendall(one.data)
        if len(dawdlers) == dawdlers.maxlen:
            dawdlers.popleft().close()
        dawdlers.append(peer)
        return
    # A wait that is over before this is told as one: see below.
    peer.settimeout(2 * TIMEOUT)
    with peer:
        # It reads while it writes: otherwise the two could wait for each other.
        got = bytearray()
        ended = threading.Event()

        def read() -> None:
            # The other end, or our own thread, may end it at any time.
            with contextlib.suppress(OSError):
                while more := peer.recv(1 << 16):
                    got.extend(more)
                ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        # The server need not take all of it, and may be gone.
        with contextlib.suppress(OSError):
            for start, end in zip([0, *one.cuts], [*one.cuts, len(one.data)], strict=True):
                peer.sendall(one.data[start:end])
            if one.ending == "reset":
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.shutdown(socket.SHUT_RD)
            elif not one.whole:
                peer.shutdown(socket.SHUT_WR)
        reader.join(TIMEOUT)
        if reader.is_alive():
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            reader.join()
            raise MisbehaviourError(f"neither an answer nor an end; so far {bytes(got[:200])!r}")
    if one.ending == "reset" or without_body_of_head(one.data):
        return
    answers = check_answers(bytes(got), ended.is_set())
    if one.whole and ended.is_set() and answers != 1:
        raise MisbehaviourError(f"{answers} answers to one request: {bytes(got[:500])!r}")


class Client:
    """A client that does everything right, on one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def call(self, action: str, **members: Any) -> Any:
        """Calls an action; the members of its reply."""
        headers = {"X-Amz-Target": f"AmazonSQS.{action}"}
        self._connection.request("POST", "/", json.dumps(members), headers)
        reply = self._connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise MisbehaviourError(f"{action} of a good client: {reply.status} {body[:500]!r}")
        # An action that has nothing to say, as DeleteMessage, answers without a body.
        return json.loads(body) if body else {}

    def close(self) -> None:
        self._connection.close()


class GoodClient:
    """Sends, receives and deletes, over and over, on a queue of its own."""

    def __init__(self, port: int, seed: int) -> None:
        self.name = f"good-{random.Random(f'good:{seed}').randrange(10**9)}"
        self.rounds = 0
        self._failure: str | None = None
        self._stop = threading.Event()
        self._client = Client(port)
        self._url = self._client.call("CreateQueue", QueueName=self.name)["QueueUrl"]
        self._thread = threading.Thread(target=self._run)

    def _round(self) -> None:
        text = f"message {self.rounds}"
        self._client.call("SendMessage", QueueUrl=self._url, MessageBody=text)
        [message] = self._client.call("ReceiveMessage", QueueUrl=self._url)["Messages"]
        if message["Body"] != text:
            raise MisbehaviourError(f"received {message['Body']!r} instead of {text!r}")
        self._client.call("DeleteMessage", QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        self.rounds += 1

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.005):
                self._round()
        except Exception as error:  # noqa: BLE001 (whatever it is, it is what the run has to tell)
            self._failure = f"{type(error).__name__}: {error}"

    def check(self) -> None:
        """Whether it has been served so far."""
        if self._failure is not None:
            raise MisbehaviourError(f"a good client was not served: {self._failure}")

    def stop(self) -> None:
        """Waits for the round that it is at."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> GoodClient:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._client.close()


class Process:
    """The server under test, in a process of its own."""

    def __init__(self, log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "turbosqs", "serve", "--port", "0", "-v"]
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rsplit(b":", 1)[1])
        self._first = self.peak()
        #: How much of the log has been looked at.
        self._read = 0

    def peak(self) -> int:
        """The most memory that it has had so far, in bytes; nothing where there is no /proc to say it."""
        if not Path("/proc/self/status").exists():
            return 0
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) << 10

    def grown(self) -> int:
        return self.peak() - self._first

    def check(self) -> None:
        """Whether it runs, has not grown, and has logged nothing that it should not."""
        if self.process.poll() is not None:
            raise MisbehaviourError(f"the server ended with {self.process.returncode}: {self.log()[-2000:]!r}")
        if self.grown() > MOST_MEMORY:
            raise MisbehaviourError(f"the server has grown by {self.grown() >> 20} MiB")
        log = self.log()
        if b"panicked" in log:
            raise MisbehaviourError(f"a panic: {log[-2000:]!r}")
        if bad := re.search(rb"[^\n -~]", log):
            raise MisbehaviourError(f"the log has {bad[0]!r} in it")

    def log(self) -> bytes:
        """What has been logged since the last look, after the end of what came before."""
        with self._log.open("rb") as stream:
            stream.seek(max(0, self._read - 2000))
            log = stream.read()
            self._read = stream.tell()
        return log

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(TIMEOUT)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextlib.contextmanager
def serving() -> Iterator[Process]:
    with tempfile.TemporaryDirectory() as folder:
        server = Process(Path(folder) / "log")
        try:
            yield server
        finally:
            server.stop()


def tidy(port: int, kept: str) -> None:
    """Deletes all queues but the good client's, and makes those of the cases anew."""
    with contextlib.closing(Client(port)) as client:
        for url in client.call("ListQueues").get("QueueUrls", []):
            if not url.endswith(kept):
                client.call("DeleteQueue", QueueUrl=url)
        client.call("CreateQueue", QueueName="fuzz")
        client.call("CreateQueue", QueueName="fuzz.fifo", Attributes={"FifoQueue": "true"})


def main(seed: int, count: int) -> None:
    dawdlers: collections.deque[socket.socket] = collections.deque(maxlen=DAWDLING)
    with serving() as server, GoodClient(server.port, seed) as good:
        url = f"http://127.0.0.1:{server.port}/000000000000/fuzz"
        played = 0

        def case(rng: random.Random) -> None:
            nonlocal played
            if played % 50 == 0:
                tidy(server.port, good.name)
            played += 1
            play(drawn(url, rng), server.port, dawdlers)
            good.check()
            server.check()

        def closing() -> None:
            good.stop()
            good.check()
            server.check()

        try:
            fuzz.run("local_http", seed, count, case, closing)
        finally:
            for peer in dawdlers:
                peer.close()
