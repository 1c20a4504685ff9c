"""Pages of listings, awaited one by one."""

from __future__ import annotations

from ..paginate import NO_CONFIG, BasePageIterator, BasePaginator, compile_expression, found, merge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any, Generic, type_check_only

    from typing_extensions import Unpack

    from .. import types
    from .._annotations import types_aiobotocore
    from ..paginate import _Page, _Reply


class Paginator(BasePaginator):
    """Makes asynchronous iterators over the pages of one operation; ``client.get_paginator`` makes it."""

    def paginate(
        self,
        *,
        PaginationConfig: types.PaginationConfig = NO_CONFIG,  # noqa: N803
        **kwargs: Any,
    ) -> PageIterator:
        """An asynchronous iterator over pages; see ``turbosqs.paginate.Paginator.paginate``.

        Raises:
            ValueError, TypeError: a number that is none.
        """
        return PageIterator(*self._arguments(PaginationConfig, kwargs))


class PageIterator(BasePageIterator):
    """An asynchronous iterator over the pages of a listing."""

    async def __aiter__(self) -> AsyncIterator[_Page]:
        paging = self._paging()
        while paging.request is not None:
            page = paging.accept(await self._method(**paging.request))
            self._resume_token = paging.resume_token
            yield page
            paging.advance()
            self._resume_token = paging.resume_token

    async def build_full_result(self) -> _Page:
        """All pages as one: the entries of all, and ``NextToken`` where ``MaxItems`` cut the listing."""
        key = self._config["result_key"]
        full: _Page = {}
        async for page in self:
            merge(full, page, key)
        return self._listed(full)

    async def search(self, expression: str) -> AsyncIterator[Any]:
        """Apply a JMESPath expression to each page; lists are handed out entry by entry.

        Args:
            expression: such as ``QueueUrls[?contains(@, 'orders')]``.

        Raises:
            ModuleNotFoundError: jmespath is not installed (aiobotocore and boto3 bring it along).
        """
        compiled = compile_expression(expression)
        async for page in self:
            for item in found(compiled, page):
                yield item

    def result_key_iters(self) -> list[AsyncIterator[Any]]:
        """An asynchronous iterator over the entries of all pages, in a list, one for each result key."""
        key = self.result_keys[0]

        async def entries() -> AsyncIterator[Any]:
            async for page in self:
                for entry in key.search(page) or ():
                    yield entry

        return [entries()]


if TYPE_CHECKING:

    @type_check_only
    class Pages(PageIterator, Generic[_Reply]):
        """The pages of a listing, each a reply of its operation."""

        def __aiter__(self) -> AsyncIterator[_Reply]: ...  # type: ignore[override]
        async def build_full_result(self) -> _Reply: ...  # type: ignore[override]

    @type_check_only
    class ListQueuesPaginator(Paginator, types_aiobotocore.ListQueues):
        """What ``get_paginator("list_queues")`` makes."""

        def paginate(  # type: ignore[override]
            self, **kwargs: Unpack[types.ListQueuesPaging]
        ) -> Pages[types.ListQueuesResult]: ...

    @type_check_only
    class ListDeadLetterSourceQueuesPaginator(Paginator, types_aiobotocore.ListDeadLetterSourceQueues):
        """What ``get_paginator("list_dead_letter_source_queues")`` makes."""

        def paginate(  # type: ignore[override]
            self, **kwargs: Unpack[types.ListDeadLetterSourceQueuesPaging]
        ) -> Pages[types.ListDeadLetterSourceQueuesResult]: ...
