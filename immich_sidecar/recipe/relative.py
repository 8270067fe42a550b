"""How the parameters of an operation are made weaker or stronger, and put on top of others of the same kind.

A look is a set of operations that is added to whatever a photo needs by itself. So each kind of operation says what
"half of it", "added to" and "beyond" mean for its parameters. Parameters here are in their normal form.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import BaseModel

Values = Mapping[str, Any]


class Relative(Protocol):
    """What a kind of operation says about its parameters as part of a look."""

    def scaled(self, values: Values, factor: float) -> dict[str, Any] | None:
        """The parameters at `factor` (0 to 2) of their strength; None where nothing is left of them."""
        ...

    def added(self, base: Values, values: Values) -> dict[str, Any]:
        """The parameters that do what `base` does and `values` on top."""
        ...

    def beyond(self, values: Values, base: Values) -> dict[str, Any] | None:
        """What has to be added to `base` to come to `values`; None where that is nothing."""
        ...


class Whole:
    """Taken as it is or not at all; what stood there before gives way."""

    def scaled(self, values: Values, factor: float) -> dict[str, Any] | None:
        """Unchanged, unless the factor is 0."""
        return dict(values) if factor > 0 else None

    def added(self, base: Values, values: Values) -> dict[str, Any]:
        """The new ones."""
        del base
        return dict(values)

    def beyond(self, values: Values, base: Values) -> dict[str, Any] | None:
        """All of them, where they differ."""
        return dict(values) if dict(values) != dict(base) else None


class Numbers:
    """Numbers that add up: each is measured from its default (0 where it has none) and held to its range.

    Parameters that are no numbers are taken from what is on top.
    """

    def __init__(self, model: type[BaseModel]) -> None:
        self._ranges = {name: _range(field) for name, field in model.model_fields.items() if _is_number(field)}

    def scaled(self, values: Values, factor: float) -> dict[str, Any] | None:
        """Each number that part of its way from its default."""
        made = dict(values)
        for name, (neutral, low, high) in self._ranges.items():
            made[name] = _held(neutral + (values.get(name, neutral) - neutral) * factor, low, high)
        return self._unless_neutral(made)

    def added(self, base: Values, values: Values) -> dict[str, Any]:
        """The sum of both."""
        made = {**base, **values}
        for name, (neutral, low, high) in self._ranges.items():
            made[name] = _held(base.get(name, neutral) + values.get(name, neutral) - neutral, low, high)
        return made

    def beyond(self, values: Values, base: Values) -> dict[str, Any] | None:
        """The difference of both."""
        made = dict(values)
        for name, (neutral, low, high) in self._ranges.items():
            made[name] = _held(values.get(name, neutral) - base.get(name, neutral) + neutral, low, high)
        return self._unless_neutral(made)

    def _unless_neutral(self, values: dict[str, Any]) -> dict[str, Any] | None:
        asks = any(values[name] != neutral for name, (neutral, _, _) in self._ranges.items())
        return values if asks else None


class Amount:
    """One number says how much of the operation there is, from 0 to 100; what else it has is taken as it is.

    Parameters
    ----------
    name
        The parameter.
    adds
        Whether amounts of two add up; else the new one takes the place of the one before.
    """

    def __init__(self, name: str, *, adds: bool = False) -> None:
        self._name, self._adds = name, adds

    def scaled(self, values: Values, factor: float) -> dict[str, Any] | None:
        """The same, as much of it, and all of it at most."""
        return self._of(values, values[self._name] * factor)

    def added(self, base: Values, values: Values) -> dict[str, Any]:
        """Both amounts, or the new one."""
        more = base[self._name] if self._adds else 0.0
        return self._of(values, values[self._name] + more) or dict(values)

    def beyond(self, values: Values, base: Values) -> dict[str, Any] | None:
        """What is more of it, or all where it is another."""
        if self._adds:
            return self._of(values, values[self._name] - base[self._name])
        return dict(values) if dict(values) != dict(base) else None

    def _of(self, values: Values, amount: float) -> dict[str, Any] | None:
        return {**values, self._name: _held(amount, 0.0, 100.0)} if amount > 0 else None


#: For operations that say nothing else.
WHOLE = Whole()


def _is_number(field: Any) -> bool:
    return field.annotation in (float, int)


def _range(field: Any) -> tuple[float, float, float]:
    """Default, least and most of a field."""
    low, high = float("-inf"), float("inf")
    for limit in field.metadata:
        low = max(low, getattr(limit, "ge", low))
        high = min(high, getattr(limit, "le", high))
    return (0.0 if field.is_required() else float(field.default)), low, high


def _held(value: float, low: float, high: float) -> float:
    """A number within its range, without the dust of adding."""
    return round(min(high, max(low, value)), 6)
