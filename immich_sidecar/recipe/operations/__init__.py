"""The kinds of operations, one module each; a module laid here is found, one removed is gone."""

import functools
import importlib
import math
import pkgutil
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from pydantic import ValidationError

from immich_sidecar.errors import InvalidParameterError, RecipeError, UnknownOperationError
from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan


class HasParameters(Protocol):
    """A step of a recipe, as far as a plan is concerned."""

    @property
    def type(self) -> str:
        """The word for the kind of operation."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Its parameters."""
        ...


@functools.cache
def operation_types() -> Mapping[str, OperationType]:
    """All kinds of operations by name, in canonical order."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        operation = importlib.import_module(f"{__name__}.{module.name}").OPERATION
        if not isinstance(operation, OperationType):
            raise TypeError(f"OPERATION in {__name__}.{module.name} is no OperationType")
        found.append(operation)
    return MappingProxyType({o.name: o for o in sorted(found, key=lambda o: o.order)})


def operation_type(name: str) -> OperationType:
    """The kind of operation of that name.

    Raises
    ------
    UnknownOperationError
        If there is none.
    """
    try:
        return operation_types()[name]
    except (KeyError, TypeError):
        known = ", ".join(operation_types())
        raise UnknownOperationError(f"There is no operation {name!r}; there are {known}.") from None


def read(name: str, parameters: Mapping[str, Any]) -> Parameters:
    """Parameters of an operation, checked.

    Raises
    ------
    UnknownOperationError
        If there is no such operation.
    InvalidParameterError
        Naming the first parameter that is missing, unknown or out of range, as ``exposure.ev``.
    """
    kind = operation_type(name)
    try:
        return kind.parameters.model_validate(parameters)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join([name, *(str(part) for part in first["loc"])])
        message = first["msg"].removeprefix("Value error, ")
        shown = repr(first.get("input"))
        given = f", not {shown}" if first["type"] != "missing" and len(shown) < 80 else ""
        raise InvalidParameterError(f"{field}: {message}{given}.", field=field) from None


def validate(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of an operation, checked and in their normal form (defaults filled in, JSON types only).

    Raises what `read` raises.
    """
    normal: dict[str, Any] = read(name, parameters).model_dump(mode="json", exclude_none=True)
    return {key: _without_negative_zero(value) for key, value in normal.items()}


def plan(operations: Iterable[HasParameters]) -> Plan:
    """What the operations ask of the engine. Their order does not matter: the canonical one is used.

    Raises
    ------
    RecipeError
        If there are two of one type; and what `read` raises.
    """
    steps: dict[str, Mapping[str, Any]] = {}
    for operation in operations:
        if operation.type in steps:
            raise RecipeError(f"A recipe holds at most one {operation.type} step.")
        operation_type(operation.type)
        steps[operation.type] = operation.parameters
    whole = Plan()
    for name, kind in operation_types().items():
        if name in steps:
            whole = kind.plan(read(name, steps[name]), whole)
    return whole


def _without_negative_zero(value: Any) -> Any:
    """Write -0.0 as 0.0, so that equal parameters are equal text."""
    if isinstance(value, dict):
        return {key: _without_negative_zero(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_negative_zero(item) for item in value]
    if isinstance(value, float) and value == 0.0 and math.copysign(1.0, value) < 0:
        return 0.0
    return value
