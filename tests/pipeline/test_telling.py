"""Tags, description and rating go into Immich by their owner's click, and never over what stands there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from immich_sidecar.analysis.findings import Findings, Quality, Tag, Words
from immich_sidecar.errors import ConflictError
from immich_sidecar.immich.annotate import AT_ORIGINAL
from immich_sidecar.immich.api import AssetChanges
from immich_sidecar.pipeline.telling import proposed, tell
from tests.pipeline.house import developed
from tests.pipeline.world import World, open_world

FINDINGS = Findings(
    tags=(Tag(word="lighthouse", score=0.9), Tag(word="Sidecar/Processed", score=0.5)),
    words=Words(description="A lighthouse\x00 at dusk."),
    aesthetic=Quality(votes=(0, 0, 0, 0, 0, 0, 0.5, 0.5, 0, 0)),
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_what_is_picked_is_written_where_nothing_stands(world: World) -> None:
    sha = await world.phone(developed())
    await world.done()
    await world.immich.settled()
    photo, publisher = await world.house.photo(sha), world.target.publisher
    asset = world.asset(photo.immich_asset_id)

    async def told(*picked: str) -> tuple[str, ...]:
        return await tell(world.house.database, publisher, await world.house.photo(sha), FINDINGS, picked)

    assert not asset.exif.get("description")
    assert await told("tags", "description") == ("description", "tags")
    assert asset.exif["description"] == "A lighthouse at dusk."
    assert {tag for tag in world.immich.tags_of(asset) if not tag.startswith("Sidecar/")} == {"lighthouse"}
    (version,) = await world.house.versions(sha)
    assert version.written[AT_ORIGINAL]["description"] == "A lighthouse at dusk."
    # What its owner made of it stays.
    await world.connection.api.update_asset(asset.id, AssetChanges(description="My favourite place"))
    assert await told("description", "rating") == ("rating",)
    assert asset.exif["description"] == "My favourite place"
    assert asset.exif["rating"] == proposed(FINDINGS).rating == 5


async def test_what_cannot_be_written_says_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = await world.phone(developed())
    await world.done()
    photo, publisher = await world.house.photo(sha), world.target.publisher
    database = world.house.database
    with pytest.raises(ConflictError, match="Pick something"):
        await tell(database, publisher, photo, FINDINGS, ())
    with pytest.raises(ConflictError, match="Pick something"):
        await tell(database, publisher, photo, Findings(), ("tags", "rating", "description"))
    monkeypatch.setattr(type(publisher), "may", lambda _, *wanted: set(wanted) <= {"asset.update"})
    with pytest.raises(ConflictError, match=r"tag\.asset, tag\.create, tag\.read"):
        await tell(database, publisher, photo, FINDINGS, ("tags",))
    for change, words in (({"immich_asset_id": None}, "not in Immich"), ({"read_only": True}, "external library")):
        other = photo.model_copy(update=change)
        with pytest.raises(ConflictError, match=words):
            await tell(database, publisher, other, FINDINGS, ("rating",))
