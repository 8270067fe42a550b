"""What workers do: functions of a module with plain arguments and plain results.

Everything heavy is imported inside, so that the service itself stays light. What is wrong with a photo or its
files is raised as an error of ours and crosses to the service as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

#: Called with the fraction done, 0..1.
Progress = Callable[[float], None]

#: Edge of the previews and thumbnails that are made ahead, in pixels.
PREVIEW_EDGE = 1440
THUMBNAIL_EDGE = 480


@dataclass(frozen=True)
class Analysed:
    """What came of an analysis."""

    #: `analysis.Analysis` as JSON types.
    analysis: dict[str, Any]
    #: Oriented size in pixels.
    width: int
    height: int
    is_raw: bool
    media_type: str


@dataclass(frozen=True)
class Advised:
    """What came of asking the adviser."""

    #: The recipe as its JSON text; also where the photo is left alone, to show what was considered.
    recipe: str
    #: Why the photo is left alone, or None.
    left_alone: str | None


@dataclass(frozen=True)
class Rendered:
    """A finished file."""

    width: int
    height: int
    size: int
    sha256: str
    sha1: str
    engine: str
    #: Seconds of each stage.
    seconds: dict[str, float] = field(default_factory=dict)


def warm_up() -> None:
    """Import what the tasks need and let the kernels compile, or load from their cache."""
    import cv2

    from immich_sidecar.advise import adviser  # noqa: F401  imported for its side effect: being loaded
    from immich_sidecar.analysis import analysis  # noqa: F401
    from immich_sidecar.develop import engine, preview  # noqa: F401

    cv2.setNumThreads(1)
    engine.warm()


def analyse_file(original: str, thumbnail: str, preview: str, on_progress: Progress | None = None) -> Analysed:
    """Measure a photo, and write the previews of its original to the two given places."""
    from immich_sidecar.analysis.analysis import analyse
    from immich_sidecar.develop.probe import probe

    def tell(fraction: float) -> None:
        if on_progress is not None:
            on_progress(fraction)

    path = Path(original)
    facts = probe(path)
    _write_previews(path, thumbnail, preview)
    tell(0.4)
    analysis = analyse(path, on_progress=lambda fraction: tell(0.4 + 0.6 * fraction))
    return Analysed(
        analysis=analysis.model_dump(mode="json"),
        width=facts.width,
        height=facts.height,
        is_raw=facts.is_raw,
        media_type=facts.media_type,
    )


def advise_photo(
    original_hash: str, analysis: dict[str, Any], overrides: dict[str, Any], recipe_id: str, at: datetime
) -> Advised:
    """Turn measurements into a recipe, keeping what the person had changed before."""
    from immich_sidecar.advise.adviser import advise, recipe_for
    from immich_sidecar.analysis.analysis import Analysis

    measured = Analysis.model_validate(analysis)
    advice = advise(measured)
    recipe = recipe_for(original_hash, advice, measured, overrides=overrides, at=at, recipe_id=recipe_id)
    return Advised(recipe.to_json(), None if overrides else advice.left_alone)


def render_file(original: str, recipe: str, output: str, quality: int, on_progress: Progress | None = None) -> Rendered:
    """Develop a photo into exactly `output`."""
    from immich_sidecar.develop.engine import develop
    from immich_sidecar.recipe.recipe import Recipe

    report = develop(Path(original), Recipe.from_json(recipe), Path(output), quality=quality, on_progress=on_progress)
    return Rendered(
        report.width,
        report.height,
        report.size,
        report.sha256,
        report.sha1,
        report.engine,
        dict(report.seconds),
    )


def preview_file(path: str, thumbnail: str, preview: str) -> None:
    """Write thumbnail and preview of a finished version to the two given places."""
    _write_previews(Path(path), thumbnail, preview)


def _write_previews(path: Path, thumbnail: str, preview: str) -> None:
    from immich_sidecar.develop.preview import preview_jpeg, smaller_jpeg
    from immich_sidecar.library.files import write_atomically

    large = preview_jpeg(path, max_edge=PREVIEW_EDGE)
    write_atomically(Path(preview), large)
    write_atomically(Path(thumbnail), smaller_jpeg(large, max_edge=THUMBNAIL_EDGE))
