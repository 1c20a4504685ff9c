"""A client's config as it is applied, for ``client.meta.config``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import _core

_DONE = (
    "defaults_mode",
    "endpoint_discovery_enabled",
    "ignore_configured_endpoint_urls",
    "parameter_validation",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
)


def in_force(core: _core.Client, given: Any) -> Any:
    """A client's config as it is applied, whichever way its options were found; of the type of the one that was given.

    Args:
        core: the client's.
        given: the ``Config``, ours or botocore's, or None.
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
    options["retries"] = _retries(core, options.get("retries"))
    return kind(**{name: value for name, value in options.items() if name in kind.OPTION_DEFAULTS})


def _retries(core: _core.Client, given: dict[str, Any] | None) -> dict[str, Any]:
    """The retry options in force, with boto3's rules: ``max_attempts`` counts the retries, every other the attempts."""
    retries = dict(given or {})
    retried = retries.pop("max_attempts", None)
    if "total_max_attempts" not in retries:
        if retried is not None:
            retries["total_max_attempts"] = retried + 1
        elif (attempts := core.general.get("max_attempts")) is not None:
            retries["total_max_attempts"] = int(attempts)
    retries.setdefault("mode", core.retry_mode)
    return retries
