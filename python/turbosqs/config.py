"""``Config``: the options of a client, under botocore's names."""

from __future__ import annotations

from collections.abc import Mapping

from turbosqs import exceptions

from ._signatures import says

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inspect import Signature
    from typing import Any, Protocol

    class _AnyConfig(Protocol):
        """What our ``Config`` and botocore's have in common, beside an attribute for each option."""

        _user_provided_options: Any
        signature_version: Any


__all__ = ["UNSIGNED", "Config", "as_options"]


class _Unsigned:
    def __copy__(self) -> _Unsigned:
        return self

    def __deepcopy__(self, memodict: object) -> _Unsigned:
        return self

    def __repr__(self) -> str:
        return "UNSIGNED"


# The core knows this value, and botocore's own, by the name of its type.
_Unsigned.__name__ = "UNSIGNED"

#: ``Config(signature_version=UNSIGNED)``: requests are not signed. ``botocore.UNSIGNED`` does the same.
UNSIGNED = _Unsigned()

_DEFAULTS: dict[str, Any] = {
    "region_name": None,
    "signature_version": None,
    "user_agent": None,
    "user_agent_extra": None,
    "user_agent_appid": None,
    "connect_timeout": 60,
    "read_timeout": 60,
    "parameter_validation": True,
    "max_pool_connections": 10,
    "proxies": None,
    "proxies_config": None,
    "s3": None,
    "s3_disable_express_session_auth": None,
    "retries": None,
    "client_cert": None,
    "inject_host_prefix": None,
    "endpoint_discovery_enabled": None,
    "use_dualstack_endpoint": None,
    "use_fips_endpoint": None,
    "ignore_configured_endpoint_urls": None,
    "defaults_mode": None,
    "tcp_keepalive": None,
    "request_min_compression_size_bytes": None,
    "disable_request_compression": None,
    "client_context_params": None,
    "sigv4a_signing_region_set": None,
    "request_checksum_calculation": None,
    "response_checksum_validation": None,
    "account_id_endpoint_mode": None,
    "auth_scheme_preference": None,
}

_RETRY_OPTIONS = ("max_attempts", "mode", "total_max_attempts")
_RETRY_MODES = ("legacy", "standard", "adaptive")


class Config:
    """Options of a client.

    Takes the options of ``botocore.config.Config``, by name or in botocore's order, and refuses what that refuses.
    Options that concern other services are kept and have no effect. A ``botocore.config.Config`` can be passed
    wherever this can.
    """

    region_name: str | None
    signature_version: Any
    user_agent: str | None
    user_agent_extra: str | None
    user_agent_appid: str | None
    connect_timeout: float | None
    read_timeout: float | None
    parameter_validation: bool
    max_pool_connections: int | None
    proxies: dict[str, str] | None
    proxies_config: dict[str, Any] | None
    s3: dict[str, Any] | None
    s3_disable_express_session_auth: bool | None
    retries: dict[str, Any] | None
    client_cert: str | tuple[str, str] | None
    inject_host_prefix: bool | None
    endpoint_discovery_enabled: bool | str | None
    use_dualstack_endpoint: bool | None
    use_fips_endpoint: bool | None
    ignore_configured_endpoint_urls: bool | None
    defaults_mode: str | None
    tcp_keepalive: bool | None
    request_min_compression_size_bytes: int | None
    disable_request_compression: bool | None
    client_context_params: dict[str, Any] | None
    sigv4a_signing_region_set: str | None
    request_checksum_calculation: str | None
    response_checksum_validation: str | None
    account_id_endpoint_mode: str | None
    auth_scheme_preference: str | None

    OPTION_DEFAULTS: Mapping[str, Any] = _DEFAULTS

    if TYPE_CHECKING:

        def __init__(
            self,
            region_name: str | None = None,
            signature_version: Any = None,
            user_agent: str | None = None,
            user_agent_extra: str | None = None,
            user_agent_appid: str | None = None,
            connect_timeout: float | None = 60,
            read_timeout: float | None = 60,
            parameter_validation: bool = True,
            max_pool_connections: int | None = 10,
            proxies: dict[str, str] | None = None,
            proxies_config: dict[str, Any] | None = None,
            s3: dict[str, Any] | None = None,
            s3_disable_express_session_auth: bool | None = None,
            retries: dict[str, Any] | None = None,
            client_cert: str | tuple[str, str] | None = None,
            inject_host_prefix: bool | None = None,
            endpoint_discovery_enabled: bool | str | None = None,
            use_dualstack_endpoint: bool | None = None,
            use_fips_endpoint: bool | None = None,
            ignore_configured_endpoint_urls: bool | None = None,
            defaults_mode: str | None = None,
            tcp_keepalive: bool | None = None,
            request_min_compression_size_bytes: int | None = None,
            disable_request_compression: bool | None = None,
            client_context_params: dict[str, Any] | None = None,
            sigv4a_signing_region_set: str | None = None,
            request_checksum_calculation: str | None = None,
            response_checksum_validation: str | None = None,
            account_id_endpoint_mode: str | None = None,
            auth_scheme_preference: str | None = None,
        ) -> None: ...

    else:

        def __init__(self, *args, **kwargs):
            self._keep(_named(args, kwargs))

        says(__init__, lambda: _signature())

    def _keep(self, given: dict[str, Any]) -> None:
        self._user_provided_options = given
        values = {**_DEFAULTS, "inject_host_prefix": True}
        if given.get("defaults_mode", "legacy") != "legacy":
            # The mode has a connect timeout of its own.
            values["connect_timeout"] = None
        values.update(given)
        for name, value in values.items():
            setattr(self, name, value)
        _check_s3(self.s3)
        _check_retries(self.retries)

    def merge(self, other_config: Config) -> Config:
        """A new config: this one's options, overridden by those that were given to the other."""
        return Config(**{**self._user_provided_options, **other_config._user_provided_options})

    @classmethod
    def from_botocore(cls, config: _AnyConfig) -> Config:
        """The same options as a ``Config`` of ours."""
        return cls(**as_options(config))

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={_shown(name, value)!r}" for name, value in self._user_provided_options.items())
        return f"Config({options})"


