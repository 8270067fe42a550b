"""The engine: an original and a recipe become an image.

Order: decode, geometry as one map, colour as one fused pass, noise removal. Output depends on the original,
the recipe, the quality and `ENGINE_VERSION` alone, never on the clock.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import metadata
from immich_sidecar.develop.colour import coloured
from immich_sidecar.develop.decode import Decoded, decode
from immich_sidecar.develop.detail import denoised
from immich_sidecar.develop.encode import DEFAULT_QUALITY, jpeg_bytes
from immich_sidecar.develop.geometry import output_size, placed
from immich_sidecar.develop.probe import FileFacts, probe
from immich_sidecar.develop.proxy import shrunk
from immich_sidecar.errors import RecipeError
from immich_sidecar.recipe.operations import HasParameters, plan
from immich_sidecar.recipe.plan import Plan
from immich_sidecar.recipe.recipe import Recipe

#: Changes whenever the same recipe would give other pixels; a test holds renders to it.
ENGINE_VERSION = "1"

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Rendered:
    """A rendered picture."""

    #: `uint8`, shape (height, width, 3), in the colour space of `icc`.
    image: NDArray[np.uint8]
    #: The profile of its colour space.
    icc: bytes
    width: int
    height: int
    #: Facts of the original.
    facts: FileFacts
    #: Seconds of each stage: decode, geometry, colour, detail.
    seconds: dict[str, float] = field(default_factory=dict)


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
    on_progress: Progress | None = None,
) -> Rendered:
    """Render a recipe, at full size or so that the longer side is at most `max_edge`.

    Raises
    ------
    PhotoError
        What `probe` and `decode` raise.
    RecipeError
        If the recipe has a `decode` step and the original is no RAW file, or its operations are invalid.
    """
    facts = facts or probe(path)
    steps = plan(recipe.operations if isinstance(recipe, Recipe) else recipe)
    check_decode(steps, facts, path)
    seconds: dict[str, float] = {}
    report = on_progress or (lambda part: None)
    wanted = None
    if max_edge is not None:
        size = output_size(facts.width, facts.height, steps.geometry)
        wanted = round(max(facts.width, facts.height) * min(1.0, max_edge / max(size)))
    with timed(seconds, "decode"):
        decoded = decode(path, facts, decode_plan=steps.decode, at_least=wanted)
    report(0.5)
    image = finish(decoded, steps, max_edge=max_edge, seconds=seconds)
    report(0.9)
    height, width = image.shape[:2]
    return Rendered(image, decoded.space.profile, width, height, facts, seconds)


def finish(
    decoded: Decoded, steps: Plan, *, max_edge: int | None = None, seconds: dict[str, float] | None = None
) -> NDArray[np.uint8]:
    """Geometry, colour and detail of decoded pixels."""
    seconds = {} if seconds is None else seconds
    with timed(seconds, "geometry"):
        pixels = placed(decoded.pixels, decoded.orientation, steps.geometry)
        scale = max(decoded.pixels.shape[:2]) / max(decoded.full_size)
        if max_edge is not None and max(pixels.shape[:2]) > max_edge:
            scale *= max_edge / max(pixels.shape[:2])
            pixels = np.ascontiguousarray(shrunk(pixels, max_edge))
    with timed(seconds, "colour"):
        own = not np.may_share_memory(pixels, decoded.pixels)
        image = coloured(decoded, pixels, steps, in_place=own)
    with timed(seconds, "detail"):
        return denoised(image, steps.detail, scale=scale)


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
    on_progress: Progress | None = None,
) -> DevelopReport:
    """Render a recipe into a JPEG (4:4:4) with the original's metadata, at exactly `output`.

    The file is complete and synced to disk when this returns; a name that nobody reads yet, and the rename
    to the final one, are the caller's. `on_progress` hears parts of the work, 0 to 1.

    Raises
    ------
    PhotoError, RecipeError
        What `render` raises.
    OSError
        If the output cannot be written.
    """
    report = on_progress or (lambda part: None)
    rendered = render(original, recipe, on_progress=report)
    seconds = dict(rendered.seconds)
    with timed(seconds, "encode"):
        encoded = jpeg_bytes(rendered.image, quality=quality)
    with timed(seconds, "metadata"):
        whole = metadata.carried_over(original, rendered.image, rendered.icc, encoded)
    report(0.98)
    with timed(seconds, "write"):
        _write(output, whole)
    report(1.0)
    return DevelopReport(
        width=rendered.width,
        height=rendered.height,
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
    """Compile (or load) the kernels for both kinds of pixels, so that the first photo does not wait."""
    from immich_sidecar.develop.decode import display_space
    from immich_sidecar.recipe.plan import ColourPlan

    colour = Plan(colour=ColourPlan(ev=0.5, shadows=10.0))
    shallow, deep = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint16)
    coloured(Decoded(shallow, display_space(), 1, (8, 8)), shallow, colour)
    coloured(Decoded(deep, display_space(), 1, (8, 8)), deep, colour)


@contextmanager
def timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds of a block to a stage."""
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - started
