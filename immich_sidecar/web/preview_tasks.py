"""What a worker does for the pages: pictures that were evicted, and previews of changes that are not kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from immich_sidecar.develop.preview import PreviewSource


def write_picture(source: str, target: str, max_edge: int) -> None:
    """Write a small picture of a file, as it is, to `target`."""
    from immich_sidecar.develop.preview import preview_jpeg
    from immich_sidecar.library.files import write_atomically

    write_atomically(Path(target), preview_jpeg(Path(source), (), max_edge=max_edge))


def render_preview(source: str, operations: list[dict[str, Any]], max_edge: int, luts: str) -> bytes:
    """A JPEG of an original with operations (`type`, `parameters`) done to it; `luts` is the folder of LUTs."""
    from immich_sidecar.develop.preview import preview_jpeg

    return preview_jpeg(Path(source), _steps(operations), max_edge=max_edge, luts=(Path(luts),))


def try_operations(source: str, kept: str, operations: list[dict[str, Any]], max_edge: int, luts: str) -> bytes:
    """As `render_preview`, for a person who moves a slider: the decoded small picture is held in the file `kept`."""
    steps = _steps(operations)
    return _picture(source, kept, steps, max_edge).jpeg(steps, luts=(Path(luts),))


def try_look(  # noqa: PLR0917  as above
    source: str, kept: str, small: str, operations: list[dict[str, Any]], max_edge: int, small_edge: int, luts: str
) -> bytes:
    """As `try_operations`, very small: a still smaller picture is made out of that in `kept`, and held in `small`."""
    from immich_sidecar.develop.preview import PreviewSource
    from immich_sidecar.errors import UndecodableError

    steps, path = _steps(operations), Path(small)
    try:
        picture = PreviewSource.load(path)
    except (OSError, UndecodableError):
        picture = _picture(source, kept, steps, max_edge).smaller(small_edge)
        _hold(picture, path)
    return picture.jpeg(steps, luts=(Path(luts),), quality=80)


@dataclass(frozen=True)
class NormalLut:
    """A LUT that was read."""

    title: str
    points: int
    normal_form: bytes


def normalise_lut(data: bytes) -> NormalLut:
    """Read a `.cube` file, and bring it into the form in which it is kept."""
    from immich_sidecar.develop.cube import read_cube

    cube = read_cube(data)
    return NormalLut(cube.title, cube.size, cube.normal_form)


def _picture(source: str, kept: str, steps: "list[_Step]", max_edge: int) -> "PreviewSource":
    from immich_sidecar.develop.preview import PreviewSource
    from immich_sidecar.errors import UndecodableError

    path = Path(kept)
    try:
        return PreviewSource.load(path)
    except (OSError, UndecodableError):
        picture = PreviewSource.of(Path(source), steps, max_edge=max_edge)
    _hold(picture, path)
    return picture


def _hold(picture: "PreviewSource", path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arriving = path.with_name(f".{uuid4().hex}.part")
    picture.save(arriving)
    arriving.replace(path)


@dataclass(frozen=True)
class _Step:
    type: str
    parameters: dict[str, Any]


def _steps(operations: list[dict[str, Any]]) -> list[_Step]:
    return [_Step(item["type"], item["parameters"]) for item in operations]
