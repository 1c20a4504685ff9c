"""Our exceptions against botocore's, and ``client.exceptions`` against a boto3 client's."""

from __future__ import annotations

import pickle
import string
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread
from time import sleep
from typing import Any

import boto3
import boto3.exceptions
import botocore.exceptions
import pytest
import turbosqs.exceptions
from turbosqs import _exceptions, errorfactory
from turbosqs._core import Failure

OURS = {name: value for name, value in vars(_exceptions).items() if isinstance(value, type)}
FROM_BOTO3 = {"Boto3Error"}
FORMATTED = sorted(name for name, cls in OURS.items() if issubclass(cls, _exceptions.BotoCoreError))
REPLIES: list[dict[str, Any]] = [
    {},
    {"Error": {}},
    {"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "gone"}},
    {"Error": {"Code": None, "Message": ""}, "ResponseMetadata": {}},
    {"Error": {"Code": "503"}, "ResponseMetadata": {"MaxAttemptsReached": True, "RetryAttempts": 2}},
    {"Error": {"Code": "503"}, "ResponseMetadata": {"MaxAttemptsReached": True}},
    {"Error": {"Code": "503"}, "ResponseMetadata": {"MaxAttemptsReached": False, "RetryAttempts": 2}},
    {"Error": {"Code": "503"}, "ResponseMetadata": {"RetryAttempts": 0, "MaxAttemptsReached": 1}},
]


def fields(cls: type) -> dict[str, str]:
    """A value for each field of an exception's text."""
    names = [name for _, name, _, _ in string.Formatter().parse(cls.fmt) if name]  # type: ignore[attr-defined]
    return {name: f"<{name}>" for name in names}


@pytest.mark.parametrize("name", sorted(set(OURS) - FROM_BOTO3))
def test_with_botocore_installed_the_class_is_botocores(name: str) -> None:
    assert getattr(turbosqs.exceptions, name) is getattr(botocore.exceptions, name)


def test_botocores_other_exceptions_are_there_too() -> None:
    assert turbosqs.exceptions.WaiterError is botocore.exceptions.WaiterError  # type: ignore[attr-defined]
    assert turbosqs.exceptions.Boto3Error is boto3.exceptions.Boto3Error
    assert turbosqs.exceptions.S3UploadFailedError is boto3.exceptions.S3UploadFailedError  # type: ignore[attr-defined]
    assert set(OURS) <= set(dir(turbosqs.exceptions))


@pytest.mark.parametrize("name", ["Nope", "requests", "_exception_from_packed_args", "__wrapped__"])
def test_what_is_no_exception_is_no_attribute(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'turbosqs.exceptions' has no attribute '{name}'"):
        getattr(turbosqs.exceptions, name)


@pytest.mark.parametrize("name", sorted(OURS))
def test_ours_have_the_bases_of_the_originals(name: str) -> None:
    theirs = getattr(boto3.exceptions if name in FROM_BOTO3 else botocore.exceptions, name)
    # botocore's also inherit from the requests library's exceptions, which it carries; nobody can name those here.
    lineage = [cls.__name__ for cls in theirs.__mro__ if not cls.__module__.startswith("botocore.vendored")]
    if any(cls.__module__.startswith("botocore.vendored") for cls in theirs.__mro__):
        # Those in turn come from OSError.
        lineage = [cls for cls in lineage if cls not in ("OSError", "RequestException")]
    assert [cls.__name__ for cls in OURS[name].__mro__] == lineage
    assert OURS[name].__qualname__ == theirs.__qualname__


@pytest.mark.parametrize("name", FORMATTED)
def test_ours_have_the_texts_and_attributes_of_the_originals(name: str) -> None:
    ours, theirs = OURS[name], getattr(botocore.exceptions, name)
    assert ours.fmt == theirs.fmt  # type: ignore[attr-defined]
    values = fields(theirs)
    mine, original = ours(**values), theirs(**values)
    assert str(mine) == str(original)
    assert mine.args == original.args
    assert vars(mine) == vars(original)
    if values:
        with pytest.raises(KeyError):
            ours()
    assert ours(**values, more=1).kwargs == {**values, "more": 1}


@pytest.mark.parametrize("reply", REPLIES, ids=repr)
def test_our_client_error_reads_like_the_original(reply: dict[str, Any]) -> None:
    mine = _exceptions.ClientError(reply, "SendMessage")
    original = botocore.exceptions.ClientError(reply, "SendMessage")
    assert str(mine) == str(original)
    assert vars(mine) == vars(original)
    assert _exceptions.ClientError.MSG_TEMPLATE == botocore.exceptions.ClientError.MSG_TEMPLATE


def test_http_errors_keep_request_and_response() -> None:
    mine = _exceptions.ReadTimeoutError(request="q", response="r", endpoint_url="u")
    assert (mine.request, mine.response, mine.kwargs) == ("q", "r", {"endpoint_url": "u"})


# --- the modelled errors -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def theirs() -> Any:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b")
    return session.client("sqs", region_name="us-east-1").exceptions


def test_the_modelled_errors_are_boto3s(theirs: Any) -> None:
    ours = errorfactory.exceptions()
    assert list(ours._code_to_exception) == list(theirs._code_to_exception)
    assert ours.ClientError is botocore.exceptions.ClientError
    assert set(dir(theirs)) == set(dir(ours)) - {"__annotations__"}
    assert (type(ours).__name__, type(ours).__module__) == (type(theirs).__name__, type(theirs).__module__)
    for name, original in theirs._code_to_exception.items():
        cls = getattr(ours, name)
        assert cls is ours.from_code(name)
        assert (cls.__name__, cls.__qualname__, cls.__module__) == (name, original.__qualname__, original.__module__)
        assert cls.__bases__ == original.__bases__


@pytest.mark.parametrize("code", ["AWS.SimpleQueueService.NonExistentQueue", "AccessDenied", "", None])
def test_an_unmodelled_code_is_a_client_error(theirs: Any, code: str | None) -> None:
    assert errorfactory.exceptions().from_code(code) is theirs.from_code(code) is botocore.exceptions.ClientError


def test_a_failure_of_the_core_becomes_the_exception_it_stands_for() -> None:
    response: Any = {"Error": {"Code": "C", "Message": "m"}}
    refusal = errorfactory.exception(Failure("QueueDoesNotExist", response, "SendMessage"))
    assert type(refusal) is errorfactory.exceptions().QueueDoesNotExist
    assert (refusal.response, refusal.operation_name) == (response, "SendMessage")
    lost = errorfactory.exception(Failure("EndpointConnectionError", {"endpoint_url": "u", "error": "e"}))
    assert type(lost) is botocore.exceptions.EndpointConnectionError
    assert str(lost) == 'Could not connect to the endpoint URL: "u"'


def test_an_unknown_name_is_refused_in_botocores_words(theirs: Any) -> None:
    def words(exceptions: Any) -> str:
        with pytest.raises(AttributeError) as caught:
            _ = exceptions.QueueDoesNotExists
        return str(caught.value).replace(str(exceptions), "it")

    assert words(errorfactory.exceptions()) == words(theirs)


def test_a_modelled_error_pickles_as_a_client_error() -> None:
    reply = {"Error": {"Code": "AWS.SimpleQueueService.NonExistentQueue", "Message": "gone"}}
    error = errorfactory.exceptions().QueueDoesNotExist(reply, "SendMessage")
    copied = pickle.loads(pickle.dumps(error))
    assert type(copied) is botocore.exceptions.ClientError
    assert (str(copied), copied.response, copied.operation_name) == (str(error), reply, "SendMessage")


def test_threads_that_ask_at_once_get_one_set(monkeypatch: pytest.MonkeyPatch) -> None:
    make = errorfactory._make

    def slowly() -> Any:
        # Long enough for every other thread to find nothing made yet.
        sleep(0.05)
        return make()

    monkeypatch.setattr(errorfactory, "_make", slowly)
    monkeypatch.setattr(errorfactory, "_made", None)
    barrier, got = Barrier(16), []

    def ask() -> None:
        barrier.wait()
        got.append(errorfactory.exceptions())

    threads = [Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16
    assert len({id(exceptions) for exceptions in got}) == 1


# --- which classes, and when ---------------------------------------------------------------------------------------


def run(program: str, *path: Path) -> str:
    """Run a program in an interpreter of its own, with folders before all others on its path."""
    preamble = f"import sys; sys.path[:0] = {[str(folder) for folder in path]!r}\n"
    command = [sys.executable, "-c", preamble + program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout.strip()


def test_botocore_is_imported_with_the_first_exception_and_not_before() -> None:
    program = """
import turbosqs, turbosqs.exceptions, turbosqs.session, turbosqs.sqs, turbosqs.errorfactory
def loaded(): return sorted({name.partition(".")[0] for name in sys.modules} & {"botocore", "boto3"})
hasattr(turbosqs.exceptions, "__path__"), dir(turbosqs.exceptions)
before = loaded()
turbosqs.exceptions.ClientError
print(before, loaded())
"""
    assert run(program) == "[] ['botocore']"


def test_a_broken_botocore_says_what_is_broken(tmp_path: Path) -> None:
    package = tmp_path / "botocore"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "exceptions.py").write_text("import a_package_that_is_not_there")
    program = """
import turbosqs.exceptions
try: turbosqs.exceptions.ClientError
except ModuleNotFoundError as error: print(error)
"""
    assert run(program, tmp_path) == "No module named 'a_package_that_is_not_there'"