def _shown(name: str, value: Any) -> Any:
    """An option for people to see: without the passwords of proxies."""
    if name != "proxies" or not isinstance(value, Mapping):
        return value
    return {scheme: _masked(url) if isinstance(url, str) else url for scheme, url in value.items()}


def _masked(url: str) -> str:
    # Up to the last @, whatever is in a password.
    before, at, host = url.rpartition("@")
    if not at:
        return url
    scheme, slashes, _ = before.partition("//")
    return f"{scheme}//***@{host}" if slashes else f"***@{host}"


def warn_of_no_verification(endpoint_url: str) -> None:
    """Say that a client takes any certificate: once, where boto3's does with each request.

    The category is urllib3's where that is loaded, so that ``urllib3.disable_warnings()`` holds here too.
    """
    if not endpoint_url.startswith("https:"):
        return
    import sys
    import warnings

    urllib3 = sys.modules.get("urllib3.exceptions")
    if urllib3 is None:
        category: type[Warning] = exceptions.InsecureRequestWarning
    else:
        category = urllib3.InsecureRequestWarning
    host = endpoint_url.partition("//")[2].partition("/")[0].rpartition("@")[2]
    message = (
        f"Requests to '{host}' are made without verifying its certificate (verify=False): whoever is on the way can "
        "read and change them. verify= takes the path of a bundle of authorities instead."
    )
    # The caller's line: above _connect, client and, at times, the module's own client; or above botocore's methods.
    level, frame = 2, sys._getframe(1)
    ours = ("turbosqs", "botocore", "boto3")
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ours:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def as_options(config: _AnyConfig) -> dict[str, Any]:
    """The options that were set on a config, ours or botocore's: in its constructor, or on the object later."""
    # Also what tells something else from a config, with the error that botocore has for it.
    config.signature_version  # noqa: B018
    given = config._user_provided_options
    options: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        # An older botocore does not know every option.
        value = getattr(config, name, default)
        if name in given or (value != default and not _is_implied(name, value)):
            options[name] = value
    return options


def _is_implied(name: str, value: object) -> bool:
    """Whether a value that is not the default is nevertheless nobody's wish."""
    return (name == "inject_host_prefix" and value is True) or (name == "connect_timeout" and value is None)


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    for name in kwargs:
        if name not in _DEFAULTS:
            raise TypeError(f"Got unexpected keyword argument '{name}'")
    if len(args) > len(_DEFAULTS):
        raise TypeError(f"Takes at most {len(_DEFAULTS)} arguments ({len(args)} given)")
    given = dict(kwargs)
    for name, value in zip(_DEFAULTS, args, strict=False):
        if name in given:
            raise TypeError(f"Got multiple values for keyword argument '{name}'")
        given[name] = value
    return given


def _signature() -> Signature:
    """Of the constructor: botocore's options in botocore's order."""
    from inspect import Parameter, Signature

    def option(name: str, **more: Any) -> Parameter:
        return Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, **more)

    known = Config.__annotations__
    options = [option(name, default=default, annotation=known[name]) for name, default in _DEFAULTS.items()]
    return Signature([option("self"), *options])


def _check_s3(s3: dict[str, Any] | None) -> None:
    if s3 is not None:
        style = s3.get("addressing_style")
        if style not in ("virtual", "auto", "path", None):
            raise exceptions.InvalidS3AddressingStyleError(s3_addressing_style=style)


def _check_retries(retries: dict[str, Any] | None) -> None:
    for name, value in ({} if retries is None else retries).items():
        if name not in _RETRY_OPTIONS:
            raise exceptions.InvalidRetryConfigurationError(retry_config_option=name, valid_options=_RETRY_OPTIONS)
        if name == "mode":
            if value not in _RETRY_MODES:
                raise exceptions.InvalidRetryModeError(provided_retry_mode=value, valid_modes=_RETRY_MODES)
            continue
        least = 1 if name == "total_max_attempts" else 0
        if value < least:
            raise exceptions.InvalidMaxRetryAttemptsError(provided_max_attempts=value, min_value=least)
