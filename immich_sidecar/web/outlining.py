"""Outlining what a person points at, for the photo page and the API."""

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from immich_sidecar.analysis import masks
from immich_sidecar.analysis.findings import Mask
from immich_sidecar.errors import ModelAnswerError
from immich_sidecar.web.api_photos import shown_photo
from immich_sidecar.web.context import context_of, json_body
from immich_sidecar.web.findings_shown import outline_path
from immich_sidecar.web.pages import render
from immich_sidecar.web.photo_json import Shown


async def outline(request: web.Request) -> web.StreamResponse:
    """The outline around a place, as a drawing."""
    shown, form = await shown_photo(request), await request.post()
    mask = await _outlined(request, shown, form)
    width, height = shown.photo.width or 1000, shown.photo.height or 1000
    return await render(
        request,
        "partials/outline.html",
        width=width,
        height=height,
        path=outline_path(mask, width, height),
        share=masks.area(mask),
    )


async def outline_json(request: web.Request) -> web.Response:
    """The same for programs: mask, box and share of the picture."""
    shown = await shown_photo(request)
    mask = await _outlined(request, shown, await json_body(request))
    box = masks.bounding_box(mask)
    return web.json_response(
        {"mask": mask.model_dump(), "box": None if box is None else box.model_dump(), "share": masks.area(mask)}
    )


async def _outlined(request: web.Request, shown: Shown, asked: Any) -> Mask:
    place = _fraction(asked, "x"), _fraction(asked, "y")
    context, photo = context_of(request), shown.photo
    preview = await context.previews.preview(photo, None)
    mask = await context.models.outline(preview, *place)
    try:
        masks.area(mask)
    except ValueError as error:
        raise ModelAnswerError(f"the outline cannot be read ({error}); try another place") from error
    return mask


def _fraction(asked: Any, name: str) -> float:
    value = asked.get(name) if isinstance(asked, Mapping) else None
    try:
        number = math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= 1:
        raise web.HTTPBadRequest(
            text="x and y: fractions from 0 to 1 of the whole photo, from its left and upper edge."
        )
    return number
