"""Whether botocore's model of an operation is the one that the core was built for.

A botocore newer than the core may know members that the core would refuse or leave out, a service model of the
user's own as well.
"""

from .._operations import METHOD_TO_API
from ..service_model import ServiceModel, Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_OPERATIONS = frozenset(METHOD_TO_API.values())


def is_known(model: "Any", operation_name: str) -> bool:
    """Compare an operation.

    Arguments:
        model: botocore's ``ServiceModel``.
        operation_name: such as ``SendMessage``.
    """
    if operation_name not in _OPERATIONS or operation_name not in model.operation_names:
        return False
    theirs, ours = model.operation_model(operation_name), ServiceModel().operation_model(operation_name)
    return _is_same(theirs.input_shape, ours.input_shape) and _is_same(theirs.output_shape, ours.output_shape)


def _is_same(theirs: "Any", ours: "Shape | None") -> bool:
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
