"""Photos with a known truth, and files of every format, written by the tests themselves.

Pictures are `uint8` arrays of shape (height, width, 3), sRGB-encoded, unless a name says `linear`
(`float32`, linear sRGB, 0..1). Everything is repeatable: the same arguments give the same picture.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Display = NDArray[np.uint8]
Linear = NDArray[np.float32]

#: Linear sRGB to CIE XYZ (D65), IEC 61966-2-1.
SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
#: CIE XYZ (D65) to the RGB of an invented camera, close to those of real ones.
XYZ_TO_CAMERA = np.array([[0.90, -0.25, -0.09], [-0.42, 1.22, 0.22], [-0.06, 0.16, 0.62]])
#: What the invented camera sees of a grey card under daylight, relative to green.
CAMERA_BLACK, CAMERA_WHITE = 512, 16383


def linear_from_display(display: NDArray[Any]) -> Linear:
    """Undo the sRGB curve; `uint8` 0..255 or `uint16` 0..65535 in, `float32` 0..1 out."""
    top = 65535.0 if display.dtype == np.uint16 else 255.0
    x = display.astype(np.float64) / top
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4).astype(np.float32)


def display_from_linear(linear: NDArray[Any]) -> Display:
    """Apply the sRGB curve and round to `uint8`; values outside 0..1 are clipped."""
    x = np.clip(linear.astype(np.float64), 0.0, 1.0)
    y = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return np.round(y * 255.0).astype(np.uint8)


def sample_photo(name: str = "astronaut", *, shrink: int = 2) -> Display:
    """A real photo that scikit-image ships, shrunk by a box filter so that it can serve as the truth.

    `name` is one of astronaut (512 x 512 before shrinking), coffee (600 x 400), chelsea (451 x 300),
    rocket (640 x 427), retina (1411 x 1411).
    """
    import skimage.data

    array = np.ascontiguousarray(getattr(skimage.data, name)()[..., :3])
    return shrunk(array, shrink)


def shrunk(display: Display, factor: int) -> Display:
    """Average blocks of `factor` x `factor` pixels in linear light; what does not fill a block is cut."""
    if factor == 1:
        return display
    height, width = (n - n % factor for n in display.shape[:2])
    linear = linear_from_display(display[:height, :width])
    blocks = linear.reshape(height // factor, factor, width // factor, factor, 3)
    return display_from_linear(blocks.mean(axis=(1, 3)))


def scene(width: int = 960, height: int = 640, *, seed: int = 1) -> Display:
    """An invented landscape: sky, a level horizon at 45 % of the height, textured ground, houses, posts.

    Its mean is a middle grey, it is neutral and level, and it has true black and white. Of any size.
    """
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = y / height, x / width
    horizon = 0.45
    sky = np.stack([0.25 + 0.55 * y / horizon, 0.40 + 0.42 * y / horizon, 0.75 + 0.12 * y / horizon], axis=-1)
    coarse = random.normal(0.0, 1.0, (height // 8 + 1, width // 8 + 1)).astype(np.float32)
    coarse = np.kron(coarse, np.ones((8, 8), np.float32))[:height, :width]
    ground = np.stack([0.20 + 0.03 * coarse, 0.22 + 0.035 * coarse, 0.11 + 0.02 * coarse], axis=-1)
    linear = np.where((y < horizon)[..., None], sky, ground).astype(np.float32)
    for _ in range(9):
        left, wide, tall = random.uniform(0.02, 0.9), random.uniform(0.03, 0.09), random.uniform(0.05, 0.3)
        colour = random.uniform(0.05, 0.8, 3).astype(np.float32)
        inside = (x > left) & (x < left + wide) & (y < horizon + 0.12) & (y > horizon + 0.12 - tall)
        linear[inside] = colour
        window = inside & (np.mod(x - left, wide / 3) < wide / 9) & (np.mod(y, 0.05) < 0.02)
        linear[window] = colour * 0.25
    for left in (0.13, 0.52, 0.86):
        linear[(np.abs(x - left) < 0.004) & (y > 0.2) & (y < 0.8)] = 0.004
    for i in range(6):
        patch = (x > 0.30 + 0.06 * i) & (x < 0.35 + 0.06 * i) & (y > 0.86) & (y < 0.96)
        linear[patch] = (0.0, 0.03, 0.09, 0.2, 0.5, 1.0)[i]
    grain = random.normal(0.0, 0.004, linear.shape[:2]).astype(np.float32)
    return display_from_linear(linear * (1.0 + grain[..., None]))


def degraded(
    display: Display,
    *,
    ev: float = 0.0,
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0),
    noise: float = 0.0,
    chroma_noise: float = 0.0,
    contrast: float = 1.0,
    tilt: float = 0.0,
    seed: int = 1,
) -> Display:
    """Spoil a picture by known amounts.

    In linear light: times 2^`ev`, times `cast` (R, G, B). Then in display values: `contrast` about middle
    grey, Gaussian noise of standard deviation `noise` (all channels alike) and `chroma_noise` (each channel
    by itself) in code values. `tilt` comes first and is in degrees: positive lowers the LEFT end of a level
    line (the picture is turned counterclockwise and cut to the largest rectangle inside), so that
    `straighten` by `degrees = tilt` repairs it.
    """
    out = tilted(display, tilt) if tilt else display
    linear = linear_from_display(out) * np.float32(2.0**ev) * np.asarray(cast, np.float32)
    codes = display_from_linear(linear).astype(np.float32)
    codes = (codes - 118.0) * contrast + 118.0
    if noise or chroma_noise:
        random = np.random.default_rng(seed)
        codes = codes + random.normal(0.0, 1.0, (*codes.shape[:2], 1)) * noise
        codes = codes + random.normal(0.0, 1.0, codes.shape) * chroma_noise
    return np.clip(np.round(codes), 0, 255).astype(np.uint8)


def tilted(display: Display, degrees: float) -> Display:
    """Turn a picture counterclockwise by `degrees` and cut it to the largest rectangle without corners."""
    image = Image.fromarray(display).rotate(degrees, resample=Image.Resampling.BICUBIC, expand=False)
    height, width = display.shape[:2]
    angle = abs(np.radians(degrees))
    sin, cos = np.sin(angle), np.cos(angle)
    long, short = max(width, height), min(width, height)
    if short <= 2 * sin * cos * long:
        inner = (short / 2 / sin, short / 2 / cos) if width >= height else (short / 2 / cos, short / 2 / sin)
    else:
        det = cos * cos - sin * sin
        inner = ((width * cos - height * sin) / det, (height * cos - width * sin) / det)
    w, h = int(inner[0]) - 2, int(inner[1]) - 2
    left, top = (width - w) // 2, (height - h) // 2
    return np.asarray(image.crop((left, top, left + w, top + h)))


# --- RAW ---------------------------------------------------------------------------------------------------


def camera_white() -> NDArray[np.float64]:
    """The invented camera's response to a neutral surface under D65, scaled to green = 1."""
    white: NDArray[np.float64] = XYZ_TO_CAMERA @ SRGB_TO_XYZ @ np.ones(3)
    return white / white[1]


