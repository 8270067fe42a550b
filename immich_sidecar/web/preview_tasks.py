"""What a worker does for the pages: pictures that were evicted, and previews of changes that are not kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4


def write_picture(source: str, target: str, max_edge: int) -> None:
    """Write a small picture of a file, as it is, to `target`."""
    from immich_sidecar.develop.preview import preview_jpeg
    from immich_sidecar.library.files import write_atomically

    write_atomically(Path(target), preview_jpeg(Path(source), (), max_edge=max_edge))


def render_preview(source: str, operations: list[dict[str, Any]], max_edge: int) -> bytes:
    """A JPEG of an original with operations (`type`, `parameters`) done to it."""
    from immich_sidecar.develop.preview import preview_jpeg

    return preview_jpeg(Path(source), _steps(operations), max_edge=max_edge)


def try_operations(source: str, kept: str, operations: list[dict[str, Any]], max_edge: int) -> bytes:
    """As `render_preview`, for a person who moves a slider: the decoded small picture is held in the file `kept`."""
    from immich_sidecar.develop.preview import PreviewSource
    from immich_sidecar.errors import UndecodableError

    steps, path = _steps(operations), Path(kept)
    try:
        return PreviewSource.load(path).jpeg(steps)
    except (OSError, UndecodableError):
        picture = PreviewSource.of(Path(source), steps, max_edge=max_edge)
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f".{uuid4().hex}.part")
    picture.save(arriving)
    arriving.replace(path)
    return picture.jpeg(steps)


@dataclass(frozen=True)
class _Step:
    type: str
    parameters: dict[str, Any]


def _steps(operations: list[dict[str, Any]]) -> list[_Step]:
    return [_Step(item["type"], item["parameters"]) for item in operations]
