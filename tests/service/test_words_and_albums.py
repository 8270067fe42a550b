"""The whole service writes beside photos what its user chose, and sees to albums and to the tag of what waits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.immich_server import Asset
from tests.service.pictures import dark
from tests.service.running import Home, connected, home, immich_running, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.every_immich]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def living(tmp_path_factory: pytest.TempPathFactory, immich_version: str) -> AsyncIterator[Home]:
    """A service whose user chose all there is to choose."""
    async with immich_running(immich_version) as immich, home(tmp_path_factory.mktemp("words"), immich) as opened:
        await opened.service.stop()
        choices = json.dumps({"review_tag": True, "tags": True, "retire": True, "native_edits": True})
        opened.service.let_time_pass("UPDATE connections SET choices = ?", choices)
        await opened.service.start()
        await connected(opened.service)
        yield opened


def tags(living: Home, asset: Asset) -> set[str]:
    return living.immich.tags_of(asset)


async def test_what_waits_is_tagged_and_albums_are_followed(living: Home) -> None:
    immich, service = living.immich, living.service
    original, photo = await living.developed(dark(401), "beach.jpg", is_favorite=True)
    album = immich.add_album(living.user, "Holidays", original)
    await until(lambda: tags(living, original) == {"Sidecar/Review"}, "the original is tagged", service)
    (version,) = living.ours(original)
    assert tags(living, version) == {"Sidecar/Processed"}
    assert not version.is_favorite
    assert version.id not in album.asset_ids

    await service.approve(photo)
    await until(lambda: tags(living, original) == set(), "the tag is off", service)
    assert version.is_favorite
    assert album.asset_ids == [original.id, version.id]

    # Nothing of it is done twice after a crash.
    await service.kill()
    asked = len(immich.requests)
    await service.start()
    await connected(service)
    await service.settled()
    changes = [seen.path for seen in immich.requests[asked:] if seen.method in ("PUT", "DELETE")]
    assert not [path for path in changes if "tags" in path or "albums" in path]

    await service.reject(photo)
    assert album.asset_ids == [original.id]
    assert version.deleted_at is not None
    assert original.is_favorite


async def test_words_of_the_original_are_words_of_the_version(living: Home) -> None:
    immich = living.immich
    immich.hold_processing()
    original = living.add(dark(402), "sea.jpg")
    # As another client sends them along.
    original.sidecar = {"ImageDescription": "By the <sea>", "Description": "By the <sea>", "TagsList": ["Sea"]}
    immich.go_on_processing()
    await living.service.photo("sea.jpg")
    await living.service.settled()
    await immich.settled()
    (version,) = living.ours(original)
    assert version.exif["description"] == "By the <sea>"
    assert tags(living, version) == {"Sea", "Sidecar/Processed"}


async def test_a_crop_is_left_to_immich_where_that_is_chosen(living: Home) -> None:
    service = living.service
    original, photo = await living.developed(dark(403), "tower.jpg")
    await service.reject(photo)
    operations = (await service.get(f"/api/photos/{photo['id']}"))["recipe"]["operations"]
    others = {operation["type"]: None for operation in operations}
    photo = await service.change(photo, **others, crop={"x": 0.0, "y": 0.0, "width": 0.5, "height": 0.5})
    uploaded = living.uploaded()
    await service.approve(photo)
    assert [edit["action"] for edit in original.edits] == ["crop"]
    assert living.uploaded() == uploaded
    # It is looked at again every hour: our own edit is not taken for its user's.
    await service.stop()
    service.let_time_pass("UPDATE connections SET updated_cursor = NULL")
    await service.start()
    await connected(service)
    await service.settled()
    assert (await service.photo("tower.jpg"))["review"] == "approved"
    await service.reject(photo)
    assert original.edits == []
    assert not original.is_edited
