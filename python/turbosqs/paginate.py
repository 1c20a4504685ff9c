"""Pages of ``list_queues`` and ``list_dead_letter_source_queues``, cut and resumed as botocore does.

A token made here resumes a listing in botocore and the other way round. What to ask next and where to cut is
``Paging``, which does no I/O, so that an awaitable iterator can drive it as well.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Generic, TypeVar, type_check_only

    from typing_extensions import Unpack

    from . import types
    from ._annotations import mypy_boto3, types_boto3

    _Reply = TypeVar("_Reply")
    _Page = dict[str, Any]
    _Token = dict[str, str | int | None]

# Beside the service's own token: how many entries of the page that it leads to were given out already.
_TRUNCATED = "boto_truncate_amount"

#: No limits.
NO_CONFIG: types.PaginationConfig = {}


class ResultKey:
    """The member of a page that holds its entries.

    Attributes:
        expression: the member's name.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def search(self, page: _Page) -> Any:
        """The entries of a page, or None."""
        return page.get(self.expression)


class BasePaginator:
    """How one operation is paged.

    Attributes:
        result_keys: the member that holds the entries, as a list of one ``ResultKey``.
    """

    def __init__(self, method: Callable[..., Any], config: dict[str, str]) -> None:
        """Tie a method to how it is paged.

        Args:
            method: the client's method.
            config: its entry in the service model's paginators.
        """
        self._method = method
        self._config = config
        self.result_keys = [ResultKey(config["result_key"])]

    def _arguments(self, limits: types.PaginationConfig, kwargs: _Page) -> tuple[Any, ...]:
        """What an iterator over pages is made from, out of the arguments of ``paginate``."""
        max_items, page_size = limits.get("MaxItems"), limits.get("PageSize")
        return (
            self._method,
            self._config,
            kwargs,
            None if max_items is None else int(max_items),
            None if page_size is None else int(page_size),
            limits.get("StartingToken"),
        )


class Paginator(BasePaginator):
    """Makes iterators over the pages of one operation; ``client.get_paginator`` makes it."""

    def paginate(
        self,
        *,
        PaginationConfig: types.PaginationConfig = NO_CONFIG,  # noqa: N803
        **kwargs: Any,
    ) -> PageIterator:
        """An iterator over pages.

        Args:
            PaginationConfig: a dict with ``MaxItems`` (stop after so many entries), ``PageSize`` (entries in a
                request; ``MaxResults`` to the service) and ``StartingToken`` (the ``resume_token`` of an earlier
                iterator, or the service's own ``NextToken``), each optional. Numbers may be strings.
            kwargs: the operation's arguments.

        Raises:
            ValueError, TypeError: a number that is none.
        """
        return PageIterator(*self._arguments(PaginationConfig, kwargs))


class BasePageIterator:
    """The pages of a listing.

    To be walked once: as in botocore, a second walk goes on with the token that the first one used last, and so
    repeats its last page only.

    Attributes:
        result_keys: the member that holds the entries, as a list of one ``ResultKey``.
    """

    def __init__(
        self,
        method: Callable[..., Any],
        config: dict[str, str],
        kwargs: _Page,
        max_items: int | None,
        page_size: int | None,
        starting_token: str | None,
    ) -> None:
        self.result_keys = [ResultKey(config["result_key"])]
        self._method = method
        self._config = config
        self._kwargs = kwargs
        self._max_items = max_items
        self._page_size = page_size
        self._starting_token = starting_token
        self._resume_token: str | None = None

    @property
    def resume_token(self) -> str | None:
        """What to give as ``StartingToken`` to go on where ``MaxItems`` cut the listing; None where it did not."""
        return self._resume_token

    @resume_token.setter
    def resume_token(self, value: _Token) -> None:
        self._resume_token = encode(value, self._config["input_token"])

    @property
    def non_aggregate_part(self) -> _Page:
        """Empty: these listings have no member that stands outside the pages."""
        return {}

    def _paging(self) -> Paging:
        return Paging(self._config, self._kwargs, self._max_items, self._page_size, self._starting_token)

    def _listed(self, full: _Page) -> _Page:
        """The pages as one, with the place to go on from where ``MaxItems`` cut the listing."""
        if self._resume_token is not None:
            full["NextToken"] = self._resume_token
        return full


