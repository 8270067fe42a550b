"""Small pictures for measuring, and a few patches at full resolution for noise and sharpness."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import raw
from immich_sidecar.develop.camera import Camera
from immich_sidecar.develop.decode import Decoded, decode, display_space
from immich_sidecar.develop.orientation import oriented
from immich_sidecar.develop.probe import FileFacts, probe
from immich_sidecar.recipe.plan import DecodePlan

Array = NDArray[Any]
Display = NDArray[np.uint8]
Linear = NDArray[np.float32]

WhiteBalance = Literal["as_shot", "auto"]

#: Luma and colour differences of each patch.
Patches = tuple[tuple[Linear, ...], tuple[Linear, ...]]

#: Side of a patch in pixels, and how many there are a side of the picture.
PATCH_EDGE, PATCH_GRID = 256, 3
#: Rows of a picture that is halved which are made at a time.
_HALVED = 64
#: Rows that are turned into sRGB at a time.
_ROWS = 256
#: Asks for camera RGB as it is.
_IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class Proxy:
    """A photo, small and upright."""

    #: sRGB-encoded, `uint8`, shape (height, width, 3). RAW: the linear picture through the plain sRGB curve.
    display: Display
    #: Linear sRGB, `float32`, 0..1, same shape. RAW: white-balanced as shot, 1.0 is sensor saturation, no
    #: curve, and colours outside sRGB lie outside 0..1; else they are clipped.
    linear: Linear
    #: Pixels of the proxy per pixel of the full picture.
    scale: float
    #: Width and height of the full picture, upright.
    full_size: tuple[int, int]
    is_raw: bool
    #: RAW: the camera's own rendering, upright, sRGB `uint8`, at its own size; it may show a little less or
    #: more than `display`. None where there is none.
    embedded: Display | None
    #: Up to nine patches of up to 256 x 256 pixels from a 3 x 3 grid, luma (Rec. 601) of the display picture,
    #: `float32`, 0..1, not oriented. RAW: from the half-size picture (see `patch_scale`).
    detail_patches: tuple[NDArray[np.float32], ...]
    #: The same patches' colour differences Cb, Cr, `float32`, shape (h, w, 2), 0 is neutral.
    chroma_patches: tuple[NDArray[np.float32], ...]
    #: Pixels of a patch per pixel of the full picture: 1, or 0.5 for RAW.
    patch_scale: float
    #: RAW: what is known of the camera's colours.
    camera: Camera | None = None
    #: RAW: where the white balance comes from, as the `decode` step names it.
    white_balance: WhiteBalance = "as_shot"


def load_proxy(
    path: Path,
    *,
    max_edge: int = 1024,
    facts: FileFacts | None = None,
    decoded: Decoded | None = None,
    halves: Array | None = None,
    patches: Patches | None = None,
) -> Proxy:
    """Decode a photo small, with patches at full resolution.

    `decoded` is the whole picture where it has been decoded already, `halves` what `halved` makes of its pixels
    for an edge of at least `max_edge`, and `patches` what `patches_of` makes of it; all stay as they are, and are of
    no use for RAW. Where both of the latter are given, of the former an outline is enough.

    Raises what `probe` and `decode` raise.
    """
    facts = facts or probe(path)
    if facts.is_raw:
        return _raw_proxy(path, facts, max_edge)
    full = decode(path, facts) if decoded is None else decoded
    patches = patches or patches_of(full)
    small = oriented(shrunk(full.pixels, max_edge, halves=halves), full.orientation)
    # What is in sRGB is a display picture already.
    display = small if small.dtype == np.uint8 and full.space.is_srgb else None
    return _proxy(facts, _linear(full, small), patches, display=display)


def patches_of(decoded: Decoded) -> Patches:
    """What `Proxy.detail_patches` and `Proxy.chroma_patches` are, of a decoded picture that is no RAW."""
    return _patches([in_srgb(decoded, patch) for patch in _cut(decoded.pixels)])


def outline_of(decoded: Decoded) -> Decoded:
    """A decoded picture without its pixels: others of the same shape that take no memory."""
    nothing: Any = np.broadcast_to(decoded.pixels.dtype.type(0), decoded.pixels.shape)
    return replace(decoded, pixels=nothing)


def _raw_proxy(path: Path, facts: FileFacts, max_edge: int) -> Proxy:
    # A picture at least as large as LibRaw's half size, which is what "at least 1" asks for.
    half = decode(path, facts, decode_plan=DecodePlan(colour_matrix=_IDENTITY), at_least=1)
    if half.camera is None:
        # More than three colours, or none that are known: LibRaw makes the best of them.
        half = decode(path, facts, decode_plan=DecodePlan(), at_least=1)
    embedded = raw.embedded_preview(path, at_least=max_edge)
    white_balance: WhiteBalance = "as_shot"
    if half.camera is not None and half.camera.as_shot is None and embedded is not None:
        # The file does not say what the camera took for white: the nearer of daylight and a grey world is taken.
        other = decode(path, facts, decode_plan=DecodePlan("auto", colour_matrix=_IDENTITY), at_least=1)
        if _colour_distance(other, embedded) < _colour_distance(half, embedded):
            half, white_balance = other, "auto"
    to_srgb = np.eye(3) if half.camera is None else half.camera.to_srgb
    patches = _patches([_encode(_codes(_as_srgb(patch, to_srgb))) for patch in _cut(half.pixels)])
    scale = max(half.pixels.shape[:2]) / max(half.full_size)
    linear = oriented(_as_srgb(shrunk(half.pixels, max_edge), to_srgb), half.orientation)
    return _proxy(
        facts, linear, patches, patch_scale=scale, embedded=embedded, camera=half.camera, white_balance=white_balance
    )


def _colour_distance(decoded: Decoded, shown: Display) -> float:
    """How far the mean colours of camera RGB and of the camera's own picture are apart, in stops."""
    to_srgb = np.eye(3) if decoded.camera is None else decoded.camera.to_srgb
    scene = np.maximum(to_srgb @ decoded.pixels[::4, ::4].reshape(-1, 3).mean(axis=0), 1.0)
    light = ((np.arange(256) / 255.0) ** 2.2)[shown[::4, ::4].reshape(-1, 3)].mean(axis=0) + 1e-6
    apart = np.log2(scene / scene[1]) - np.log2(light / light[1])
    return float(np.hypot(apart[0], apart[2]))


