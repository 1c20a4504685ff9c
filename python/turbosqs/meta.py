"""``client.meta``: what a client knows about itself."""

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
        core: "_core.Client",
        config: "Any",
        profile_name: "str | None",
        delegate: "Callable[[str], Delegate] | None" = None,
    ) -> None:
        """Keep what is told.

        Arguments:
            core: the client's.
            config, profile_name: what it was made with.
            delegate: makes botocore's client behind it, for what needs one.
        """
        self._core = core
        self._delegate = delegate
        self._given_config = config
        self._profile_name = profile_name
        self._config: Any = None
        self._service_model: Any = None

    @property
    def events(self) -> "Any":
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
    def config(self) -> "Any":
        if self._config is None:
            self._config = in_force(self._core, self._given_config, self._profile_name)
        return self._config

    @property
    def service_model(self) -> "Any":
        if self._service_model is None:
            from .service_model import load

            self._service_model = load()
        return self._service_model


_DONE = (
    "defaults_mode",
    "endpoint_discovery_enabled",
    "ignore_configured_endpoint_urls",
    "parameter_validation",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
)


def in_force(core: "_core.Client", given: "Any", profile_name: "str | None") -> "Any":
    """A client's config as it is applied, whichever way its options were found; of the type of the one that was given.

    Arguments:
        core: the client's.
        given: the ``Config``, ours or botocore's, or None.
        profile_name: the session's.
    """
    from . import _general
    from .config import Config, as_options

    kind, options = (Config, {}) if given is None else (type(given), as_options(given))
    options.update(_general.resolved(core.general, options))
    # They have done their work, and botocore does not show them.
    for name in _DONE:
        options.pop(name, None)
    for name, is_on in zip(("use_fips_endpoint", "use_dualstack_endpoint"), core.variants, strict=True):
        if is_on:
            options[name] = True
    options["region_name"] = core.region_name
    options["signature_version"] = options.get("signature_version") or "v4"
    for name, seconds in zip(("connect_timeout", "read_timeout"), core.timeouts, strict=True):
        if options.get(name) is None:
            options[name] = int(seconds) if seconds is not None and seconds == int(seconds) else seconds
    options["retries"] = _retries(options.get("retries"), profile_name)
    return kind(**{name: value for name, value in options.items() if name in kind.OPTION_DEFAULTS})


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
