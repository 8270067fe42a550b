"""How alike two answers are: the recorded one and ours."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

DATE_FORMS = (
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00"),
)

#: What cannot be the same: compared by type only.
BY_TYPE = {
    *("originalPath", "thumbhash", "secret", "quotaUsageInBytes"),
    *("correlationId", "avatarColor", "accessToken"),
    *("sourceCommit", "nodejs", "exiftool", "ffmpeg", "libvips"),
}
#: Not knowable from the files that stand for the recorded ones: either side may be null.
FROM_THE_FILE = {"city", "state", "country", "timeZone", "fileSizeInByte"}
#: Dates that come from the form or the file, not from the server's clock.
TOLD_DATES = {"fileCreatedAt", "fileModifiedAt", "localDateTime", "dateTimeOriginal", "modifyDate"}
#: Lists whose order is not defined in Immich, matched by id instead.
UNORDERED = {"assets", "tags", ""}


def differences(
    recorded: Any,
    ours: Any,
    *,
    checksums: Mapping[str, str],
    exact_exif: bool,
    unknown: Collection[str] = (),
    any_order: bool = False,
    path: str = "",
) -> Iterator[str]:
    """What differs between a recorded body and ours, one line each; nothing where they are alike.

    Keys and JSON types must be the same, and so must values, but for dates (compared by their form) and what
    BY_TYPE names. `checksums` maps recorded checksums to ours. EXIF values and the dates of the file are compared
    only if `exact_exif`; a name in `unknown` is not compared. With `any_order` what a search found may be in any,
    and what was found instead of something else must only look like it: Immich 2 does not order what was taken at
    the same moment, so that pages hold this or that.
    """
    name = path.rpartition(".")[2].partition("[")[0]
    rules: dict[str, Any] = {"checksums": checksums, "exact_exif": exact_exif, "unknown": unknown}
    rules["any_order"] = any_order
    in_exif = ".exifInfo." in f".{path}"
    if name in unknown:
        return
    if None in (recorded, ours) and recorded is not ours:
        loose = in_exif and (not exact_exif or name in FROM_THE_FILE)
        if not loose:
            yield f"{path}: {ours!r} where Immich has {recorded!r}"
    elif _kind(recorded) != _kind(ours):
        yield f"{path}: a {_kind(ours)} where Immich has a {_kind(recorded)}"
    elif isinstance(recorded, dict):
        for key in recorded.keys() - ours.keys():
            yield f"{path}.{key}: missing"
        for key in ours.keys() - recorded.keys():
            yield f"{path}.{key}: not in Immich's answer"
        for key in recorded.keys() & ours.keys():
            yield from differences(recorded[key], ours[key], path=f"{path}.{key}".lstrip("."), **rules)
    elif isinstance(recorded, list):
        yield from _list_differences(recorded, ours, name, path, rules)
    elif isinstance(recorded, str) and name == "checksum":
        if checksums.get(recorded) != ours:
            yield f"{path}: {ours!r}, not the checksum of the file"
    elif isinstance(recorded, str) and (form := _date_form(recorded)) is not None:
        if _date_form(ours) != form:
            yield f"{path}: {ours!r} is not written like {recorded!r}"
        elif exact_exif and name in TOLD_DATES and recorded != ours:
            yield f"{path}: {ours!r} where Immich has {recorded!r}"
    elif name not in BY_TYPE and recorded != ours:
        compared = not in_exif or (exact_exif and name not in FROM_THE_FILE)
        if compared:
            yield f"{path}: {ours!r} where Immich has {recorded!r}"


def _list_differences(
    recorded: list[Any], ours: list[Any], name: str, path: str, rules: dict[str, Any]
) -> Iterator[str]:
    if len(recorded) != len(ours):
        yield f"{path}: {len(ours)} items where Immich has {len(recorded)}"
        return
    unordered = UNORDERED | {"items"} if rules["any_order"] else UNORDERED
    if name in unordered and recorded and isinstance(recorded[0], dict) and "id" in recorded[0]:
        # The first of a stack is its primary; the rest has no order.
        if name == "assets" and recorded[0]["id"] != ours[0]["id"]:
            yield f"{path}: begins with {ours[0]['id']} where Immich has {recorded[0]['id']}"
        recorded, ours = _paired(recorded, ours)
    for index, (theirs, mine) in enumerate(zip(recorded, ours, strict=True)):
        if rules["any_order"] and isinstance(theirs, dict) and theirs.get("id") != mine.get("id"):
            if theirs.keys() != mine.keys():
                yield f"{path}[{index}]: has not the fields of Immich: {sorted(theirs.keys() ^ mine.keys())}"
            continue
        yield from differences(theirs, mine, path=f"{path}[{index}]", **rules)


def _paired(recorded: list[Any], ours: list[Any]) -> tuple[list[Any], list[Any]]:
    """Both in one order: what has one id side by side, the rest behind."""
    common = {item["id"] for item in recorded} & {item["id"] for item in ours}

    def key(item: Any) -> tuple[bool, str]:
        return item["id"] not in common, item["id"]

    return sorted(recorded, key=key), sorted(ours, key=key)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "list", dict: "object"}.get(type(value), "null")


def _date_form(text: str) -> int | None:
    for index, form in enumerate(DATE_FORMS):
        if form.fullmatch(text):
            return index
    return None


def header_differences(
    recorded: Mapping[str, str], ours: Mapping[str, str], *, original: bool, second: bool = False
) -> Iterator[str]:
    """What differs between headers; those that tell size and time only for an `original`."""
    names = ["content-type", "content-disposition", "cache-control", "accept-ranges", "location"]
    names += ["content-range"]
    if original:
        names += ["etag", "last-modified", "content-length"]
    if ("x-correlation-id" in ours) == second:
        yield f"header x-correlation-id: {ours.get('x-correlation-id', 'missing')}"
    for name in names:
        if name in recorded and recorded[name] != ours.get(name):
            yield f"header {name}: {ours.get(name)!r} where Immich has {recorded[name]!r}"
