"""What known tools do around aiobotocore's requests, beside a call of the core's that is awaited."""

from __future__ import annotations

from functools import wraps
from inspect import signature, unwrap
from types import MethodType, SimpleNamespace

from botocore.exceptions import ClientError

from ..tracing import ASKED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from ..tracing import Tools


async def run_around(
    tools: Tools, client: Any, url: str, operation_name: str, call: Callable[[], Awaitable[Any]]
) -> Any:
    """Have the wrappers of ``AioEndpoint.make_request`` run around a call of the core's; see ``Tools.run_around``."""
    asked = _Asked(call)
    _, reply = await tools.ask_around(client, url, operation_name, _stand_in(), asked)
    if asked.error is not None:
        raise asked.error
    return reply


class _Asked:
    """A call of the core's that is made where aiobotocore would make a request.

    Attributes:
        error: the refusal that it came to.
    """

    def __init__(self, call: Callable[[], Awaitable[Any]]) -> None:
        self.error: ClientError | None = None
        self._call = call

    async def make(self) -> dict[str, Any]:
        try:
            parsed: dict[str, Any] = await self._call()
        except ClientError as refusal:
            # For aiobotocore a refusal is a reply up to here.
            self.error, parsed = refusal, refusal.response
        return parsed


_found: Callable[..., Any] | None = None


def _stand_in() -> Callable[..., Any]:
    """What stands for ``AioEndpoint.make_request``. It looks like that: a tool records where that was written."""
    global _found
    if _found is None:
        _found = _make_stand_in()
    return _found


def _make_stand_in() -> Callable[..., Any]:
    from aiobotocore.endpoint import AioEndpoint

    @wraps(MethodType(unwrap(AioEndpoint.make_request), AioEndpoint.__new__(AioEndpoint)))
    async def make_request(operation_model: Any, request_dict: Any) -> Any:  # noqa: ARG001
        parsed = await request_dict["context"][ASKED].make()
        return SimpleNamespace(status_code=parsed["ResponseMetadata"]["HTTPStatusCode"]), parsed

    # The same, but found at once.
    make_request.__signature__ = signature(make_request)  # type: ignore[attr-defined]
    return make_request
