"""The part of the API that is about what is taken from Immich: rules and backfills, their routes and their shapes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from immich_sidecar.advise.presets import Preset
from immich_sidecar.immich.traits import Special
from immich_sidecar.library.tables import BackfillState
from immich_sidecar.pipeline.backfills import COMMANDS
from immich_sidecar.settings import Mode
from immich_sidecar.web import backfill, rules_page
from immich_sidecar.web.routes import Answer, Body, Route, ref

_get, _post = partial(Route, "GET"), partial(Route, "POST")
_BACKFILL = {200: Answer("The backfill as it stands now.", "Backfill")}
_SUMMARIES = {
    "start": "Start it, after its dry run.",
    "pause": "Notice and fetch nothing more until it is resumed.",
    "resume": "Go on.",
    "cancel": "Fetch nothing more; what was fetched is finished, and what is finished stays.",
    "retry": "Go on where it failed.",
    "undo": "Take everything back that it put into Immich and that nobody decided about by hand.",
}

LIBRARY_ROUTES: tuple[Route, ...] = (
    _get("/api/rules", "getRules", rules_page.get_rules, "Which photos are taken.", {200: Answer("Rules.", "Rules")}),
    Route(
        "PUT",
        "/api/rules",
        "putRules",
        rules_page.put_rules,
        "Keep other rules; they hold for what comes into Immich from now on.",
        {200: Answer("The rules as they are kept.", "Rules")},
        body=Body("Rules"),
        failures=(400, 409),
    ),
    _post(
        "/api/rules/trial",
        "tryRules",
        rules_page.begin_trial,
        "Try rules on what is in Immich; nothing is kept or taken.",
        {202: Answer("The trial, which has begun.", "Trial")},
        body=Body("Rules"),
        failures=(400, 409),
    ),
    _get(
        "/api/rules/trial",
        "getTrial",
        rules_page.get_trial,
        "The latest trial.",
        {200: Answer("The trial as far as it is.", "Trial")},
    ),
    _get(
        "/api/backfills",
        "listBackfills",
        backfill.list_all,
        "Backfills, newest first.",
        {200: Answer("The owner's backfills.", "Backfills")},
    ),
    _post(
        "/api/backfills",
        "createBackfill",
        backfill.create_json,
        "Begin the dry run of a backfill: its photos are counted, nothing is taken.",
        {201: Answer("The backfill.", "Backfill")},
        body=Body("NewBackfill"),
        failures=(400, 409),
    ),
    _get("/api/backfills/{backfill}", "getBackfill", backfill.get_one, "One backfill.", _BACKFILL),
    *(
        _post(
            f"/api/backfills/{{backfill}}/{name}",
            f"{name}Backfill",
            backfill.command(name),
            _SUMMARIES[name],
            _BACKFILL,
            failures=(409,),
        )
        for name in COMMANDS
    ),
)

_TEXT = {"type": "string"}
_MAYBE_TEXT = {"type": ["string", "null"]}
_COUNT = {"type": "integer", "minimum": 0}
_MAYBE_MOMENT = {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
_MAYBE_DAY = {"oneOf": [{"type": "string", "format": "date"}, {"type": "null"}]}
_FREE = {"type": "object", "additionalProperties": True}
_COUNTS = {"type": "object", "additionalProperties": _COUNT}
_TEXTS = {"type": "array", "items": _TEXT}


def _object(properties: Mapping[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def _words(kind: Any) -> dict[str, Any]:
    return {"oneOf": [{"type": "string", "enum": [item.value for item in kind]}, {"type": "null"}]}


#: A preset in rules, and how strong its look is.
PRESET: dict[str, Any] = {
    "oneOf": [*_words(Preset)["oneOf"], {"type": "string", "pattern": "^own-[1-9][0-9]*$"}],
    "description": "One of everybody's presets, or one of your own.",
}
STRENGTH: dict[str, Any] = {
    "type": ["number", "null"],
    "minimum": 0,
    "maximum": 200,
    "description": "Of the preset's look, in percent. Default: 100.",
}

_TALLY: dict[str, Any] = {
    "found": _COUNT,
    "take": _COUNT,
    "look": {**_COUNT, "description": "Decided when their file was fetched."},
    "here": {**_COUNT, "description": "Photos already."},
    "left": {**_COUNTS, "description": "How many are left alone, by reason."},
    "bytes": _COUNT,
    "raw": _COUNT,
    "taken_from": _MAYBE_MOMENT,
    "taken_to": _MAYBE_MOMENT,
    "samples": {"type": "array", "items": _FREE},
    "left_samples": {"type": "array", "items": _FREE},
}

LIBRARY_SCHEMAS: dict[str, dict[str, Any]] = {
    "Rule": _object(
        {
            "name": {**_TEXT, "maxLength": 80},
            "takes": {"type": "boolean", "default": True},
            "files": {"type": "string", "enum": ["any", "raw", "not_raw"]},
            "cameras": _TEXTS,
            "not_cameras": _TEXTS,
            "albums": {"type": "array", "items": _object({"id": _TEXT, "name": _TEXT}, ("id",))},
            "tags": _TEXTS,
            "file_names": _TEXTS,
            "minimum_megapixels": {"type": ["number", "null"]},
            "minimum_bytes": {"type": ["integer", "null"]},
            "taken_after": _MAYBE_DAY,
            "taken_before": _MAYBE_DAY,
            "also": {"type": "array", "items": {"type": "string", "enum": [special.value for special in Special]}},
            "preset": PRESET,
            "preset_strength": STRENGTH,
            "mode": _words(Mode),
        }
    ),
    "Rules": _object({"rules": {"type": "array", "items": ref("Rule")}, "otherwise": ref("Rule")}),
    "Trial": _object({"done": {"type": "boolean"}, "error": _MAYBE_TEXT, **_TALLY}, ("done", "error", *_TALLY)),
    "Scope": _object(
        {
            "kind": {"type": "string", "enum": ["library", "album", "dates", "search", "tag"]},
            "album": _object({"id": _TEXT, "name": _TEXT}, ("id",)),
            "tag": _TEXT,
            "taken_after": _MAYBE_DAY,
            "taken_before": _MAYBE_DAY,
            "query": _TEXT,
            "by": {"type": "string", "enum": ["name", "likeness"], "default": "name"},
            "best": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 200},
        },
        ("kind",),
    ),
    "NewBackfill": _object(
        {
            "scope": ref("Scope"),
            "rules": {"oneOf": [ref("Rules"), {"type": "null"}], "description": "Default: the owner's own."},
            "preset": PRESET,
            "preset_strength": STRENGTH,
            "mode": _words(Mode),
        },
        ("scope",),
    ),
    "Backfill": _object(
        {
            "id": {"type": "integer", "minimum": 1},
            "scope": _FREE,
            "words": _TEXT,
            "rules": _FREE,
            "state": {"type": "string", "enum": [state.value for state in BackfillState]},
            "error": _MAYBE_TEXT,
            "waits_for": {**_MAYBE_TEXT, "description": "Why nothing happens at the moment."},
            "created_at": _MAYBE_MOMENT,
            "started_at": _MAYBE_MOMENT,
            "finished_at": _MAYBE_MOMENT,
            "estimate": {"oneOf": [_FREE, {"type": "null"}], "description": "What the dry run found."},
            "progress": _FREE,
            "total": _COUNT,
            "done": _COUNT,
            "seconds_left": {"type": ["number", "null"]},
            "undo": {"oneOf": [_FREE, {"type": "null"}]},
            "commands": {"type": "array", "items": {"type": "string", "enum": list(COMMANDS)}},
        },
        ("id", "scope", "words", "state", "estimate", "progress", "total", "done", "commands"),
    ),
    "Backfills": _object({"backfills": {"type": "array", "items": ref("Backfill")}}, ("backfills",)),
}
