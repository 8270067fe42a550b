"""Where files lie, and that no name can make them lie elsewhere."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_sidecar.errors import IntegrityError
from immich_sidecar.library.layout import NAME_BYTES, Layout, clean_name, is_temporary, readable_name

SHA = "ab" * 32
MAY = datetime(2024, 5, 31, 23, 30, tzinfo=timezone(timedelta(hours=-2)))  # June in UTC


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_the_places_of_local(layout: Layout) -> None:
    assert layout.original("local", SHA, "IMG 1.CR2", MAY) == f"originals/2024/06/{SHA}_IMG 1.CR2"
    assert layout.processed("local", SHA, 3, "jpg", MAY) == f"processed/2024/06/{SHA}_processed_v3.jpg"
    assert layout.recipe("local", "0b5a-1", MAY) == "recipes/2024/06/0b5a-1.json"
    assert layout.cached_original("local", SHA, "x.nef") == f"cache/originals/ab/{SHA}_x.nef"
    assert layout.thumbnail("local", SHA, 0) == f"cache/thumbnails/ab/{SHA}_v0.jpg"
    assert layout.preview("local", SHA, 2, "webp") == f"cache/previews/ab/{SHA}_v2.webp"
    assert layout.ai_results("local", SHA, "faces.json") == f"cache/ai_results/ab/{SHA}_faces.json"


def test_other_owners_have_the_same_below_their_own_folder(layout: Layout) -> None:
    assert layout.original("anna", SHA, "a.jpg", MAY) == f"owners/anna/originals/2024/06/{SHA}_a.jpg"
    assert layout.preview("anna", SHA, 1) == f"owners/anna/cache/previews/ab/{SHA}_v1.jpg"


def test_the_version_in_the_making_lies_beside_its_final_place(layout: Layout) -> None:
    rendering = layout.rendering("anna", SHA, 4, MAY)
    assert PurePosixPath(rendering).parent == PurePosixPath(layout.processed("anna", SHA, 4, "jpg", MAY)).parent
    assert PurePosixPath(rendering).name == f".{SHA}_v4.part"
    assert is_temporary(PurePosixPath(rendering).name)


def test_temporary_names_are_fresh_and_known_again(layout: Layout) -> None:
    beside = layout.temporary("processed/2024/06/x.jpg")
    assert beside.startswith("processed/2024/06/.")
    arriving = layout.temporary("anna", "bild.CR2")
    assert arriving.startswith("owners/anna/originals/.")
    assert arriving.endswith(".part.cr2")
    assert layout.temporary("local") != layout.temporary("local")
    for path in (beside, arriving, layout.temporary("local", "weird.ä/ö")):
        assert is_temporary(PurePosixPath(path).name)


@pytest.mark.parametrize("name", [".hidden.jpg", "a.part", f"{SHA}_x.jpg", f".{SHA}_v1.part.jpg", ".abc.part"])
def test_names_of_others_are_not_temporary(name: str) -> None:
    assert not is_temporary(name)


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("a\\b:c?.jpg", "a_b_c_.jpg"),
        ("line\nbreak\x00.jpg", "line_break_.jpg"),
        ("  . spaced . ", "spaced"),
        ("..", "photo"),
        ("", "photo"),
        ("Urlaub ä 日本.jpg", "Urlaub ä 日本.jpg"),
        ("gpj.\u202egnp", "gpj._gnp"),  # turns the text around in a file manager
        ("caf\udce9.jpg", "caf_.jpg"),  # Latin-1 bytes in a UTF-8 world
        ("e\u0301.jpg", "é.jpg"),
    ],
)
def test_clean_names(given_name: str, expected: str) -> None:
    assert clean_name(given_name).lstrip(".") == expected.lstrip(".")
    assert "/" not in clean_name(given_name)


def test_a_long_name_keeps_its_extension() -> None:
    cut = clean_name("ü" * 300 + ".jpeg")
    assert len(cut.encode()) <= NAME_BYTES
    assert cut.endswith("ü.jpeg")


@given(st.text(max_size=400), st.integers(20, 255))
def test_any_name_becomes_one_that_every_file_system_takes(name: str, limit: int) -> None:
    cleaned = clean_name(name, limit)
    assert 0 < len(cleaned.encode()) <= max(limit, len("photo"))
    assert not set(cleaned) & set('/\\:*?"<>|\0\n')
    assert cleaned not in (".", "..")


@given(st.text(alphabet=st.characters(codec=None), max_size=300))
def test_whole_file_names_are_at_most_200_bytes_and_stay_in_their_folder(name: str) -> None:
    path = PurePosixPath(Layout(Path("/data")).original("local", SHA, name, MAY))
    assert path.parts[:3] == ("originals", "2024", "06")
    assert len(path.parts) == 4
    assert len(path.name.encode()) <= NAME_BYTES
    assert path.name.startswith(f"{SHA}_")


def test_half_a_character_is_no_name() -> None:
    assert clean_name("smile \ud83d.jpg") == "smile _.jpg"


@given(st.binary(max_size=100))
def test_readable_names_can_be_stored(raw: bytes) -> None:
    readable_name(raw.decode("utf-8", "surrogateescape")).encode()


@pytest.mark.parametrize("owner", ["", "..", "a/b", "-x", "ä", "x" * 65, "a b"])
def test_owners_cannot_lead_elsewhere(layout: Layout, owner: str) -> None:
    with pytest.raises(ValueError, match="cannot name an owner"):
        layout.original(owner, SHA, "a.jpg", MAY)


@pytest.mark.parametrize("sha256", ["", "../x", "AB" * 32, "ab" * 31])
def test_hashes_cannot_lead_elsewhere(layout: Layout, sha256: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        layout.original("local", sha256, "a.jpg", MAY)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "", "a\0b"])
def test_damaged_rows_do_not_lead_out_of_the_data_directory(layout: Layout, path: str) -> None:
    with pytest.raises(IntegrityError):
        layout.absolute(path)


def test_relative_is_the_inverse_of_absolute(layout: Layout) -> None:
    path = layout.original("anna", SHA, "a b.jpg", MAY)
    assert layout.relative(layout.absolute(path)) == path


def test_times_need_an_offset_and_extremes_have_a_month(layout: Layout) -> None:
    with pytest.raises(ValueError, match="aware"):
        layout.original("local", SHA, "a", datetime(2024, 1, 1))
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    assert layout.original("local", SHA, "a", first).startswith("originals/0001/01/")
    assert layout.original("local", SHA, "a", datetime.max.replace(tzinfo=UTC)).startswith("originals/9999/12/")


def test_homes_are_the_folders_of_owners(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "owners" / "anna").mkdir(parents=True)
    (tmp_path / "owners" / "not an owner").mkdir()
    (tmp_path / "owners" / "linked").symlink_to(tmp_path)
    assert layout.homes() == [("local", tmp_path), ("anna", tmp_path / "owners" / "anna")]
