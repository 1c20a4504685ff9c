"""``Session.events``: boto3's event emitter, but for what our clients cannot heed."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class SessionEvents:
    """A session's event emitter, boto3's. Calls of SQS clients that somebody listens to are made by botocore."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    def register(self, event_name: str, *args: Any, **kwargs: Any) -> None:
        """As botocore's.

        Raises:
            NotImplementedError: the event is the making of an SQS client's class, which is not made here.
        """
        self._refuse(event_name)
        self._events.register(event_name, *args, **kwargs)

    def register_first(self, event_name: str, *args: Any, **kwargs: Any) -> None:
        """As botocore's; see ``register``."""
        self._refuse(event_name)
        self._events.register_first(event_name, *args, **kwargs)

    def register_last(self, event_name: str, *args: Any, **kwargs: Any) -> None:
        """As botocore's; see ``register``."""
        self._refuse(event_name)
        self._events.register_last(event_name, *args, **kwargs)

    def _refuse(self, event_name: str) -> None:
        # Events are named kind.service; a handler for fewer parts hears all that begin with them.
        kind, _, rest = event_name.partition(".")
        if kind == "creating-client-class" and rest.partition(".")[0] in ("", "*", "sqs"):
            raise NotImplementedError(
                f"the class of turbosqs's SQS clients is not made anew for each, so a handler for {event_name!r} could "
                "not change it: use boto3's own client with turbosqs.patch()"
            )