class PageIterator(BasePageIterator):
    """An iterator over the pages of a listing."""

    def __iter__(self) -> Iterator[_Page]:
        paging = self._paging()
        while paging.request is not None:
            page = paging.accept(self._method(**paging.request))
            self._resume_token = paging.resume_token
            yield page
            paging.advance()
            self._resume_token = paging.resume_token

    def build_full_result(self) -> _Page:
        """All pages as one: the entries of all, and ``NextToken`` where ``MaxItems`` cut the listing."""
        key = self._config["result_key"]
        full: _Page = {}
        for page in self:
            merge(full, page, key)
        return self._listed(full)

    def search(self, expression: str) -> Iterator[Any]:
        """Apply a JMESPath expression to each page; lists are handed out entry by entry.

        Args:
            expression: such as ``QueueUrls[?contains(@, 'orders')]``.

        Raises:
            ModuleNotFoundError: jmespath is not installed (boto3 brings it along).
        """
        compiled = compile_expression(expression)
        for page in self:
            yield from found(compiled, page)

    def result_key_iters(self) -> list[Iterator[Any]]:
        """An iterator over the entries of all pages, as botocore has it: in a list, one for each result key."""
        key = self.result_keys[0]
        return [(entry for page in self for entry in key.search(page) or ())]


class Paging:
    """Where a listing stands.

    Attributes:
        request: the arguments of the next call; None at the end.
        resume_token: how to go on after the end that ``MaxItems`` made.
    """

    def __init__(
        self,
        config: dict[str, str],
        kwargs: _Page,
        max_items: int | None,
        page_size: int | None,
        starting_token: str | None,
    ) -> None:
        """Begin a listing; see ``Paginator.paginate`` for the arguments.

        Raises:
            ValueError: the starting token is neither ours nor one of the service.
        """
        self._input_token = config["input_token"]
        self._output_token = config["output_token"]
        self._result_key = config["result_key"]
        self._max_items = max_items
        self._resumed = starting_token is not None
        self._skip = 0
        # The token that led to the page at hand, the one that leads to the next, and the one before it.
        self._token: _Token = {self._input_token: None}
        self._next: Any = None
        self._previous: Any = None
        self._seen = 0
        self._cut = False
        self.resume_token: str | None = None
        # The iterator's own dict, for the next walk to find what this one left there.
        self.request: _Page | None = kwargs
        if starting_token is not None:
            self._token, self._skip = decode(starting_token, self._input_token)
            self._ask(self._token)
        if page_size is not None:
            self.request[config["limit_key"]] = page_size

    def accept(self, page: _Page) -> _Page:
        """Take a reply; what was given out before and what ``MaxItems`` forbids is cut from it in place."""
        entries = page.get(self._result_key)
        if self._resumed:
            entries = entries[self._skip :] if isinstance(entries, list) else None
            page[self._result_key] = entries
        count = 0 if entries is None else len(entries)
        excess = 0 if self._max_items is None else self._seen + count - self._max_items
        if excess > 0:
            keep = count - excess
            page[self._result_key] = [] if entries is None else entries[:keep]
            # Counted from the start of the service's page, not of what was left of it.
            self.resume_token = encode({**self._token, _TRUNCATED: keep + self._skip}, self._input_token)
            self._cut = True
        self._seen += count
        self._resumed, self._skip = False, 0
        # The service ends a listing with an empty token or with none.
        self._next = page.get(self._output_token) or None
        return page

    def advance(self) -> None:
        """Decide what comes after the page that was accepted last.

        Raises:
            PaginationError: the service sent the same token twice, which would go round for ever.
        """
        token: _Token = {self._input_token: self._next}
        if self._cut or self._next is None:
            self.request = None
        elif self._seen == self._max_items:
            self.resume_token = encode(token, self._input_token)
            self.request = None
        elif self._next == self._previous:
            from .exceptions import PaginationError

            raise PaginationError(message=f"The same next token was received twice: {token}")
        else:
            self._ask(token)
            self._token, self._previous = token, self._next

    def _ask(self, token: _Token) -> None:
        request: _Page = self.request  # type: ignore[assignment]
        for name, value in token.items():
            if value is not None and value != "None":
                request[name] = value
            else:
                request.pop(name, None)


