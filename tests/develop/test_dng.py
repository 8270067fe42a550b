"""What a DNG says, and LibRaw passes over: frames, gain maps, levels, JPEG XL, and where the pixels end."""

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from immich_sidecar.analysis.analysis import analyse
from immich_sidecar.develop.probe import probe
from immich_sidecar.develop.raw import LinearPixels, read_pixels
from immich_sidecar.errors import UndecodableError, UnsupportedError
from immich_sidecar.recipe.plan import DecodePlan
from tests.develop.conftest import mean_difference
from tests.photos import make

BAYER = ((0, 1), (1, 2))


@pytest.fixture(scope="module")
def picture():
    return make.sample_photo("coffee")[:196, :296]


def developed(path: Path) -> np.ndarray:
    linear = read_pixels(path, DecodePlan(demosaic="fast"))
    assert isinstance(linear, LinearPixels)
    return make.display_from_linear(linear.pixels.astype(np.float64) / 65535.0 * linear.headroom)


def rational(*values: float) -> tuple[int, ...]:
    return tuple(int(n) for value in values for n in (round(value * 10000), 10000))


def in_camera(picture: np.ndarray, matrix: np.ndarray = make.XYZ_TO_CAMERA) -> tuple[np.ndarray, np.ndarray]:
    """Light of the channels of a camera, 1.0 for a green that is saturated; and its white."""
    to_camera = matrix @ make.SRGB_TO_XYZ
    white = to_camera.sum(axis=1)
    return make.linear_from_display(picture).astype(float) @ to_camera.T / white[1], white / white[1]


def mosaic_of(light: np.ndarray, pattern) -> np.ndarray:
    pattern = np.array(pattern)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    channels = pattern[y % pattern.shape[0], x % pattern.shape[1]]
    return np.take_along_axis(light, channels[..., None], 2)[..., 0]


def codes(light: np.ndarray, black: int, white: int) -> np.ndarray:
    return np.clip(np.round(light * (white - black) + black), 0, white).astype(np.uint16)


def written(path: Path, values, tags, *, pattern=None, shape=None, **how) -> Path:
    """A DNG of a mosaic, or of some values a pixel, with the colours of the camera that `make` invents."""
    light = make.XYZ_TO_CAMERA @ make.SRGB_TO_XYZ @ np.ones(3)
    own = [
        (271, 2, 0, "Sidecar", True),
        (272, 2, 0, "Known Truth", True),
        (50706, 1, 4, bytes((1, 4, 0, 0)), True),
        (50708, 2, 0, "Sidecar Known Truth", True),
        (50721, 10, 9, rational(*make.XYZ_TO_CAMERA.ravel()), True),
        (50728, 5, 3, rational(*(light / light[1])), True),
        (50778, 3, 1, 21, True),
    ]
    if pattern is not None:
        pattern = np.array(pattern)
        own += [(33421, 3, 2, pattern.shape, True), (33422, 1, pattern.size, bytes(map(int, pattern.ravel())), True)]
    named = {tag[0] for tag in tags}
    more = [*(tag for tag in own if tag[0] not in named), *tags]
    how |= {"shape": shape, "dtype": np.uint16} if shape is not None else {}
    with tifffile.TiffWriter(path) as writer:
        writer.write(
            values,
            photometric=34892 if pattern is None else 32803,
            **how,
            extratags=more,
            metadata=None,
            software=False,
            subfiletype=0,
        )
    return path


def levels(black: int, white: int, samples: int = 1) -> list:
    return [(50714, 3, samples, (black,) * samples, True), (50717, 3, samples, (white,) * samples, True)]


def written_in_tiles(path: Path, values, tags, encode, *, compression: int, side: int = 128, **how) -> Path:
    """A DNG whose tiles are what `encode` makes of them."""
    padding = [(0, -n % side) for n in values.shape[:2]] + [(0, 0)] * (values.ndim - 2)
    padded = np.pad(values, padding, mode="edge")
    tiles = [
        encode(np.ascontiguousarray(padded[y : y + side, x : x + side]))
        for y in range(0, values.shape[0], side)
        for x in range(0, values.shape[1], side)
    ]
    # tifffile knows another number for JPEG XL; the one of DNG is laid over it.
    written(path, iter(tiles), tags, shape=values.shape, tile=(side, side), compression=50002, **how)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags[259].overwrite(compression)
    return path


