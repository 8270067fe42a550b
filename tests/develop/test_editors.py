"""Which program a picture came out of."""

import io
from pathlib import Path

import pytest
from PIL import Image

from immich_sidecar.develop.editors import edited_by
from immich_sidecar.develop.probe import probe
from tests.photos.make import scene, write_dng

CREATOR = b'<rdf:Description xmp:CreatorTool="%s"/>'


@pytest.mark.parametrize(
    "software",
    [
        "Adobe Photoshop Lightroom Classic 13.2 (Windows)",
        "darktable 4.6.1",
        "RawTherapee 5.10",
        "Capture One 23 Macintosh",
        "GIMP 2.10.34",
        "Snapseed 2.0",
        "DxO PhotoLab 7.5.0",
        "Digital Photo Professional",
    ],
)
def test_editors_are_known(software: str) -> None:
    assert edited_by(software, b"") == software
    assert edited_by(None, CREATOR % software.encode()) == software
    assert edited_by(None, b"<xmp:CreatorTool>" + software.encode() + b"</xmp:CreatorTool>") == software


@pytest.mark.parametrize(
    "software",
    [
        "",
        "Ver.1.10",
        "HDR+ 1.0.585804401zd",
        "17.4.1",
        "ILCE-7M4 v2.01",
        "G998BXXU5CVDD",
        "Picture Control 2.0",
        "Canon",
    ],
)
def test_cameras_and_phones_are_no_editors(software: str) -> None:
    assert edited_by(software, CREATOR % software.encode()) is None


def test_what_settings_and_histories_say() -> None:
    assert edited_by("Ver.1.0", b'<x crs:AlreadyApplied="True">') == "Adobe Camera Raw"
    assert edited_by("Ver.1.0", b'<x crs:AlreadyApplied="False">') is None
    assert edited_by(None, b"<darktable:history><rdf:Seq>") == "darktable"
    history = b'<rdf:li stEvt:action="saved" stEvt:softwareAgent="Adobe Photoshop 25.0 (Macintosh)"/>'
    assert edited_by("Ver.1.0", history) == "Adobe Photoshop 25.0 (Macintosh)"


def test_a_hostile_name_is_short_and_on_one_line() -> None:
    name = edited_by("GIMP\n\n<script>" + "x" * 500, b"")
    assert name is not None
    assert len(name) <= 60
    assert "\n" not in name


def test_files_say_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0131] = "darktable 4.6.1"
    edited = tmp_path / "edited.jpg"
    Image.fromarray(scene(120, 80, seed=1)).save(edited, exif=exif)
    assert probe(edited).editor == "darktable 4.6.1"
    exif[0x0131] = "Ver.1.0"
    plain = tmp_path / "plain.jpg"
    Image.fromarray(scene(120, 80, seed=1)).save(plain, exif=exif)
    assert probe(plain).editor is None
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d xmp:CreatorTool="GIMP 2.10"/></x:xmpmeta>'
    with_xmp = tmp_path / "xmp.jpg"
    buffer = io.BytesIO()
    Image.fromarray(scene(120, 80, seed=1)).save(buffer, "JPEG", xmp=packet)
    with_xmp.write_bytes(buffer.getvalue())
    assert probe(with_xmp).editor == "GIMP 2.10"


def test_a_raw_file_is_never_edited(tmp_path: Path) -> None:
    path = write_dng(tmp_path / "a.dng", scene(64, 48, seed=1))
    assert probe(path).editor is None
