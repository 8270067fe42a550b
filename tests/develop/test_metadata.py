"""Metadata: what a version carries of its original, read by exiftool, a reader that is not ours."""

import fnmatch
import io
import json
import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from immich_sidecar.develop import exif_patch, tiff, xmp_patch
from immich_sidecar.develop.engine import develop
from immich_sidecar.develop.probe import probe
from immich_sidecar.recipe.plan import OUTPUT_FORMATS
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


def documented(file_format: str = "jpeg") -> list[str]:
    """The tags that docs/metadata.md allows to differ, as patterns; those of a section only for its formats."""
    text = (Path(__file__).parents[2] / "docs" / "metadata.md").read_text()
    patterns = list(IN_WORDS)
    applies = True
    for line in text.splitlines():
        if line.startswith("#"):
            applies = not line.startswith("### ") or f"`{file_format}`" in line
        if not applies:
            continue
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


def undocumented(before: dict[str, object], after: dict[str, object], file_format: str = "jpeg") -> list[str]:
    allowed = documented(file_format)
    different = [
        f"{tag}: {before.get(tag)!r:.60} -> {after.get(tag)!r:.60}"
        for tag in before
        if before[tag] != after.get(tag) and not any(fnmatch.fnmatchcase(tag, p) for p in allowed)
    ]
    added = [tag for tag in after if tag not in before]
    may_come = [p.removeprefix("+") for p in allowed]
    return different + [f"added {t}" for t in added if not any(fnmatch.fnmatchcase(t, p) for p in may_come)]


@pytest.fixture(scope="module")
def picture():
    return make.sample_photo("coffee", shrink=1)


@pytest.fixture
def halved(tmp_path, recipe):
    """A function that develops a photo with a crop of half its size."""

    def make_version(original: Path, file_format: str = "jpeg", longest_edge: int = 0) -> Path:
        output = tmp_path / f"version-of-{original.name}.{OUTPUT_FORMATS[file_format][0]}"
        steps = {"crop": {"x": 0.2, "y": 0.1, "width": 0.5, "height": 0.5}}
        if file_format != "jpeg" or longest_edge:
            steps["output"] = {"format": file_format, "longest_edge": longest_edge}
        develop(original, recipe(**steps), output)
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


OTHER_FORMATS = [name for name in OUTPUT_FORMATS if name != "jpeg"]


@pytest.mark.parametrize("file_format", OTHER_FORMATS)
def test_everything_reaches_other_formats(tmp_path, picture, halved, exiftool, file_format) -> None:
    original = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture, orientation=6)
    version = halved(original, file_format)
    before, after = read(exiftool, original), read(exiftool, version)
    assert undocumented(before, after, file_format) == []
    assert b"SIDECAR\0" + bytes(range(64)) in version.read_bytes(), "the maker note, byte for byte"
    assert (after["IFD0:Orientation"], after["XMP-tiff:Orientation"]) == (1, 1)
    assert after["GPS:GPSLatitude"] == pytest.approx(52.52)
    assert after["ExifIFD:OffsetTimeOriginal"] == "+02:00"
    assert after["ExifIFD:LensModel"] == before["ExifIFD:LensModel"]
    if file_format == "jxl":
        assert probe(version).icc == "Display P3"
    else:
        assert after["ICC_Profile:ProfileDescription"] == "Display P3"
    city = "IPTC:City" if file_format in ("small", "tiff16") else "XMP-photoshop:City"
    assert after[city] == "Berlin"
    facts, was = probe(version), probe(original)
    assert (facts.width, facts.height, facts.orientation) == (200, 300, 1)
    assert (facts.captured_at, facts.gps, facts.lens) == (was.captured_at, was.gps, was.lens)


def test_other_formats_of_real_photos(photos, halved, exiftool) -> None:
    kinds = {
        "heic": ["tower-orientation8-canon-a85.jpg", "bird-house-iphone-12mp.heic", "raw/canon-30d-landscape.cr2"],
        "avif": ["phone-box-orientation6-nikon-d40.jpg", "formats/rated-mongolels.jpg", "raw/canon-30d-landscape.cr2"],
        "jxl": ["sunset-canon-g11.jpg", "formats/keywords-picasa.jpg", "raw/canon-30d-landscape.cr2"],
        "tiff16": ["cathedral-olympus-e10.jpg", "formats/rated-mongolels.jpg", "raw/canon-30d-landscape.cr2"],
        "small": ["sea-poles-sony-h9.jpg", "formats/gps-thompson-springs.jpg"],
    }
    asked = [(kind, photos / name) for kind, names in kinds.items() for name in names]
    # A large AVIF consists of tiles.
    edges = {"avif": 1100}
    versions = [halved(original, kind, longest_edge=edges.get(kind, 600)) for kind, original in asked]
    before, after = read_all(exiftool, [original for _, original in asked]), read_all(exiftool, versions)
    found = {
        f"{kind} of {original.name}": undocumented(b, a, kind)
        for (kind, original), b, a in zip(asked, before, after, strict=True)
    }
    assert {name: tags for name, tags in found.items() if tags} == {}


