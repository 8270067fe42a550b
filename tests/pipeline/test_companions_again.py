"""A JPEG that Immich refused beside its RAW file is tried again by itself."""

from pathlib import Path

from immich_sidecar.library.cache import Cache
from immich_sidecar.library.companions import Kind
from immich_sidecar.library.tables import CompanionRow, Publish
from immich_sidecar.pipeline.schedule import Schedule
from tests.pipeline.house import developed
from tests.pipeline.world import open_world


async def test_a_refused_jpeg_is_tried_again_once_a_day(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        house = world.house
        trashed = world.immich.add_asset(world.user, content=developed(2), name="old.jpg")
        trashed.deleted_at = world.immich.store.now()
        sha = await house.drop(developed(1), "IMG_1.CR2")
        path = house.inbox / "IMG_1.JPG"
        path.write_bytes(developed(2))
        companions = house.intake.companions
        assert await companions.keep("local", sha, await companions.receive("local", path, Kind.JPEG))
        await world.done()
        (row,) = await house.rows(CompanionRow)
        assert (row.publish, row.immich_asset_id) == (Publish.BLOCKED, None)
        trashed.deleted_at = None
        # By the schedule, not more than daily.
        schedule = Schedule(
            events=house.events, cache=Cache(house.layout, house.database, 1 << 30), commands=house.commands
        )
        (job,) = [job for job in schedule.jobs if job.run == house.commands.retry_companions]
        assert job.seconds == 24 * 3600
        await job.run()
        await world.done()
        (row,) = await house.rows(CompanionRow)
        assert (row.publish, row.immich_asset_id, row.last_error) == (Publish.STACKED, trashed.id, None)
        assert trashed.id in await world.stack(sha)