def jpeg_xl(tile: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(tile, lossless=True, numthreads=1))


# ---- frames


@pytest.mark.parametrize(
    ("origin", "size"),
    [((8, 6), (280, 184)), ((60, 40), (150, 100)), ((0, 0), (280, 196)), ((0, 0), (296, 180)), ((5, 3), (201, 101))],
)
def test_the_frame_is_the_one_that_the_file_says(tmp_path, picture, origin, size) -> None:
    tags = [(50719, 5, 2, rational(*origin), True), (50720, 5, 2, rational(*size), True)]
    bayer = make.write_dng(tmp_path / "a.dng", picture, more_tags=tags)
    light, _ = in_camera(picture)
    linear = written(tmp_path / "b.dng", codes(light, 0, 65535), [*levels(0, 65535, 3), *tags])
    (left, top), (width, height) = origin, size
    truth = picture[top : top + height, left : left + width]
    for path in (bayer, linear):
        facts = probe(path)
        assert (facts.width, facts.height) == size
        assert mean_difference(developed(path), truth) < 4.5


def test_a_crop_that_the_photographer_chose_is_the_frame(tmp_path, picture) -> None:
    def tags(width: int, height: int) -> list:
        return [
            (50719, 5, 2, rational(8, 8), True),
            (50720, 5, 2, rational(width, height), True),
            (51125, 5, 4, rational(0.1, 0.25, 0.9, 0.75), True),
        ]

    straight = make.write_dng(tmp_path / "a.dng", picture, more_tags=tags(280, 180))
    assert mean_difference(developed(straight), picture[26:170, 78:218]) < 4.5
    turned = make.write_dng(tmp_path / "b.dng", make.oriented(picture, 6), orientation=6, more_tags=tags(180, 280))
    assert (probe(turned).width, probe(turned).height) == (224, 90)


@pytest.mark.parametrize("size", [(0, 0), (400, 300), (8, 8)])
def test_a_frame_that_cannot_be_is_passed_over(tmp_path, picture, size) -> None:
    tags = [(50719, 5, 2, rational(4, 4), True), (50720, 5, 2, rational(*size), True)]
    path = make.write_dng(tmp_path / "a.dng", picture, more_tags=tags)
    assert (probe(path).width, probe(path).height) == (296, 196)


# ---- levels and colours


@pytest.mark.parametrize(("black", "white"), [(1024, 16383), (51, 255), (0, 4095)])
def test_three_values_a_pixel_are_as_bright_as_their_levels_say(tmp_path, picture, black, white) -> None:
    light, _ = in_camera(picture)
    path = written(tmp_path / "a.dng", codes(light, black, white), levels(black, white, 3))
    image = developed(path).astype(float)
    assert np.abs((image - picture).mean(axis=(0, 1))).max() < 0.7


def test_a_sensor_of_four_colours_is_not_taken_for_one_of_three(tmp_path, picture) -> None:
    # The fourth, emerald, stands where the second green is.
    matrix = np.vstack([make.XYZ_TO_CAMERA, [[0.2, 0.9, 0.1]]])
    pattern = ((0, 1), (3, 2))
    light, white = in_camera(picture, matrix)
    tags = [
        *levels(512, 16383),
        (50710, 1, 4, bytes((0, 1, 2, 3)), True),
        (50721, 10, 12, rational(*matrix.ravel()), True),
        (50728, 5, 4, rational(*white), True),
    ]
    path = written(
        tmp_path / "a.dng", codes(np.clip(mosaic_of(light, pattern), 0, 1), 512, 16383), tags, pattern=pattern
    )
    linear = read_pixels(path, DecodePlan())
    assert isinstance(linear, LinearPixels)
    assert linear.camera is None
    look = analyse(path).look
    assert look is not None
    assert look.colour_matrix is None


def test_a_sensor_whose_colours_repeat_otherwise_is_told_of(tmp_path, picture) -> None:
    quad = np.kron(np.array(BAYER), np.ones((2, 2), int))
    light, _ = in_camera(picture)
    path = written(tmp_path / "a.dng", codes(mosaic_of(light, quad), 512, 16383), levels(512, 16383), pattern=quad)
    with pytest.raises(UnsupportedError, match=r"repeat after 4 x 4 pixels\. .*camera's JPEG"):
        read_pixels(path, DecodePlan())


