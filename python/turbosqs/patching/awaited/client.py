"""Calls that have left aiobotocore at its seam: which go to the core, and which go on as aiobotocore's."""

from __future__ import annotations

from ..client import CALL_PATH, Seams
from ..seam import Seam
from .call_path import AwaitedPath

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

    from ..call_path import CallPath


class AwaitedSeams(Seams):
    """The seams in aiobotocore's clients. Leaving ``async with`` is one of them: it does without ``close``."""

    def __init__(self, base: type) -> None:
        super().__init__(base)
        self._exits = Seam(base, "__aexit__", self._exit)
        self._seams.append(self._exits)

    def _seam_of_calls(self) -> Seam:
        return Seam(self.base, "_make_api_call", self._begin)

    def _begin(self, client: Any, operation_name: str, api_params: dict[str, Any]) -> Awaitable[Any]:
        call_path = self._path(client)
        if call_path is None:
            ours: Awaitable[Any] = self._calls.original(client, operation_name, api_params)
            return ours
        return call_path.make(client, operation_name, api_params, self._calls.original)  # type: ignore[attr-defined,no-any-return]

    async def _close(self, client: Any) -> None:  # type: ignore[override]
        await self._leave(client)
        await self._closes.original(client)

    async def _exit(self, client: Any, *details: Any) -> None:
        await self._leave(client)
        await self._exits.original(client, *details)

    async def _leave(self, client: Any) -> None:
        call_path = client.__dict__.get(CALL_PATH)
        if isinstance(call_path, AwaitedPath):
            await call_path.leave()

    def _new(self, client: Any) -> CallPath:
        return AwaitedPath(client)
