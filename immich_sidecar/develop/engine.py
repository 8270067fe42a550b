"""The engine: an original and a recipe become an image.

Order: decode, geometry as one map, colour as one fused pass, parts of the picture, noise removal. Output depends on
the original, the recipe, the quality and `ENGINE_VERSION` alone, never on the clock.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import bayer, picture_memory
from immich_sidecar.develop.averaging import boxed
from immich_sidecar.develop.colour import coloured
from immich_sidecar.develop.cube import with_lut
from immich_sidecar.develop.decode import Decoded, decode, display_space
from immich_sidecar.develop.detail import denoised
from immich_sidecar.develop.encode import DEEP_FORMATS, DEFAULT_QUALITY
from immich_sidecar.develop.falloff import falloff_after, falloff_before
from immich_sidecar.develop.geometry import output_size, placed
from immich_sidecar.develop.icc import ColourSpace
from immich_sidecar.develop.local import locally
from immich_sidecar.develop.overwriting import takes_much
from immich_sidecar.develop.probe import FileFacts, probe
from immich_sidecar.develop.proxy import shrunk
from immich_sidecar.develop.sharpen import sharpened
from immich_sidecar.develop.stopwatch import timed
from immich_sidecar.develop.version_file import JPEGS, turned_file, version_file
from immich_sidecar.errors import RecipeError
from immich_sidecar.recipe.operations import HasParameters, plan
from immich_sidecar.recipe.plan import DetailPlan, Plan
from immich_sidecar.recipe.recipe import Recipe

#: Changes whenever the same recipe would give other pixels; a test holds renders to it.
ENGINE_VERSION = "9"

Progress = Callable[[float], None]
#: Rows that are worked on at a time.
_STRIP = 256


@dataclass(frozen=True, eq=False)
class Rendered:
    """A rendered picture."""

    #: `uint8` (`uint16` where it was asked for), shape (height, width, 3), in `space`.
    image: NDArray[Any]
    #: Its colour space.
    space: ColourSpace
    width: int
    height: int
    #: Facts of the original.
    facts: FileFacts
    #: Seconds of each stage: decode, geometry, colour, detail.
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def icc(self) -> bytes:
        """The profile of its colour space."""
        return self.space.profile


@dataclass(frozen=True)
class DevelopReport:
    """What `develop` wrote."""

    width: int
    height: int
    #: Bytes of the file, and digests of them in hexadecimal.
    size: int
    sha256: str
    sha1: str
    #: `ENGINE_VERSION`.
    engine: str
    #: Seconds of each stage: decode, geometry, colour, detail, encode, metadata, write.
    seconds: dict[str, float]


def render(
    path: Path,
    recipe: Recipe | Iterable[HasParameters],
    *,
    max_edge: int | None = None,
    facts: FileFacts | None = None,
    luts: Sequence[Path] = (),
    on_progress: Progress | None = None,
) -> Rendered:
    """Render a recipe, at full size or so that the longer side is at most `max_edge`.

    `luts` are the folders in which the table of a `lut` step is looked for.
    What an `output` step asks for is left to `develop`.

    Raises
    ------
    PhotoError
        What `probe` and `decode` raise.
    RecipeError
        If the recipe has a `decode` step and the original is no RAW file, its operations are invalid, or its LUT is
        in none of the folders.
    """
    facts = facts or probe(path)
    steps = with_lut(plan(recipe.operations if isinstance(recipe, Recipe) else recipe), luts)
    check_decode(steps, facts, path)
    wanted = None
    if max_edge is not None:
        size = output_size(facts.width, facts.height, steps.geometry)
        wanted = round(max(facts.width, facts.height) * min(1.0, max_edge / max(size)))
    return _rendered(path, steps, facts, at_least=wanted, max_edge=max_edge, on_progress=on_progress)


def _rendered(
    path: Path,
    steps: Plan,
    facts: FileFacts,
    *,
    at_least: int | None = None,
    max_edge: int | None = None,
    deep_formats: bool = False,
    on_progress: Progress | None = None,
) -> Rendered:
    """Render a plan; with `deep_formats` in 16 bits where the original has more than 8."""
    seconds: dict[str, float] = {}
    report = on_progress or (lambda part: None)
    with timed(seconds, "decode"):
        decoded = decode(path, facts, decode_plan=steps.decode, at_least=at_least, keep_mosaic=at_least is None)
    report(0.5)
    deep = deep_formats and (decoded.mosaic is not None or decoded.pixels.dtype == np.uint16)
    image = finish(decoded, steps, max_edge=max_edge, seconds=seconds, deep=deep, over=takes_much(decoded.pixels))
    report(0.9)
    height, width = image.shape[:2]
    return Rendered(image, decoded.space, width, height, facts, seconds)


def finish(
    decoded: Decoded,
    steps: Plan,
    *,
    max_edge: int | None = None,
    seconds: dict[str, float] | None = None,
    deep: bool = False,
    over: bool = False,
) -> NDArray[Any]:
    """Geometry, colour and detail of decoded pixels; the result is `uint8`, with `deep` `uint16`.

    A mosaic is released on the way; with `over`, the result may be written over other pixels.
    """
    seconds = {} if seconds is None else seconds
    height, width = decoded.pixels.shape[:2]
    size = (height, width) if decoded.orientation >= 5 else (width, height)
    # What is changed again keeps all of its steps until then.
    fine = deep or bool(steps.local)
    if decoded.mosaic is not None:
        # Colour makes bytes of a mosaic, a few rows at a time; moving those takes the least memory.
        with timed(seconds, "colour"):
            falloff = falloff_before(steps.falloff, decoded.orientation, size)
            image = coloured(decoded, decoded.pixels, steps, falloff=falloff, deep=fine)
            decoded.mosaic.release()
        with timed(seconds, "geometry"):
            image = placed(image, decoded.orientation, steps.geometry)
            scale, own = 1.0, True
            if max_edge is not None and max(image.shape[:2]) > max_edge:
                scale = max_edge / max(image.shape[:2])
                image = np.ascontiguousarray(shrunk(image, max_edge))
    else:
        with timed(seconds, "geometry"):
            pixels = placed(decoded.pixels, decoded.orientation, steps.geometry, over=over)
            scale = max(decoded.pixels.shape[:2]) / max(decoded.full_size)
            if max_edge is not None and max(pixels.shape[:2]) > max_edge:
                scale *= max_edge / max(pixels.shape[:2])
                pixels = np.ascontiguousarray(shrunk(pixels, max_edge))
        with timed(seconds, "colour"):
            own = over or not np.may_share_memory(pixels, decoded.pixels)
            falloff = falloff_after(steps.falloff, steps.geometry, size, (pixels.shape[1], pixels.shape[0]))
            image = coloured(decoded, pixels, steps, in_place=own, falloff=falloff, deep=fine)
    if steps.local:
        with timed(seconds, "colour"):
            image, own = locally(image, steps.local, decoded.space, steps.geometry, size, deep=deep), True
    with timed(seconds, "detail"):
        return _detailed(image, steps, scale, own or not np.may_share_memory(image, decoded.pixels))


def _detailed(image: NDArray[Any], steps: Plan, scale: float, own: bool) -> NDArray[Any]:
    """Detail is worked on in 8 bits; a picture of 16 is changed by what that changes. `own`: may be overwritten."""
    if image.dtype == np.uint16:
        return image if steps.detail == DetailPlan() else _deeply_detailed(image, steps, scale, own)
    clean = denoised(image, steps.detail, scale=scale)
    if steps.detail.sharpen and not own and np.may_share_memory(clean, image):
        clean = clean.copy()
    return sharpened(clean, steps.detail, scale=scale)


def _deeply_detailed(image: NDArray[Any], steps: Plan, scale: float, own: bool) -> NDArray[np.uint16]:
    strips = [slice(first, first + _STRIP) for first in range(0, len(image), _STRIP)]
    clean = np.empty(image.shape, np.uint8)
    for rows in strips:
        clean[rows] = _shallow(image[rows])
    clean = _detailed(clean, steps, scale, own=True)
    out = image if own else np.empty_like(image)
    for rows in strips:
        changed = image[rows] + (clean[rows].astype(np.int32) - _shallow(image[rows])) * 257
        out[rows] = np.clip(changed, 0, 65535)
    return out


def _shallow(deep: NDArray[Any]) -> NDArray[np.uint8]:
    """Code values of 16 bits in 8."""
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def check_decode(steps: Plan, facts: FileFacts, path: Path) -> None:
    """Refuse a `decode` step for a file that is a picture already."""
    if steps.decode is not None and not facts.is_raw:
        raise RecipeError(f"{path.name} is no RAW file, so its recipe cannot have a decode step.")


def develop(
    original: Path,
    recipe: Recipe,
    output: Path,
    *,
    quality: int = DEFAULT_QUALITY,
    luts: Sequence[Path] = (),
    on_progress: Progress | None = None,
) -> DevelopReport:
    """Render a recipe into the file that it asks for, with the original's metadata, at exactly `output`.

    Without an `output` step that is a JPEG (4:4:4) of `quality`. The file is complete and synced to disk when this
    returns; a name that nobody reads yet, and the rename to the final one, are the caller's. `on_progress` hears
    parts of the work, 0 to 1.

    Raises
    ------
    PhotoError, RecipeError
        What `render` raises.
    OSError
        If the output cannot be written.
    """
    report = on_progress or (lambda part: None)
    steps = with_lut(plan(recipe.operations), luts)
    facts = probe(original)
    check_decode(steps, facts, original)
    wanted = steps.output
    seconds: dict[str, float] = {}
    with timed(seconds, "encode"):
        same = turned_file(original, facts, steps)
    if same is not None:
        size = output_size(facts.width, facts.height, steps.geometry)
        return _kept(output, same, size, seconds, report)
    rendered = _rendered(
        original,
        steps,
        facts,
        max_edge=wanted.longest_edge or None,
        deep_formats=wanted.format in DEEP_FORMATS,
        on_progress=report,
    )
    seconds = dict(rendered.seconds)
    # Encoders of some formats take much memory: what was decoded is not needed any more.
    if wanted.format in JPEGS:
        picture_memory.rest()
    else:
        picture_memory.release()
    whole = version_file(original, facts, steps, rendered.image, rendered.space, quality=quality, seconds=seconds)
    size = (rendered.width, rendered.height)
    del rendered
    picture_memory.rest()
    return _kept(output, whole, size, seconds, report)


def _kept(
    output: Path, whole: bytes, size: tuple[int, int], seconds: dict[str, float], report: Progress
) -> DevelopReport:
    """Write a file and say what it is."""
    report(0.98)
    with timed(seconds, "write"):
        _write(output, whole)
    report(1.0)
    return DevelopReport(
        width=size[0],
        height=size[1],
        size=len(whole),
        sha256=hashlib.sha256(whole).hexdigest(),
        sha1=hashlib.sha1(whole, usedforsecurity=False).hexdigest(),
        engine=ENGINE_VERSION,
        seconds={name: round(value, 4) for name, value in seconds.items()},
    )


def _write(output: Path, content: bytes) -> None:
    """Write a file and sync it to disk; what could not be written whole is removed."""
    try:
        with output.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        output.unlink(missing_ok=True)
        raise


def warm() -> None:
    """Compile (or load) the kernels for every kind of pixels, so that no photo waits for them."""
    from immich_sidecar.recipe.plan import ColourPlan, GeometryPlan, LocalPlan

    steps = Plan(colour=ColourPlan(ev=0.5, shadows=10.0))
    shallow, deep = np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16, 3), np.uint16)
    bayer.warm()
    mosaic = bayer.blank("best")
    kinds = (
        Decoded(shallow, display_space(), 1, (16, 16)),
        Decoded(deep, display_space(), 1, (16, 16)),
        Decoded(deep, display_space(), 1, (16, 16), is_linear=True),
        Decoded(mosaic.values, display_space(), 1, (32, 32), is_linear=True, mosaic=mosaic),
    )
    part = LocalPlan(2, 2, (2, 2), ev=0.5, saturation=0.1)
    for to_deep in (False, True):
        for decoded in kinds:
            coloured(decoded, decoded.pixels, steps, deep=to_deep)
        locally(deep, (part,), display_space(), GeometryPlan(), (16, 16), deep=to_deep)
    for pixels in (shallow, deep):
        placed(pixels, 1, GeometryPlan(degrees=1.0))
    for picture in (shallow, deep, shallow.astype(np.float32)):
        shrunk(picture, 12)
    boxed(shallow, 4)
    _detailed(shallow, Plan(detail=DetailPlan(luma=5.0, chroma=5.0, sharpen=10.0)), 1.0, True)
