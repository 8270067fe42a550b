"""The part of the API that is about looks: presets and LUTs, their routes and their shapes."""

from functools import partial
from typing import Any

from immich_sidecar.web import api_photos, own_luts, own_presets, tasting
from immich_sidecar.web.routes import Answer, Body, Route, ref

_get, _post, _put, _delete = (partial(Route, method) for method in ("GET", "POST", "PUT", "DELETE"))
_PRESET = {200: Answer("The preset as it is now.", "Preset")}
_LUT = {200: Answer("The LUT as it is now.", "Lut")}
_TASTE = {200: Answer("What was learned, as it stands now.", "Taste")}
_GONE = {204: Answer("It is done.", None, ())}

LOOK_ROUTES: tuple[Route, ...] = (
    _post(
        "/api/photos/{id}/preset",
        "applyPreset",
        api_photos.apply_preset,
        "Give the photo a preset; a new version is rendered.",
        {200: Answer("The photo as it stands now.", "Photo")},
        body=Body("PresetCommand"),
        failures=(400, 409, 422),
    ),
    _get(
        "/api/presets",
        "listPresets",
        own_presets.list_all,
        "Everybody's presets, and your own.",
        {200: Answer("The presets.", "Presets")},
    ),
    _post(
        "/api/presets",
        "createPreset",
        own_presets.create_json,
        "Keep a preset of your own: of given operations, or of what was done to a photo.",
        {201: Answer("The preset.", "Preset")},
        body=Body("NewPreset"),
        failures=(400, 409, 422),
    ),
    _put(
        "/api/presets/{preset}",
        "renamePreset",
        own_presets.rename_json,
        "Rename a preset of your own.",
        _PRESET,
        body=Body("Name"),
        failures=(400, 409, 422),
    ),
    _delete(
        "/api/presets/{preset}",
        "deletePreset",
        own_presets.delete_json,
        "Delete a preset of your own; photos keep what it did.",
        _GONE,
        failures=(409,),
    ),
    _get("/api/luts", "listLuts", own_luts.list_all, "Your LUTs.", {200: Answer("The LUTs.", "Luts")}),
    _post(
        "/api/luts",
        "uploadLut",
        own_luts.upload_json,
        "Bring a LUT, a .cube file.",
        {201: Answer("The LUT.", "Lut"), 200: Answer("It was here already.", "Lut")},
        body=Body(None, ("multipart/form-data", "application/octet-stream")),
        failures=(400, 409, 413, 415, 422, 507),
    ),
    _put(
        "/api/luts/{lut}",
        "renameLut",
        own_luts.rename_json,
        "Rename a LUT.",
        _LUT,
        body=Body("Name"),
        failures=(400, 422),
    ),
    _delete(
        "/api/luts/{lut}",
        "removeLut",
        own_luts.remove_json,
        "Take a LUT off the list; recipes that name it keep it.",
        _GONE,
    ),
    _get("/api/taste", "getTaste", tasting.taste_json, "What was learned of your taste.", _TASTE),
    _put(
        "/api/taste",
        "switchTaste",
        tasting.switch_json,
        "Use what was learned for new photos, or do not.",
        _TASTE,
        body=Body("TasteSwitch"),
        failures=(400, 422),
    ),
)

_TEXT = {"type": "string"}
_SHA256 = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_NAME = {"type": "string", "minLength": 1, "maxLength": 80}
_LOOK = {
    "type": "object",
    "additionalProperties": {"type": "object", "additionalProperties": True},
    "description": "Operation type to parameters, at 100 %.",
}

PRESET_NAME: dict[str, Any] = {"type": "string", "description": "The word for a preset: `vivid`, `own-7`."}
STRENGTH: dict[str, Any] = {"type": ["number", "null"], "minimum": 0, "maximum": 200, "description": "Percent."}


def _object(properties: dict[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_PRESET_FIELDS = {
    "name": PRESET_NAME,
    "label": _TEXT,
    "words": _TEXT,
    "own": {"type": "boolean"},
    "operations": _LOOK,
}
_LUT_FIELDS = {
    "sha256": _SHA256,
    "name": _TEXT,
    "points": {"type": "integer", "minimum": 2, "maximum": 65},
    "created_at": {"type": "string", "format": "date-time"},
}

_TASTE_FIELDS = {
    "on": {"type": "boolean", "description": "Whether it is used for new photos."},
    "decisions": {"type": "integer", "minimum": 0, "description": "Photos that were decided about."},
    "fewest": {"type": "integer", "minimum": 0, "description": "How many it takes before anything is learned."},
    "steps": {
        "type": "array",
        "description": "Steps of which something is known.",
        "items": _object(
            {
                "operation": {"type": "string", "description": "Operation type."},
                "kept": {"type": "number", "description": "The part of a proposal that you keep on average; 1: all."},
                "gain": {"type": "number", "description": "How much less wrong that is than the proposal, 0 to 1."},
            },
            ("operation", "kept", "gain"),
        ),
    },
    "approval_gain": {"type": "number", "description": "How much better strength tells what you reject, 0 to 1."},
}

LOOK_SCHEMAS: dict[str, dict[str, Any]] = {
    "PresetCommand": _object(
        {
            "version": {
                "type": "integer",
                "minimum": 0,
                "description": "The version that the person was shown; a stale one is refused with 409.",
            },
            "preset": PRESET_NAME,
            "strength": STRENGTH,
        },
        ("version", "preset"),
    ),
    "Preset": _object(_PRESET_FIELDS, tuple(_PRESET_FIELDS)),
    "Presets": _object({"presets": {"type": "array", "items": ref("Preset")}}, ("presets",)),
    "NewPreset": _object(
        {
            "name": _NAME,
            "photo": {**_SHA256, "description": "Take it from what was done to this photo."},
            "operations": {
                "oneOf": [_LOOK, {"type": "array", "items": _TEXT}],
                "description": "The look, or with `photo` the steps to take from it. Default: those that make a look.",
            },
        },
        ("name",),
    ),
    "Name": _object({"name": _NAME}, ("name",)),
    "Lut": _object(_LUT_FIELDS, tuple(_LUT_FIELDS)),
    "Taste": _object(_TASTE_FIELDS, tuple(_TASTE_FIELDS)),
    "TasteSwitch": _object({"on": {"type": "boolean"}}, ("on",)),
    "Luts": _object({"luts": {"type": "array", "items": ref("Lut")}}, ("luts",)),
}
