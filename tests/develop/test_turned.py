"""A JPEG that is only turned or mirrored keeps its very pixels."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image, ImageOps

from immich_sidecar.develop import exif_patch, gain_map, jpeg, tiff
from immich_sidecar.develop.engine import develop, render
from immich_sidecar.develop.orientation import oriented
from immich_sidecar.develop.probe import probe
from tests.photos import make, ultra


def coded(path) -> bytes:
    """Tables, scans and all of a JPEG but its application segments."""
    data = path.read_bytes()
    return jpeg.without_metadata(data[: jpeg.end_of_picture(data)])


def shown(path) -> np.ndarray:
    """As any viewer shows it."""
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


@pytest.fixture
def made(tmp_path, recipe):
    """A function that develops a file."""

    def make_version(original, **steps):
        path = tmp_path / f"version-of-{original.name}.jpg"
        report = develop(original, recipe(**steps), path)
        return path, report

    return make_version


@pytest.fixture(scope="module")
def picture():
    # No side is a multiple of a block.
    return make.shrunk(make.scene(606, 402, seed=3), 2)


def test_all_turns_of_all_orientations_keep_the_pixels(tmp_path, picture, made, recipe) -> None:
    for orientation, turns, mirror in itertools.product((1, 3, 6, 7), range(4), (False, True)):
        original = make.write_jpeg(tmp_path / "a.jpg", picture, exif=make.full_exif(orientation=orientation))
        steps = {"orientation": {"quarter_turns": turns, "mirror": mirror}}
        path, report = made(original, **steps)
        assert coded(path) == coded(original)
        wanted = render(original, recipe(**steps)).image
        assert np.abs(shown(path).astype(int) - wanted).max() <= 1, (orientation, turns, mirror)
        facts = probe(path)
        assert (facts.width, facts.height) == (report.width, report.height) == (wanted.shape[1], wanted.shape[0])
        assert path.read_bytes() != original.read_bytes()


@pytest.mark.parametrize("exif", [b"", b"without"], ids=["no EXIF", "no orientation in it"])
def test_a_word_that_was_missing_is_added(tmp_path, picture, made, exif, exiftool) -> None:
    if exif:
        block = Image.Exif()
        block[271], block[272] = "Sidecar", "Model T"
        exif = block.tobytes()
    original = make.write_jpeg(tmp_path / "a.jpg", picture, exif=exif)
    path, _ = made(original, orientation={"quarter_turns": 1})
    assert np.array_equal(shown(path), np.rot90(shown(original), -1))
    assert probe(path).make == ("Sidecar" if exif else None)


def test_what_is_said_behind_the_tables_is_said_once(tmp_path, picture, made) -> None:
    """A file whose EXIF and comment stand behind its first table, after padding."""
    plain = make.write_jpeg(tmp_path / "a.jpg", picture).read_bytes()
    exif = make.full_exif(orientation=6)
    table = plain.index(b"\xff\xdb")
    behind = table + 2 + int.from_bytes(plain[table + 2 : table + 4], "big")
    segments = b"".join(
        b"\xff\xff" + marker + (len(content) + 2).to_bytes(2, "big") + content
        for marker, content in ((b"\xe1", exif), (b"\xfe", b"told once"))
    )
    original = tmp_path / "b.jpg"
    original.write_bytes(plain[:behind] + segments + plain[behind:])
    assert probe(original).orientation == 6
    path, _ = made(original, orientation={"quarter_turns": 1})
    data = path.read_bytes()
    assert (data.count(b"Exif\0\0"), data.count(b"told once")) == (1, 1)
    assert np.array_equal(shown(path), np.rot90(shown(original), -1))


def test_progressive_grey_and_subsampled_files(tmp_path, picture, made) -> None:
    for number, options in enumerate(({"progressive": True}, {"subsampling": 2}, {"restart_marker_rows": 1})):
        original = tmp_path / f"{number}.jpg"
        Image.fromarray(picture).save(original, "JPEG", quality=90, **options)
        path, _ = made(original, orientation={"quarter_turns": 2})
        assert coded(path) == coded(original)
        assert np.array_equal(shown(path), shown(original)[::-1, ::-1])
    grey = tmp_path / "grey.jpg"
    Image.fromarray(picture[..., 1]).save(grey, "JPEG")
    path, _ = made(grey, orientation={"mirror": True})
    assert np.array_equal(shown(path), shown(grey)[:, ::-1])


def test_metadata_goes_along(tmp_path, picture, made, exiftool) -> None:
    from tests.develop.test_metadata import read, undocumented

    original = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture, orientation=6)
    path, _ = made(original, orientation={"quarter_turns": 1})
    before, after = read(exiftool, original), read(exiftool, path)
    assert undocumented(before, after) == []
    assert (after["IFD0:Orientation"], after["XMP-tiff:Orientation"]) == (3, 3)
    assert b"SIDECAR\0" + bytes(range(64)) in path.read_bytes()


def test_more_than_a_turn_is_encoded(tmp_path, picture, made) -> None:
    original = make.write_jpeg(tmp_path / "a.jpg", picture, exif=make.full_exif(orientation=6))
    for steps in (
        {"exposure": {"ev": 0.2}},
        {"crop": {"x": 0.0, "y": 0.0, "width": 0.9, "height": 1.0}},
        {"output": {}},
    ):
        path, _ = made(original, orientation={"quarter_turns": 1}, **steps)
        assert probe(path).orientation == 1
        assert coded(path) != coded(original)


def test_a_version_is_never_the_original_itself(tmp_path, picture, made) -> None:
    """Immich knows a file by its checksum and would take the two for one."""
    original = make.write_jpeg(tmp_path / "a.jpg", picture)
    once, _ = made(original)
    again, _ = made(once)
    assert coded(again) == coded(once) == coded(original)
    assert once.read_bytes() != original.read_bytes()
    assert again.read_bytes() != once.read_bytes()


def test_a_gain_map_is_turned_by_the_same_word(tmp_path, picture, made) -> None:
    gain = np.tile(np.linspace(0.0, 2.0, 80), (60, 1))
    original = ultra.write(tmp_path / "a.jpg", picture, gain)
    path, _ = made(original, orientation={"quarter_turns": 3})
    _, told = ultra.read(path)
    _, before = ultra.read_written(original)
    assert coded(path) == coded(original)
    assert np.array_equal(told.values, before.values)
    assert gain_map.find(path.read_bytes()).gains.high[0] == pytest.approx(2.0, abs=1e-3)


def test_a_cut_file_is_refused_as_ever(tmp_path, picture, made) -> None:
    from immich_sidecar.errors import UndecodableError

    original = make.write_jpeg(tmp_path / "a.jpg", picture)
    original.write_bytes(original.read_bytes()[:-2000])
    with pytest.raises(UndecodableError):
        made(original, orientation={"quarter_turns": 1})


def test_added_orientations_of_damaged_blocks_never_raise() -> None:
    random = np.random.default_rng(2)
    for _ in range(200):
        block = bytearray(make.full_exif()[6:])
        for place in random.integers(0, len(block), 12):
            block[place] = random.integers(0, 256)
        told = exif_patch.with_orientation(bytes(block[: random.integers(0, len(block))]), 6)
        tiff.read(io.BytesIO(told))


def test_oriented_agrees_with_viewers(tmp_path, picture) -> None:
    for orientation in range(1, 9):
        path = make.write_jpeg(tmp_path / "a.jpg", picture, exif=make.full_exif(orientation=orientation))
        stored = np.asarray(Image.open(path).convert("RGB"))
        assert np.array_equal(oriented(stored, orientation), shown(path))
