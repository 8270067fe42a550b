"""Files that belong to photos, and places that several of them share."""

from datetime import UTC, datetime
from pathlib import Path

from immich_sidecar.library import companions
from immich_sidecar.library.companions import Kind
from tests.library.parts import Library, write_photo

TAKEN = datetime(2024, 5, 6, tzinfo=UTC)


async def test_a_companion_that_comes_again_takes_no_file_from_another_photo(library: Library, tmp_path: Path) -> None:
    first, second = [
        (await library.take("local", write_photo(tmp_path / f"{n}.jpg", n, taken=TAKEN))).sha256 for n in (1, 2)
    ]
    # Programs write the same XMP file for every photo that nobody has edited.
    for sha256, name in ((first, "IMG_1.xmp"), (second, "IMG_1.CR2.xmp"), (first, "IMG_1.CR2.xmp")):
        path = tmp_path / name
        path.write_text("<x:xmpmeta/>")
        taken = library.intake.companions
        await taken.keep("local", sha256, await taken.receive("local", path, Kind.XMP))
    async with library.database.reading() as session:
        rows = await companions.of_photos(session, "local", [first, second])
    assert [(row.photo, library.layout.absolute(row.path or "").is_file()) for row in rows] == [
        (first, True),
        (second, True),
    ]
    assert len([file for file in library.files() if file.endswith(".xmp")]) == 2
