from typing import Any, final

from turbosqs.local import Stats

__all__ = ["Client", "Failure", "LocalServer", "__version__"]

__version__: str

class Failure(Exception):  # noqa: N818 - it is never what a caller sees
    """What an exception is to be made of: ``(class_name, kwargs)``, or ``(error_name, response, operation)``."""

@final
class Client:
    """One set of connections, credentials and settings; every method may be called from any thread."""

    def __new__(cls, arguments: dict[str, Any]) -> Client: ...
    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]: ...
    def presign(
        self, operation: str, params: dict[str, Any], expires_in: int | str | None, http_method: str | None
    ) -> str: ...
    def close(self) -> None: ...
    @property
    def region_name(self) -> str: ...
    @property
    def endpoint_url(self) -> str: ...
    @property
    def partition(self) -> str: ...

@final
class LocalServer:
    def __new__(
        cls,
        *,
        host: str,
        port: int,
        clock: str,
        sixty_second_rules: bool,
        account: str,
        region: str,
        log: bool,
    ) -> LocalServer: ...
    @property
    def endpoint_url(self) -> str: ...
    @property
    def port(self) -> int: ...
    def advance(self, seconds: float) -> None: ...
    def reset(self) -> None: ...
    def create_queue(self, name: str, attributes: list[tuple[str, str]]) -> str: ...
    def add_fault(
        self,
        kind: str,
        *,
        actions: list[str],
        rate: float,
        times: int | None,
        seconds: float,
        status: int,
        performed: bool,
        entries: list[int] | None,
        sender_fault: bool,
    ) -> None: ...
    def clear_faults(self) -> None: ...
    def stats(self) -> Stats: ...
    def stop(self) -> None: ...
