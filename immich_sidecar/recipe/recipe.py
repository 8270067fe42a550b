"""Recipes: immutable lists of operations, with what was proposed and what the person changed.

A change makes a new recipe with a new id. `operations` is all that replay reads; it is the merge of the
proposals that apply and the look on top of them (both kept in `ai_metadata`) with `user_overrides`.
"""

import hashlib
import json
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from immich_sidecar.errors import InvalidParameterError, RecipeError
from immich_sidecar.recipe.frame import reproject_crop
from immich_sidecar.recipe.look import Look, on_top, scaled
from immich_sidecar.recipe.operations import operation_type, operation_types, plan, validate
from immich_sidecar.recipe.orientation import FOLLOWERS, Orientation, turned

#: In a patch: drop what the person changed and return to the proposal.
SUGGESTED: Literal["suggested"] = "suggested"

#: Parameters set by a person; None switches the operation off.
Overrides = Mapping[str, Mapping[str, Any] | None]

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


class Source(StrEnum):
    """Who asked for an operation."""

    #: A suggestion of the adviser.
    AI = "ai"
    #: A person.
    USER = "user"
    #: A named set of operations.
    PRESET = "preset"


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its offset from UTC")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside of the years 1 to 9999") from None


def _uuid(value: str) -> str:
    return str(uuid.UUID(value))


def _sha256(value: str) -> str:
    if not _SHA256.match(value):
        raise ValueError("a SHA-256 is 64 lower-case hexadecimal digits")
    return value


Moment = Annotated[datetime, AfterValidator(_utc)]


class Operation(BaseModel):
    """One step: its kind, its parameters in their normal form, when and by whom it was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    #: The word for the kind of operation, as `exposure`.
    type: str
    #: Checked by the kind's own model, defaults filled in, JSON types only.
    parameters: dict[str, Any]
    #: When it was asked for, in UTC.
    timestamp: Moment
    #: Who asked for it.
    source: Source

    @model_validator(mode="before")
    @classmethod
    def _check(cls, data: Any) -> Any:
        """Check the parameters first, so that an error names the operation's own field."""
        if isinstance(data, Mapping) and isinstance(data.get("type"), str):
            return {**data, "parameters": validate(data["type"], data.get("parameters", {}))}
        return data


