"""Both paginators against botocore's, over services that page in every way that the protocol allows."""

from __future__ import annotations

import base64
import copy
import functools
import json
from collections.abc import Callable
from typing import Any

import boto3
import jmespath
import pytest
from botocore.exceptions import PaginationError
from botocore.paginate import Paginator as BotocorePaginator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from turbosqs._operations import PAGINATORS
from turbosqs.paginate import Paginator

Page = dict[str, Any]
OPERATIONS = {"list_queues": "ListQueues", "list_dead_letter_source_queues": "ListDeadLetterSourceQueues"}


class Service:
    """A listing: pages in a row, each with the token of the next. It keeps what it was asked."""

    def __init__(self, pages: list[Page], input_token: str = "NextToken") -> None:
        self.pages = pages
        self.input_token = input_token
        self.asked: list[Page] = []

    def __call__(self, **kwargs: Any) -> Page:
        self.asked.append(dict(kwargs))
        token = kwargs.get(self.input_token)
        place = next((i + 1 for i, page in enumerate(self.pages) if token and page.get("NextToken") == token), 0)
        return copy.deepcopy(self.pages[min(place, len(self.pages) - 1)])


MODEL = boto3.Session().client("sqs", region_name="us-east-1").meta.service_model


def both(operation: str, pages: list[Page]) -> list[tuple[Service, Any]]:
    services = [Service(pages), Service(pages)]
    theirs = BotocorePaginator(services[0], PAGINATORS[operation], MODEL.operation_model(OPERATIONS[operation]))
    return [(services[0], theirs), (services[1], Paginator(services[1], PAGINATORS[operation]))]


