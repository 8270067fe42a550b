"""How Immich 2 says what Immich 3 says: bodies of requests, answers, refusals and events."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .problems import DATE_PATTERN, Issue, RefusedError
from .wire import asset_json, js_date

if TYPE_CHECKING:
    from aiohttp import web

    from .dialect import Dialect
    from .records import Store

Json = dict[str, Any]

_SWITCHES = {
    *("withExif", "withDeleted", "withStacked", "withPeople", "isFavorite", "isOffline", "isMotion", "isNotInAlbum"),
    *("isEncoded", "enabled", "force"),
}
_NUMBERS = {"page", "size"}
_DATE = re.compile(r"(Before|After)$|^(dateTimeOriginal|fileCreatedAt|fileModifiedAt)$")
#: A date as far as it must be said: the time and its zone may be missing, or a space may stand for the `T`.
_LENIENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


# ---- requests


def requested(dialect: Dialect, method: str, path: str, body: Json) -> Json:
    """The body with types and dates as strict as Immich 3 wants them."""
    for name, value in list(body.items()):
        if name in _SWITCHES and value in ("true", "false"):
            body[name] = value == "true"
        elif name in _NUMBERS and isinstance(value, str) and value.isdecimal():
            body[name] = int(value)
        elif _DATE.search(name) and isinstance(value, str):
            body[name] = strict_date(value)
    if path.startswith("/api/assets") and method == "PUT":
        _check_change(dialect, path, body)
    if path == "/api/tags" and method == "PUT" and "" in (body.get("tags") or ()):
        raise RefusedError(400, "", sentences=["each value in tags should not be empty"])
    if path.startswith("/api/search/") and "rating" in body:
        _check_rating(dialect, body["rating"], search=True)
    return body


def strict_date(text: str) -> str:
    """A date in full where Immich 2 understands it; what it does not understand stays as it is."""
    if re.match(DATE_PATTERN, text) or not _LENIENT.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return js_date(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _check_change(dialect: Dialect, path: str, body: Json) -> None:
    if path.endswith("/edits"):
        _check_edits(body)
    elif path.endswith("/metadata"):
        for index, item in enumerate(body.get("items") or ()):
            if isinstance(item, dict) and item.get("key") == "":
                raise RefusedError(400, "", sentences=[f"items.{index}.key should not be empty"])
    elif "rating" in body:
        _check_rating(dialect, body["rating"])
        # It means that there is none.
        body["rating"] = body["rating"] or None


def _check_rating(dialect: Dialect, rating: Any, *, search: bool = False) -> None:
    if rating is None and dialect.knows_no_rating:
        return
    number = isinstance(rating, int | float) and not isinstance(rating, bool)
    wrong = []
    if not number or rating < -1:
        wrong.append("rating must not be less than -1")
    if not number or rating > 5:
        wrong.append("rating must not be greater than 5")
    if not isinstance(rating, int):
        wrong.append("rating must be an integer number")
    if wrong:
        raise RefusedError(400, "", sentences=wrong)


def _check_edits(body: Json) -> None:
    edits = body.get("edits")
    if not isinstance(edits, list):
        return
    wrong = []
    for index, edit in enumerate(edits):
        action, parameters = edit.get("action"), edit.get("parameters") or {}
        if action not in ("crop", "rotate", "mirror"):
            wrong.append(f"edits.{index}.action must be one of the following values: crop, rotate, mirror")
        elif action == "rotate" and parameters.get("angle") not in (0, 90, 180, 270):
            wrong.append(f"edits.{index}.parameters.angle must be one of the following values: 0, 90, 180, 270")
    actions = [str(edit) for edit in edits]
    if len(set(actions)) < len(actions):
        wrong.append("Duplicate edit actions are not allowed")
    if wrong:
        raise RefusedError(400, "", sentences=wrong)


# ---- refusals


def sentences(refusal: RefusedError) -> str | list[str]:
    """The message of a refusal: of an invalid request a list, but for a malformed date."""
    if refusal.sentences is not None:
        return refusal.sentences
    issues = refusal.body.get("errors")
    if issues is None:
        return str(refusal.body["message"])
    for issue in issues:
        if issue.get("format") == "datetime":
            return f"{_place(issue)} must be a date string"
    said = [sentence for issue in issues for sentence in _said(issue)]
    return list(dict.fromkeys(said))


def _place(issue: Issue) -> str:
    path = [str(step) for step in issue["path"]]
    if path and isinstance(issue["path"][-1], int):
        return f"each value in {'.'.join(path[:-1])}"
    return ".".join(path)


def _said(issue: Issue) -> list[str]:
    place, code = _place(issue), issue["code"]
    if code == "invalid_format":
        return [f"{place} must be a UUID"]
    if code == "invalid_value":
        return [f"{place} must be one of the following values: {', '.join(map(str, issue['values']))}"]
    if code == "too_small" and issue["origin"] == "array":
        return [f"{place} must contain at least {issue['minimum']} elements"]
    if code == "too_small":
        return [f"{place} must not be less than {issue['minimum']}"]
    if code == "too_big":
        return [f"{place} must not be greater than {issue['maximum']}"]
    if place == "metadata":
        return ["metadata must be valid JSON"]
    if code != "invalid_type":
        return [str(issue["message"])]
    if "datetime" in issue["message"]:
        return [f"{place} must be a Date instance", f"{place} should not be empty"]
    kind = {"boolean": "a boolean value", "string": "a string", "array": "an array", "number": "a number"}
    said = [f"{place} must be {kind.get(issue['expected'], 'an object')}"]
    if issue["message"].endswith("undefined") and issue["expected"] == "string":
        said.append(f"{place} should not be empty")
    return said


# ---- answers

_SINGLE = re.compile(r"/api/assets/[0-9a-fA-F-]{36}$")


def answered(store: Store, request: web.Request, data: Any) -> Any:
    """The answer with the fields of Immich 2."""
    path = request.path
    if path == "/api/server/version":
        return {key: data[key] for key in ("major", "minor", "patch")}
    if path == "/api/server/features":
        return {key: value for key, value in data.items() if key != "realtimeTranscoding"}
    if path == "/api/server/config":
        return {key: value for key, value in data.items() if key != "minFaces"}
    if path == "/api/server/media-types":
        return {**data, "image": [suffix for suffix in data["image"] if suffix != ".mpo"]}
    if path.endswith("/edits") and not store.dialect.edits_have_ids:
        return {**data, "edits": [{k: v for k, v in edit.items() if k != "id"} for edit in data["edits"]]}
    if path.startswith("/api/albums") and "/assets" not in path:
        contents = request.method == "POST" or (path != "/api/albums" and request.query.get("withoutAssets") != "true")
        return _albums(store, data, contents=contents)
    data = _assets(store, data)
    if _SINGLE.match(path) and "originalPath" in data:
        data["unassignedFaces"] = []
    return data


def _albums(store: Store, data: Any, *, contents: bool) -> Any:
    if isinstance(data, list):
        return [_albums(store, item, contents=contents) for item in data]
    if not isinstance(data, dict) or "albumName" not in data:
        return data
    owner = next(member["user"] for member in data["albumUsers"] if member["role"] == "owner")
    others = [member for member in data["albumUsers"] if member["role"] != "owner"]
    ids = store.albums[data["id"]].asset_ids if contents else []
    assets = [asset_json(store, store.assets[asset_id], nested=True) for asset_id in ids]
    return {
        **data,
        "ownerId": owner["id"],
        "owner": owner,
        "albumUsers": others,
        "assets": [_assets(store, asset) for asset in assets],
    }


def _assets(store: Store, data: Any) -> Any:
    """Any JSON, with the assets in it as Immich 2 shows them."""
    if isinstance(data, list):
        return [_assets(store, item) for item in data]
    if not isinstance(data, dict):
        return data
    if "originalPath" not in data or "checksum" not in data:
        return {key: _assets(store, value) for key, value in data.items()}
    asset = store.assets.get(data["id"])
    return {
        **data,
        "deviceAssetId": (asset and asset.device_asset_id) or f"{data['originalFileName']}-stand-in",
        "deviceId": (asset and asset.device_id) or "stand-in",
        "duration": _duration(data["duration"]),
        "people": [{"faces": [], **person} for person in data["people"]],
    }


def _duration(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "0:00:00.00000"
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


# ---- events

_FIRST = {"AssetUploadReadyV2": "AssetUploadReadyV1", "AssetEditReadyV2": "AssetEditReadyV1"}


def told(store: Store, event: str, arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]] | None:
    """The event of Immich 2; None where it has none."""
    if event == "on_album_update":
        return None
    if event == "on_server_version":
        return event, (_version(store),)
    if event in _FIRST:
        first, *rest = arguments
        asset = {key: value for key, value in first["asset"].items() if key != "createdAt"}
        return _FIRST[event], ({**first, "asset": asset}, *rest)
    if event in ("on_upload_success", "on_asset_update"):
        arguments = tuple({**_assets(store, argument), "unassignedFaces": []} for argument in arguments)
    return event, arguments


def _version(store: Store) -> Json:
    major, minor, patch = store.dialect.version
    text = str(store.dialect)
    return {
        "options": {},
        "loose": False,
        "includePrerelease": False,
        "raw": text,
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": [],
        "build": [],
        "version": text,
    }