# ---- gain maps


def gain_map(points, *, top: int, left: int, height: int, width: int, pitch: int = 2) -> bytes:
    """The opcode GainMap for every second row and column of an area, its points spread over all of it."""
    down, right = points.shape
    data = struct.pack(">10I", top, left, height, width, 0, 1, pitch, pitch, down, right)
    data += struct.pack(">4dI", 1 / (down - 1), 1 / (right - 1), 0.0, 0.0, 1) + points.astype(">f4").tobytes()
    return struct.pack(">4I", 9, 0x01030000, 0, len(data)) + data


def spread(points, height: int, width: int) -> np.ndarray:
    """The factors between the points, at the middles of pixels."""
    rows, columns = ((np.arange(n) + 0.5) / n * (m - 1) for n, m in zip((height, width), points.shape, strict=True))
    across = np.array([np.interp(columns, np.arange(points.shape[1]), line) for line in points])
    return np.array([np.interp(rows, np.arange(points.shape[0]), line) for line in across.T]).T


def shaded(picture, stop: float = 1.0) -> tuple[np.ndarray, bytes]:
    """What a lens that darkens and tints its corners leaves of a picture on a sensor, and the list that undoes it."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[-1:1:7j, -1:1:9j]
    maps = [1 + strength * (y * y + x * x) / 2 for strength in (2.0, 1.4, 1.4, 1.1)]
    light = mosaic_of(in_camera(picture)[0], BAYER)
    for place, points in enumerate(maps):
        part = np.s_[place // 2 :: 2, place % 2 :: 2]
        light[part] = np.minimum(light[part] / spread(points, height, width)[part], stop)
    opcodes = [
        gain_map(points, top=place // 2, left=place % 2, height=height, width=width)
        for place, points in enumerate(maps)
    ]
    return light, struct.pack(">I", 4) + b"".join(opcodes)


@pytest.mark.parametrize("border", [(0, 0), (8, 6)])
def test_corners_that_a_lens_darkened_and_tinted_come_back(tmp_path, picture, border) -> None:
    light, opcodes = shaded(picture)
    top, left = border
    values = np.pad(codes(light, 512, 16383), ((top, 4), (left, 2)), constant_values=512)
    area = (50829, 4, 4, (top, left, top + picture.shape[0], left + picture.shape[1]), True)
    tags = [*levels(512, 16383), area]
    plain = written(tmp_path / "a.dng", values, tags, pattern=BAYER)
    marked = written(tmp_path / "b.dng", values, [*tags, (51009, 7, len(opcodes), opcodes, True)], pattern=BAYER)
    corner = np.s_[:40, -40:]
    assert mean_difference(developed(plain)[corner], picture[corner]) > 15
    assert mean_difference(developed(marked), picture) < 4.5
    assert np.abs((developed(marked).astype(float) - picture)[corner].mean(axis=(0, 1))).max() < 2


def test_what_a_sensor_cut_off_is_white_in_the_middle_and_in_the_corners(tmp_path) -> None:
    bright = np.full((196, 296, 3), 255, np.uint8)
    # Two stops too light for a sensor that stops a little below its white level.
    light, opcodes = shaded(bright)
    values = np.minimum(codes(light * 4, 512, 16383), 15000)
    tags = [*levels(512, 16383), (51009, 7, len(opcodes), opcodes, True)]
    image = developed(written(tmp_path / "a.dng", values, tags, pattern=BAYER))
    assert (image >= 254).all()


@pytest.mark.parametrize("damage", ["cut", "pitch", "nan"])
def test_a_damaged_gain_map_does_no_harm(tmp_path, picture, damage) -> None:
    light, opcodes = shaded(picture)
    broken = {
        "cut": opcodes[:-30],
        "pitch": opcodes.replace(struct.pack(">4I", 0, 1, 2, 2), struct.pack(">4I", 0, 1, 7, 0)),
        "nan": opcodes[:-4] + struct.pack(">f", float("nan")),
    }[damage]
    values, tags = codes(light, 512, 16383), levels(512, 16383)
    plain = written(tmp_path / "a.dng", values, tags, pattern=BAYER)
    marked = written(tmp_path / "b.dng", values, [*tags, (51009, 7, len(broken), broken, True)], pattern=BAYER)
    assert np.array_equal(developed(marked), developed(plain))


# ---- JPEG XL


@pytest.mark.parametrize("orientation", [1, 6])
def test_three_values_a_pixel_as_jpeg_xl(tmp_path, picture, orientation) -> None:
    light, _ = in_camera(make.oriented(picture, orientation))
    values, tags = codes(light, 0, 65535), [*levels(0, 65535, 3), (274, 3, 1, orientation, True)]
    plain = written(tmp_path / "a.dng", values, tags)
    path = written_in_tiles(tmp_path / "b.dng", values, tags, jpeg_xl, compression=52546)
    facts = probe(path)
    assert (facts.width, facts.height, facts.orientation, facts.model) == (296, 196, orientation, "Known Truth")
    assert np.array_equal(developed(path), developed(plain))


@pytest.mark.parametrize("fields", [1, 2])
def test_a_mosaic_as_jpeg_xl(tmp_path, picture, fields) -> None:
    values = codes(mosaic_of(in_camera(picture)[0], BAYER), 512, 16383)
    plain = written(tmp_path / "a.dng", values, levels(512, 16383), pattern=BAYER)
    rows = np.concatenate([values[i::fields] for i in range(fields)])
    stored = np.concatenate([rows[:, i::fields] for i in range(fields)], axis=1)
    tags = [*levels(512, 16383), (50975, 3, 1, fields, True), (52547, 3, 1, fields, True)]
    path = written_in_tiles(tmp_path / "b.dng", stored, tags, jpeg_xl, compression=52546, pattern=BAYER)
    assert np.array_equal(developed(path), developed(plain))


@pytest.mark.parametrize("damage", ["cut", "rubbish"])
def test_damaged_jpeg_xl_is_an_error_of_the_photo(tmp_path, picture, damage) -> None:
    values = codes(in_camera(picture)[0], 0, 65535)
    path = written_in_tiles(tmp_path / "a.dng", values, levels(0, 65535, 3), jpeg_xl, compression=52546)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) * 2 // 3 :]
    else:
        data[len(data) // 2 : len(data) // 2 + 400] = bytes(400)
    path.write_bytes(data)
    with pytest.raises(UndecodableError, match=r"a\.dng"):
        read_pixels(path, DecodePlan())


# ---- what is not there


def test_a_mosaic_of_which_whole_tiles_are_missing_is_damaged(tmp_path, picture) -> None:
    # LibRaw leaves them black and says nothing.
    values = codes(mosaic_of(in_camera(picture)[0], BAYER), 512, 16383)

    def lossless_jpeg(tile: np.ndarray) -> bytes:
        return bytes(imagecodecs.ljpeg_encode(tile, bitspersample=16))

    path = written_in_tiles(tmp_path / "a.dng", values, levels(512, 16383), lossless_jpeg, compression=7, pattern=BAYER)
    assert mean_difference(developed(path), picture) < 4.5
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        last = file.pages[0].dataoffsets[-1]
    for kept in (last - 1, last + 100):
        path.write_bytes(whole[:kept])
        with pytest.raises(UndecodableError, match="ends too early"):
            read_pixels(path, DecodePlan())


def test_pixels_that_nobody_reads_are_told_of(tmp_path, picture) -> None:
    values = codes(mosaic_of(in_camera(picture)[0], BAYER), 512, 16383)
    path = written_in_tiles(tmp_path / "a.dng", values, levels(512, 16383), jpeg_xl, compression=9, pattern=BAYER)
    with pytest.raises(UnsupportedError, match=r"GoPro.*camera's JPEG"):
        read_pixels(path, DecodePlan())


# ---- white that is not told


@pytest.mark.parametrize("lamp", [True, False])
def test_where_the_white_is_not_told_the_camera_s_picture_says_what_it_was(tmp_path, lamp) -> None:
    truth = make.scene(480, 320)
    cast = (1.6, 1.0, 0.4) if lamp else (1.0, 1.0, 1.0)
    untold = [(50728, 5, 3, (0, 1, 0, 1, 0, 1), True)]
    path = make.write_dng(tmp_path / "a.dng", truth, ev=-1, cast=cast, more_tags=untold, preview=truth)
    look = analyse(path).look
    assert look is not None
    assert look.white_balance == ("auto" if lamp else "as_shot")
