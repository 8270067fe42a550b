"""Looks: sets of operations that are put on top of whatever a photo needs by itself.

A look says by how much a picture is to be warmer, softer or more colourful than it would be, never how bright it
is to be. So the same look can be given to many photos, each corrected by its own measurements.
"""

from collections.abc import Mapping
from typing import Any

from immich_sidecar.errors import InvalidParameterError
from immich_sidecar.recipe.operations import operation_type, operation_types, validate

#: Type of an operation to its parameters.
Look = Mapping[str, Mapping[str, Any]]

#: The range of a look's strength, in percent.
LEAST, USUAL, MOST = 0.0, 100.0, 200.0


def check_strength(strength: float) -> float:
    """The strength itself, where it is one.

    Raises
    ------
    InvalidParameterError
        If it is not from 0 to 200.
    """
    if not LEAST <= strength <= MOST:  # also for NaN
        raise InvalidParameterError(
            f"strength: a number of percent from {LEAST:.0f} to {MOST:.0f}, not {strength:g}.", field="strength"
        )
    return float(strength)


def checked(operations: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations of a look in their normal form and in canonical order.

    Raises
    ------
    UnknownOperationError, InvalidParameterError
        Naming the operation or the field. How a RAW file is decoded, and masks, belong to the photo, not to a look.
    """
    for name, parameters in operations.items():
        if operation_type(name).is_of_photo:
            raise InvalidParameterError(f"{name}: it is about one photo, and so no part of a look.", field=name)
        if not isinstance(parameters, Mapping):
            raise InvalidParameterError(f"{name}: {parameters!r} are no parameters.", field=name)
    return {name: validate(name, operations[name]) for name in operation_types() if name in operations}


def scaled(look: Look, strength: float) -> dict[str, dict[str, Any]]:
    """The look at `strength` percent; at 0 nothing is left of it.

    Raises
    ------
    InvalidParameterError
        If the strength is not from 0 to 200.
    """
    factor = check_strength(strength) / 100.0
    made = {}
    for name, parameters in look.items():
        part = operation_type(name).relative.scaled(validate(name, parameters), factor) if factor else None
        if part is not None:
            made[name] = validate(name, part)
    return made


def on_top(name: str, base: Mapping[str, Any] | None, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of one operation that does what `base` asks for (None: nothing) and what the look asks for."""
    kind, asked = operation_type(name), _of_any_photo(name, parameters)
    return validate(name, kind.relative.added(base, asked) if base is not None else asked)


def beyond(
    operations: Mapping[str, Mapping[str, Any]], proposed: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """What operations ask for beyond what was proposed: the look that a person has given a photo by hand."""
    found = {}
    for name, parameters in operations.items():
        base = proposed.get(name)
        kind = operation_type(name)
        if kind.is_of_photo:
            continue
        part = dict(parameters) if base is None else kind.relative.beyond(parameters, base)
        if part is not None:
            found[name] = validate(name, _of_any_photo(name, part))
    return checked(found)


def _of_any_photo(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without those that speak of the photo that a look was taken from."""
    of_photo = operation_type(name).of_photo
    return {key: value for key, value in parameters.items() if key not in of_photo}
