"""boto3's resource layer on our client."""

from __future__ import annotations

from copy import copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def make(boto3_session: Any, client: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """``boto3.Session.resource("sqs")`` with a client of somebody else's.

    Args:
        boto3_session: whose resource layer it is; not changed.
        client: takes the place of its ``client`` method, which the resource layer asks for the one client it needs.
        arguments: of ``resource``.
    """
    session = copy(boto3_session)
    session.client = client
    return session.resource("sqs", **arguments)