def test_extended_xmp_becomes_part_of_the_packet(tmp_path, picture, halved, exiftool) -> None:
    extended = make.xmp_with('xmp:Label="far away"', 'xmlns:xmp="http://ns.adobe.com/xap/1.0/"')
    guid = "0123456789ABCDEF0123456789ABCDEF"
    main = make.xmp_with(f'xmpNote:HasExtendedXMP="{guid}"', 'xmlns:xmpNote="http://ns.adobe.com/xmp/note/"')
    part = guid.encode() + len(extended).to_bytes(4, "big") + bytes(4) + extended
    plain = make.write_jpeg(tmp_path / "a.jpg", picture, xmp=main).read_bytes()
    prefix = b"http://ns.adobe.com/xmp/extension/\0"
    segment = b"\xff\xe1" + (len(prefix) + len(part) + 2).to_bytes(2, "big") + prefix + part
    original = tmp_path / "b.jpg"
    original.write_bytes(plain[:2] + segment + plain[2:])
    after = read(exiftool, halved(original, "avif"))
    assert after["XMP-xmp:Label"] == "far away"
    assert "XMP-xmpNote:HasExtendedXMP" not in after


def test_words_that_are_no_utf8_reach_xmp_too(tmp_path, picture, halved, exiftool) -> None:
    original = make.write_jpeg(tmp_path / "a.jpg", picture)
    told = ["-charset", "iptc=Latin1", "-IPTC:By-line=J. M\u00fcller", "-IPTC:Keywords=K\u00e4se \u2013 Brot"]
    subprocess.run([exiftool, "-q", "-overwrite_original", *told, str(original)], check=True)
    after = read(exiftool, halved(original, "jxl"))
    assert after["XMP-dc:Creator"] == ["J. M\u00fcller"]
    assert after["XMP-dc:Subject"] == ["K\u00e4se \u2013 Brot"]


@pytest.mark.parametrize("file_format", ["jpeg", "tiff16"])
def test_a_version_of_a_dng_is_none(tmp_path, halved, exiftool, file_format) -> None:
    version = halved(make.write_dng(tmp_path / "a.dng", make.scene(96, 64)), file_format)
    after = read(exiftool, version)
    expected = {"jpeg": "JPEG", "tiff16": "TIFF"}[file_format]
    assert (after["File:FileType"], after["IFD0:Model"]) == (expected, "Known Truth")
    assert probe(version).format == expected.lower()


def test_tags_are_taken_out_and_all_else_stays() -> None:
    exif = Image.Exif()
    exif[271], exif[315], exif[306] = "Sidecar", "A. Photographer", "2023:07:14 18:05:09"
    block = bytearray(exif.tobytes()[6:])
    count, second = struct.unpack_from(">H", block, 8)[0], len(block)
    struct.pack_into(">I", block, 8 + 2 + 12 * count, second)
    block += struct.pack(">HHHIII", 1, 259, 4, 1, 6, 0)
    left = exif_patch.without(bytes(block), {315, 50706})
    assert len(left) == len(block)
    found = tiff.read(io.BytesIO(left))
    assert sorted(found.main.values) == [271, 306]
    assert (found.main.text(271), found.main.text(306)) == ("Sidecar", "2023:07:14 18:05:09")
    assert found.images[1].number(259) == 6
    assert exif_patch.without(bytes(block), {50706}) == bytes(block)


@pytest.fixture
def long_packet() -> bytes:
    """XMP that is longer than a segment of a JPEG, as masks of an editor make it."""
    masks = " ".join(f"{number / 7:.6f}" for number in range(9000))
    return make.XMP.replace(b'xmp:Rating="4"', b'xmp:Rating="4" crs:Look="%s"' % masks.encode()).replace(
        b"xmlns:xmp=", b'xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" xmlns:xmp='
    )


