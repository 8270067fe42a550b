"""A JPEG of Immich's that was found to be that of a RAW file, and that its owner develops all the same."""

from pathlib import Path

import pytest

from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.library.tables import AssetRow, Publish, WorkState
from immich_sidecar.pipeline import publish_steps, retrying
from immich_sidecar.pipeline.pairing import Pairing
from tests.photos import shots
from tests.pipeline.replaced import settled
from tests.pipeline.world import open_world


async def test_one_that_is_developed_anyway_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_steps, "EXTRACTION_WAIT", 0.02)
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.02)
    async with open_world(tmp_path) as world:
        house = world.house
        pairing = Pairing(house.database, house.events)
        world.target.intake = ImmichIntake(
            world.connection, house.database, house.intake, house.layout, space=house.space, absorb=pairing.absorb
        )
        targets = dict(house.targets)
        house.targets.clear()
        raw, jpeg = await world.phone(shots.raw(7), "IMG_7.DNG"), await world.phone(shots.jpeg(7, ev=-2.5), "IMG_7.JPG")
        async with house.database.transaction() as session:
            for row in await house.rows(AssetRow):
                row.file_name = "IMG_7.DNG" if row.sha256 == raw else "IMG_7.JPG"
                session.add(await session.merge(row))
        await house.settled()
        await world.immich.settled()
        assert await pairing.absorb("local", raw, jpeg)
        photo = await house.photo(jpeg)
        assert (photo.state, photo.left_alone_reason) == (WorkState.LEFT_ALONE, "JPEG of IMG_7.DNG")
        await house.commands.develop_anyway("local", jpeg, photo.version)
        await house.settled()
        await house.commands.approve("local", jpeg, (await house.photo(jpeg)).version)
        house.targets.update(targets)
        house.dispatcher.wake()
        await world.done()
        await settled(world)
        row = (await house.versions(jpeg))[-1]
        assert (row.publish, row.last_error) == (Publish.MARKED, None)
        assert (await world.stack(jpeg))[0] == row.immich_asset_id
        # And its owner's decision holds: it is not absorbed again.
        assert not await pairing.absorb("local", raw, jpeg)
