"""The recordings of a real Immich 3.1.0 that are replayed, kept in reduced form beside this file.

`python -m tests.immich_server.recorded FOLDER` makes them again from the complete ones: it leaves out what is not
replayed, the tags (which the stand-in does not have) and headers that say nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .unreplayed import NOT_REPLAYED

FOLDER = Path(__file__).parent / "recordings"
HEADERS = (
    *("content-type", "content-length", "content-disposition", "content-range", "accept-ranges"),
    *("cache-control", "etag", "last-modified", "location", "x-correlation-id"),
)


def names_in(folder: Path) -> list[str]:
    """Names of the complete recordings, in the order in which they were sent."""
    return sorted(path.stem for path in folder.glob("[0-9]*.json"))


def load() -> list[dict[str, Any]]:
    """The reduced recordings in order."""
    return [entry for path in sorted(FOLDER.glob("*.json")) for entry in json.loads(path.read_bytes())]


def _reduced(name: str, complete: dict[str, Any]) -> dict[str, Any]:
    if "request" not in complete:
        return {"name": name, **_without_tags(complete)}
    request, response = complete["request"], complete["response"]
    headers = response.get("headers", {})
    return {
        "name": name,
        "request": {
            key: request[key]
            for key in ("method", "path", "query", "headers", "body")
            if request.get(key) not in (None, "")
        },
        "response": {
            "status": response["status"],
            "headers": {key: headers[key] for key in HEADERS if key in headers},
            "body": _without_tags(response.get("body")),
        },
    }


def _without_tags(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: [] if key == "tags" else _without_tags(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_tags(item) for item in value]
    return value


def main(folder: Path) -> None:
    groups: dict[str, list[dict[str, Any]]] = {}
    for name in names_in(folder):
        if name not in NOT_REPLAYED:
            complete = json.loads((folder / f"{name}.json").read_bytes())
            groups.setdefault(f"{name[0]}00", []).append(_reduced(name, complete))
    FOLDER.mkdir(exist_ok=True)
    for group, entries in groups.items():
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in entries)
        (FOLDER / f"{group}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
