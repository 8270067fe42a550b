"""The OpenAPI document, written from the table of routes so that it cannot drift from what is served."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from immich_sidecar import __version__
from immich_sidecar.library.tables import Publish, Review, Source, WorkState
from immich_sidecar.web.api_finding import FINDING_SCHEMAS
from immich_sidecar.web.api_library import LIBRARY_SCHEMAS
from immich_sidecar.web.api_looks import LOOK_SCHEMAS, PRESET_NAME, STRENGTH
from immich_sidecar.web.api_models import MODEL_SCHEMAS
from immich_sidecar.web.routes import Answer, Body, Route, enum, ref

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_MOMENT = {"type": "string", "format": "date-time"}
_FREE = {"type": "object", "additionalProperties": True}

_PARAMETERS = {
    "id": {"description": "SHA-256 of the original's bytes, hexadecimal.", "schema": _SHA256},
    "backfill": {"description": "Number of the backfill.", "schema": {"type": "integer", "minimum": 1}},
    "preset": {"description": "The word for a preset.", "schema": {"type": "string"}},
    "group": {"description": "Number of the group.", "schema": {"type": "integer", "minimum": 1}},
    "lut": {"description": "SHA-256 of the table in its normal form, hexadecimal.", "schema": _SHA256},
    "model": {"description": "Name of a model, or another name for it.", "schema": {"type": "string"}},
    "n": {"description": "Number of the version: 1, 2, 3, ...", "schema": {"type": "integer", "minimum": 1}},
}


def _object(properties: Mapping[str, Any], required: Sequence[str] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties if required is None else required),
        "additionalProperties": False,
        **more,
    }


def _maybe(name: str) -> dict[str, Any]:
    return {"oneOf": [ref(name), {"type": "null"}]}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": ref(name)}


_VERSION = {
    "type": "integer",
    "minimum": 0,
    "description": "The version that the person was shown; a stale one is refused with 409.",
}

_PATCH = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"oneOf": [_FREE, {"type": "null"}, {"const": "suggested"}]},
    "description": "Operation type to parameters (set), null (switched off) or `suggested` (as proposed).",
}

_STATUS_WORDS = [
    "analysing",
    "advising",
    "rendering",
    "keeping",
    "pending",
    "approved",
    "rejected",
    "left_alone",
    "failed",
    "cancelled",
]

SCHEMAS: dict[str, dict[str, Any]] = {
    "Error": _object(
        {"error": _TEXT, "status": {"type": "integer"}, "field": {**_TEXT, "description": "Parameter to blame."}},
        ["error", "status"],
    ),
    "Suggestion": _object(
        {
            "operation": _TEXT,
            "parameters": _FREE,
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "reason": _TEXT,
            "applied": {"type": "boolean"},
        },
        additionalProperties=True,
    ),
    "Operation": _object(
        {
            "type": _TEXT,
            "parameters": _FREE,
            "timestamp": _MOMENT,
            "source": {"type": "string", "enum": ["ai", "user", "preset"]},
        }
    ),
    "Recipe": _object(
        {
            "id": _TEXT,
            "original_hash": _SHA256,
            "created_at": _MOMENT,
            "operations": _list("Operation"),
            "ai_metadata": _FREE,
            "user_overrides": _FREE,
        }
    ),
    "Version": _object(
        {
            "n": {"type": "integer", "minimum": 1},
            "recipe_id": _TEXT,
            "width": _COUNT,
            "height": _COUNT,
            "size": _COUNT,
            "sha256": _SHA256,
            "created_at": _MOMENT,
            "publish": enum(Publish),
            "blocked_reason": _MAYBE_TEXT,
            "immich_asset_id": _MAYBE_TEXT,
            "retired": {**_MAYBE_TEXT, "description": "trashed, tagged, marked, kept or gone, once it was replaced."},
            "kept_because": _MAYBE_TEXT,
            "url": _TEXT,
        }
    ),
    "InImmich": _object({"asset_id": _TEXT, "stack_id": _MAYBE_TEXT, "url": _MAYBE_TEXT}),
    "Urls": _object({"page": _TEXT, "thumbnail": _TEXT, "preview": _TEXT, "original": _TEXT}),
    "Photo": _object(
        {
            "id": _SHA256,
            "owner": _TEXT,
            "file_name": _TEXT,
            "status": {"type": "string", "enum": _STATUS_WORDS},
            "state": enum(WorkState),
            "review": enum(Review),
            "version": _COUNT,
            "revision": _COUNT,
            "width": _COUNT,
            "height": _COUNT,
            "size": _COUNT,
            "captured_at": {"oneOf": [_MOMENT, {"type": "null"}]},
            "created_at": _MOMENT,
            "is_raw": {"type": "boolean"},
            "media_type": _TEXT,
            "source": enum(Source),
            "left_alone_reason": _MAYBE_TEXT,
            "offer": {
                "oneOf": [{"type": "array", "items": {"type": "object"}}, {"type": "null"}],
                "description": "Suggestions of another look at a photo that was decided about; `renew` takes them.",
            },
            "badge": {**_MAYBE_TEXT, "description": "live_photo, motion_photo, gain_map or panorama."},
            "failed_at": _MAYBE_TEXT,
            "error": _MAYBE_TEXT,
            "original_publish": enum(Publish),
            "original_publish_error": _MAYBE_TEXT,
            "confidence": {"type": ["number", "null"], "description": "The lowest of the applied suggestions."},
            "preset": _object({"name": _TEXT, "label": _TEXT, "strength": {"type": "number"}}),
            "suggestions": _list("Suggestion"),
            "findings": {
                "oneOf": [_FREE, {"type": "null"}],
                "description": "What models found, and which of them ran; null where none was asked.",
            },
            "recipe": _maybe("Recipe"),
            "versions": _list("Version"),
            "companions": _list("Companion"),
            "immich": _maybe("InImmich"),
            "urls": ref("Urls"),
        }
    ),
    "Crops": _object({"items": _list("CropChoice")}),
    "CropChoice": _object(
        {
            "shape": {**_TEXT, "description": "free, 3:2, 4:3, 1:1, 16:9, 9:16, an upright one, or words."},
            "crop": _FREE,
            "gain": {"type": "number", "description": "How much better composed than the whole picture, -1 to 1."},
            "reason": _TEXT,
        }
    ),
    "Companion": _object(
        {
            "kind": {"type": "string", "enum": ["jpeg", "xmp"]},
            "file_name": _TEXT,
            "size": _COUNT,
            "sha256": _MAYBE_TEXT,
            "immich_asset_id": _MAYBE_TEXT,
            "publish": enum(Publish),
            "note": {**_MAYBE_TEXT, "description": "Why it is not in Immich, or not in the photo's stack."},
        }
    ),
    "PhotoPage": _object({"items": _list("Photo"), "next": _MAYBE_TEXT}),
    "Command": _object({"version": _VERSION}),
    "Change": _object({"version": _VERSION, "operations": _PATCH}),
    "BatchItem": _object(
        {"id": _SHA256, "version": _VERSION, "action": _TEXT, "preset": PRESET_NAME, "strength": STRENGTH},
        ["id", "version", "action"],
    ),
    "Batch": {"type": "array", "items": ref("BatchItem"), "minItems": 1, "maxItems": 500},
    "BatchResult": _object(
        {
            "id": _MAYBE_TEXT,
            "ok": {"type": "boolean"},
            "version": _COUNT,
            "review": enum(Review),
            "state": {"type": "string", "enum": _STATUS_WORDS},
            "error": _TEXT,
            "status": {"type": "integer"},
            "field": _TEXT,
        },
        ["id", "ok"],
    ),
    "BatchResults": _object({"results": _list("BatchResult")}),
    "Taken": _object({"id": _SHA256, "new": {"type": "boolean"}}),
    "Work": _object(
        {
            "id": _SHA256,
            "file_name": _TEXT,
            "status": {"type": "string", "enum": _STATUS_WORDS},
            "version": _COUNT,
            "failed_at": _MAYBE_TEXT,
            "error": _MAYBE_TEXT,
            "due_at": {"oneOf": [_MOMENT, {"type": "null"}]},
            "attempts": _COUNT,
        }
    ),
    "Queue": _object(
        {
            "paused": {"type": "boolean"},
            "waits_for": {**_MAYBE_TEXT, "description": "What holds up all work, such as a full disk."},
            "running": _list("Work"),
            "waiting": _list("Work"),
            "waiting_count": _COUNT,
            "failed": _list("Work"),
            "failed_count": {**_COUNT, "description": "Photos and files."},
            "failed_files": _list("FailedFile"),
            "blocked": _list("Blocked"),
            "publishing": ref("OnTheWay"),
        }
    ),
    "OnTheWay": _object(
        {
            "uploads": _list("Upload"),
            "waiting": {**_COUNT, "description": "Versions and originals that Immich does not hold as it should yet."},
            "rate": {**_COUNT, "description": "Bytes a second of all uploads together."},
            "waits_for": {**_MAYBE_TEXT, "description": "Why nothing goes on: Immich is away, or refuses the key."},
        }
    ),
    "Upload": _object(
        {
            "id": _SHA256,
            "file_name": _TEXT,
            "version": {"type": "integer", "description": "0 is the original itself."},
            "sent": _COUNT,
            "total": _COUNT,
        }
    ),
    "FailedFile": _object(
        {
            "name": _TEXT,
            "path": {**_MAYBE_TEXT, "description": "null for an asset of Immich."},
            "reason": _TEXT,
            "seen_at": _MOMENT,
            "source": enum(Source),
        }
    ),
    "Blocked": _object(
        {
            "id": _SHA256,
            "file_name": _TEXT,
            "version": {"type": "integer", "description": "0 is the original itself."},
            "reason": _TEXT,
        }
    ),
    "Retried": _object({"retried": _COUNT}),
    "Queued": _object({"queued": _COUNT}),
    "Status": _FREE,
    "Owner": _object({"id": _TEXT, "name": _TEXT}),
    "Owners": _object({"owners": _list("Owner")}),
    "Health": _object({"status": _TEXT}),
    **FINDING_SCHEMAS,
    **LIBRARY_SCHEMAS,
    **LOOK_SCHEMAS,
    **MODEL_SCHEMAS,
}


def document(routes: Sequence[Route], server: str = "/") -> dict[str, Any]:
    """The OpenAPI 3.1 document of the routes."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "immich-sidecar",
            "version": __version__,
            "description": "Photos, their suggestions and versions, and the commands of their owner.",
            "license": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
        },
        "servers": [{"url": server}],
        "security": [{"password": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "password": {"type": "http", "scheme": "bearer", "description": "The password, SIDECAR_PASSWORD."}
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, **_PARAMETERS[name]}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    parameters += [
        {"name": item.name, "in": "query", "description": item.description, "schema": dict(item.schema)}
        for item in route.query
    ]
    if route.owned:
        parameters.append(
            {
                "name": "owner",
                "in": "query",
                "description": "Whose photos; your own where nothing is said, for the operator those of `local`.",
                "schema": {"type": "string"},
            }
        )
    failures = sorted({*route.failures, *(() if route.open else (401, 403)), *((404,) if route.owned else ())})
    answers = {str(status): _answer(answer) for status, answer in route.answers.items()}
    answers |= {
        str(status): _answer(Answer(HTTPStatus(status).phrase, "Error"))
        for status in failures
        if str(status) not in answers
    }
    made: dict[str, Any] = {"operationId": route.name, "summary": route.summary, "responses": answers}
    if parameters:
        made["parameters"] = parameters
    if route.body is not None:
        made["requestBody"] = _body(route.body)
    if route.open:
        made["security"] = []
    return made


def _answer(answer: Answer) -> dict[str, Any]:
    schema = ref(answer.schema) if answer.schema else {}
    return {"description": answer.description, "content": {kind: {"schema": schema} for kind in answer.content_types}}


def _body(body: Body) -> dict[str, Any]:
    schema = ref(body.schema) if body.schema else {}
    return {"required": True, "content": {kind: {"schema": schema} for kind in body.content_types}}
