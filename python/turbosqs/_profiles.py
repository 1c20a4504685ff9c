"""Names and regions of the profiles in the shared files, for what a session tells about itself.

The core reads the same files itself, in ``src/config/ini.rs``, for what a client needs. Both have botocore's rules: in
the config file a profile is ``[default]`` or ``[profile name]`` (shell quoting allowed), in the credentials file any
section; where both have it, the credentials file's values win.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from configparser import RawConfigParser

# In botocore's order.
PROFILE_VARIABLES = ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")


def from_environment(*names: str) -> str | None:
    """The first of the variables that is set, be it to the empty string."""
    return next((os.environ[name] for name in names if name in os.environ), None)


def chosen(profile_name: str | None) -> str | None:
    """The profile that is in use: the one given, else the environment's; None where nobody chose one."""
    return from_environment(*PROFILE_VARIABLES) if profile_name is None else profile_name


def settings(profile_name: str | None) -> dict[str, str]:
    """The settings of the profile that is in use; ``default`` where nobody chose one.

    Raises:
        ConfigParseError: one of the files is no INI file.
    """
    profile = chosen(profile_name)
    return load().get("default" if profile is None else profile, {})


def load() -> dict[str, dict[str, str]]:
    """All profiles with their settings, those of the config file first.

    Raises:
        ConfigParseError: one of the files is no INI file.
    """
    profiles: dict[str, dict[str, str]] = {}
    config = _read("AWS_CONFIG_FILE", "~/.aws/config")
    for section in config.sections():
        name = _profile_name(section)
        if name is not None:
            profiles[name] = dict(config[section])
    credentials = _read("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")
    for section in credentials.sections():
        profiles.setdefault(section, {}).update(credentials[section])
    return profiles


def _read(variable: str, default: str) -> RawConfigParser:
    from configparser import Error, RawConfigParser

    path = os.path.expanduser(os.path.expandvars(os.environ.get(variable, default)))  # noqa: PTH111
    parser = RawConfigParser()
    try:
        parser.read(path)
    except (Error, UnicodeDecodeError) as error:
        from .exceptions import ConfigParseError

        raise ConfigParseError(path=path, error=error) from None
    return parser


def _profile_name(section: str) -> str | None:
    from shlex import split

    if section == "default":
        return section
    if not section.startswith("profile"):
        return None
    try:
        words = split(section)
    except ValueError:
        return None
    return words[1] if len(words) == 2 else None
