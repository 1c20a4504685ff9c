"""Which failures are tried again, how often, and what is said about it.

boto3's waits are taken out; the subject's are its own, so its clients work at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import botocore.endpoint
import botocore.retries.adaptive
import pytest
from support.fakes import HANG_UP, Reply, Scripted, fault, ok
from support.libraries import BOTO3, SUBJECT, Library
from support.observe import alike, describe, outcome, same


@dataclass(frozen=True)
class Trial:
    """One call: what the server plays, how the client is set up."""

    script: tuple[Reply, ...]
    retries: dict[str, Any] | None = None
    environment: dict[str, str] = field(default_factory=dict)


TWICE = {"total_max_attempts": 2, "mode": "standard"}
THROTTLES = (
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottledException",
    "RequestThrottled",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "TransactionInProgressException",
    "RequestLimitExceeded",
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "SlowDown",
    "PriorRequestNotComplete",
    "EC2ThrottledException",
)
OTHERS = (
    "RequestTimeout",
    "RequestTimeoutException",
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "RequestTimeTooSkewed",
    "RequestExpired",
    "ExpiredToken",
    "AccessDenied",
    "Nonsense",
    "OverLimit",
    "InvalidSecurity",
)
SUCCESS = ok(QueueUrl="u")

TRIALS: dict[str, Trial] = {
    # Which are tried again: two attempts, and what the second one says.
    **{
        f"status {status}": Trial((Reply(status, b"{}"),), TWICE)
        for status in (400, 404, 408, 429, 500, 501, 502, 503, 504, 509)
    },
    **{f"code {code}": Trial((fault(400, code, "text"),), TWICE) for code in (*THROTTLES, *OTHERS)},
    "a throttle by query code alone": Trial(
        (fault(403, "com.x#RequestThrottled", "m", "RequestThrottled;Sender"),), TWICE
    ),
    "a throttle under another name": Trial((fault(403, "com.x#Nonsense", "m", "Throttling;Sender"),), TWICE),
    "a success that is garbage": Trial((Reply(body=b"garbage"),), TWICE),
    "an error that is garbage": Trial((Reply(400, b"garbage"),), TWICE),
    "a 503 that is HTML": Trial((Reply(503, b"<html></html>"),), TWICE),
    "a wrong checksum": Trial((Reply(headers=[("x-amz-crc32", "1")]),), TWICE),
    "hung up": Trial((HANG_UP,), TWICE),
    "not HTTP": Trial((Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n\r\n", close=True),), TWICE),
    # What a success after a failure looks like.
    "503 then success": Trial((Reply(503, b""), SUCCESS), TWICE),
    "hung up then success": Trial((HANG_UP, SUCCESS), TWICE),
    "throttled then success": Trial((fault(400, "ThrottlingException", "m"), SUCCESS), TWICE),
    "503 then refused": Trial((Reply(503, b""), fault(400, "QueueDoesNotExist", "m")), TWICE),
    "503 twice then success": Trial((Reply(503, b""), Reply(503, b""), SUCCESS), {"total_max_attempts": 3}),
    # How often.
    "by default": Trial((Reply(503, b""),)),
    # Its pauses are not boto3's (DIFFERENCES["legacy retries"]); they are tested in `transport/aws/retry.rs`.
    "all attempts of legacy mode": Trial((Reply(500, b""),), {"mode": "legacy"}),
    "the last attempt of legacy mode": Trial((*[Reply(500, b"")] * 4, SUCCESS), {"mode": "legacy"}),
    "refused at the last attempt of legacy mode": Trial((Reply(400, b"{}"),), {"mode": "legacy", "max_attempts": 0}),
    "by default in legacy mode": Trial((Reply(500, b""), Reply(500, b""), SUCCESS), {"mode": "legacy"}),
    "max_attempts 0": Trial((Reply(503, b""),), {"max_attempts": 0}),
    "max_attempts 1": Trial((Reply(503, b""),), {"max_attempts": 1}),
    "max_attempts 2": Trial((Reply(503, b""),), {"max_attempts": 2}),
    "total_max_attempts 1": Trial((Reply(503, b""),), {"total_max_attempts": 1}),
    "total_max_attempts 2": Trial((Reply(503, b""),), {"total_max_attempts": 2}),
    "both": Trial((Reply(503, b""),), {"total_max_attempts": 1, "max_attempts": 5}),
    **{
        f"{mode} {key} 1": Trial((Reply(503, b""),), {"mode": mode, key: 1})
        for mode in ("legacy", "standard", "adaptive")
        for key in ("max_attempts", "total_max_attempts")
    },
    "AWS_MAX_ATTEMPTS 1": Trial((Reply(503, b""),), None, {"AWS_MAX_ATTEMPTS": "1"}),
    "AWS_MAX_ATTEMPTS 2": Trial((Reply(503, b""),), None, {"AWS_MAX_ATTEMPTS": "2"}),
    "AWS_MAX_ATTEMPTS and a config": Trial((Reply(503, b""),), {"max_attempts": 0}, {"AWS_MAX_ATTEMPTS": "2"}),
    "AWS_MAX_ATTEMPTS and a mode": Trial((Reply(503, b""),), {"mode": "standard"}, {"AWS_MAX_ATTEMPTS": "2"}),
    "AWS_RETRY_MODE": Trial((Reply(503, b""),), {"max_attempts": 1}, {"AWS_RETRY_MODE": "legacy"}),
    "AWS_MAX_ATTEMPTS is a word": Trial((SUCCESS,), None, {"AWS_MAX_ATTEMPTS": "many"}),
    "AWS_MAX_ATTEMPTS 0": Trial((SUCCESS,), None, {"AWS_MAX_ATTEMPTS": "0"}),
    "AWS_RETRY_MODE is nonsense": Trial((SUCCESS,), None, {"AWS_RETRY_MODE": "nonsense"}),
    "no retries given": Trial((Reply(400, b"{}"),), {}),
}


def prepare(library: Library, server: Scripted, trial: Trial, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """The call to make. The environment is read when the client is made, so that is done here and now."""
    with monkeypatch.context() as here:
        for name, value in trial.environment.items():
            here.setenv(name, value)
        made = outcome(lambda: library.client(server.url, config=library.config(retries=trial.retries)))

    def call() -> str:
        result = outcome(lambda: made.value.get_queue_url(QueueName="q")) if hasattr(made, "value") else made
        # One address for all: servers have a port each.
        return describe([result, {"requests": len(server.requests)}]).replace(server.url, "http://server")

    return call


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, tuple[str, str]]]:
    """What both made of every trial."""
    found: dict[str, str] = {}
    servers = {name: Scripted(*trial.script) for name, trial in TRIALS.items()}
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        with monkeypatch.context() as here:
            here.setattr(botocore.endpoint.time, "sleep", lambda _: None)
            for name, server in servers.items():
                found[name] = prepare(BOTO3, server, TRIALS[name], monkeypatch)()
                server.play(*TRIALS[name].script)
        calls = {name: prepare(SUBJECT, server, TRIALS[name], monkeypatch) for name, server in servers.items()}
        with ThreadPoolExecutor(len(calls)) as pool:
            subject = dict(zip(calls, pool.map(lambda call: call(), calls.values()), strict=True))
    yield {name: (found[name], subject[name]) for name in TRIALS}
    for server in servers.values():
        server.__exit__()


@pytest.mark.parametrize("name", TRIALS)
def test_retries(name: str, results: dict[str, tuple[str, str]]) -> None:
    """The same number of requests, `RetryAttempts`, `MaxAttemptsReached`, "(reached max retries: N)", or error."""
    same(*results[name], about=name)


def test_the_trials_tell_something(results: dict[str, tuple[str, str]]) -> None:
    """boto3 itself retries some of them and not others."""
    boto3 = [left for left, _ in results.values()]
    assert sum("'requests': 1" in text for text in boto3) > 10
    assert sum("'requests': 2" in text for text in boto3) > 20
    assert any("reached max retries: 1" in text for text in boto3)
    assert any("MaxAttemptsReached" in text for text in boto3)


@pytest.mark.parametrize(
    "retries",
    [
        {"max_attempts": -1},
        {"max_attempts": "2"},
        {"max_attempts": None},
        {"total_max_attempts": 0},
        {"total_max_attempts": -1},
        {"mode": "nonsense"},
        {"mode": None},
        {"nonsense": 1},
        {"max_attempts": -1, "nonsense": 1},
        [],
        "standard",
        5,
    ],
    ids=repr,
)
def test_bad_settings(retries: Any) -> None:
    """The same refusal of settings that make no sense, from Config or from the client."""
    with Scripted(SUCCESS) as server:

        def call(library: Library) -> Any:
            return library.client(server.url, config=library.config(retries=retries)).get_queue_url(QueueName="q")

        alike(call)


def test_one_client_does_not_use_up_the_retries_of_another() -> None:
    """A client has only so many retries to spend on a service that is down; the next client has its own."""
    for library in (BOTO3, SUBJECT):
        with Scripted(Reply(503, b"")) as server, pytest.MonkeyPatch.context() as monkeypatch:
            if library is BOTO3:
                monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda _: None)
            spent, fresh = (library.client(server.url, config=library.config(retries=TWICE)) for _ in range(2))
            with ThreadPoolExecutor(110) as pool:
                refusals = [pool.submit(outcome, spent.get_queue_url, QueueName="q") for _ in range(110)]
            assert all("(503)" in str(refusal.result().error) for refusal in refusals)  # type: ignore[union-attr]
            assert 110 < len(server.requests) < 220
            server.play(Reply(503, b""), SUCCESS)
            assert fresh.get_queue_url(QueueName="q")["ResponseMetadata"]["RetryAttempts"] == 1