def write_dng(
    path: Path,
    truth: Display,
    *,
    ev: float = 0.0,
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0),
    as_shot: tuple[float, float, float] = (1.0, 1.0, 1.0),
    shot: float = 0.0,
    orientation: int = 1,
    preview: Display | None = None,
    iso: int = 100,
    captured: str = "2024:06:01 12:30:45",
    seed: int = 1,
    pattern: tuple[int, int, int, int] = (0, 1, 1, 2),
    black: int | tuple[int, ...] = CAMERA_BLACK,
    black_size: tuple[int, int] = (2, 2),
    stop: int = CAMERA_WHITE,
    active: tuple[int, int, int, int] | None = None,
    even: bool = True,
    more_tags: Sequence[tuple[int, int, int, Any, bool]] = (),
    preview_icc: bytes = b"",
    preview_exif: bytes = b"",
    preview_space: int | None = None,
) -> Path:
    """Write a Bayer DNG whose faithful development is `truth` times 2^`ev` times `cast`.

    The picture goes through inverse sRGB and an inverse camera matrix, is mosaiced, gets sensor noise of
    variance shot * x + read with read = exp(2.18 ln shot + 1.20) (Brooks et al. 2019; `shot` 1e-4 to 1.2e-2,
    0 for none), and is stored as 14 bits with black 512 and white 16383. `preview` becomes an embedded JPEG
    (stored as IFD1 in the way cameras do), with a profile, EXIF or a number of its space (DNG's PreviewColorSpace)
    where they are given. Width and height are cut to even numbers, unless `even` says otherwise.

    `as_shot` is by how much the camera is wrong about red, green and blue of the light: (1.5, 1, 0.6) for daylight
    taken to be a warm lamp, which makes the picture blue.

    `pattern` has the colours of the first 2 x 2 pixels; `black` may differ for each place of a repeated rectangle of
    `black_size` (rows, columns); the sensor saturates at `stop`, which the file does not say; `active` (top, left,
    bottom, right) is the part that is meant to be seen. `more_tags` are those of TIFF: number, type, count, value,
    whether to write it once; they take the place of ours.
    """
    import tifffile

    height, width = (n - n % 2 if even else n for n in truth.shape[:2])
    to_camera = XYZ_TO_CAMERA @ SRGB_TO_XYZ
    white = to_camera @ np.ones(3)
    # Green of a white surface is the sensor's full range; a little room keeps red and blue from clipping.
    mosaic = np.empty((height, width))
    for first in range(0, height, 256):
        rows = slice(first, min(first + 256, height))
        linear = linear_from_display(truth[rows, :width]).astype(np.float64)
        camera = linear * 2.0**ev * np.asarray(cast) @ to_camera.T / white[1]
        for place, channel in enumerate(pattern):
            y, x = divmod(place, 2)
            mosaic[rows][y::2, x::2] = camera[y::2, x::2, channel]
    if shot > 0:
        read = float(np.exp(2.18 * np.log(shot) + 1.20))
        deviation = np.sqrt(np.maximum(shot * np.clip(mosaic, 0, None) + read, 0.0))
        mosaic = mosaic + np.random.default_rng(seed).normal(0.0, 1.0, mosaic.shape) * deviation
    levels = np.full((1, 1), black) if isinstance(black, int) else np.array(black).reshape(black_size)
    top, left = active[:2] if active else (0, 0)
    places = (np.arange(height)[:, None] - top) % levels.shape[0], (np.arange(width)[None] - left) % levels.shape[1]
    floor = levels[places]
    raw = np.clip(np.round(mosaic * (CAMERA_WHITE - floor) + floor), 0, stop).astype(np.uint16)
    seen = bytes(pattern[2 * ((top + y) % 2) + (left + x) % 2] for y in (0, 1) for x in (0, 1))

    def rational(values: NDArray[np.float64]) -> tuple[int, ...]:
        return tuple(int(n) for v in values.ravel() for n in (round(v * 10000), 10000))

    neutral = white / white[1] * np.asarray(as_shot)
    tags: list[tuple[int, int, int, Any, bool]] = [
        (271, 2, 0, "Sidecar", True),
        (272, 2, 0, "Known Truth", True),
        (274, 3, 1, orientation, True),
        (306, 2, 20, captured, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, seen, True),
        (50706, 1, 4, bytes((1, 4, 0, 0)), True),
        (50707, 1, 4, bytes((1, 1, 0, 0)), True),
        (50708, 2, 0, "Sidecar Known Truth", True),
        (50713, 3, 2, levels.shape, True),
        (50714, 3, levels.size, tuple(int(v) for v in levels.ravel()), True),
        (50717, 3, 1, CAMERA_WHITE, True),
        (50721, 10, 9, rational(XYZ_TO_CAMERA), True),
        (50728, 5, 3, rational(neutral), True),
        (50778, 3, 1, 21, True),
        (34855, 3, 1, iso, True),
        (36867, 2, 20, captured, True),
    ]
    if active:
        tags.append((50829, 4, 4, active, True))
    named = {tag[0] for tag in more_tags}
    tags = [*(tag for tag in tags if tag[0] not in named), *more_tags]
    with tifffile.TiffWriter(path) as writer:
        writer.write(raw, photometric=32803, extratags=tags, metadata=None, software=False, subfiletype=0)
    if preview is not None:
        _append_jpeg_preview(path, preview, preview_icc, preview_exif, preview_space)
    return path


