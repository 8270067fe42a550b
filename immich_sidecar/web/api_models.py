"""The part of the API that is about models: its routes and their shapes. For the operator alone."""

from functools import partial
from typing import Any

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models_catalogue import Format
from immich_sidecar.analysis.weights import Known, State
from immich_sidecar.web import models
from immich_sidecar.web.routes import Answer, Route, enum, ref

_get, _post = partial(Route, "GET", owned=False), partial(Route, "POST", owned=False)
_MODEL = {200: Answer("The model as it stands now.", "Model")}
_BEGUN = {202: Answer("The model; what was asked for has begun.", "Model")}
_SUMMARIES = {
    "download": "Fetch it, or go on where that broke off.",
    "verify": "Read its files and hold them against what is pinned or recorded; records those put there by hand.",
    "cancel": "Stop what is being done to it; what has come stays.",
    "remove": "Delete its files; what was recorded of them stays, so that the same ones must come again.",
    "forget": "Delete its files and what was recorded of them.",
    "consent": "Agree to use it, although its files could run code or its licence excludes commercial use.",
    "withdraw": "Take that back.",
}

MODEL_ROUTES: tuple[Route, ...] = (
    _get(
        "/api/models",
        "listModels",
        models.list_json,
        "The models that look at photos, and how they stand; for the operator.",
        {200: Answer("The models.", "Models")},
        failures=(404,),
    ),
    *(
        _post(
            f"/api/models/{{model}}/{action}",
            f"{action}Model",
            models.act_json(action),
            summary,
            _BEGUN if action in ("download", "verify") else _MODEL,
            failures=(404, 409),
        )
        for action, summary in _SUMMARIES.items()
    ),
)

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_MAYBE_COUNT = {"type": ["integer", "null"], "minimum": 0}
_FLAG = {"type": "boolean"}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


MODEL_SCHEMAS: dict[str, dict[str, Any]] = {
    "ModelWork": _object(
        {
            "what": {"type": "string", "enum": ["download", "verify"]},
            "file": _TEXT,
            "done": {**_COUNT, "description": "Bytes."},
            "total": _MAYBE_COUNT,
            "error": {**_MAYBE_TEXT, "description": "What went wrong with the last of it."},
            "running": _FLAG,
        }
    ),
    "Model": _object(
        {
            "name": _TEXT,
            "title": _TEXT,
            "about": _TEXT,
            "job": enum(Job),
            "default": _FLAG,
            "licence": {**_TEXT, "description": "SPDX name."},
            "commercial": {**_FLAG, "description": "Whether the licence of the weights allows commercial use."},
            "source": _TEXT,
            "format": enum(Format),
            "size": {**_MAYBE_COUNT, "description": "Bytes, where they are known exactly beforehand."},
            "about_mb": {**_MAYBE_COUNT, "description": "Decimal megabytes, as its source lists it."},
            "memory_mb": {**_COUNT, "description": "About how much memory it needs for one photo on a processor."},
            "state": enum(State),
            "usable": _FLAG,
            "reason": {**_TEXT, "description": "Why it is not usable, and what to do; empty where it is."},
            "digest": {
                "oneOf": [enum(Known), {"type": "null"}],
                "description": "Whether its digest came with the program or was recorded at the first download.",
            },
            "here": {**_COUNT, "description": "Bytes on the disk."},
            "broken_off": {**_FLAG, "description": "Whether a download can be resumed."},
            "needs_consent": {**_MAYBE_TEXT, "description": "Why somebody has to agree first."},
            "consented": _FLAG,
            "revision": _TEXT,
            "used": {**_FLAG, "description": "Whether the settings ask for it; it is used where it is usable too."},
            "doing": {"oneOf": [ref("ModelWork"), {"type": "null"}]},
        }
    ),
    "Models": _object({"folder": _TEXT, "models": {"type": "array", "items": ref("Model")}}),
}
