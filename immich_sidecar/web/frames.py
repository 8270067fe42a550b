"""Frames to choose from: for the crop tool of the photo page, and for the API."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from immich_sidecar.advise.crop import Crop, crops
from immich_sidecar.analysis.findings import Findings
from immich_sidecar.analysis.measure.glance import Glance
from immich_sidecar.library.tables import PhotoRow, RecipeRow
from immich_sidecar.recipe.frame import reproject_crop
from immich_sidecar.recipe.operations import plan
from immich_sidecar.recipe.orientation import Orientation, turned
from immich_sidecar.web.adjusting import patch_of_form
from immich_sidecar.web.api_photos import shown_photo
from immich_sidecar.web.media import changed_operations
from immich_sidecar.web.pages import render
from immich_sidecar.web.photo_json import Shown

#: Steps that decide of what a crop is a part.
_BEFORE = ("orientation", "upright", "straighten")
#: The same in the form of the photo page.
_FORM = ("quarter_turns", "mirror", "upright_vertical", "upright_horizontal", "straighten")
#: How the page calls a frame that has no shape for a name.
_LABELS = {"free": "Best", "words": "Model"}


async def offered(request: web.Request) -> web.Response:
    """The frames for a photo as its recipe stands."""
    shown = await shown_photo(request)
    found = await _crops(shown.photo, await changed_operations(request, shown, {}))
    items = [{"shape": one.shape, "crop": one.parameters, "gain": one.gain, "reason": one.reason} for one in found]
    return web.json_response({"items": items})


async def choices(request: web.Request) -> web.StreamResponse:
    """The same as buttons of the crop tool, for the picture as the form has it turned and levelled."""
    shown = await shown_photo(request)
    form = {name: value for name, value in request.query.items() if name in _FORM}
    patch = patch_of_form(form, shown.recipe.operations if shown.recipe else [], proposed=_proposed(shown))
    found = await _crops(shown.photo, await changed_operations(request, shown, patch))
    frames = [(_LABELS.get(one.shape, one.shape), one) for one in found]
    looked = (shown.photo.analysis or {}).get("findings") is not None
    return await render(request, "partials/frames.html", frames=frames, looked=looked)


def proposed_crop(photo: PhotoRow, recipe: RecipeRow, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A crop that was proposed for the picture as the proposals level it, for the picture as its recipe does now."""
    lies = Orientation.of(next((o["parameters"] for o in recipe.operations if o["type"] == "orientation"), None))
    meant = [item for item in recipe.ai_metadata.get("suggestions", ()) if item["applied"]]
    old = plan(
        _Step({"type": item["operation"], "parameters": turned(item["operation"], item["parameters"], lies)})
        for item in meant
        if item["operation"] in ("upright", "straighten")
    ).geometry
    new = plan(_Step(item) for item in recipe.operations if item["type"] in ("upright", "straighten")).geometry
    crop = turned("crop", parameters, lies)
    width, height = photo.width, photo.height
    return reproject_crop(crop, (height, width) if lies.quarter_turns % 2 else (width, height), old, new)


def _proposed(shown: Shown) -> dict[str, Any]:
    return {item["operation"]: item["parameters"] for item in shown.suggestions}


async def _crops(photo: PhotoRow, operations: Sequence[Mapping[str, Any]]) -> tuple[Crop, ...]:
    """Frames of a photo; none where models have not looked at it."""
    return await asyncio.to_thread(_found, photo.analysis or {}, (photo.width, photo.height), list(operations))


def _found(
    analysis: Mapping[str, Any], size: tuple[int, int], operations: Sequence[Mapping[str, Any]]
) -> tuple[Crop, ...]:
    if analysis.get("findings") is None or min(size) <= 0:
        return ()
    try:
        findings = Findings.model_validate(analysis["findings"])
        glance = None if analysis.get("glance") is None else Glance.model_validate(analysis["glance"])
    except ValidationError:
        # Written by another version: the next analysis writes it anew.
        return ()
    return crops(findings, glance, size, plan(_Step(item) for item in operations if item["type"] in _BEFORE).geometry)


class _Step:
    """What a plan is made of."""

    def __init__(self, item: Mapping[str, Any]) -> None:
        self.type, self.parameters = str(item["type"]), item["parameters"]
