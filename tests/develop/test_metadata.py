"""Metadata: what a version carries of its original, read by exiftool, a reader that is not ours."""

import fnmatch
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.develop import exif_patch, xmp_patch
from immich_sidecar.develop.engine import develop
from immich_sidecar.develop.probe import probe
from tests.photos import make

#: Rows of docs/metadata.md that name whole classes of tags in words.
IN_WORDS = [
    "*:*Offset",
    "*:*Start",
    "IFD0:BlackLevel*",
    "IFD0:WhiteLevel*",
    "IFD0:ColorMatrix*",
    "IFD0:AsShotNeutral",
    "IFD0:CalibrationIlluminant*",
    "IFD0:UniqueCameraModel",
    "System:*",
    "Composite:*",
    "ExifTool:*",
    "SourceFile",
    "File:*",
]
STRUCTURE = re.compile(r"`([A-Za-z0-9]+)`")


def documented() -> list[str]:
    """The tags that docs/metadata.md allows to differ, as patterns."""
    text = (Path(__file__).parents[2] / "docs" / "metadata.md").read_text()
    patterns = list(IN_WORDS)
    for line in text.splitlines():
        if not line.startswith("| `"):
            continue
        first = line.split("|")[1]
        named = re.findall(r"`([^`]+)`", first)
        patterns += [n if ":" in n or n == "ExifByteOrder" else f"IFD0:{n}" for n in named]
    return [p for p in patterns if p != "IFD0:*"]


def read_all(exiftool: str, paths: list[Path]) -> list[dict[str, object]]:
    command = [exiftool, "-j", "-a", "-G1", "-u", "-n", "-struct", *map(str, paths)]
    return json.loads(subprocess.run(command, capture_output=True, check=False, text=True).stdout)


def read(exiftool: str, path: Path) -> dict[str, object]:
    return read_all(exiftool, [path])[0]


def undocumented(before: dict[str, object], after: dict[str, object]) -> list[str]:
    allowed = documented()
    different = [
        f"{tag}: {before.get(tag)!r:.60} -> {after.get(tag)!r:.60}"
        for tag in before
        if before[tag] != after.get(tag) and not any(fnmatch.fnmatchcase(tag, p) for p in allowed)
    ]
    added = [tag for tag in after if tag not in before]
    return different + [f"added {t}" for t in added if not any(fnmatch.fnmatchcase(t, p) for p in allowed)]


@pytest.fixture(scope="module")
def picture():
    return make.sample_photo("coffee", shrink=1)


@pytest.fixture
def halved(tmp_path, recipe):
    """A function that develops a photo with a crop of half its size."""

    def make_version(original: Path) -> Path:
        output = tmp_path / f"version-of-{original.name}.jpg"
        develop(original, recipe(crop={"x": 0.2, "y": 0.1, "width": 0.5, "height": 0.5}), output)
        return output

    return make_version


def test_everything_of_a_jpeg_is_kept(tmp_path, picture, halved, exiftool) -> None:
    original = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture, orientation=6)
    version = halved(original)
    before, after = read(exiftool, original), read(exiftool, version)
    assert undocumented(before, after) == []
    assert (after["IFD0:Orientation"], after["XMP-tiff:Orientation"]) == (1, 1)
    assert (after["ExifIFD:ExifImageWidth"], after["ExifIFD:ExifImageHeight"]) == (200, 300)
    assert (after["File:ImageWidth"], after["File:ImageHeight"]) == (200, 300)
    assert after["XMP-dc:Subject"] == ["lake", "evening"]
    assert after["IPTC:City"] == "Berlin"
    assert after["File:Comment"] == "made by a test"
    assert after["GPS:GPSLatitude"] == pytest.approx(52.52)
    assert after["ExifIFD:OffsetTimeOriginal"] == "+02:00"
    assert after["ICC_Profile:ProfileDescription"] == "Display P3"
    for tag in ("ExifIFD:DateTimeOriginal", "ExifIFD:LensModel", "XMP-xmp:Rating", "IFD0:ModifyDate"):
        assert after[tag] == before[tag]


