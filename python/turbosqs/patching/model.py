"""Whether botocore's model of an operation is the one that the core was built for.

A botocore newer than the core may know members that the core would refuse or leave out, a service model of the
user's own as well. An older one may lack members that the core has: its calls are the core's as long as they have none
of those.
"""

from __future__ import annotations

import botocore

from .._operations import METHOD_TO_API
from ..service_model import ServiceModel, Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OPERATIONS = frozenset(METHOD_TO_API.values())
_WITH_OLDER_CODES = frozenset({"1.31.81", "1.31.82", "1.31.83", "1.31.84"})


class Model:
    """botocore's model of SQS, beside ours.

    Attributes:
        is_query: it is of the years in which botocore spoke SQS's older protocol, and so are its errors.
        has_older_codes: it is of the first botocores that spoke JSON with SQS. They read an error's code in the older
            protocol's words, and not yet its class (``QueryErrorCode``), so all errors were plain ``ClientError``.
    """

    def __init__(self, model: Any) -> None:
        """Take a ``botocore.model.ServiceModel``."""
        self._model = model
        self._ours = ServiceModel()
        # By operation: the arguments that both models have, or None.
        self._known: dict[str, frozenset[str] | None] = {}
        self.is_query = protocol(model) == "query"
        self.has_older_codes = botocore.__version__ in _WITH_OLDER_CODES

    def is_known(self, operation_name: str, api_params: dict[str, Any]) -> bool:
        """Whether a call means the same to both.

        Args:
            operation_name: such as ``SendMessage``.
            api_params: its arguments.
        """
        if operation_name not in self._known:
            self._known[operation_name] = self._compare(operation_name)
        known = self._known[operation_name]
        return known is not None and known.issuperset(api_params)

    def is_ours(self, operation_name: str) -> bool:
        """Whether all calls of an operation mean the same to both, replies and refusals included."""
        return not self.is_query and self._known.get(operation_name) is _EVERYTHING

    def _compare(self, operation_name: str) -> frozenset[str] | None:
        if operation_name not in _OPERATIONS or operation_name not in self._model.operation_names:
            return None
        theirs, ours = (each.operation_model(operation_name) for each in (self._model, self._ours))
        if not _is_same(theirs.output_shape, ours.output_shape):
            return None
        arguments, known = theirs.input_shape.members, ours.input_shape.members
        is_known = set(theirs.input_shape.required_members) == set(ours.input_shape.required_members) and all(
            name in known and _is_same(shape, known[name]) for name, shape in arguments.items()
        )
        if not is_known:
            return None
        # Where the models are the same, the core refuses arguments that neither has, in the same words.
        return _EVERYTHING if len(arguments) == len(known) else frozenset(arguments)


class _Everything(frozenset[str]):
    def issuperset(self, other: object) -> bool:  # noqa: ARG002
        return True


_EVERYTHING = _Everything()


def protocol(model: Any) -> str:
    """How a model says that requests are written; botocore before 1.37 knows of one protocol a service."""
    return str(getattr(model, "resolved_protocol", None) or model.protocol)


def as_query(response: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A refusal as botocore read it from SQS's older protocol: its code, and the whole response."""
    error = response["Error"]
    known = {name: error[name] for name in ("Type", "Code", "Message") if name in error}
    metadata = response["ResponseMetadata"]
    return error["Code"], {"Error": known, "ResponseMetadata": metadata}


def with_older_code(response: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A refusal as botocore read it before it asked JSON for an error's class: its code, and the whole response."""
    error = {name: value for name, value in response["Error"].items() if name != "QueryErrorCode"}
    return error["Code"], {**response, "Error": error}


def without_empty(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply as botocore read it from the older protocol, in which there is no telling an empty list from none."""
    return {name: value for name, value in reply.items() if value not in ([], {})}


def _is_same(theirs: Any, ours: Shape | None) -> bool:
    if theirs is None or ours is None:
        return theirs is ours
    if theirs.type_name != ours.type_name:
        return False
    match ours.type_name:
        case "structure":
            return (
                set(theirs.required_members) == set(ours.required_members)
                and set(theirs.members) == set(ours.members)
                and all(_is_same(theirs.members[name], member) for name, member in ours.members.items())
            )
        case "list":
            return _is_same(theirs.member, ours.member)
        case "map":
            return _is_same(theirs.key, ours.key) and _is_same(theirs.value, ours.value)
        case _:
            return True