class Recipe(BaseModel):
    """What to do to one original; immutable."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    #: Random UUID.
    id: Annotated[str, AfterValidator(_uuid)]
    #: SHA-256 of the original's bytes.
    original_hash: Annotated[str, AfterValidator(_sha256)]
    #: In UTC.
    created_at: Moment
    #: At most one per type, in canonical order.
    operations: tuple[Operation, ...]
    #: What was proposed: `suggestions` (operation, parameters, confidence, reason, applied), `models`,
    #: `engine`, `kind`, `left_alone`; `preset` (a word) and `look` (name, strength in percent, and its operations
    #: at 100 %), where there is one; `masks` (by the type of the operation that can use one), where they are known.
    ai_metadata: dict[str, Any] = Field(default_factory=dict)
    #: What the person changed; None means switched off.
    user_overrides: dict[str, dict[str, Any] | None] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, parameters in self.user_overrides.items():
            operation_type(name)
            if parameters is not None and validate(name, parameters) != parameters:
                raise ValueError(f"user_overrides.{name} is not in its normal form")
        return self

    def operation(self, name: str) -> Operation | None:
        """The operation of that type, if there is one."""
        return next((o for o in self.operations if o.type == name), None)

    def to_json(self) -> str:
        """The recipe as text: sorted keys, two spaces, a final newline; equal recipes are equal text."""
        data = self.model_dump(mode="json")
        return json.dumps(data, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Recipe":
        """Read what `to_json` wrote. Operations in another order are put into the canonical one.

        Raises
        ------
        RecipeError
            If the text is no recipe: broken JSON, NaN or infinity, a key twice, unknown or missing keys, two
            operations of one type. `UnknownOperationError` and `InvalidParameterError` where an operation is
            at fault.
        """
        try:
            data = json.loads(
                text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_refuse_twice
            )
        except (ValueError, RecursionError) as error:
            raise RecipeError(f"This is no recipe: {error}.") from None
        if not isinstance(data, dict):
            raise RecipeError("This is no recipe: it is not a JSON object.")
        overrides = data.get("user_overrides")
        if isinstance(overrides, dict):
            data = {**data, "user_overrides": _normal(overrides)}
        try:
            recipe = cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "recipe"
            raise RecipeError(f"This is no recipe: {place}: {first['msg']}.") from None
        return recipe.model_copy(update={"operations": canonical(recipe.operations)})


def derived_id(text: str) -> str:
    """A recipe id that follows from a text: whoever makes the same recipe again gives it the same id."""
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))


def canonical(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """The operations in canonical order.

    Raises
    ------
    RecipeError
        If there are two of one type.
    """
    by_type: dict[str, Operation] = {}
    for operation in operations:
        if operation.type in by_type:
            raise RecipeError(f"A recipe holds at most one {operation.type} step.")
        by_type[operation.type] = operation
    return tuple(by_type[name] for name in operation_types() if name in by_type)


def merge(proposed: Sequence[Operation], overrides: Overrides, *, at: datetime) -> tuple[Operation, ...]:
    """The proposals, replaced by what the person set (at `at`) and without what the person switched off.

    Where the person turns or mirrors the picture, proposals that speak of it as it was are turned with it.
    """
    by_type = {o.type: o for o in canonical(proposed)}
    if "orientation" in overrides:
        way = _orientation(by_type.get("orientation")).to(Orientation.of(overrides["orientation"]))
        by_type = {name: _turned(o, way) for name, o in by_type.items()}
    for name, parameters in overrides.items():
        operation_type(name)
        by_type.pop(name, None)
        if parameters is not None:
            by_type[name] = Operation(type=name, parameters=dict(parameters), timestamp=at, source=Source.USER)
    return canonical(tuple(by_type.values()))


def new_recipe(
    original_hash: str,
    suggestions: Sequence[Mapping[str, Any]],
    overrides: Overrides | None = None,
    *,
    at: datetime,
    recipe_id: str | None = None,
    ai_metadata: Mapping[str, Any] | None = None,
) -> Recipe:
    """A recipe from suggestions (operation, parameters, confidence, reason, applied) and overrides.

    Only suggestions with `applied` become operations; all are kept in `ai_metadata`. A `look` in `ai_metadata`
    is put on top of them.
    """
    chosen = _normal(overrides or {})
    kept = [dict(s) for s in suggestions]
    return Recipe(
        id=recipe_id or str(uuid.uuid4()),
        original_hash=original_hash,
        created_at=at,
        operations=merge(_proposed(kept, ai_metadata or {}, at), chosen, at=at),
        ai_metadata={**(ai_metadata or {}), "suggestions": kept},
        user_overrides=chosen,
    )


def with_overrides(recipe: Recipe, overrides: Overrides, *, at: datetime) -> Recipe:
    """A new recipe with the same proposals, where `overrides` replace the old ones.

    Operations that stay as they were keep their timestamp.
    """
    chosen = _normal(overrides)
    suggestions = recipe.ai_metadata.get("suggestions", ())
    proposed = {o.type: o for o in _proposed(suggestions, recipe.ai_metadata, recipe.created_at)}
    # The recipe's own lie as the person turned the picture; `merge` turns them again.
    lies = recipe.operation("orientation")
    meant = lies if lies is not None and lies.source is not Source.USER else proposed.get("orientation")
    back = _orientation(lies).to(_orientation(meant))
    kept = [o for o in recipe.operations if o.source is not Source.USER and o.type not in proposed]
    proposed |= {o.type: _turned(o, back) for o in kept}
    merged = merge(tuple(proposed.values()), chosen, at=at)
    old = {o.type: o for o in recipe.operations}

    def unchanged(new: Operation) -> Operation:
        before = old.get(new.type)
        same = before and before.parameters == new.parameters and before.source == new.source
        return before if before and same else new

    return recipe.model_copy(
        update={
            "id": str(uuid.uuid4()),
            "created_at": _utc(at),
            "operations": tuple(unchanged(o) for o in merged),
            "user_overrides": chosen,
        }
    )


def with_look(
    recipe: Recipe,
    suggestions: Sequence[Mapping[str, Any]],
    *,
    preset: str | None,
    look: Mapping[str, Any] | None,
    at: datetime,
) -> Recipe:
    """A new recipe with other marks on its suggestions and another look; what the person changed stays.

    Parameters
    ----------
    suggestions
        Those of the recipe, with `applied` as it is to be.
    preset
        The word for the preset; None for the usual one.
    look
        `name`, `strength` in percent, and `operations` (type to parameters) at 100 %; None for none.
    """
    metadata = {key: value for key, value in recipe.ai_metadata.items() if key not in ("preset", "look")}
    metadata |= {"suggestions": [dict(s) for s in suggestions]}
    metadata |= {key: value for key, value in (("preset", preset), ("look", look)) if value is not None}
    known = {s["operation"]: bool(s.get("applied")) for s in suggestions}
    # What the look before had added goes, and so do proposals that do not apply any more.
    stays = tuple(
        o for o in recipe.operations if o.source is Source.USER or (o.source is Source.AI and known.get(o.type, True))
    )
    bare = recipe.model_copy(update={"operations": stays, "ai_metadata": metadata, "created_at": _utc(at)})
    return with_overrides(bare, recipe.user_overrides, at=at)


def change(
    recipe: Recipe,
    patch: Mapping[str, Mapping[str, Any] | Literal["suggested"] | None],
    *,
    at: datetime,
    size: tuple[int, int] | None = None,
) -> Recipe:
    """A new recipe after a person's change.

    In `patch` parameters set an operation, None switches it off, and "suggested" returns to the proposal;
    what it does not name stays. Where `orientation` changes, what the person set of the steps after it turns with
    the picture. Where `straighten` or `upright` changes and `crop` is not named, the crop is carried over to the
    new frame (see `frame.reproject_crop`) and becomes the person's. `size` is the original's width and height as
    its camera noted its orientation; without it, `ai_metadata["size"]` is used, and without that the crop keeps
    its fractions. `upright` without a focal length gets the photo's own, and `subject`, `sky` and `background` without
    a mask get the photo's, where `ai_metadata` knows them.

    Raises
    ------
    UnknownOperationError, InvalidParameterError
        Naming the operation or the field.
    """
    overrides: dict[str, Mapping[str, Any] | None] = dict(recipe.user_overrides)
    for name, value in patch.items():
        operation_type(name)
        if value == SUGGESTED:
            overrides.pop(name, None)
        elif value is None or isinstance(value, Mapping):
            overrides[name] = value if value is None else _completed(name, value, recipe)
        else:
            raise InvalidParameterError(
                f"{name}: give parameters, null (off) or {SUGGESTED!r}, not {value!r}.", field=name
            )
    lies = _orientation(with_overrides(recipe, overrides, at=at).operation("orientation"))
    way = _orientation(recipe.operation("orientation")).to(lies)
    if way != Orientation():
        for name in FOLLOWERS:
            mine = overrides.get(name)
            if mine is not None and name not in patch:
                overrides[name] = turned(name, mine, way)
    changed = with_overrides(recipe, overrides, at=at)
    crop = changed.operation("crop")
    frame = size or recipe.ai_metadata.get("size")
    # What is asked of the picture as it lies now, before and after the change.
    old = plan(_turned(o, way) for o in recipe.operations if o.type in FOLLOWERS).geometry
    new = plan(o for o in changed.operations if o.type in FOLLOWERS).geometry
    if crop is None or "crop" in patch or not frame or (old.degrees, old.upright) == (new.degrees, new.upright):
        return changed
    upright = (frame[1], frame[0]) if lies.quarter_turns % 2 else (frame[0], frame[1])
    overrides["crop"] = reproject_crop(crop.parameters, upright, old, new)
    return with_overrides(recipe, overrides, at=at)


def _completed(name: str, parameters: Mapping[str, Any], recipe: Recipe) -> Mapping[str, Any]:
    """The parameters with the photo's own focal length or mask, where they have none and it is known."""
    known = recipe.ai_metadata.get("focal_length_35mm")
    if name == "upright" and known:
        return {"focal_length_35mm": min(max(known, 10.0), 2000.0), **parameters}
    mask = (recipe.ai_metadata.get("masks") or {}).get(name)
    return {"mask": mask, **parameters} if mask else parameters