def outcome(work: Callable[[], Any]) -> Any:
    """What a piece of work gives: its value, or its exception as class and text."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side must do the same
        return type(error), str(error)


def walk(service: Service, paginator: Any, kwargs: Page) -> Any:
    def pages() -> Any:
        seen, tokens = [], []
        iterator = paginator.paginate(**copy.deepcopy(kwargs))
        try:
            for page in iterator:
                seen.append(page)
                tokens.append(iterator.resume_token)
        except PaginationError as error:
            tokens.append(str(error))
        return seen, tokens, iterator.resume_token, iterator.non_aggregate_part

    return outcome(pages), service.asked


@st.composite
def listings(draw: st.DrawFn, key: str) -> list[Page]:
    """Pages with and without entries; the last with no token, an empty one, or one that was given before."""
    pages: list[Page] = []
    for number in range(draw(st.integers(1, 5))):
        page: Page = {}
        if draw(st.integers(0, 4)):
            page[key] = [f"q{number}.{i}" for i in range(draw(st.integers(0, 4)))]
        page["NextToken"] = f"t{number}"
        page["ResponseMetadata"] = {"RequestId": str(number)}
        pages.append(page)
    match draw(st.sampled_from(["absent", "absent", "empty", "repeated"])):
        case "absent":
            del pages[-1]["NextToken"]
        case "empty":
            pages[-1]["NextToken"] = ""
        case "repeated":
            # The service goes on answering with its last page.
            pass
    return pages


def token(**members: Any) -> str:
    return base64.b64encode(json.dumps(members).encode()).decode()


STARTING_TOKENS = st.one_of(
    st.none(),
    st.sampled_from(["t0", "t1", "t9", "t0___1", "t1___0", "None___2", "t0___x", "a___b___c", "", "None", "!", "¤"]),
    st.builds(
        lambda name, skip: token(NextToken=name, **({} if skip is None else {"boto_truncate_amount": skip})),
        st.sampled_from([None, "t0", "t1", "None"]),
        st.sampled_from([None, 0, 1, 2, 9]),
    ),
    st.sampled_from([token(Marker="t0"), token(NextToken="t0", Other="x"), token()]),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[str, list[Page], Page]:
    operation = draw(st.sampled_from(sorted(OPERATIONS)))
    config: Page = {}
    if (items := draw(st.sampled_from([None, None, -1, 0, 1, 2, 3, 5, 8, "4", 2.9]))) is not None:
        config["MaxItems"] = items
    if (size := draw(st.sampled_from([None, None, 1, "7", 0]))) is not None:
        config["PageSize"] = size
    if (start := draw(STARTING_TOKENS)) is not None:
        config["StartingToken"] = start
    kwargs: Page = {} if operation == "list_queues" else {"QueueUrl": "u"}
    if draw(st.booleans()):
        kwargs["NextToken"] = "t0"
    if config or draw(st.booleans()):  # type: ignore[arg-type]
        kwargs["PaginationConfig"] = config
    return operation, draw(listings(PAGINATORS[operation]["result_key"])), kwargs


#: A busy machine takes its time over an example.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNTIMED
@given(cases())
def test_pages_requests_and_tokens_are_botocores(case: tuple[str, list[Page], Page]) -> None:
    operation, pages, kwargs = case
    theirs, ours = (walk(service, paginator, kwargs) for service, paginator in both(operation, pages))
    assert ours == theirs


@UNTIMED
@given(cases())
def test_full_results_are_botocores(case: tuple[str, list[Page], Page]) -> None:
    operation, pages, kwargs = case
    theirs, ours = (
        outcome(lambda paginator=paginator: paginator.paginate(**copy.deepcopy(kwargs)).build_full_result())  # type: ignore[misc]
        for _, paginator in both(operation, pages)
    )
    assert ours == theirs


@UNTIMED
@given(listings("QueueUrls"), st.integers(1, 6), st.sampled_from([(0, 1), (1, 0)]))
def test_a_token_of_one_resumes_in_the_other(pages: list[Page], items: int, order: tuple[int, int]) -> None:
    pages[-1].pop("NextToken", None)
    paginators = [paginator for _, paginator in both("list_queues", pages)]
    first, second = (paginators[i] for i in order)
    got: list[str] = []
    start = None
    for turn in range(100):
        paginator = (first, second)[turn % 2]
        part = paginator.paginate(PaginationConfig={"MaxItems": items, "StartingToken": start}).build_full_result()
        got += part.get("QueueUrls", [])
        start = part.get("NextToken")
        if start is None:
            break
    assert start is None
    assert got == [url for page in pages for url in page.get("QueueUrls", [])]


@pytest.mark.parametrize(
    "config",
    [{"MaxItems": "x"}, {"PageSize": "x"}, {"MaxItems": [1]}, {"PageSize": None}, {"StartingToken": 5}, 5, None, {}],
    ids=repr,
)
def test_wrong_settings_are_refused_in_botocores_words(config: Any) -> None:
    theirs, ours = (
        outcome(lambda paginator=paginator: list(paginator.paginate(PaginationConfig=config)))  # type: ignore[misc]
        for _, paginator in both("list_queues", [{"QueueUrls": ["a"]}])
    )
    assert ours == theirs


@pytest.mark.parametrize(
    "value",
    [
        5,
        None,
        {},
        {"NextToken": "a", "More": 1},
        {"boto_truncate_amount": 1},
        {"NextToken": "a"},
        {"NextToken": "a", "boto_truncate_amount": 2},
    ],
    ids=repr,
)
def test_setting_the_resume_token(value: Any) -> None:
    def setting(paginator: Any) -> Any:
        iterator = paginator.paginate()
        iterator.resume_token = value
        return iterator.resume_token

    theirs, ours = (outcome(functools.partial(setting, paginator)) for _, paginator in both("list_queues", [{}]))
    assert ours == theirs


@pytest.mark.parametrize(
    "expression", ["QueueUrls", "QueueUrls[0]", "length(QueueUrls || `[]`)", "nothing", "QueueUrls["]
)
def test_search(expression: str) -> None:
    pages = [{"QueueUrls": ["a", "b"], "NextToken": "t0"}, {"NextToken": "t1"}, {"QueueUrls": ["c"]}]
    theirs, ours = (
        outcome(lambda paginator=paginator: list(paginator.paginate().search(expression)))  # type: ignore[misc]
        for _, paginator in both("list_queues", pages)  # type: ignore[arg-type]
    )
    assert ours == theirs
    assert isinstance(theirs, list) or issubclass(theirs[0], jmespath.exceptions.JMESPathError)


def test_result_keys() -> None:
    pages = [{"QueueUrls": ["a", "b"], "NextToken": "t0"}, {"NextToken": "t1"}, {"QueueUrls": ["c"]}]
    for _, paginator in both("list_queues", pages):  # type: ignore[arg-type]
        iterator = paginator.paginate()
        assert [key.expression for key in paginator.result_keys] == ["QueueUrls"]
        assert [key.search(pages[0]) for key in iterator.result_keys] == [["a", "b"]]
        assert [list(entries) for entries in iterator.result_key_iters()] == [["a", "b", "c"]]


@UNTIMED
@given(cases())
def test_a_second_walk_is_botocores(case: tuple[str, list[Page], Page]) -> None:
    operation, pages, kwargs = case
    results = []
    for service, paginator in both(operation, pages):
        iterator = outcome(lambda paginator=paginator: paginator.paginate(**copy.deepcopy(kwargs)))  # type: ignore[misc]
        walks = [outcome(lambda iterator=iterator: list(iterator)) for _ in range(2)]  # type: ignore[misc]
        results.append((walks, service.asked))
    theirs, ours = results
    assert ours == theirs


def test_pages_are_asked_for_one_at_a_time() -> None:
    service = Service([{"QueueUrls": ["a"], "NextToken": "t0"}, {"QueueUrls": ["b"]}])
    pages = iter(Paginator(service, PAGINATORS["list_queues"]).paginate())
    assert service.asked == []
    next(pages)
    assert len(service.asked) == 1
