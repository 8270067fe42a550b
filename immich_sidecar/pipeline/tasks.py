"""What workers do: functions of a module with plain arguments and plain results.

Everything heavy is imported inside, so that the service itself stays light. What is wrong with a photo or its
files is raised as an error of ours and crosses to the service as it is.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from immich_sidecar.advise.presets import Chosen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from immich_sidecar.develop.probe import FileFacts
    from immich_sidecar.develop.proxy import Proxy

#: Called with the fraction done, 0..1.
Progress = Callable[[float], None]

#: Edge of the previews and thumbnails that are made ahead, in pixels.
PREVIEW_EDGE = 1440
THUMBNAIL_EDGE = 480
#: The part of an analysis that is done when the previews of the original are written.
PREVIEWS_DONE = 0.4


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
class Closer:
    """What was measured of what models have found."""

    #: `findings.Findings` as JSON types.
    findings: dict[str, Any]
    #: The colour table that was made for the photo, in its normal form, and the points along its edges.
    table: bytes | None = None
    points: int = 0


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
    from immich_sidecar.analysis.measure import columns, tilt
    from immich_sidecar.develop import engine, preview  # noqa: F401

    cv2.setNumThreads(1)
    engine.warm()
    columns.warm()
    tilt.warm()


def analyse_file(original: str, thumbnail: str, preview: str, on_progress: Progress | None = None) -> Analysed:
    """Measure a photo, and write the previews of its original to the two given places."""
    from immich_sidecar.analysis.analysis import analyse
    from immich_sidecar.develop.preview import preview_jpeg
    from immich_sidecar.develop.probe import probe

    def tell(fraction: float) -> None:
        if on_progress is not None:
            on_progress(fraction)

    path = Path(original)
    facts = probe(path)
    # Of a RAW file the preview is the camera's own picture.
    large, proxy = (preview_jpeg(path, max_edge=PREVIEW_EDGE), None) if facts.is_raw else _made_small(path, facts)
    _write_previews(large, thumbnail, preview)
    tell(PREVIEWS_DONE)
    analysis = analyse(
        path,
        facts=facts,
        proxy=proxy,
        on_progress=lambda fraction: tell(PREVIEWS_DONE + (1 - PREVIEWS_DONE) * fraction),
    )
    return Analysed(
        analysis=analysis.model_dump(mode="json"),
        width=facts.width,
        height=facts.height,
        is_raw=facts.is_raw,
        media_type=facts.media_type,
    )


def _made_small(path: Path, facts: "FileFacts") -> "tuple[bytes, Proxy]":
    """The preview of a picture and what is measured, for which it is decoded once, and let go of then."""
    from immich_sidecar.develop.decode import decode
    from immich_sidecar.develop.preview import preview_of
    from immich_sidecar.develop.proxy import halved, load_proxy, outline_of, patches_of

    decoded = decode(path, facts)
    halves, patches = halved(decoded.pixels, PREVIEW_EDGE), patches_of(decoded)
    decoded = outline_of(decoded)
    proxy = load_proxy(path, facts=facts, decoded=decoded, halves=halves, patches=patches)
    return preview_of(decoded, halves=halves, max_edge=PREVIEW_EDGE), proxy


def look_closer(preview: str, findings: dict[str, Any], table: "NDArray[np.float32] | None") -> Closer:
    """Measure what models have found: the focus on the subject, and what a colour table does.

    Whatever goes wrong here costs these measurements alone.
    """
    from immich_sidecar.analysis.findings import Findings
    from immich_sidecar.analysis.measure.focus import measure_focus
    from immich_sidecar.analysis.models.view import View
    from immich_sidecar.analysis.tone import made_table
    from immich_sidecar.errors import PhotoError

    found = Findings.model_validate(findings)
    try:
        view = View.read(Path(preview))
        made = made_table(table, view) if table is not None else None
    except (PhotoError, OSError):
        return Closer(findings)
    tone = None if made is None else made.record
    found = found.model_copy(update={"focus": measure_focus(view.display, found.faces, found.objects), "tone": tone})
    return Closer(
        found.model_dump(mode="json"), None if made is None else made.normal_form, 0 if made is None else made.points
    )


def advise_photo(  # noqa: PLR0917  executors hand over what stands in its place
    original_hash: str,
    analysis: dict[str, Any],
    overrides: dict[str, Any],
    recipe_id: str,
    at: datetime,
    preset: Chosen | None = None,
    allowed: Collection[str] = (),
    output: str | None = None,
    taste: dict[str, Any] | None = None,
    embedding: list[float] | None = None,
) -> Advised:
    """Turn measurements into a recipe, keeping what the person had changed before.

    `preset` and `allowed` are what the rules, or the person, chose for the photo (see `advise.adviser.advise`),
    `output` is the format that all versions get (None: JPEG). `taste` is what its owner likes (see `advise.taste`), and
    `embedding` what the photo shows.
    """
    from immich_sidecar.advise.adviser import advise, recipe_for
    from immich_sidecar.advise.taste import Taste
    from immich_sidecar.analysis.analysis import Analysis

    measured, chosen = Analysis.model_validate(analysis), preset or Chosen()
    liked = None if taste is None else Taste.model_validate(taste)
    advice = advise(measured, preset=chosen, allowed=allowed, taste=liked, embedding=embedding)
    recipe = recipe_for(
        original_hash,
        advice,
        measured,
        overrides=overrides,
        at=at,
        recipe_id=recipe_id,
        preset=chosen,
        output=output,
    )
    return Advised(recipe.to_json(), None if overrides else advice.left_alone)


@dataclass(frozen=True)
class PreviewAdvice:
    """What would be done to a photo, as far as a preview tells."""

    #: Suggestions that would be applied: `operation`, `parameters`, `confidence`, `reason`.
    steps: tuple[dict[str, Any], ...]
    #: Why it would be left alone, or None.
    left_alone: str | None


def judge_preview(
    path: str, preset: Chosen | None, allowed: Collection[str], is_raw: bool, from_camera: bool
) -> PreviewAdvice:
    """Judge Immich's preview of a photo as if it were the photo; noise and grain do not show in it.

    `is_raw` and `from_camera` are about the photo itself: its preview says neither.
    """
    from immich_sidecar.advise.adviser import advise
    from immich_sidecar.analysis.analysis import analyse
    from immich_sidecar.analysis.measure.kind import Kind

    measured = analyse(Path(path))
    if from_camera and measured.kind is not Kind.DOCUMENT:
        measured = measured.model_copy(update={"kind": Kind.PHOTO})
    advice = advise(measured, preset=preset or Chosen(), allowed=allowed)
    steps = tuple(s.model_dump(mode="json") for s in advice.suggestions if s.applied and s.operation != "denoise")
    if preset is not None and preset.has_look and advice.left_alone is None:
        reason = f"“{preset.label}”, {preset.strength:.0f} %, on top of what the photo needs"
        steps += ({"operation": "look", "parameters": {}, "confidence": 1.0, "reason": reason},)
    if is_raw:
        decode = {"operation": "decode", "parameters": {}, "confidence": 1.0, "reason": "RAW is always developed"}
        return PreviewAdvice((decode, *steps), None)
    return PreviewAdvice(steps, advice.left_alone)


def render_file(  # noqa: PLR0917  executors hand over what stands in its place
    original: str,
    recipe: str,
    output: str,
    quality: int,
    luts: str | None = None,
    on_progress: Progress | None = None,
) -> Rendered:
    """Develop a photo into exactly `output`; `luts` is the folder of its owner's LUTs."""
    from immich_sidecar.develop.engine import develop
    from immich_sidecar.recipe.recipe import Recipe

    report = develop(
        Path(original),
        Recipe.from_json(recipe),
        Path(output),
        quality=quality,
        luts=() if luts is None else (Path(luts),),
        on_progress=on_progress,
    )
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
    from immich_sidecar.develop.preview import preview_jpeg

    _write_previews(preview_jpeg(Path(path), max_edge=PREVIEW_EDGE), thumbnail, preview)


def _write_previews(large: bytes, thumbnail: str, preview: str) -> None:
    from immich_sidecar.develop.preview import smaller_jpeg
    from immich_sidecar.library.files import write_atomically

    write_atomically(Path(preview), large)
    write_atomically(Path(thumbnail), smaller_jpeg(large, max_edge=THUMBNAIL_EDGE))
