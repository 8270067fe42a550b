"""Edits that Immich makes itself: a crop, quarter turns, mirroring; shown instead of the original, whose file stays.

They are undone by taking them away again, which is done only while exactly ours are there. What its owner edited in
Immich is never replaced.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from immich_sidecar.develop.formats import has_raw_name
from immich_sidecar.errors import ImmichGoneError, ImmichPermissionError, ImmichRefusedError, RecipeError
from immich_sidecar.immich.api import Api, Crop, Mirror, NativeEdit, Rotate
from immich_sidecar.library.tables import PhotoRow
from immich_sidecar.recipe.operations import HasParameters, plan
from immich_sidecar.recipe.plan import GeometryPlan, Plan

#: What the key has to allow.
PERMISSIONS = ("asset.edit.get", "asset.edit.create", "asset.edit.delete")
#: Formats that Immich edits, by content. RAW files are left out: from some it edits only the small picture in them.
MEDIA_TYPES = frozenset(
    {"image/jpeg", "image/png", "image/webp", "image/tiff", "image/heic", "image/heif", "image/avif", "image/bmp"}
)

_WHOLE = (0.0, 0.0, 1.0, 1.0)
#: Parts of a pixel by which a crop may differ from the whole frame and count as none.
_SLACK = 1e-6


class Outcome(StrEnum):
    """What came of making edits."""

    #: They are there.
    MADE = "made"
    #: Their owner took them away since; they are not made again.
    TAKEN_AWAY = "taken_away"
    #: Immich does not edit this photo, or the key may not do it any more.
    IMPOSSIBLE = "impossible"


def edits_of(operations: Iterable[HasParameters], size: tuple[int, int]) -> tuple[NativeEdit, ...] | None:
    """What Immich would have to do for a recipe; None where it cannot do it, or there is nothing to do.

    Parameters
    ----------
    operations
        Of the recipe.
    size
        Width and height of the original in pixels, after orientation.
    """
    try:
        return edits_of_plan(plan(operations), size)
    except RecipeError:
        return None


def edits_of_plan(wanted: Plan, size: tuple[int, int]) -> tuple[NativeEdit, ...] | None:
    """As `edits_of`, for what a recipe asks of the engine."""
    if wanted.output.longest_edge or wanted.output.profile != "keep" or 0 in size:
        return None
    geometry = wanted.geometry
    possible = GeometryPlan(quarter_turns=geometry.quarter_turns, mirror=geometry.mirror, crop=geometry.crop)
    if wanted != Plan(geometry=possible, output=wanted.output):
        return None
    edits: list[NativeEdit] = []
    if any(abs(a - b) > _SLACK for a, b in zip(geometry.crop, _WHOLE, strict=True)):
        edits.append(_crop(geometry, size))
    # A recipe mirrors before it turns; Immich, which turns before it mirrors here, has to turn the other way.
    turns = (-geometry.quarter_turns if geometry.mirror else geometry.quarter_turns) % 4
    if turns:
        angles: dict[int, Literal[90, 180, 270]] = {1: 90, 2: 180, 3: 270}
        edits.append(Rotate(angles[turns]))
    if geometry.mirror:
        edits.append(Mirror("horizontal"))
    return tuple(edits) or None


def is_possible(photo: PhotoRow) -> bool:
    """Whether Immich can edit a photo, and nothing is lost by it, as far as we know the photo."""
    return (
        photo.media_type in MEDIA_TYPES
        and not photo.is_raw
        and not has_raw_name(photo.file_name)
        and photo.badge is None
        and not photo.read_only
        and photo.width > 0
        and photo.height > 0
    )


def as_json(edits: Iterable[NativeEdit]) -> list[dict[str, Any]]:
    """Edits as a row keeps them, and as Immich is told them."""
    kept: list[dict[str, Any]] = []
    for edit in edits:
        match edit:
            case Crop(x, y, width, height):
                parameters: dict[str, Any] = {"x": x, "y": y, "width": width, "height": height}
                kept.append({"action": "crop", "parameters": parameters})
            case Rotate(angle):
                kept.append({"action": "rotate", "parameters": {"angle": angle}})
            case Mirror(axis):
                kept.append({"action": "mirror", "parameters": {"axis": axis}})
    return kept


class NativeEditor:
    """Makes edits and takes them away again.

    Parameters
    ----------
    api
        Of the connection.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def make(
        self, asset_id: str, edits: Sequence[NativeEdit], *, ours: Sequence[Mapping[str, Any]] | None, made: bool
    ) -> Outcome:
        """Make these the edits of an original.

        Parameters
        ----------
        ours
            What we had made there before, or were about to make; None: nothing.
        made
            Whether these are known to have been there once.

        Raises
        ------
        ImmichRefusedError
            If its owner has edited it in Immich.
        """
        try:
            found = await self._read(asset_id)
        except ImmichPermissionError:
            return Outcome.IMPOSSIBLE
        if found is not None and found == as_json(edits) and ours is not None:
            return Outcome.MADE
        if made and not found:
            return Outcome.TAKEN_AWAY
        if found is None or (found and (ours is None or found != list(ours))):
            raise ImmichRefusedError(f"Asset {asset_id} was edited in Immich; undo that there, or leave it as it is")
        try:
            await self._api.edit_asset(asset_id, edits)
        except (ImmichRefusedError, ImmichPermissionError):
            return Outcome.IMPOSSIBLE
        return Outcome.MADE

    async def take_away(self, asset_id: str, ours: Sequence[Mapping[str, Any]]) -> bool:
        """Show the original again, if exactly our edits are there; whether they were."""
        try:
            found = await self._read(asset_id)
        except ImmichGoneError:
            return False
        if not found or found != list(ours):
            return False
        await self._api.remove_edits(asset_id)
        return True

    async def _read(self, asset_id: str) -> list[dict[str, Any]] | None:
        """The edits that are there; None where there are some that are none of ours for certain."""
        try:
            return as_json(await self._api.edits(asset_id))
        except ImmichRefusedError:
            return None


def _crop(geometry: GeometryPlan, size: tuple[int, int]) -> Crop:
    """The rectangle in pixels of the upright original. Immich crops before it turns; a recipe crops after."""
    from immich_sidecar.develop.geometry import crop_box, frame_size

    width, height = frame_size(*size, geometry)
    left, top, right, bottom = crop_box((width, height), geometry.crop)
    for _ in range(geometry.quarter_turns):
        # A quarter turn back, anticlockwise.
        left, top, right, bottom, width, height = top, width - right, bottom, width - left, height, width
    if geometry.mirror:
        left, right = width - right, width - left
    return Crop(left, top, right - left, bottom - top)
