"""Native edits: `/assets/{id}/edits`, and the pictures that come of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from aiohttp import web
from PIL import Image, ImageOps

from .events import edits_ready
from .keys import Login
from .pictures import open_picture, thumbhash_of
from .problems import Issue, RefusedError, check_id, expected, invalid, option_issues, too_small
from .processing import Processing
from .records import Asset, Store
from .wire import Json, body_of

ACTIONS = ["crop", "rotate", "mirror"]
KEYS = {"crop": ("x", "y", "width", "height"), "rotate": ("angle",), "mirror": ("axis",)}
ANGLES = (0, 90, 180, 270)


class Edits:
    """Edits replace each other as a whole; the original file stays as it is."""

    def __init__(self, store: Store, processing: Processing) -> None:
        self._store = store
        self._processing = processing
        self.routes = [
            ("GET", "/assets/{id}/edits", "asset.edit.get", self.get),
            ("PUT", "/assets/{id}/edits", "asset.edit.create", self.put),
            ("DELETE", "/assets/{id}/edits", "asset.edit.delete", self.delete),
        ]

    async def get(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["id"])
        asset = self._store.require(login.user, [asset_id], "asset.read")[0]
        return web.json_response({"assetId": asset.id, "edits": asset.edits})

    async def put(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["id"])
        body = await body_of(request)
        edits = body.get("edits")
        if issues := _issues(edits, missing="edits" not in body):
            raise invalid(issues)
        assert isinstance(edits, list)
        asset = self._store.require(login.user, [asset_id], "asset.edit.create")[0]
        _check(asset, edits)
        asset.edits = [
            {"id": self._store.new_id(), "action": edit["action"], "parameters": edit["parameters"]} for edit in edits
        ]
        self._change(asset)
        return web.json_response({"assetId": asset.id, "edits": asset.edits})

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["id"])
        asset = self._store.require(login.user, [asset_id], "asset.edit.delete")[0]
        asset.edits = []
        self._change(asset)
        return web.Response(status=204)

    def _change(self, asset: Asset) -> None:
        """At once it counts as edited; its size follows with the pictures."""
        asset.is_edited = bool(asset.edits)
        asset.updated_at = self._store.now()

        async def render() -> None:
            if asset.id not in self._store.assets:
                return
            asset.width, asset.height = edited_size(asset)
            asset.thumbhash = thumbhash_of(asset.checksum + repr(asset.edits).encode() * bool(asset.edits))
            asset.updated_at = self._store.now()
            edits_ready(self._store, asset)

        self._store.later(self._processing.thumbnail_delay, render)


def full_size(asset: Asset) -> tuple[int, int]:
    """Width and height of the unedited picture after orientation; zero where they are not known."""
    width, height = asset.exif.get("exifImageWidth") or 0, asset.exif.get("exifImageHeight") or 0
    return (height, width) if str(asset.exif.get("orientation")) in "5678" else (width, height)


def edited_size(asset: Asset) -> tuple[int, int]:
    width, height = full_size(asset)
    for edit in asset.edits:
        parameters = edit["parameters"]
        if edit["action"] == "crop":
            width, height = parameters["width"], parameters["height"]
        elif edit["action"] == "rotate" and parameters["angle"] in (90, 270):
            width, height = height, width
    return width, height


def edited_picture(asset: Asset, edge: int | None = None, kind: str = "JPEG") -> bytes:
    """The edited picture as JPEG or WebP, no longer than `edge` on its longer side, without EXIF.

    Of a RAW file it is made from the picture that is embedded in it.
    """
    with open_picture(asset.file) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    scale = picture.width / (full_size(asset)[0] or picture.width)
    for edit in asset.edits:
        parameters = edit["parameters"]
        if edit["action"] == "crop":
            left, top = parameters["x"] * scale, parameters["y"] * scale
            right, bottom = left + parameters["width"] * scale, top + parameters["height"] * scale
            picture = picture.crop((round(left), round(top), round(right), round(bottom)))
        elif edit["action"] == "rotate":
            # Clockwise, where Pillow turns the other way.
            picture = picture.rotate(-parameters["angle"], expand=True)
        else:
            flip = Image.Transpose.FLIP_LEFT_RIGHT if parameters["axis"] == "horizontal" else None
            picture = picture.transpose(flip if flip is not None else Image.Transpose.FLIP_TOP_BOTTOM)
    if edge is not None:
        picture.thumbnail((edge, edge))
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=80)
    return buffer.getvalue()


def _check(asset: Asset, edits: list[Json]) -> None:
    suffix = Path(asset.name).suffix.lower()
    width, height = full_size(asset)
    if asset.type != "IMAGE":
        raise RefusedError(400, "Only images can be edited")
    if asset.live_photo_video_id:
        raise RefusedError(400, "Editing live photos is not supported")
    if asset.exif.get("projectionType") == "EQUIRECTANGULAR" or suffix == ".insp":
        raise RefusedError(400, "Editing panorama images is not supported")
    if suffix in (".gif", ".svg"):
        raise RefusedError(400, f"Editing {suffix[1:].upper()} images is not supported")
    if not width or not height:
        raise RefusedError(400, "Asset dimensions are not available for editing")
    for edit in edits:
        if edit["action"] == "crop":
            if edits[0]["action"] != "crop":
                raise RefusedError(400, "Crop action must be the first edit action")
            crop = edit["parameters"]
            if crop["x"] + crop["width"] > width or crop["y"] + crop["height"] > height:
                raise RefusedError(400, "Crop parameters are out of bounds")


def _issues(edits: Any, *, missing: bool) -> list[Issue]:
    if not isinstance(edits, list):
        return [expected("array", ["edits"], edits, missing=missing)]
    if not edits:
        return [too_small(["edits"], 1)]
    issues = [issue for index, edit in enumerate(edits) for issue in _edit_issues(edit, ["edits", index])]
    if not issues:
        keys = [
            json.dumps(edit["parameters"], sort_keys=True) if edit["action"] == "mirror" else edit["action"]
            for edit in edits
        ]
        if len(set(keys)) < len(keys):
            issues.append({"code": "custom", "path": ["edits"], "message": "Duplicate edit actions are not allowed"})
    return issues


def _edit_issues(edit: Any, path: list[Any]) -> list[Issue]:
    if not isinstance(edit, dict):
        return [expected("object", path, edit)]
    action, parameters = edit.get("action"), edit.get("parameters")
    if issues := option_issues(action, ACTIONS, [*path, "action"]):
        return issues
    where = [*path, "parameters"]
    keys = ", ".join(KEYS[str(action)])
    wrong: Issue = {
        "code": "custom",
        "path": where,
        "message": f"Invalid parameters for action '{action}', expecting keys: {keys}",
    }
    if not isinstance(parameters, dict):
        return [wrong]
    if action == "rotate" and parameters.get("angle") not in ANGLES:
        message = f"Angle must be one of the following values: {', '.join(map(str, ANGLES))}"
        return [{"code": "custom", "path": [*where, "angle"], "message": message}, wrong]
    if action == "mirror" and parameters.get("axis") not in ("horizontal", "vertical"):
        return [wrong]
    if action == "crop":
        least = {"x": 0, "y": 0, "width": 1, "height": 1}
        for name, minimum in least.items():
            value = parameters.get(name)
            if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
                return [wrong]
    return []