@pytest.mark.parametrize("write", [make.write_tiff, make.write_dng, make.write_png], ids=lambda w: w.__name__)
def test_a_long_packet_is_kept_and_so_is_all_else(tmp_path, halved, exiftool, long_packet, write) -> None:
    original = write(tmp_path / "a", make.scene(96, 64))
    (tmp_path / "long.xmp").write_bytes(long_packet)
    told = ["-Artist=A. Photographer", "-DateTimeOriginal=2020:01:02 03:04:05", "-GPSLatitude=52.52"]
    command = [exiftool, "-q", "-overwrite_original", *told, f"-XMP<={tmp_path / 'long.xmp'}", str(original)]
    subprocess.run(command, check=True)
    before = read(exiftool, original)
    for file_format in ("jpeg", "jxl"):
        after = read(exiftool, halved(original, file_format))
        assert undocumented(before, after, file_format) == []
        assert after["XMP-crs:Look"] == before["XMP-crs:Look"]
        assert (after["XMP-xmp:Rating"], after["XMP-dc:Subject"]) == (4, ["lake", "evening"])
        assert after["IFD0:Artist"] == "A. Photographer"
        assert after["ExifIFD:DateTimeOriginal"] == "2020:01:02 03:04:05"


def test_a_split_packet_keeps_the_small_properties_and_joins_again(long_packet) -> None:
    from immich_sidecar.develop.packets import joined_xmp, split_xmp

    main, parts = split_xmp(long_packet, 65502)
    assert b'xmp:Rating="4"' in main
    assert b"<rdf:li>lake</rdf:li>" in main
    assert b"crs:Look" not in main
    assert len(main) < 2000
    joined = joined_xmp(main, b"".join(part[40:] for part in parts))
    assert b"HasExtendedXMP" not in joined
    assert (joined.count(b"crs:Look"), joined.count(b"xmp:Rating"), joined.count(b"<rdf:li>lake")) == (1, 1, 1)


@pytest.mark.parametrize(
    "damage",
    [b"\xff\xfe" * 40000, b"<a>" + b"x" * 70000, b"<a>" + b"x" * 70000 + b"</a>", b"<a>" * 30000 + b"</a>" * 30000],
    ids=["no text", "cut off", "no RDF", "deep"],
)
def test_a_long_packet_that_is_damaged_is_left_out(damage) -> None:
    from immich_sidecar.develop.packets import split_xmp

    assert split_xmp(damage, 65502) == (b"", ())


@pytest.mark.parametrize(("place", "length"), [(0, 600), (8, 40), (100, 500), (10, 2000)])
def test_a_thumbnail_that_is_said_to_lie_elsewhere_costs_nothing_else(place, length) -> None:
    exif = Image.Exif()
    exif[271], exif[315], exif[306] = "Sidecar", "A. Photographer" * 200, "2023:07:14 18:05:09"
    block = bytearray(exif.tobytes()[6:])
    second = len(block)
    table = struct.pack(">HHHIIHHIII", 2, 513, 4, 1, place, 514, 4, 1, length, 0)
    count = struct.unpack_from(">H", block, 8)[0]
    struct.pack_into(">I", block, 8 + 2 + 12 * count, second)
    patched = exif_patch.patched(bytes(block) + table, width=10, height=20, thumbnail=lambda: b"\xff\xd8" + bytes(90))
    after = tiff.read(io.BytesIO(patched))
    assert (after.main.text(271), after.main.text(306)) == ("Sidecar", "2023:07:14 18:05:09")
    assert len(after.images) == 1


def test_a_thumbnail_that_does_not_fit_is_removed(tmp_path, picture) -> None:
    from immich_sidecar.develop import jpeg

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


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_long_header_is_read_whole_and_no_more_of_the_file(tmp_path, picture, count) -> None:
    """Segments may stand behind the one that tells the size, too."""
    from immich_sidecar.develop import jpeg

    data = make.write_jpeg(tmp_path / "a.jpg", picture).read_bytes()
    comment = b"\xff\xfe" + (65535).to_bytes(2, "big") + b"c" * 65533
    start = data.index(b"\xff\xda")
    header = jpeg.read_header_of(data[:start] + count * comment + data[start:] + bytes(1 << 22))
    assert header == jpeg.read_header(data[:start] + count * comment + data[start:])
    assert sum(segment.marker == 0xFE for segment in header.segments) == count