def _as_srgb(pixels: Array, to_srgb: NDArray[np.float64]) -> Linear:
    """Camera RGB as `uint16` to linear sRGB; colours outside it lie outside 0..1."""
    matrix = (to_srgb.T / 65535.0).astype(np.float32)
    linear: Linear = (pixels.reshape(-1, 3).astype(np.float32) @ matrix).reshape(pixels.shape)
    return linear


def _codes(linear: Linear) -> NDArray[np.uint16]:
    return np.clip(np.round(linear * 65535.0), 0, 65535).astype(np.uint16)


def _proxy(
    facts: FileFacts,
    linear: Linear,
    patches: Patches,
    *,
    display: Display | None = None,
    patch_scale: float = 1.0,
    embedded: Display | None = None,
    camera: Camera | None = None,
    white_balance: WhiteBalance = "as_shot",
) -> Proxy:
    return Proxy(
        display=_encode(_codes(linear)) if display is None else display,
        linear=linear,
        scale=max(linear.shape[:2]) / max(facts.width, facts.height),
        full_size=(facts.width, facts.height),
        is_raw=facts.is_raw,
        embedded=embedded,
        detail_patches=patches[0],
        chroma_patches=patches[1],
        patch_scale=round(patch_scale, 2),
        camera=camera,
        white_balance=white_balance,
    )


def shrunk(pixels: Array, max_edge: int, *, halves: Array | None = None) -> Array:
    """Average pixels (height, width, ...) down so that the longer side is at most `max_edge`.

    `halves` is what `halved` makes of them for an edge of at least `max_edge`, where that has been done already.
    """
    from immich_sidecar.develop.averaging import averaged

    size, start = _size(pixels, max_edge), pixels if halves is None else halves
    return start if size is None else averaged(_halved(start, size), size)


def halved(pixels: Array, max_edge: int) -> Array:
    """Halve a picture as often as `shrunk` does first: what is shrunk to several sizes is halved but once."""
    size = _size(pixels, max_edge)
    return pixels if size is None else _halved(pixels, size)


