"""What was ever asked of a real Immich, what the sidecar can ask, and the difference with its reasons.

A call is a method, a route and the names of what its body and its query may hold. What the sidecar can ask is what
`openapi/immich.yaml` declares; the stand-in sees to it that nothing else is sent (`undeclared`). What was asked of
real servers is kept in `recordings/calls.json`, made by `recorded.py` from all complete recordings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from .specs import operations, ours

if TYPE_CHECKING:
    from .server import ImmichServer

FILE = Path(__file__).parent / "recordings" / "calls.json"

#: What lies below these is the sender's own.
_FREE = {"value", "config"}
_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_AGENT = "immich-sidecar/"
_KEY = re.compile(r"/metadata/[^/]+$")

Json = dict[str, Any]


def names_in(value: Any, before: str = "") -> Iterator[str]:
    """Names of all fields in JSON, those inside others as `outer.inner`; lists do not count as a level."""
    if isinstance(value, list):
        for item in value:
            yield from names_in(item, before)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield f"{before}{name}"
            if name not in _FREE:
                yield from names_in(item, f"{before}{name}.")


# ---- what was recorded


def recorded_calls(recordings: Iterable[Json]) -> dict[str, list[str]]:
    """Method and route of complete recordings, with every name of a body field or query parameter seen there."""
    found: dict[str, set[str]] = {}
    for recording in recordings:
        request = recording.get("request")
        if not request:
            continue
        address = urlsplit(request["path"])
        names = found.setdefault(_call(request["method"], address.path), set())
        names |= {f"?{name}" for name in (request.get("query") or {})} | {f"?{n}" for n, _ in parse_qsl(address.query)}
        body = request.get("body")
        if isinstance(body, dict) and "multipart" in body:
            names |= {*body["multipart"]["fields"], *body["multipart"]["files"]}
        elif isinstance(body, dict | list) and "raw" not in body:
            names |= set(names_in(body))
    return {call: sorted(names) for call, names in sorted(found.items())}


def kept() -> dict[str, set[str]]:
    return {call: set(names) for call, names in json.loads(FILE.read_bytes()).items()}


# ---- what the sidecar can send


@cache
def declared() -> dict[str, frozenset[str]]:
    """Method and route of every operation in our document, with all that its body and query may hold."""
    document = ours()
    found = {}
    for method, path, operation in operations(document).values():
        parameters = [_resolved(document, item) for item in operation.get("parameters", [])]
        names = {f"?{item['name']}" for item in parameters if item["in"] == "query"}
        content = operation.get("requestBody", {}).get("content", {})
        for media in content.values():
            names |= set(_fields(document, media["schema"]))
        found[f"{method.upper()} {_bare(path)}"] = frozenset(names)
    return found


def _bare(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        place: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            place = place[step]
        schema = place
    return schema


def _fields(document: Json, schema: Json, before: str = "") -> Iterator[str]:
    schema = _resolved(document, schema)
    for part in (*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from _fields(document, part, before)
    if "items" in schema:
        yield from _fields(document, schema["items"], before)
    for name, inner in schema.get("properties", {}).items():
        yield f"{before}{name}"
        if name not in _FREE:
            yield from _fields(document, inner, f"{before}{name}.")


def new_ground() -> set[str]:
    """What the sidecar can send and nobody recorded: `POST /route`, or `POST /route: name`."""
    known = kept()
    found = set()
    for call, names in declared().items():
        if call not in known:
            found.add(call)
        else:
            found |= {f"{call}: {name}" for name in names - known[call]}
    return found


# ---- what was sent


def undeclared(server: ImmichServer) -> set[str]:
    """What requests of the sidecar held that its document does not declare; nothing where all is well."""
    form = declared()["POST /assets"]
    ours_only = [upload for upload in server.uploads if upload.agent.startswith(_AGENT)]
    found = {f"POST /assets: {name}" for upload in ours_only for name in upload.parts if name not in form}
    for seen in server.requests:
        if not seen.headers.get("user-agent", "").startswith(_AGENT) or not seen.path.startswith("/api/"):
            continue
        call = _call(seen.method, seen.path)
        names = {f"?{name}" for name in seen.query} | set(seen.body_names)
        if call not in declared():
            found.add(call)
        else:
            found |= {f"{call}: {name}" for name in names - declared()[call]}
    return found


def _call(method: str, path: str) -> str:
    route = _UUID.sub("{}", path.removeprefix("/api"))
    return f"{method} {_KEY.sub('/metadata/{}', route)}"
