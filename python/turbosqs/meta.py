"""``client.meta``: what a client knows about itself."""

from ._operations import METHOD_TO_API

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import _core


class ClientMeta:
    """What boto3 keeps beside the operations, under the same names.

    Attributes:
        events: refuses handlers; see ``Events``.
        region_name, endpoint_url, partition: where requests go, as resolved.
        config: the ``Config`` in force.
        service_model: the model of SQS: botocore's ``ServiceModel`` where botocore is installed, else
            ``turbosqs.service_model.ServiceModel``.
        method_to_api_mapping: ``{"send_message": "SendMessage", ...}``.
    """

    def __init__(self, core: "_core.Client", config: "Any", profile_name: "str | None") -> None:
        self.events = Events()
        self._core = core
        self._given_config = config
        self._profile_name = profile_name
        self._config: Any = None
        self._service_model: Any = None

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
    def config(self) -> "Any":
        if self._config is None:
            from .config import Config, as_options

            given = self._given_config
            kind, options = (Config, {}) if given is None else (type(given), as_options(given))
            # As in boto3, the config in force has region, signature and retries whichever way they were found.
            options["region_name"] = self.region_name
            options["signature_version"] = options.get("signature_version") or "v4"
            options["retries"] = _retries(options.get("retries"), self._profile_name)
            self._config = kind(**options)
        return self._config

    @property
    def service_model(self) -> "Any":
        if self._service_model is None:
            from .service_model import load

            self._service_model = load()
        return self._service_model


def _retries(given: "dict[str, Any] | None", profile_name: "str | None") -> "dict[str, Any]":
    """The retry options in force, with boto3's rules: ``max_attempts`` counts the retries, every other the attempts."""
    from . import _profiles

    def found(variable: str, setting: str) -> "str | None":
        value = _profiles.from_environment(variable)
        return _profiles.settings(profile_name).get(setting) if value is None else value

    retries = dict(given or {})
    retried = retries.pop("max_attempts", None)
    if "total_max_attempts" not in retries:
        if retried is not None:
            retries["total_max_attempts"] = retried + 1
        elif (attempts := found("AWS_MAX_ATTEMPTS", "max_attempts")) is not None:
            retries["total_max_attempts"] = int(attempts)
    if "mode" not in retries:
        retries["mode"] = found("AWS_RETRY_MODE", "retry_mode") or "standard"
    return retries


class Events:
    """The place of botocore's event emitter.

    This client builds and sends requests in Rust and emits none of botocore's events. A handler that would never run
    is a bug that nobody sees, so registering one is refused; emitting and unregistering find nothing to do.
    """

    def register(self, event_name: str, handler: object, *_: object, **__: object) -> None:
        """Refuse.

        Raises:
            NotImplementedError: always, with the way out.
        """
        raise NotImplementedError(
            f"turbosqs emits no botocore events, so the handler for {event_name!r} would never run: "
            "make the client that needs event handlers with boto3.client('sqs')"
        )

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
