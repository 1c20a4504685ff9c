"""Private names of botocore's clients that programs read all the same: ``client._endpoint.host`` and the like.

Nothing can be set through them: it would not reach the core. What the core knows is told without botocore; the rest is
that of botocore's client behind ours, where botocore is installed.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from . import _core


class Part:
    """A part of a client, to be read."""

    def __init__(self, name: str, known: dict[str, Callable[[], Any]], whole: Callable[[str], Any]) -> None:
        """Know where its attributes come from.

        Args:
            name: of the part.
            known: functions for attributes that can be told at once.
            whole: gives botocore's client, for all others.
        """
        keep = object.__setattr__
        keep(self, "_turbosqs_name", name)
        keep(self, "_turbosqs_known", known)
        keep(self, "_turbosqs_whole", whole)

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("__", "_turbosqs")):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name in self._turbosqs_known:
            return self._turbosqs_known[name]()
        part = self._turbosqs_name
        return getattr(getattr(self._turbosqs_whole(f"{part}.{name}"), part), name)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"{self._turbosqs_name}.{name} cannot be set: it would not reach the Rust core. Make a client with other "
            "settings, or use boto3's own with turbosqs.patch()"
        )

    def __repr__(self) -> str:
        return f"<{self._turbosqs_name} of an SQS client on the Rust core>"


def part(name: str, core: _core.Client | None, whole: Callable[[str], Any], config: Callable[[], Any]) -> Part:
    """A part by its name in the client.

    Args:
        name: one of ``turbosqs.base.PARTS``.
        core: the client's, if it knows what botocore's client would; else that is asked.
        whole: gives botocore's client behind it.
        config: gives the client's ``meta.config``.
    """
    known: dict[str, Callable[[], Any]] = {}
    if core is None:
        pass
    elif name == "_endpoint":
        known = {"host": lambda: core.endpoint_url}
    elif name == "_request_signer":
        from . import _credentials

        known = {
            "_credentials": lambda: _credentials.of(core),
            "region_name": lambda: core.region_name,
            "signature_version": lambda: config().signature_version,
            "signing_name": lambda: "sqs",
        }
    return Part(name, known, whole)
