"""Calls whose way has been decided before: nothing of ours runs in Python for them, and they raise what they did."""

from __future__ import annotations

import gc
import sys
import weakref
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import pytest
import turbosqs
from botocore.exceptions import ClientError, ParamValidationError
from support.fakes import Scripted, ok
from support.libraries import BOTO3
from support.ways import gone
from turbosqs import _core

pytestmark = pytest.mark.usefixtures("patched")

OURS = str(Path(turbosqs.__file__).parent)


def is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(OURS)


def called(client: Any) -> list[str]:
    """Our functions that a call goes through."""
    functions: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and is_ours(frame):
            functions.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        client.list_queues()
    finally:
        sys.setprofile(None)
    return functions


def test_no_function_of_ours(client: Any) -> None:
    assert called(client)
    assert called(client) == []
    assert gone(client) == {"fast": 2}


def raised(client: Any) -> Exception:
    with pytest.raises(ClientError, match="calling the GetQueueUrl operation") as caught:
        client.get_queue_url(QueueName="none")
    error: Exception = caught.value
    return error


def frames(error: BaseException) -> list[str]:
    traceback: TracebackType | None = error.__traceback__
    found = []
    while traceback is not None:
        found.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    return found


def test_a_refusal(client: Any) -> None:
    """The first one is of a call whose way is decided, the second one of a shortcut's."""
    first, second = raised(client), raised(client)
    assert gone(client) == {"fast": 2}
    for error in (first, second):
        assert (error.__context__, error.__cause__, error.__suppress_context__) == (None, None, False)
    assert (type(second), str(second), frames(second)[-1]) == (type(first), str(first), "_make_api_call")
    assert len(frames(second)) < len(frames(first))


def test_a_refusal_while_something_else_is_handled(client: Any) -> None:
    handled = ZeroDivisionError()
    for _ in range(2):
        try:
            raise handled
        except ZeroDivisionError:
            error = raised(client)
        assert error.__context__ is handled


def test_arguments_that_do_not_fit(client: Any) -> None:
    client.list_queues()
    for _ in range(2):
        with pytest.raises(ParamValidationError, match="valid types: <class 'str'>") as caught:
            client.list_queues(QueueNamePrefix=1)
        assert caught.value.__context__ is None


def test_an_exception_that_is_none_of_the_cores(client: Any) -> None:
    """Of an object of the caller's: it is raised as it is."""

    class Odd(str):
        def __str__(self) -> str:
            raise ZeroDivisionError

        __repr__ = __str__

    client.list_queues()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            client.list_queues(QueueNamePrefix=[Odd()])


def test_what_an_error_holds_is_gone_with_it(client: Any) -> None:
    """No cycle keeps the frames that it went through, and what they hold."""

    class Held:
        """What a weak reference can be to."""

    def fail() -> Any:
        held = Held()
        with pytest.raises(ClientError):
            client.get_queue_url(QueueName="none")
        return weakref.ref(held)

    fail()
    gc.collect()
    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("other", [object(), int, None, {}], ids=["object", "class", "None", "dict"])
def test_whatever_is_no_client(other: Any) -> None:
    assert _core.take_shortcut(other, "ListQueues", {}) is None


def test_names_that_are_none(client: Any) -> None:
    client.list_queues()
    names: list[Any] = ["Other", None, 1, [], type("Name", (str,), {})("ListQueues")]
    assert [_core.take_shortcut(client, name, {}) for name in names] == [None] * 5
    assert _core.take_shortcut(client, "ListQueues", {}) is not None


def test_a_client_whose_attributes_are_computed(scripted: Scripted) -> None:
    """They are looked at where they are: a class's own way to answer for them is Python code, and asked by nobody."""
    client = BOTO3.client(scripted.url)
    cls = type(client)
    asked: list[str] = []

    class Telling(cls):  # type: ignore[misc, valid-type]
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return super().__getattribute__(name)

    client.__class__ = Telling
    for _ in range(2):
        asked.clear()
        scripted.play(ok())
        client.list_queues()
    # To be called at all.
    assert "__dict__" not in asked
    assert gone(client) == {"fast": 2}
