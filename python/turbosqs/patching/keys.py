"""Whether a client's credentials are those that the core has, without asking for them.

botocore's own are asked with ``get_frozen_credentials()``, which reads attributes, and for those that are refreshed
looks at the clock: 10 µs, by way of dateutil. As long as the attributes are the same and the time has not come, the
answer is the same as well.
"""

from __future__ import annotations

from math import inf

from botocore import credentials
from botocore.credentials import Credentials, DeferredRefreshableCredentials, RefreshableCredentials

from .listeners import is_botocores

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The methods that asking goes through; the first of them alone where nothing is refreshed.
_METHODS = ("get_frozen_credentials", "_refresh", "refresh_needed", "_seconds_remaining")
#: The attributes that it reads.
_KEPT = ("access_key", "secret_key", "token")
_REFRESHED = ("_frozen_credentials", "_expiry_time", "_time_fetcher")
_ADVISORY = "_advisory_refresh_timeout"

#: The clock that they are told the time by, unless somebody gives them another one.
_local_now = vars(credentials)["_local_now"]


def watched(signer: Any, handed: Any) -> tuple[list[tuple[Any, str, Any]], float | None] | None:
    """What is to be the same for the credentials to be the same, and until when it says so.

    Args:
        signer: the client's ``RequestSigner``.
        handed: what the core has: what its credentials' ``get_frozen_credentials()`` has returned.

    Returns:
        Namespaces, names in them, and what was found there; and seconds since 1970, None for ever. None if they have to
        be asked for each time: they are not botocore's, or somebody has replaced a part of it.
    """
    owner = signer._credentials
    kind = type(owner)
    if kind is Credentials:
        read, until = [(name, getattr(handed, name)) for name in _KEPT], None
        asked: tuple[str, ...] = _METHODS[:1]
    elif kind in (RefreshableCredentials, DeferredRefreshableCredentials):
        expiry = owner._expiry_time
        read = [(_REFRESHED[0], handed), (_REFRESHED[1], expiry), (_REFRESHED[2], _local_now)]
        until = inf if expiry is None else expiry.timestamp() - getattr(owner, _ADVISORY)
        asked = (*_METHODS, _ADVISORY)
    else:
        return None
    attributes = vars(owner)
    found = [(vars(signer), "_credentials", owner), *((attributes, name, value) for name, value in read)]
    for own in (attributes, *map(vars, kind.__mro__[:-1])):
        for name in asked:
            value = own.get(name)
            if value is not None and name in _METHODS and (own is attributes or not is_botocores(value)):
                return None
            found.append((own, name, value))
    return found, until
