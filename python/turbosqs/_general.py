"""Settings that boto3 checks for every client, though SQS has no use for most of them: of several mistakes the first
one in botocore's order is reported, in its words. ``client.meta.config`` shows what they came to.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_CHECKSUMS = ("when_supported", "when_required")
_ACCOUNT_ID_MODES = ("preferred", "disabled", "required")
_REGIONAL_ENDPOINTS = ("legacy", "regional")
_OPTIONS = frozenset(
    {
        "account_id_endpoint_mode",
        "auth_scheme_preference",
        "disable_request_compression",
        "request_checksum_calculation",
        "request_min_compression_size_bytes",
        "response_checksum_validation",
        "s3",
    }
)


def check(general: Mapping[str, str], options: Mapping[str, Any]) -> None:
    """Refuse what boto3 refuses when a client is made.

    Args:
        general: what environment and profile say, by name.
        options: those of ``Config`` that were given.

    Raises:
        InvalidConfigError, InvalidChecksumConfigError, InvalidSTSRegionalEndpointsConfigError,
        InvalidS3UsEast1RegionalEndpointConfigError: as boto3.
    """
    # The defaults need no checking.
    if general or not _OPTIONS.isdisjoint(options):
        resolved(general, options)


def resolved(general: Mapping[str, str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of ``Config`` that came of them; arguments and exceptions are those of ``check``."""
    from . import exceptions

    def first(name: str, default: Any = None) -> Any:
        given = options.get(name)
        return general.get(name, default) if given is None else given

    found: dict[str, Any] = {"user_agent_appid": first("user_agent_appid")}
    found["request_min_compression_size_bytes"] = _size(first("request_min_compression_size_bytes", 10240))
    found["disable_request_compression"] = _is_true(first("disable_request_compression", False))
    found["sigv4a_signing_region_set"] = first("sigv4a_signing_region_set")
    for name in ("request_checksum_calculation", "response_checksum_validation"):
        value = _lower(first(name, "when_supported"))
        if value not in _CHECKSUMS:
            raise exceptions.InvalidChecksumConfigError(config_key=name, config_value=value, valid_options=_CHECKSUMS)
        found[name] = value
    found["account_id_endpoint_mode"] = _account_id_mode(first, options)
    if "inject_host_prefix" not in options:
        found["inject_host_prefix"] = not _is_true(general.get("disable_host_prefix_injection", False))
    found["auth_scheme_preference"] = _schemes(
        options.get("auth_scheme_preference") or general.get("auth_scheme_preference")
    )
    s3 = options.get("s3") or {}
    found["s3_disable_express_session_auth"] = _express(
        s3.get("disable_s3_express_session_auth"), general.get("s3_disable_express_session_auth")
    )
    sts = general.get("sts_regional_endpoints") or "regional"
    if sts not in _REGIONAL_ENDPOINTS:
        raise exceptions.InvalidSTSRegionalEndpointsConfigError(sts_regional_endpoints_config=sts)
    s3_region = s3.get("us_east_1_regional_endpoint", general.get("s3_us_east_1_regional_endpoint", "legacy"))
    if s3_region not in _REGIONAL_ENDPOINTS:
        raise exceptions.InvalidS3UsEast1RegionalEndpointConfigError(s3_us_east_1_regional_endpoint_config=s3_region)
    mode = options.get("defaults_mode") or general.get("defaults_mode") or "legacy"
    if mode.lower() != "legacy":
        found["s3"] = {"us_east_1_regional_endpoint": "regional", **s3}
    return found


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _is_true(value: Any) -> bool:
    return value if isinstance(value, bool) else _lower(value) == "true"


def _size(value: Any) -> int:
    try:
        size = int(value)
    except (ValueError, TypeError):
        why = f"Value must be an integer. Received {type(value)} instead."
    else:
        if 1 <= size <= 1048576:
            return size
        # As a number, which is what botocore has made of it by then.
        value = size if isinstance(value, int) else value
        why = "Value must be between 1 and 1048576."
    raise _invalid(f'Invalid value "{value}" for request_min_compression_size_bytes. {why}')


def _account_id_mode(first: Any, options: Mapping[str, Any]) -> Any:
    name = "account_id_endpoint_mode"
    if type(options.get("signature_version")).__name__ == "UNSIGNED":
        # There is no account to route to.
        return "disabled"
    mode = _lower(first(name, "preferred"))
    if mode not in _ACCOUNT_ID_MODES:
        raise _invalid(f"The configured value '{mode}' for '{name}' is invalid. Valid values are: {_ACCOUNT_ID_MODES}.")
    return mode


def _schemes(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _invalid(
            f"auth_scheme_preference must be a comma-delimited string. Received {type(value)} instead: {value}."
        )
    return ",".join(item.replace(" ", "").replace("\t", "") for item in value.split(",") if item.strip())


def _express(option: Any, found: Any) -> bool:
    value = found if option is None else option
    is_boolean = isinstance(value, bool) or _lower(value) in ("true", "false")
    if value is not None and not is_boolean:
        raise _invalid(f'Invalid value "{value}" for s3_disable_express_session_auth. Value must be a boolean')
    return _is_true(value)


def _invalid(error_msg: str) -> Exception:
    from . import exceptions

    return exceptions.InvalidConfigError(error_msg=error_msg)
