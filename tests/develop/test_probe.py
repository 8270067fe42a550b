"""Facts of files, by content; and files that are no photos."""

import io
import shutil
import struct
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import tifffile
from PIL import Image

from immich_sidecar.develop import tiff
from immich_sidecar.develop.containers import _bytes_of
from immich_sidecar.develop.probe import contents_of, looks_like_photo_name, probe
from immich_sidecar.errors import NotAPhotoError, UndecodableError, UnsupportedError
from tests.photos import make


@pytest.fixture(scope="module")
def picture():
    return make.sample_photo("coffee")


def test_facts_of_a_jpeg_with_everything(tmp_path, picture) -> None:
    path = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture, orientation=6)
    facts = probe(path)
    assert (facts.format, facts.media_type, facts.is_raw) == ("jpeg", "image/jpeg", False)
    assert (facts.width, facts.height, facts.orientation) == (200, 300, 6)
    assert facts.captured_at == datetime(2023, 7, 14, 18, 5, 9, 123000, timezone(timedelta(hours=2)))
    assert (facts.make, facts.model, facts.lens) == ("Sidecar", "Model T", "Known Lens 35mm f/1.8")
    assert (facts.iso, facts.software, facts.icc) == (200, "Camera firmware 1.2", "Display P3")
    assert facts.gps == pytest.approx((52.52, 13.405))
    assert (facts.has_gain_map, facts.is_motion_photo, facts.is_panorama) == (False, False, False)


@pytest.mark.parametrize(("zone", "hour"), [("UTC", 18), ("Europe/Berlin", 16), ("CET-1CEST,M3.5.0,M10.5.0/3", 16)])
def test_a_time_without_offset_is_that_of_the_system(tmp_path, picture, monkeypatch, zone, hour) -> None:
    path = make.write_jpeg(tmp_path / "a.jpg", picture, exif=make.full_exif(offset=None))
    with monkeypatch.context() as there:
        there.setenv("TZ", zone)
        time.tzset()
        found = probe(path).captured_at
    time.tzset()
    assert found == datetime(2023, 7, 14, hour, 5, 9, 123000, UTC)


@pytest.mark.parametrize("offset", [None, "-12:00"])
def test_a_year_that_no_clock_shows_is_no_time(tmp_path, picture, offset) -> None:
    exif = make.full_exif(captured="9999:12:31 23:59:59", offset=offset)
    assert probe(make.write_jpeg(tmp_path / "a.jpg", picture, exif=exif)).captured_at is None


@pytest.mark.parametrize("clock", ["    :  :     :  :  ", "0000:00:00 00:00:00", "2023:13:40 99:00:00"])
def test_a_clock_that_was_not_set_gives_no_time(tmp_path, picture, clock) -> None:
    path = make.write_jpeg(tmp_path / "a.jpg", picture, exif=make.full_exif(captured=clock))
    assert probe(path).captured_at is None


@pytest.mark.parametrize(
    ("name", "write", "expected"),
    [
        ("a.png", make.write_png, "png"),
        ("a.tif", make.write_tiff, "tiff"),
        ("a.webp", make.write_webp, "webp"),
        ("a.avif", make.write_avif, "avif"),
        ("a.heic", make.write_heic, "heic"),
        ("a.dng", make.write_dng, "raw"),
    ],
)
def test_content_decides_not_the_name(tmp_path, picture, name, write, expected) -> None:
    path = write(tmp_path / name, picture)
    copies = [Path(shutil.copy(path, tmp_path / other)) for other in ("unnamed", "b.jpg")]
    for other in (path, *copies):
        facts = probe(other)
        assert (facts.format, facts.width, facts.height) == (expected, 300, 200)
        assert facts.is_raw == (expected == "raw")


@pytest.mark.parametrize("write", [make.write_webp, make.write_avif, make.write_heic, make.write_png])
def test_exif_in_other_containers(tmp_path, picture, write) -> None:
    facts = probe(write(tmp_path / "a", picture, exif=make.full_exif()))
    assert facts.captured_at is not None
    assert facts.captured_at.hour == 18
    assert facts.lens == "Known Lens 35mm f/1.8"
    assert facts.gps == pytest.approx((52.52, 13.405))


def test_facts_of_a_raw_file(tmp_path, picture) -> None:
    facts = probe(make.write_dng(tmp_path / "a.dng", picture, orientation=8, iso=640))
    assert (facts.width, facts.height, facts.orientation) == (200, 300, 8)
    assert (facts.make, facts.model, facts.iso) == ("Sidecar", "Known Truth", 640)
    assert facts.captured_at == datetime(2024, 6, 1, 12, 30, 45, tzinfo=UTC)


def test_samsungs_trailer_tells_a_motion_photo(tmp_path, picture) -> None:
    video = b"MotionPhoto_Data" + b"\0\0\0\x18ftypmp42" + bytes(200_000)
    directory = b"SEFH" + bytes(20) + b"SEFT"
    phone = Image.Exif()
    phone[271] = "SAMSUNG"
    for name, exif, trailer, expected in (
        ("whole", b"", video + directory, True),
        ("no directory", phone.tobytes(), video, True),
        ("no video", phone.tobytes(), directory, False),
        ("nothing", phone.tobytes(), b"", False),
    ):
        file = make.write_jpeg(tmp_path / f"{name}.jpg", picture, exif=exif, trailer=trailer)
        assert probe(file).is_motion_photo == expected, name