def write_linear_dng(path: Path, truth: Display) -> Path:
    """Write a DNG of three values a pixel (LinearRaw), in linear sRGB."""
    import tifffile

    linear = np.round(linear_from_display(truth) * 65535.0).astype(np.uint16)
    to_camera = np.linalg.inv(SRGB_TO_XYZ)
    tags: list[tuple[int, int, int, Any, bool]] = [
        (271, 2, 0, "Sidecar", True),
        (272, 2, 0, "Known Truth", True),
        (50706, 1, 4, bytes((1, 4, 0, 0)), True),
        (50708, 2, 0, "Sidecar Known Truth", True),
        (50717, 3, 3, (65535, 65535, 65535), True),
        (50721, 10, 9, tuple(int(n) for v in to_camera.ravel() for n in (round(v * 10000), 10000)), True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
        (50778, 3, 1, 21, True),
    ]
    with tifffile.TiffWriter(path) as writer:
        writer.write(linear, photometric=34892, extratags=tags, metadata=None, software=False, subfiletype=0)
    return path


def random_look(seed: int) -> Callable[[Linear], Display]:
    """The way of an invented camera from scene-linear sRGB (0..1) to the picture it shows.

    A matrix near identity that keeps grey, a curve with toe and shoulder, and saturation, all drawn at random. The
    curve acts on each channel, on the luminance, or on the largest and the smallest channel, as cameras differ.
    """
    random = np.random.default_rng(seed)
    matrix = np.eye(3) + random.normal(0.0, 0.07, (3, 3))
    matrix /= matrix.sum(axis=1, keepdims=True)
    power, shoulder = random.uniform(0.95, 1.45), random.uniform(0.4, 3.0)
    saturation, kind = random.uniform(0.75, 1.35), int(random.integers(3))
    luminance = np.array([0.2126, 0.7152, 0.0722])

    def curve(x: NDArray[np.float64]) -> NDArray[np.float64]:
        bent = np.clip(x, 0.0, None) ** power
        return bent * (1.0 + shoulder) / (bent + shoulder)

    def look(linear: Linear) -> Display:
        x = np.clip(linear.astype(np.float64) @ matrix.T, 1e-9, None)
        if kind == 0:
            y = curve(x)
        elif kind == 1:
            light = x @ luminance
            y = x * (curve(light) / light)[..., None]
        else:
            high, low = x.max(axis=-1, keepdims=True), x.min(axis=-1, keepdims=True)
            y = curve(low) + (x - low) / np.maximum(high - low, 1e-9) * (curve(high) - curve(low))
        grey = (y @ luminance)[..., None]
        return display_from_linear(grey + (y - grey) * saturation)

    return look


def _append_jpeg_preview(
    path: Path, preview: Display, icc: bytes = b"", exif: bytes = b"", space: int | None = None
) -> None:
    """Add a second image directory with a JPEG-compressed preview to a little-endian TIFF of one directory."""
    buffer = io.BytesIO()
    Image.fromarray(preview).save(buffer, "JPEG", quality=95, subsampling=0, icc_profile=icc, exif=exif)
    jpeg = buffer.getvalue()
    data = bytearray(path.read_bytes())
    data += b"\0" * (len(data) % 2)
    jpeg_at = len(data)
    data += jpeg + b"\0" * (len(jpeg) % 2)
    bits_at = len(data)
    data += struct.pack("<3H", 8, 8, 8)
    directory_at = len(data)
    height, width = preview.shape[:2]
    entries = [
        (254, 4, 1, 1),
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, bits_at),
        (259, 3, 1, 7),
        (262, 3, 1, 6),
        (273, 4, 1, jpeg_at),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, len(jpeg)),
        *([] if space is None else [(50970, 4, 1, space)]),
    ]
    data += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + bytes(4)
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, directory_at)
    path.write_bytes(bytes(data))