def _orientation(operation: Operation | None) -> Orientation:
    return Orientation.of(operation.parameters if operation else None)


def _turned(operation: Operation, by: Orientation) -> Operation:
    """The operation as it has to be for a picture that is laid otherwise."""
    if by == Orientation() or operation.type not in FOLLOWERS:
        return operation
    return operation.model_copy(update={"parameters": turned(operation.type, operation.parameters, by)})


def _normal(overrides: Overrides) -> dict[str, dict[str, Any] | None]:
    normal: dict[str, dict[str, Any] | None] = {}
    for name, parameters in overrides.items():
        operation_type(name)
        if parameters is not None and not isinstance(parameters, Mapping):
            raise InvalidParameterError(f"{name}: {parameters!r} are no parameters.", field=name)
        normal[name] = None if parameters is None else validate(name, parameters)
    return normal


def _applied(suggestions: Sequence[Mapping[str, Any]], at: datetime) -> tuple[Operation, ...]:
    return canonical(
        [
            Operation(type=s["operation"], parameters=s["parameters"], timestamp=at, source=Source.AI)
            for s in suggestions
            if s.get("applied")
        ]
    )


def _proposed(
    suggestions: Sequence[Mapping[str, Any]], metadata: Mapping[str, Any], at: datetime
) -> tuple[Operation, ...]:
    """The suggestions that apply, with the look of the metadata on top of them."""
    applied = _applied(suggestions, at)
    noted = metadata.get("look")
    if not isinstance(noted, Mapping):
        return applied
    base = {o.type: o.parameters for o in applied}
    look: Look = scaled(noted.get("operations") or {}, float(noted.get("strength", 100.0)))
    added = [
        Operation(type=name, parameters=on_top(name, base.get(name), parameters), timestamp=at, source=Source.PRESET)
        for name, parameters in look.items()
    ]
    return canonical([*(o for o in applied if o.type not in look), *added])


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large a number")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _refuse_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} appears twice")
    return found
