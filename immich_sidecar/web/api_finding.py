"""The part of the API that finds photos and tells what models found in them: its routes and their shapes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from immich_sidecar.advise.groups import GroupKind
from immich_sidecar.pipeline.telling import PERMISSIONS
from immich_sidecar.web import groups_page, outlining, search, telling_immich
from immich_sidecar.web.routes import Answer, Body, Query, Route, ref

_get, _post = partial(Route, "GET"), partial(Route, "POST")

FINDING_ROUTES: tuple[Route, ...] = (
    _get(
        "/api/groups",
        "listGroups",
        groups_page.list_json,
        "Photos that seem to belong together, the newest group first; nothing is done with them by itself.",
        {200: Answer("One page.", "GroupPage")},
        query=(
            Query("kind", "Only groups of one kind.", {"type": "string", "enum": [kind.value for kind in GroupKind]}),
            Query("after", "Cursor: `next` of the page before."),
            Query("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 60}),
        ),
        failures=(400,),
    ),
    _post(
        "/api/groups/{group}/dismiss",
        "dismissGroup",
        groups_page.dismiss_json,
        "Put a group aside; it is not shown again.",
        {200: Answer("The group.", "Group")},
    ),
    _get(
        "/api/search",
        "searchPhotos",
        search.search_json,
        "Photos by words, or by a photo that is like them; the best first.",
        {200: Answer("What was found, and why a model did not help where none did.", "Found")},
        query=(
            Query("text", "Words: found in file names, tags and descriptions, and by a model in the pictures."),
            Query("like", "Id of a photo, instead of words."),
            Query("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 60}),
        ),
        failures=(400, 507),
    ),
    _post(
        "/api/photos/{id}/tell-immich",
        "tellImmich",
        telling_immich.write_json,
        "Write what models say of the photo into Immich, where nothing else stands.",
        {200: Answer("What stands there now.", "Told")},
        body=Body("Telling"),
        failures=(400, 409, 502, 503),
    ),
    _post(
        "/api/photos/{id}/outline",
        "outlinePhoto",
        outlining.outline_json,
        "Outline what lies around a place of the photo.",
        {200: Answer("The outline.", "Outline")},
        body=Body("Pointed"),
        failures=(400, 410, 422, 502, 503),
    ),
)

_MAYBE_TEXT = {"type": ["string", "null"]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


_MAYBE_MOMENT = {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
_FRACTION = {"type": "number", "minimum": 0, "maximum": 1}

FINDING_SCHEMAS: dict[str, dict[str, Any]] = {
    "Group": _object(
        {
            "id": {"type": "integer", "minimum": 1},
            "kind": {"type": "string", "enum": [kind.value for kind in GroupKind]},
            "photos": {
                "type": "array",
                "items": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "description": "Ids, the proposed best first where there is one, else in the order they were taken.",
            },
            "best": _MAYBE_TEXT,
            "reason": {"type": "string"},
            "found_at": _MAYBE_MOMENT,
            "dismissed_at": _MAYBE_MOMENT,
        }
    ),
    "GroupPage": _object({"items": {"type": "array", "items": ref("Group")}, "next": _MAYBE_TEXT}),
    "Telling": _object({"what": {"type": "array", "minItems": 1, "items": {"enum": list(PERMISSIONS)}}}),
    "Told": _object({"written": {"type": "array", "items": {"enum": list(PERMISSIONS)}}}),
    "Pointed": _object({"x": _FRACTION, "y": _FRACTION}),
    "Outline": _object(
        {
            "mask": {
                "type": "object",
                "additionalProperties": True,
                "description": "`width` and `height` of its grid, and `counts`: run lengths as COCO writes them.",
            },
            "box": {"oneOf": [ref("Box"), {"type": "null"}]},
            "share": {**_FRACTION, "description": "Of the picture."},
        }
    ),
    "Box": _object({"x": _FRACTION, "y": _FRACTION, "width": _FRACTION, "height": _FRACTION}),
    "FoundPhoto": _object(
        {
            "photo": ref("Photo"),
            "found_by": {"type": "string", "enum": ["words", "likeness"]},
            "score": {"type": ["number", "null"], "description": "Cosine between both vectors, -1 to 1."},
        }
    ),
    "Found": _object(
        {
            "items": {"type": "array", "items": ref("FoundPhoto")},
            "model": {**_MAYBE_TEXT, "description": "The model that judged likeness."},
            "why_no_model": {**_MAYBE_TEXT, "description": "Why none did, where none did."},
        }
    ),
}
