"""How the server says no: error bodies, and the checks of ids, dates and fields that come before any work."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

Issue = dict[str, Any]

UUID_PATTERN = "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12})$"
EMAIL_PATTERN = (
    r"^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$"
)
# Spelled out to the letter because the pattern is part of the answer.
DATE_PATTERN = (
    r"^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]"
    r"|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))T(?:(?:"
    r"[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|([+-](?:[01]\d|2[0-3]):[0-5]\d)))$"
)


class RefusedError(Exception):
    """An answer that is not a success: status and JSON body; `sentences` is what Immich 2 says instead."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: list[Issue] | None = None,
        *,
        sentences: list[str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.sentences = sentences
        self.body: dict[str, Any] = {"message": message}
        if errors is not None:
            self.body["errors"] = errors


def invalid(errors: list[Issue]) -> RefusedError:
    return RefusedError(400, "Validation failed", errors)


def json_type(value: Any) -> str:
    """The name that validation messages use for the type of a JSON value."""
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (str, "string"), (int | float, "number"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"


def expected(kind: str, path: list[Any], value: Any, *, missing: bool = False, words: str = "") -> Issue:
    received = "undefined" if missing else json_type(value)
    message = f"Invalid input: expected {words or kind}, received {received}"
    return {"expected": kind, "code": "invalid_type", "path": path, "message": message}


def uuid_issues(value: Any, path: list[Any]) -> list[Issue]:
    if not isinstance(value, str):
        return [expected("string", path, value)]
    if re.match(UUID_PATTERN, value):
        return []
    return [
        {
            "origin": "string",
            "code": "invalid_format",
            "format": "uuid",
            "pattern": f"/{UUID_PATTERN}/",
            "path": path,
            "message": "Invalid UUID",
        }
    ]


def check_id(value: str, name: str = "id") -> str:
    """The id of a path; ids that are not UUIDs of version 4 are refused before anything is looked up."""
    if issues := uuid_issues(value, [name]):
        raise invalid(issues)
    return value


def email_issues(value: Any, path: list[Any], *, missing: bool = False) -> list[Issue]:
    if missing or not isinstance(value, str):
        return [expected("string", path, value, missing=missing, words="email")]
    if re.match(EMAIL_PATTERN, value):
        return []
    return [
        {
            "origin": "string",
            "code": "invalid_format",
            "format": "email",
            "pattern": f"/{EMAIL_PATTERN}/",
            "path": path,
            "message": "Invalid input: expected email, received string",
        }
    ]


def date_issues(value: Any, path: list[Any], *, missing: bool = False) -> list[Issue]:
    words = "ISO 8601 datetime string"
    if missing or not isinstance(value, str):
        return [expected("string", path, value, missing=missing, words=words)]
    if re.match(DATE_PATTERN, value):
        return []
    return [
        {
            "origin": "string",
            "code": "invalid_format",
            "format": "datetime",
            "pattern": f"/{DATE_PATTERN}/",
            "path": path,
            "message": f"Invalid input: expected {words}, received string",
        }
    ]


def option_issues(value: Any, allowed: list[str], path: list[Any]) -> list[Issue]:
    if value in allowed:
        return []
    choices = "|".join(f'"{choice}"' for choice in allowed)
    return [
        {
            "code": "invalid_value",
            "values": allowed,
            "path": path,
            "message": f"Invalid option: expected one of {choices}",
        }
    ]


def too_small(path: list[Any], minimum: int) -> Issue:
    return {
        "origin": "array",
        "code": "too_small",
        "minimum": minimum,
        "inclusive": True,
        "path": path,
        "message": f"Too small: expected array to have >={minimum} items",
    }


def ids_issues(body: dict[str, Any], name: str, minimum: int = 0) -> list[Issue]:
    """Problems of a required list of UUIDs."""
    values = body.get(name)
    if not isinstance(values, list):
        return [expected("array", [name], values, missing=name not in body)]
    issues = [issue for index, value in enumerate(values) for issue in uuid_issues(value, [name, index])]
    return [too_small([name], minimum)] if len(values) < minimum else issues


def metadata_issues(items: Any) -> list[Issue]:
    """Problems of a list of `{key, value}`, whose values must be JSON objects."""
    if not isinstance(items, list):
        return [expected("array", ["items"], items, missing=items is None)]
    issues = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            issues.append(expected("object", ["items", index], item))
            continue
        for name, kind, wanted in (("key", "string", str), ("value", "record", dict)):
            if not isinstance(item.get(name), wanted):
                path = ["items", index, name]
                issues.append(expected(kind, path, item.get(name), missing=name not in item))
    return issues


def parse_date(text: str) -> datetime:
    return datetime.fromisoformat(text)
