"""Small JPEGs for pages: sRGB, without metadata.

Two ways: straight from the original, or from a `PreviewSource`, a decoded small picture kept in a file, which
answers the sliders of a page fast.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import raw
from immich_sidecar.develop.cube import with_lut
from immich_sidecar.develop.decode import Decoded, decode, display_space
from immich_sidecar.develop.encode import jpeg_bytes
from immich_sidecar.develop.engine import check_decode, finish
from immich_sidecar.develop.geometry import output_size
from immich_sidecar.develop.orientation import oriented
from immich_sidecar.develop.probe import FileFacts, probe
from immich_sidecar.develop.proxy import in_srgb, shrunk
from immich_sidecar.errors import RecipeError, UndecodableError
from immich_sidecar.recipe.operations import HasParameters, plan
from immich_sidecar.recipe.plan import OutputPlan, Plan

#: Longer sides in pixels.
PREVIEW_EDGE, THUMBNAIL_EDGE = 1440, 480
#: A camera's embedded rendering stands for a RAW original if it has at least this part of the wanted size.
_LARGE_ENOUGH = 0.5


def preview_jpeg(
    original: Path,
    operations: Iterable[HasParameters] = (),
    *,
    max_edge: int = PREVIEW_EDGE,
    quality: int = 85,
    luts: Sequence[Path] = (),
) -> bytes:
    """A small JPEG of an original after operations.

    Without operations it is the original as it is; for a RAW file that is the camera's embedded rendering, or
    a neutral one where there is none of useful size.

    Raises
    ------
    PhotoError
        If the original cannot be decoded.
    RecipeError
        If the operations are invalid for it.
    """
    facts = probe(original)
    steps = with_lut(plan(operations), luts)
    check_decode(steps, facts, original)
    if facts.is_raw and replace(steps, output=OutputPlan()) == Plan():
        embedded = raw.embedded_preview(original, at_least=max_edge)
        if embedded is not None and max(embedded.shape[:2]) >= _LARGE_ENOUGH * max_edge:
            return _encoded(shrunk(embedded, max_edge), quality)
    decoded = _decoded(original, facts, steps, max_edge)
    return _encoded(_shown(decoded, finish(decoded, steps, max_edge=max_edge)), quality)


def preview_of(
    decoded: Decoded, *, halves: NDArray[Any] | None = None, max_edge: int = PREVIEW_EDGE, quality: int = 85
) -> bytes:
    """A small JPEG of a picture (not RAW) that has been decoded already, which stays as it is.

    `halves` is what `halved` makes of its pixels, where that has been done already.
    """
    pixels = shrunk(decoded.pixels, max_edge, halves=halves)
    return _encoded(oriented(in_srgb(decoded, pixels), decoded.orientation), quality)


def thumbnail(original: Path, operations: Iterable[HasParameters] = (), *, max_edge: int = THUMBNAIL_EDGE) -> bytes:
    """A very small JPEG of an original after operations; raises what `preview_jpeg` raises."""
    return preview_jpeg(original, operations, max_edge=max_edge, quality=80)


def smaller_jpeg(jpeg: bytes, *, max_edge: int = THUMBNAIL_EDGE, quality: int = 80) -> bytes:
    """A thumbnail out of a preview, without decoding the original again.

    Raises
    ------
    UndecodableError
        If the bytes are no JPEG.
    """
    import simplejpeg

    # Decoders shrink for nothing, but coarsely; the last bit of the way is an average.
    enough = round(1.5 * max_edge)
    try:
        height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
        scale = min(1.0, enough / max(height, width))
        pixels = simplejpeg.decode_jpeg(
            jpeg, "RGB", min_height=max(1, round(height * scale)), min_width=max(1, round(width * scale))
        )
    except ValueError as error:
        raise UndecodableError(f"A preview is damaged: {error}.") from None
    return _encoded(shrunk(pixels, max_edge), quality)


@dataclass(frozen=True, eq=False)
class PreviewSource:
    """A decoded, upright, small picture on which operations can be tried."""

    #: `uint8` sRGB, or `uint16` scene-linear sRGB for RAW; shape (height, width, 3).
    pixels: NDArray[Any]
    #: Width and height of the original, upright.
    full_size: tuple[int, int]
    is_raw: bool
    #: What 65535 stands for in linear pixels.
    headroom: float = 1.0

    @classmethod
    def of(
        cls,
        original: Path,
        operations: Iterable[HasParameters] = (),
        *,
        max_edge: int = PREVIEW_EDGE,
    ) -> "PreviewSource":
        """Decode an original. Of `operations` only what LibRaw does counts here (white balance, highlights)."""
        facts = probe(original)
        steps = plan(operations)
        check_decode(steps, facts, original)
        decoded = _decoded(original, facts, Plan(decode=steps.decode), max_edge)
        pixels = shrunk(decoded.pixels, max_edge)
        if not facts.is_raw:
            pixels = in_srgb(decoded, pixels)
        size = (facts.width, facts.height)
        return cls(oriented(pixels, decoded.orientation), size, facts.is_raw, decoded.headroom)

    def smaller(self, max_edge: int) -> "PreviewSource":
        """The same picture with a longer side of at most `max_edge`."""
        return replace(self, pixels=np.ascontiguousarray(shrunk(self.pixels, max_edge)))

    def save(self, path: Path) -> None:
        """Write it to a file that `load` reads; the picture lies in it uncompressed."""
        facts = {"full_size": self.full_size, "is_raw": self.is_raw, "headroom": self.headroom}
        with path.open("wb") as file:
            file.write(json.dumps(facts).encode() + b"\n")
            np.save(file, np.ascontiguousarray(self.pixels), allow_pickle=False)

    @classmethod
    def load(cls, path: Path) -> "PreviewSource":
        """Read what `save` wrote.

        Raises
        ------
        UndecodableError
            If the file is damaged.
        """
        try:
            with path.open("rb") as file:
                facts = json.loads(file.readline(1000))
                pixels = np.load(file, allow_pickle=False)
            width, height = facts["full_size"]
            return cls(pixels, (width, height), bool(facts["is_raw"]), float(facts["headroom"]))
        except (ValueError, KeyError, TypeError, EOFError) as error:
            raise UndecodableError(f"{path.name} is no preview source: {error}.") from None

    def jpeg(self, operations: Iterable[HasParameters], *, quality: int = 85, luts: Sequence[Path] = ()) -> bytes:
        """A JPEG of the picture after operations.

        Raises
        ------
        RecipeError
            If the operations are invalid, or `decode` is among them and the original is no RAW file.
        """
        steps = with_lut(plan(operations), luts)
        if steps.decode is not None and not self.is_raw:
            raise RecipeError("The photo is no RAW file, so its recipe cannot have a decode step.")
        decoded = Decoded(
            self.pixels,
            display_space(),
            1,
            self.full_size,
            is_linear=self.is_raw,
            headroom=self.headroom,
        )
        return _encoded(finish(decoded, steps), quality)


def _decoded(original: Path, facts: FileFacts, steps: Plan, max_edge: int) -> Decoded:
    size = output_size(facts.width, facts.height, steps.geometry)
    wanted = round(max(facts.width, facts.height) * min(1.0, max_edge / max(size)))
    return decode(original, facts, decode_plan=steps.decode, at_least=wanted)


def _shown(decoded: Decoded, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    shown: NDArray[np.uint8] = in_srgb(decoded, image)
    return shown


def _encoded(pixels: NDArray[np.uint8], quality: int) -> bytes:
    return jpeg_bytes(np.ascontiguousarray(pixels), quality=quality, subsampling="420")