def test_maker_notes_are_kept_byte_for_byte(tmp_path, picture, halved) -> None:
    original = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture)
    note = b"SIDECAR\0" + bytes(range(64))
    assert note in original.read_bytes()
    assert note in halved(original).read_bytes()


def test_the_thumbnail_shows_the_version(tmp_path, picture, halved, exiftool) -> None:
    original = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture, orientation=6)
    version = halved(original)
    command = [exiftool, "-b", "-ThumbnailImage", str(version)]
    small = tmp_path / "thumbnail.jpg"
    small.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    facts = probe(small)
    assert (facts.width, facts.height) == (107, 160)


def test_no_thumbnail_or_orientation_is_invented(tmp_path, picture, halved, exiftool) -> None:
    original = make.write_jpeg(tmp_path / "a.jpg", picture)
    after = read(exiftool, halved(original))
    assert not [tag for tag in after if tag.startswith(("IFD", "ExifIFD", "XMP", "IPTC"))]
    assert after["ICC_Profile:ProfileDescription"] == "sRGB"


@pytest.mark.parametrize(
    "write", [make.write_webp, make.write_avif, make.write_heic, make.write_png], ids=lambda w: w.__name__
)
def test_exif_of_other_containers_is_kept(tmp_path, picture, halved, exiftool, write) -> None:
    original = write(tmp_path / "a", picture, exif=make.full_exif())
    before, after = read(exiftool, original), read(exiftool, halved(original))
    assert undocumented(before, after) == []
    assert after["ExifIFD:LensModel"] == "Known Lens 35mm f/1.8"
    assert after["GPS:GPSLongitude"] == pytest.approx(13.405)
    assert after["ExifIFD:OffsetTimeOriginal"] == "+02:00"


def test_a_raw_files_facts_reach_its_jpeg(tmp_path, picture, halved, exiftool) -> None:
    original = make.write_dng(tmp_path / "a.dng", picture, orientation=6)
    command = [exiftool, "-q", "-overwrite_original", "-GPSLatitude=52.5", "-GPSLatitudeRef=N"]
    command += ["-GPSLongitude=13.4", "-GPSLongitudeRef=E", "-LensModel=A lens", "-OffsetTimeOriginal=+02:00"]
    command += ["-ExifIFD:DateTimeOriginal=2024:06:01 12:30:45", "-XMP-xmp:Rating=3"]
    subprocess.run([*command, "-m", str(original)], check=True)
    version = halved(original)
    before, after = read(exiftool, original), read(exiftool, version)
    assert undocumented(before, after) == []
    assert after["IFD0:Orientation"] == 1
    assert after["ExifIFD:DateTimeOriginal"] == "2024:06:01 12:30:45"
    assert after["ExifIFD:OffsetTimeOriginal"] == "+02:00"
    assert after["ExifIFD:LensModel"] == "A lens"
    assert after["GPS:GPSLatitude"] == pytest.approx(52.5)
    assert after["XMP-xmp:Rating"] == 3
    assert after["IFD0:Model"] == "Known Truth"
    assert probe(version).captured_at == probe(original).captured_at


def test_a_tiffs_facts_reach_its_jpeg(tmp_path, picture, halved, exiftool) -> None:
    original = make.write_tiff(tmp_path / "a.tif", picture, orientation=3)
    after = read(exiftool, halved(original))
    assert (after["IFD0:Make"], after["IFD0:ModifyDate"]) == ("Sidecar", "2022:02:03 04:05:06")
    assert after.get("IFD0:Orientation", 1) == 1
    assert undocumented(read(exiftool, original), after) == []