def encode(token: _Token, input_token: str) -> str:
    """A place in a listing as an opaque string, in botocore's form: JSON in base64.

    Raises:
        ValueError: the token names anything but the operation's own token and a count.
    """
    from base64 import b64encode
    from json import dumps

    if not isinstance(token, dict) or set(token) - {_TRUNCATED} != {input_token}:
        raise ValueError(f"Bad starting token: {token}")
    return b64encode(dumps(token).encode()).decode()


def decode(text: str, input_token: str) -> tuple[_Token, int]:
    """The service's token and how many entries of its page to skip.

    Args:
        text: what ``encode`` made, here or in botocore; a token of the service; or botocore's older form of both,
            ``token___count``.

    Raises:
        ValueError: none of these.
    """
    from base64 import b64decode
    from json import loads

    try:
        token = loads(b64decode(text.encode()).decode())
    except ValueError:
        token = None
    if isinstance(token, dict):
        return token, token.pop(_TRUNCATED, 0)
    parts, skip = text.split("___"), 0
    if len(parts) == 2:
        try:
            parts, skip = parts[:1], int(parts[1])
        except ValueError:
            # A service's token that happens to look like that.
            parts = [text]
    if len(parts) != 1:
        raise ValueError(f"Bad starting token: {text}")
    return {input_token: None if parts[0] == "None" else parts[0]}, skip


def merge(full: _Page, page: _Page, result_key: str) -> None:
    """Add the entries of a page to the result that grows of all pages."""
    entries = page.get(result_key)
    if entries is not None:
        full.setdefault(result_key, []).extend(entries)


def compile_expression(expression: str) -> Any:
    """A compiled JMESPath expression.

    Raises:
        ModuleNotFoundError: jmespath is not installed.
    """
    from importlib import import_module

    try:
        jmespath = import_module("jmespath")
    except ModuleNotFoundError as error:
        if error.name != "jmespath":
            raise
        message = "searching pages needs JMESPath: pip install jmespath"
        raise ModuleNotFoundError(message, name="jmespath") from None
    return jmespath.compile(expression)


def found(compiled: Any, page: _Page) -> list[Any]:
    """What an expression finds in a page, as a list."""
    result = compiled.search(page)
    return result if isinstance(result, list) else [result]


if TYPE_CHECKING:

    @type_check_only
    class Pages(PageIterator, Generic[_Reply]):
        """The pages of a listing, each a reply of its operation."""

        def __iter__(self) -> Iterator[_Reply]: ...  # type: ignore[override]
        def build_full_result(self) -> _Reply: ...  # type: ignore[override]

    @type_check_only
    class ListQueuesPaginator(Paginator, mypy_boto3.ListQueues, types_boto3.ListQueues):
        """What ``get_paginator("list_queues")`` makes."""

        def paginate(  # type: ignore[override]
            self, **kwargs: Unpack[types.ListQueuesPaging]
        ) -> Pages[types.ListQueuesResult]: ...

    @type_check_only
    class ListDeadLetterSourceQueuesPaginator(
        Paginator, mypy_boto3.ListDeadLetterSourceQueues, types_boto3.ListDeadLetterSourceQueues
    ):
        """What ``get_paginator("list_dead_letter_source_queues")`` makes."""

        def paginate(  # type: ignore[override]
            self, **kwargs: Unpack[types.ListDeadLetterSourceQueuesPaging]
        ) -> Pages[types.ListDeadLetterSourceQueuesResult]: ...
