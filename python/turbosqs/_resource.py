"""boto3's resource layer on our client."""

from __future__ import annotations

from copy import copy

from ._model import OPERATIONS
from ._signatures import takes

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
    session.resource_factory = factory = copy(session.resource_factory)
    make_class = factory.load_from_definition

    def make_described_class(*arguments: Any, **options: Any) -> Any:
        cls = make_class(*arguments, **options)
        for action in cls.meta.resource_model.actions:
            # Those of its operation, but for what the resource knows.
            known = {param.target for param in action.request.params}
            # A newer boto3 may have operations that are not known here.
            if action.request.operation in OPERATIONS:
                takes(getattr(cls, action.name), OPERATIONS[action.request.operation][0], known=known)
        return cls

    # It makes a class for each resource that is asked for; all of them come through here.
    factory.load_from_definition = make_described_class
    return session.resource("sqs", **arguments)