def test_a_version_claims_no_gain_map_or_video(tmp_path, picture, halved) -> None:
    for write in (make.write_gain_map_jpeg, make.write_motion_photo):
        version = halved(write(tmp_path / "a.jpg", picture))
        facts = probe(version)
        assert (facts.has_gain_map, facts.is_motion_photo) == (False, False)
        assert b"ns.adobe.com/xap" in version.read_bytes()


def test_metadata_of_real_photos(photos, halved, exiftool) -> None:
    names = [
        *("phone-box-orientation6-nikon-d40.jpg", "tower-orientation8-canon-a85.jpg", "red-car-canon-450d-12mp.jpg"),
        *("dog-meadow-minolta-s404.jpg", "lake-samsung-s730.jpg", "two-people-indoors.jpg", "sunset-canon-g11.jpg"),
        *("cathedral-olympus-e10.jpg", "computer-screen-panasonic-lx7.jpg", "sea-poles-sony-h9.jpg"),
        *("bird-house-iphone-12mp.heic", "wall-cable.heic", "no-pets-sign-exif-at-eof.heic"),
        *("formats/motion-photo-samsung.heic", "formats/denali.webp", "formats/rated-mongolels.jpg"),
        *("formats/gps-thompson-springs.jpg", "formats/keywords-picasa.jpg", "formats/ultra-hdr-gain-map.jpg"),
        *("raw/canon-30d-landscape.cr2", "broken/jpeg-named.nef"),
    ]
    originals = [photos / name for name in names]
    before, after = read_all(exiftool, originals), read_all(exiftool, [halved(o) for o in originals])
    found = {n: undocumented(b, a) for n, b, a in zip(names, before, after, strict=True)}
    wrong = {name: tags for name, tags in found.items() if tags}
    assert wrong == {}


def test_a_thumbnail_that_does_not_fit_is_removed(tmp_path, picture) -> None:
    import io

    from immich_sidecar.develop import jpeg, tiff

    original = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture)
    block = jpeg.read_header(original.read_bytes()).exif
    assert len(tiff.read(io.BytesIO(block)).images) == 2
    patched = exif_patch.patched(block, width=10, height=20, thumbnail=lambda: bytes(70000))
    after = tiff.read(io.BytesIO(patched))
    assert len(after.images) == 1
    assert after.exif.number(0xA002) == 10
    assert len(patched) <= len(block) + 1


@pytest.mark.parametrize("seed", range(40))
def test_damaged_blocks_never_raise(tmp_path, seed) -> None:
    random = np.random.default_rng(seed)
    block = bytearray(make.full_exif()[6:])
    for place in random.integers(0, len(block), 12):
        block[place] = random.integers(0, 256)
    cut = bytes(block[: random.integers(1, len(block))])
    for damaged in (bytes(block), cut):
        exif_patch.patched(damaged, width=10, height=20, thumbnail=lambda: b"x" * 100)
        path = make.write_jpeg(tmp_path / "a.jpg", make.scene(32, 32), exif=b"Exif\0\0" + damaged)
        assert probe(path).width in (32,)


def test_xmp_is_changed_word_by_word() -> None:
    packet = make.XMP
    changed = xmp_patch.patched(packet, width=300, height=200)
    assert changed == packet.replace(b'tiff:Orientation="6"', b'tiff:Orientation="1"').replace(
        b'PixelXDimension="4000"', b'PixelXDimension="300"'
    )
    plain = packet.replace(b'tiff:Orientation="6"', b"").replace(b'exif:PixelXDimension="4000"', b"")
    assert xmp_patch.patched(plain, width=300, height=200) == plain


def test_elements_of_xmp_are_changed_too() -> None:
    packet = make.xmp_with("", 'xmlns:t="http://ns.adobe.com/tiff/1.0/"').replace(
        b"/></rdf:RDF>", b"><t:Orientation>8</t:Orientation></rdf:Description></rdf:RDF>"
    )
    assert b"<t:Orientation>1</t:Orientation>" in xmp_patch.patched(packet, width=3, height=2)