def test_special_pictures_are_told(tmp_path, picture) -> None:
    assert probe(make.write_gain_map_jpeg(tmp_path / "g.jpg", picture)).has_gain_map
    assert probe(make.write_motion_photo(tmp_path / "m.jpg", picture)).is_motion_photo
    assert probe(make.write_panorama(tmp_path / "p.jpg", picture)).is_panorama


def _gif(path: Path) -> None:
    Image.new("P", (8, 8)).save(path, "GIF")


def _animation(path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "blue")]
    frames[0].save(path, "WEBP", save_all=True, append_images=frames[1:])


def _bytes(content: bytes):
    return lambda path: path.write_bytes(content)


FTYP = struct.pack(">I", 24) + b"ftyp"


@pytest.mark.parametrize(
    ("name", "write", "error"),
    [
        ("empty.jpg", _bytes(b""), UndecodableError),
        ("text.jpg", _bytes(b"no photo\n" * 9), UndecodableError),
        ("rubbish.cr2", _bytes(bytes(range(256)) * 20), UndecodableError),
        ("header.jpg", _bytes(b"\xff\xd8\xff\xe0\0\x10JFIF"), UndecodableError),
        ("header.png", _bytes(b"\x89PNG\r\n\x1a\n\0\0"), UndecodableError),
        ("header.heic", _bytes(FTYP + b"heic\0\0\0\0mif1heic" + bytes(40)), UndecodableError),
        ("header.tif", _bytes(b"II*\0\x08\0\0\0\0\0"), UndecodableError),
        ("notes.txt", _bytes(b"no photo\n"), NotAPhotoError),
        ("archive.zip", _bytes(b"PK\x03\x04" + bytes(60)), NotAPhotoError),
        ("clip.mp4", _bytes(FTYP + b"isom\0\0\0\0mp42avc1" + bytes(40)), NotAPhotoError),
        ("clip.jpg", _bytes(FTYP + b"isom\0\0\0\0mp42avc1" + bytes(40)), NotAPhotoError),
        ("a.gif", _gif, UnsupportedError),
        ("a.svg", _bytes(b"<?xml version='1.0'?><svg/>"), UnsupportedError),
        ("a.jxl", _bytes(b"\xff\x0a\xfa"), UndecodableError),
        ("a.psd", _bytes(b"8BPS" + bytes(60)), UnsupportedError),
        ("moving.webp", _animation, UnsupportedError),
    ],
)
def test_what_is_no_photo_is_told_apart(tmp_path, name, write, error) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(error) as caught:
        probe(path)
    assert type(caught.value) is error
    assert name in str(caught.value)


@pytest.mark.parametrize(("name", "promises"), [("A.JPG", True), ("b.cr3", True), ("c.txt", False), ("d", False)])
def test_names_that_promise_photos(name, promises) -> None:
    assert looks_like_photo_name(Path(name)) is promises


def test_facts_of_real_photos(photos) -> None:
    heic = probe(photos / "bird-house-iphone-12mp.heic")
    assert (heic.width, heic.height, heic.orientation, heic.icc) == (3024, 4032, 1, "Display P3")
    assert heic.captured_at == datetime(2020, 5, 4, 18, 44, 6, 273000, timezone(timedelta(hours=-4)))
    raw = probe(photos / "raw" / "canon-30d-landscape.cr2")
    assert (raw.is_raw, raw.iso, raw.model) == (True, 640, "Canon EOS 30D")
    assert probe(photos / "broken" / "jpeg-named.nef").format == "jpeg"
    assert probe(photos / "formats" / "motion-photo-samsung.heic").is_motion_photo
    assert probe(photos / "formats" / "ultra-hdr-gain-map.jpg").has_gain_map
    for name in ("koi-kodak-s1-16mp.jpg", "two-beers-samsung-s4.jpg", "wall-cable.heic"):
        facts = probe(photos / name)
        assert (facts.has_gain_map, facts.is_motion_photo, facts.is_panorama) == (False, False, False)
    assert probe(photos / "sea-sunset-noritsu.jpg").captured_at is None
    assert probe(photos / "flowers-orientation3-iphone5.jpg").gps == pytest.approx((47.62717, -122.33733), abs=1e-4)


@pytest.mark.parametrize("kind", [1, 7])
def test_xmp_of_a_tiff_may_be_bytes_of_either_kind(tmp_path, kind) -> None:
    """Also where Pillow does not tell it, as in damaged files."""
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">hdrgm:Version</x:xmpmeta>'
    path = tmp_path / "a.tif"
    tags = [(700, kind, len(packet), packet, True)]
    tifffile.imwrite(path, make.scene(32, 24), photometric="rgb", extratags=tags, metadata=None)
    assert contents_of(path).xmp == packet
    assert probe(path).has_gain_map
    values = tiff.read(io.BytesIO(path.read_bytes())).main.values[700]
    assert _bytes_of(values) == packet
