"""A rendered picture becomes the bytes of a file: colour space, metadata, gain map, encoding."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from immich_sidecar.develop import gain_map, jpeg, metadata, ultra_hdr
from immich_sidecar.develop.decode import decode, display_space
from immich_sidecar.develop.encode import jpeg_bytes, small_jpeg_bytes, whole_file
from immich_sidecar.develop.exif_patch import LARGEST_BLOCK
from immich_sidecar.develop.gain_map import GainMap
from immich_sidecar.develop.geometry import placed
from immich_sidecar.develop.icc import ColourSpace
from immich_sidecar.develop.orientation import combined
from immich_sidecar.develop.probe import FileFacts
from immich_sidecar.develop.profiles import in_space
from immich_sidecar.develop.stopwatch import timed
from immich_sidecar.recipe.plan import GeometryPlan, Plan

_PROFILES = {"srgb": "sRGB", "p3": "Display P3"}
#: Formats of versions that are JPEGs.
JPEGS = {"jpeg", "small"}
_SAME = b"The pixels are those of the original."


def version_file(
    original: Path,
    facts: FileFacts,
    steps: Plan,
    image: NDArray[Any],
    space: ColourSpace,
    *,
    quality: int,
    seconds: dict[str, float],
) -> bytes:
    """The file of a rendered picture, with the original's metadata.

    Parameters
    ----------
    image, space
        RGB code values (`uint8`, or `uint16` for formats that hold them) and their space.
    quality
        Of JPEGs, where the plan names none.
    seconds
        Gets those of the stages `gain map`, `colour`, `encode` and `metadata`.
    """
    wanted = steps.output
    carried = None
    if facts.keeps_gain_map and wanted.format in JPEGS:
        with timed(seconds, "gain map"):
            carried = carried_map(original, facts, steps, image, space)
    if wanted.profile != "keep":
        with timed(seconds, "colour"):
            target = display_space(_PROFILES[wanted.profile])
            image, space = in_space(image, space, target), target
    with timed(seconds, "metadata"):
        packets = metadata.packets_for(original, image, wanted)
    with timed(seconds, "encode"):
        if wanted.format not in JPEGS:
            return whole_file(image, space.profile, packets, wanted)
        make = small_jpeg_bytes if wanted.format == "small" else jpeg_bytes
        encoded = make(image, quality=wanted.quality or quality)
    with timed(seconds, "metadata"):
        if carried is None:
            return metadata.into_jpeg(encoded, packets, space.profile)
        second = ultra_hdr.second_picture(carried)
        packets = replace(packets, xmp=ultra_hdr.with_directory(packets.xmp, len(second)))
        return ultra_hdr.joined(metadata.into_jpeg(encoded, packets, space.profile), second)


def turned_file(original: Path, facts: FileFacts, steps: Plan) -> bytes | None:
    """The file of a JPEG that is turned by quarters or mirrored at most: the very pixels, and how to show them.

    None where more is asked, or where the original is no whole JPEG. Turning its coefficients would need a size in
    whole blocks; this needs none and is as exact, and every viewer turns a photo by its tag.
    """
    geometry = steps.geometry
    only = GeometryPlan(quarter_turns=geometry.quarter_turns, mirror=geometry.mirror)
    wanted = combined(facts.orientation, geometry.quarter_turns, geometry.mirror)
    if facts.format != "jpeg" or steps != Plan(geometry=only):
        return None
    data = original.read_bytes()
    end = jpeg.end_of_picture(data)
    header = jpeg.read_header(data)
    if end is None:
        return None
    stored = (facts.height, facts.width) if facts.orientation >= 5 else (facts.width, facts.height)
    packets = metadata.packets_turned(original, stored, wanted)
    if len(packets.exif) > LARGEST_BLOCK:
        return None
    first = jpeg.without_metadata(data[:end])
    if not facts.keeps_gain_map:
        whole = metadata.into_jpeg(first, packets, header.icc)
        if whole != data:
            return whole
        # Immich knows a file by its checksum, and would take this one for the original.
        return metadata.into_jpeg(first, replace(packets, comments=(*packets.comments, _SAME)), header.icc)
    found = gain_map.find(data)
    second = ultra_hdr.second_picture(replace(found, encoded=jpeg.without_metadata(found.encoded)))
    packets = replace(packets, xmp=ultra_hdr.with_directory(packets.xmp, len(second)))
    return ultra_hdr.joined(metadata.into_jpeg(first, packets, header.icc), second)


def carried_map(original: Path, facts: FileFacts, steps: Plan, image: NDArray[Any], space: ColourSpace) -> GainMap:
    """The original's gain map for a picture rendered from it, about as fine as it was."""
    import cv2

    found = gain_map.find(original.read_bytes())
    values = found.values()
    # Laid over the whole picture first, so that it goes exactly its way.
    stored = (facts.height, facts.width) if facts.orientation >= 5 else (facts.width, facts.height)
    finest = values.shape[1] / stored[0], values.shape[0] / stored[1]
    over = cv2.resize(values, stored, interpolation=cv2.INTER_LINEAR).reshape(stored[1], stored[0], -1)
    turned = placed(over, facts.orientation, steps.geometry)
    scale = min(max(finest), 1.0, max(image.shape[:2]) / max(turned.shape[:2]))
    size = (max(1, round(turned.shape[1] * scale)), max(1, round(turned.shape[0] * scale)))

    def small(pixels: NDArray[Any]) -> NDArray[Any]:
        shrunk: NDArray[Any] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        return shrunk.reshape(size[1], size[0], -1)

    decoded = decode(original, facts, at_least=max(values.shape[:2]))
    before = small(placed(decoded.pixels, decoded.orientation, steps.geometry))
    return gain_map.anew(before, small(image), gain_map.logs(small(turned), found.gains), space, found.gains)