# --- other formats -----------------------------------------------------------------------------------------


def full_exif(
    *,
    orientation: int = 1,
    captured: str = "2023:07:14 18:05:09",
    offset: str | None = "+02:00",
    gps: bool = True,
    make: str = "Sidecar",
    thumbnail: bool = False,
) -> bytes:
    """An EXIF block (starting with ``Exif\\0\\0``) with camera, lens, exposure, time, offset and GPS."""
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[305] = make, "Model T", orientation, "Camera firmware 1.2"
    exif[306], exif[315], exif[33432] = captured, "A. Photographer", "(c) A. Photographer"
    exif[282], exif[283], exif[296] = 72.0, 72.0, 2
    ifd = exif.get_ifd(0x8769)
    ifd[0x829A], ifd[0x829D], ifd[0x8827], ifd[0x9000] = 0.004, 5.6, 200, b"0232"
    ifd[0x9003] = ifd[0x9004] = captured
    if offset:
        ifd[0x9010] = ifd[0x9011] = ifd[0x9012] = offset
    ifd[0x9291] = "123"
    ifd[0x920A], ifd[0xA405], ifd[0xA434], ifd[0xA433] = 35.0, 52, "Known Lens 35mm f/1.8", "Known"
    ifd[0xA002], ifd[0xA003], ifd[0xA001] = 4000, 3000, 1
    ifd[0x9286] = b"ASCII\0\0\0a comment"
    if gps:
        place = exif.get_ifd(0x8825)
        place[1], place[2] = "N", (52.0, 31.0, 12.0)
        place[3], place[4] = "E", (13.0, 24.0, 18.0)
        place[5], place[6] = b"\0", 34.0
    return exif.tobytes()


XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmp:Rating="4" tiff:Orientation="6" exif:PixelXDimension="4000">
<dc:subject><rdf:Bag><rdf:li>lake</rdf:li><rdf:li>evening</rdf:li></rdf:Bag></dc:subject>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">By the lake</rdf:li></rdf:Alt></dc:title>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def xmp_with(attributes: str, namespaces: str) -> bytes:
    """A small XMP packet with the given attributes and namespace declarations."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {namespaces} {attributes}/></rdf:RDF></x:xmpmeta>'
    ).encode()


def write_jpeg(
    path: Path,
    image: Display,
    *,
    quality: int = 95,
    exif: bytes = b"",
    xmp: bytes = b"",
    icc: bytes | None = None,
    trailer: bytes = b"",
) -> Path:
    """Write a JPEG (4:4:4); `trailer` is laid behind its end, as cameras do."""
    buffer = io.BytesIO()
    options: dict[str, Any] = {"quality": quality, "subsampling": 0}
    options |= {"exif": exif} if exif else {}
    options |= {"xmp": xmp} if xmp else {}
    options |= {"icc_profile": icc} if icc else {}
    Image.fromarray(image).save(buffer, "JPEG", **options)
    path.write_bytes(buffer.getvalue() + trailer)
    return path


def write_jpeg_with_everything(path: Path, image: Display, *, orientation: int = 1) -> Path:
    """A JPEG with EXIF, GPS, maker note, thumbnail, XMP, IPTC, a comment and a Display P3 profile."""
    import pyexiv2

    small = Image.fromarray(image)
    small.thumbnail((160, 120))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG")
    write_jpeg(path, image, exif=full_exif(orientation=orientation), xmp=XMP, icc=display_p3_icc())
    with pyexiv2.Image(str(path)) as file:
        file.modify_iptc(
            {
                "Iptc.Application2.Keywords": ["lake", "evening"],
                "Iptc.Application2.City": "Berlin",
                "Iptc.Application2.Caption": "By the lake",
            }
        )
        file.modify_comment("made by a test")
        file.modify_exif({"Exif.Photo.MakerNote": " ".join(str(b) for b in b"SIDECAR\0" + bytes(range(64)))})
        file.modify_thumbnail(buffer.getvalue())
    return path


def write_png(path: Path, image: NDArray[Any], *, icc: bytes | None = None, exif: bytes = b"") -> Path:
    """Write a PNG of 8 or 16 bits (`uint8` or `uint16`), grey, RGB or RGBA; EXIF for 8 bits only."""
    if image.dtype == np.uint8:
        options: dict[str, Any] = ({"icc_profile": icc} if icc else {}) | ({"exif": exif} if exif else {})
        Image.fromarray(image).save(path, "PNG", **options)
        return path
    import cv2

    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    data = cv2.cvtColor(image, order[image.shape[2]]) if image.ndim == 3 else image
    path.write_bytes(cv2.imencode(".png", data)[1].tobytes())
    return path


def write_tiff(path: Path, image: NDArray[Any], *, icc: bytes | None = None, orientation: int = 1) -> Path:
    """Write a TIFF of 8 or 16 bits with make, model and time."""
    import tifffile

    tags: list[tuple[int, int, int, Any, bool]] = [
        (271, 2, 0, "Sidecar", True),
        (272, 2, 0, "Scanner", True),
        (274, 3, 1, orientation, True),
        (306, 2, 20, "2022:02:03 04:05:06", True),
    ]
    photometric = "rgb" if image.ndim == 3 else "minisblack"
    tifffile.imwrite(
        path, image, photometric=photometric, iccprofile=icc, extratags=tags, metadata=None, software=False
    )
    return path


def write_webp(path: Path, image: Display, *, exif: bytes = b"", icc: bytes | None = None) -> Path:
    """Write a lossless WebP."""
    Image.fromarray(image).save(path, "WEBP", lossless=True, exif=exif, icc_profile=icc or b"")
    return path


def write_avif(path: Path, image: Display, *, exif: bytes = b"", icc: bytes | None = None) -> Path:
    """Write an AVIF of high quality."""
    options: dict[str, Any] = ({"exif": exif} if exif else {}) | ({"icc_profile": icc} if icc else {})
    Image.fromarray(image).save(path, "AVIF", quality=95, subsampling="4:4:4", **options)
    return path


def write_heic(path: Path, image: Display, *, exif: bytes = b"", icc: bytes | None = None) -> Path:
    """Write a HEIC of high quality."""
    import pillow_heif

    height, width = image.shape[:2]
    heif = pillow_heif.from_bytes("RGB", (width, height), np.ascontiguousarray(image).tobytes())
    if exif:
        heif.info["exif"] = exif
    if icc:
        heif.info["icc_profile"] = icc
    heif.save(path, quality=95, chroma=444)
    return path


def display_p3_icc() -> bytes:
    """A Display P3 profile."""
    from immich_sidecar.develop.icc import matrix_profile

    return matrix_profile("Display P3")


def write_gain_map_jpeg(path: Path, image: Display) -> Path:
    """A JPEG that says of itself that it carries an Ultra HDR gain map, and does."""
    buffer = io.BytesIO()
    Image.fromarray(image).resize((image.shape[1] // 4, image.shape[0] // 4)).convert("L").save(buffer, "JPEG")
    xmp = xmp_with('hdrgm:Version="1.0"', 'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"')
    return write_jpeg(path, image, exif=full_exif(), xmp=xmp, trailer=buffer.getvalue())


def write_motion_photo(path: Path, image: Display) -> Path:
    """A JPEG with a (tiny, empty) MP4 laid behind it, marked as Google's cameras do."""
    video = struct.pack(">I", 24) + b"ftypmp42\0\0\0\0mp42isom" + struct.pack(">I", 16) + b"mdat" + bytes(8)
    xmp = xmp_with(
        f'GCamera:MicroVideo="1" GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="{len(video)}"',
        'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"',
    )
    return write_jpeg(path, image, exif=full_exif(), xmp=xmp, trailer=video)


def write_panorama(path: Path, image: Display) -> Path:
    """A JPEG marked as an equirectangular panorama."""
    xmp = xmp_with(
        'GPano:ProjectionType="equirectangular" GPano:UsePanoramaViewer="True"',
        'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"',
    )
    return write_jpeg(path, image, exif=full_exif(), xmp=xmp)


def oriented(display: Display, orientation: int) -> Display:
    """The pixels to store so that a viewer obeying EXIF `orientation` (1..8) shows `display`."""
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation](display)
    return np.ascontiguousarray(stored)
