"""The recordings of real Immich servers that are replayed, by version, kept in reduced form beside this file.

`python -m tests.immich_server.recorded FOLDER` makes them again from the complete ones, which lie in `recordings/`
(3.1.0) and `recordings-2.7.5/` of the folder: it leaves out what is not replayed and headers that say nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from . import pushed
from .recorded_calls import recorded_calls
from .unreplayed import not_replayed

FOLDER = Path(__file__).parent / "recordings"
#: Where the complete recordings of a version lie.
COMPLETE = {"3.1.0": "recordings", "2.7.5": "recordings-2.7.5"}
HEADERS = (
    *("content-type", "content-length", "content-disposition", "content-range", "accept-ranges"),
    *("cache-control", "etag", "last-modified", "location", "x-correlation-id"),
)


def names_in(folder: Path) -> list[str]:
    """Names of the complete recordings, in the order in which they were sent."""
    return [path.stem for path in _all(folder)]


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.json"))


def load(version: str = "3.1.0") -> list[dict[str, Any]]:
    """The reduced recordings of a version in order."""
    return [entry for path in sorted((FOLDER / version).glob("*.json")) for entry in json.loads(path.read_bytes())]


def _reduced(name: str, complete: dict[str, Any]) -> dict[str, Any]:
    if "request" not in complete:
        return {"name": name, **complete}
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
            "body": response.get("body"),
        },
    }


def main(folder: Path) -> None:
    for version, place in COMPLETE.items():
        pushed.reduce(folder / place, version)
        groups: dict[str, list[dict[str, Any]]] = {}
        for name in names_in(folder / place):
            if name not in not_replayed(version):
                complete = json.loads((folder / place / f"{name}.json").read_bytes())
                groups.setdefault(f"{name[0]}00", []).append(_reduced(name, complete))
        (FOLDER / version).mkdir(parents=True, exist_ok=True)
        for group, entries in groups.items():
            lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in entries)
            (FOLDER / version / f"{group}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    complete = (json.loads(path.read_bytes()) for place in COMPLETE.values() for path in _all(folder / place))
    calls = json.dumps(recorded_calls(complete), indent=1)
    (FOLDER / "calls.json").write_text(f"{calls}\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
