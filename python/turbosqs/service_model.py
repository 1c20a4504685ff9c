"""``client.meta.service_model``: which operations and shapes there are.

With botocore installed it is botocore's own ``ServiceModel``. Without, it is the one below, with the same names for
what programs ask of it: operations, their inputs, outputs and errors, and the members and types of those.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def load() -> Any:
    """The model of SQS: botocore's where botocore is installed, else ours."""
    from importlib import import_module

    try:
        loaders, models = import_module("botocore.loaders"), import_module("botocore.model")
    except ModuleNotFoundError as error:
        if error.name != "botocore":
            raise
        return ServiceModel()
    return models.ServiceModel(loaders.Loader().load_service_model("sqs", "service-2"), "sqs")


class ServiceModel:
    """SQS as its model describes it.

    Attributes:
        service_name, service_id, api_version, endpoint_prefix, protocol, metadata: what the model says of the service.
        operation_names, shape_names: lists of names, in the model's order.
        error_shapes: the modelled errors.
    """

    service_name = "sqs"

    def __init__(self) -> None:
        from . import _model
        from ._operations import ERRORS

        self.metadata = dict(_model.METADATA)
        self.service_id = self.metadata["serviceId"]
        self.api_version = self.metadata["apiVersion"]
        self.endpoint_prefix = self.metadata["endpointPrefix"]
        self.protocol = self.metadata["protocol"]
        self.operation_names = list(_model.OPERATIONS)
        self.shape_names = sorted(_model.SHAPES)
        self.error_shapes = [Shape(name) for name in ERRORS]

    def __repr__(self) -> str:
        return f"ServiceModel({self.service_name})"

    def operation_model(self, operation_name: str) -> OperationModel:
        """An operation by name, such as ``SendMessage``.

        Raises:
            KeyError: no such operation.
        """
        return OperationModel(self, operation_name)

    def shape_for(self, shape_name: str) -> Shape:
        """A shape by name, such as ``SendMessageRequest``.

        Raises:
            KeyError: no such shape.
        """
        return Shape(shape_name)


class OperationModel:
    """One operation.

    Attributes:
        name: ``SendMessage`` and so on.
        service_model: the model that it belongs to.
        input_shape, output_shape: what goes in and what comes out; ``output_shape`` is None where nothing does.
        error_shapes: the errors that the model lists for it.
    """

    def __init__(self, service_model: ServiceModel, name: str) -> None:
        from ._model import OPERATIONS

        request, reply, errors = OPERATIONS[name]
        self.name = name
        self.service_model = service_model
        self.input_shape = Shape(request)
        self.output_shape = None if reply is None else Shape(reply)
        self.error_shapes = [Shape(error) for error in errors]

    def __repr__(self) -> str:
        return f"OperationModel(name={self.name})"


class Shape:
    """A type of the model.

    Attributes:
        name: its name in the model.
        type_name: ``structure``, ``list``, ``map``, ``string``, ``integer``, ``long``, ``boolean`` or ``blob``.
        members, required_members: of a structure: a dict of shapes and a list of names.
        member: of a list: the shape of its entries.
        key, value: of a map: the shapes of its keys and values.
    """

    members: dict[str, Shape]
    required_members: list[str]
    member: Shape
    key: Shape
    value: Shape

    def __init__(self, name: str) -> None:
        from ._model import SHAPES

        self.name = name
        self.type_name, parts, required = SHAPES[name]
        shapes = {part: Shape(shape) for part, shape in parts.items()}
        if self.type_name == "structure":
            self.members, self.required_members = shapes, list(required)
        else:
            vars(self).update(shapes)

    def __repr__(self) -> str:
        return f"Shape({self.name}: {self.type_name})"
