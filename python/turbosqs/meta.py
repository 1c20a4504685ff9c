"""``client.meta``: what a client knows about itself."""

from __future__ import annotations

from ._operations import METHOD_TO_API

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from . import _core
    from ._delegate import Delegate


class ClientMeta:
    """What boto3 keeps beside the operations, under the same names.

    Attributes:
        events: botocore's event emitter. Calls that somebody has registered a handler for are made by botocore. Without
            botocore it refuses handlers; see ``Events``.
        region_name, endpoint_url, partition: where requests go, as resolved.
        config: the ``Config`` in force.
        service_model: the model of SQS: botocore's ``ServiceModel`` where botocore is installed, else
            ``turbosqs.service_model.ServiceModel``.
        method_to_api_mapping: ``{"send_message": "SendMessage", ...}``.
    """

    def __init__(
        self,
        core: _core.Client,
        config: Any,
        delegate: Callable[[str], Delegate] | None = None,
    ) -> None:
        """Keep what is told.

        Args:
            core: the client's.
            config: what it was made with.
            delegate: makes botocore's client behind it, for what needs one.
        """
        self._core = core
        self._delegate = delegate
        self._given_config = config
        self._config: Any = None
        self._service_model: Any = None

    @property
    def events(self) -> Any:
        if self._delegate is not None:
            try:
                return self._delegate("meta.events").client.meta.events
            except ModuleNotFoundError as error:
                if error.name not in ("botocore", "botocore.session"):
                    raise
        return Events()

    @property
    def region_name(self) -> str:
        return self._core.region_name

    @property
    def endpoint_url(self) -> str:
        return self._core.endpoint_url

    @property
    def partition(self) -> str:
        return self._core.partition

    @property
    def method_to_api_mapping(self) -> dict[str, str]:
        return METHOD_TO_API

    @property
    def config(self) -> Any:
        if self._config is None:
            from ._in_force import in_force

            self._config = in_force(self._core, self._given_config)
        return self._config

    @property
    def service_model(self) -> Any:
        if self._service_model is None:
            from .service_model import load

            self._service_model = load()
        return self._service_model


class Events:
    """The place of botocore's event emitter where botocore is not installed.

    A handler that would never run is a bug that nobody sees, so registering one is refused; emitting and unregistering
    find nothing to do.
    """

    def register(self, event_name: str, *_: object, **__: object) -> None:
        """Refuse.

        Raises:
            ModuleNotFoundError: always, with the way out.
        """
        message = (
            f"a handler for {event_name!r} is called by botocore, which then makes the calls that it hears of: "
            "pip install boto3"
        )
        raise ModuleNotFoundError(message, name="botocore")

    register_first = register
    register_last = register

    def unregister(self, *_: object, **__: object) -> None:
        """Do nothing: no handler can be registered, and botocore ignores unknown ones as well."""

    def emit(self, *_: object, **__: object) -> list[object]:
        """Nobody listens: no answers."""
        return []

    def emit_until_response(self, *_: object, **__: object) -> tuple[None, None]:
        """Nobody listens: no handler, no answer."""
        return None, None