def _size(pixels: Array, max_edge: int) -> tuple[int, int] | None:
    """Width and height of a picture brought to `max_edge`; None where it is that small already."""
    height, width = pixels.shape[:2]
    factor = max_edge / max(height, width)
    return None if factor >= 1.0 else (max(1, round(width * factor)), max(1, round(height * factor)))


def _halved(pixels: Array, size: tuple[int, int]) -> Array:
    """Halve a picture until less than another half brings it to a size (width, height).

    Halving is much faster than any other factor; what is odd loses its last row or column.
    """
    height, width, times = *pixels.shape[:2], 0
    while min(height // size[1], width // size[0]) >= 2:
        height, width, times = height // 2, width // 2, times + 1
    if times == 0:
        return pixels
    # Some rows at a time, so that no half of all need lie in memory where a quarter of that is asked for.
    step = _HALVED << times
    out = np.empty((height, width, *pixels.shape[2:]), pixels.dtype)
    for first in range(0, len(pixels), step):
        part = _halved_times(pixels[first : first + step], times)
        out[first >> times : (first >> times) + len(part)] = part
    return out


def _halved_times(pixels: Array, times: int) -> Array:
    import cv2

    for _ in range(times):
        height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
        if height == 0:
            return np.empty((0, width, *pixels.shape[2:]), pixels.dtype)
        pixels = cv2.resize(pixels[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return pixels


def _linear(decoded: Decoded, pixels: Array) -> Linear:
    """Code values of a decoded file to linear sRGB."""
    import cv2

    if pixels.dtype == np.uint8:
        table = np.ascontiguousarray(decoded.space.decoding(256).T[None], np.float32)
        if decoded.space.is_srgb:
            # What is clipped before lies nowhere beyond.
            return np.asarray(cv2.LUT(np.ascontiguousarray(pixels), np.clip(table, 0.0, 1.0)), np.float32)
        linear = cv2.LUT(np.ascontiguousarray(pixels), table)
    else:
        curves = decoded.space.decoding(65536)
        linear = np.stack([curves[i][pixels[..., i]] for i in range(3)], axis=-1)
    if not decoded.space.is_srgb:
        linear = linear @ decoded.space.to_srgb.T.astype(np.float32)
    clipped: Linear = np.clip(linear, 0.0, 1.0).astype(np.float32, copy=False)
    return clipped


def _encode(linear_codes: Array) -> Display:
    """Linear sRGB as `uint16` to display values."""
    encoded: Display = display_space().encoding[0][linear_codes]
    return encoded


def in_srgb(decoded: Decoded, pixels: Array) -> Array:
    """Code values of a decoded picture (not RAW) to sRGB display values, `uint8`."""
    if pixels.dtype == np.uint8 and decoded.space.is_srgb:
        return pixels
    display = np.empty(pixels.shape, np.uint8)
    for first in range(0, len(pixels), _ROWS):
        linear = _linear(decoded, pixels[first : first + _ROWS])
        display[first : first + _ROWS] = _encode(np.round(linear * 65535.0).astype(np.uint16))
    return display


def _cut(pixels: Array) -> list[Array]:
    height, width = pixels.shape[:2]
    edge_y, edge_x = min(PATCH_EDGE, height // PATCH_GRID), min(PATCH_EDGE, width // PATCH_GRID)
    if min(edge_y, edge_x) < 16:
        return [pixels]
    return [
        pixels[y : y + edge_y, x : x + edge_x]
        for y in ((2 * i + 1) * height // (2 * PATCH_GRID) - edge_y // 2 for i in range(PATCH_GRID))
        for x in ((2 * i + 1) * width // (2 * PATCH_GRID) - edge_x // 2 for i in range(PATCH_GRID))
    ]


def _patches(patches: list[Array]) -> Patches:
    """Luma and colour differences (JFIF) of display patches."""
    luma, chroma = [], []
    for patch in patches:
        rgb = patch.astype(np.float32) / np.float32(255.0)
        y: Linear = (rgb @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)
        # One plane after the other, as they are looked at.
        planes = np.empty((2, *y.shape), np.float32)
        np.divide(rgb[..., 2] - y, 1.772, out=planes[0])
        np.divide(rgb[..., 0] - y, 1.402, out=planes[1])
        luma.append(y)
        chroma.append(planes.transpose(1, 2, 0))
    return tuple(luma), tuple(chroma)
