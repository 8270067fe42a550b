"""Calls about Immich's own edits: crop, rotation, mirror; the file stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from immich_py_client.api.edits import edit_asset, get_asset_edits, remove_asset_edits
from immich_py_client.models import Edit, EditItem, EditItemParameters, EditList, Edits

from immich_sidecar.errors import ImmichRefusedError
from immich_sidecar.immich.transport import Transport


@dataclass(frozen=True)
class Crop:
    """Keep a rectangle, in pixels of the upright original; it comes before other edits."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Rotate:
    """Turn clockwise."""

    angle: Literal[0, 90, 180, 270]


@dataclass(frozen=True)
class Mirror:
    """Exchange left and right, or top and bottom."""

    axis: Literal["horizontal", "vertical"]


NativeEdit = Crop | Rotate | Mirror

_ANGLES: dict[int, Literal[0, 90, 180, 270]] = {0: 0, 90: 90, 180: 180, 270: 270}


class EditCalls(Transport):
    """Edits that Immich shows instead of the original."""

    async def edits(self, asset_id: str) -> list[NativeEdit]:
        """The edits of an asset, in their order.

        Raises
        ------
        ImmichRefusedError
            If one of them is of a kind that is not known here.
        """
        answer: Edits = await self.call(get_asset_edits, asset_id, tried=f"read the edits of asset {asset_id}")
        return [_from_answer(edit, asset_id) for edit in answer.edits or ()]

    async def edit_asset(self, asset_id: str, edits: Sequence[NativeEdit]) -> None:
        """Make these the edits of an asset, at least one; those before are replaced."""
        body = EditList(edits=[_for_request(edit) for edit in edits])
        await self.call(edit_asset, asset_id, tried=f"edit asset {asset_id}", body=body)

    async def remove_edits(self, asset_id: str) -> None:
        """Show the original again."""
        await self.call(remove_asset_edits, asset_id, tried=f"undo the edits of asset {asset_id}", repeatable=True)


def _for_request(edit: NativeEdit) -> EditItem:
    match edit:
        case Crop(x, y, width, height):
            return EditItem(action="crop", parameters=EditItemParameters(x=x, y=y, width=width, height=height))
        case Rotate(angle):
            return EditItem(action="rotate", parameters=EditItemParameters(angle=angle))
        case Mirror(axis):
            return EditItem(action="mirror", parameters=EditItemParameters(axis=axis))
        case _:
            assert_never(edit)


def _from_answer(edit: Edit, asset_id: str) -> NativeEdit:
    given = edit.parameters.to_dict() if edit.parameters else {}
    try:
        if edit.action == "crop":
            return Crop(*(int(given[name]) for name in ("x", "y", "width", "height")))
        if edit.action == "rotate":
            return Rotate(_ANGLES[int(given["angle"])])
        if edit.action == "mirror" and (axis := given["axis"]) in ("horizontal", "vertical"):
            return Mirror(axis)
    except (KeyError, TypeError, ValueError) as error:
        raise ImmichRefusedError(f"Could not read the edits of asset {asset_id}: {error!r}") from error
    raise ImmichRefusedError(f"Could not read the edits of asset {asset_id}: {edit.action} is not known here")
