"""What real servers sent by themselves: one sample of each event, and the webhooks; reduced from the recordings.

`python -m tests.immich_server.recorded FOLDER` makes the committed copies again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Only some tags have these.
OPTIONAL = {"parentId", "color"}
FOLDER = Path(__file__).parent / "recordings"


def reduce(complete: Path, version: str) -> None:
    """Keep a sample of each event, and the bodies of webhooks where there are any."""
    samples = json.loads((complete / "events.json").read_bytes())["samples"]
    pushed: dict[str, Any] = {"events": {name: sample["args"] for name, sample in samples.items()}, "webhooks": []}
    if (webhooks := complete / "webhook-received.json").exists():
        pushed["webhooks"] = [entry["body"] for entry in json.loads(webhooks.read_bytes())]
    text = json.dumps(pushed, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    (FOLDER / f"pushed-{version}.json").write_text(text + "\n", encoding="utf-8")


def load(version: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((FOLDER / f"pushed-{version}.json").read_bytes())
    return result


def shape_differences(recorded: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Where fields or JSON types differ; null may stand for anything."""
    if recorded is None or ours is None:
        return
    if isinstance(recorded, bool | str | int | float):
        kinds = [bool, str] if isinstance(recorded, bool | str) else [int | float]
        if not any(isinstance(recorded, kind) and isinstance(ours, kind) for kind in kinds):
            yield f"{path}: {ours!r} where Immich has {recorded!r}"
    elif type(recorded) is not type(ours):
        yield f"{path}: a {type(ours).__name__} where Immich has a {type(recorded).__name__}"
    elif isinstance(recorded, dict):
        for name in (recorded.keys() ^ ours.keys()) - OPTIONAL:
            yield f"{path}.{name}: {'missing' if name in recorded else 'not in what Immich sends'}"
        for name in recorded.keys() & ours.keys():
            yield from shape_differences(recorded[name], ours[name], f"{path}.{name}")
    elif recorded and ours:
        yield from shape_differences(recorded[0], ours[0], f"{path}[0]")
