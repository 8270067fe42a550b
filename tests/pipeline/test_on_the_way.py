"""Several uploads at once, none in another's way, and shown by bytes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.events import Event, EventType
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.publish import Publisher, UploadResult
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import PhotoRow, Publish, Source, VersionRow, now
from immich_sidecar.pipeline import publish_queue, retrying
from immich_sidecar.pipeline.uploads import Uploads
from immich_sidecar.web.on_the_way import publish_words, read_on_the_way
from tests.pipeline.house import developed
from tests.pipeline.world import World, open_world


def watch(world: World, together: int = 1) -> list[int]:
    """How many uploads are under way, whenever one begins; the first wait until so many are."""
    running, most, met = 0, [], asyncio.Event()
    upload = world.target.publisher.upload_version

    async def counted(*arguments: Any, **named: Any) -> UploadResult:
        nonlocal running
        running += 1
        most.append(running)
        if running >= together:
            met.set()
        try:
            await asyncio.wait_for(met.wait(), 60)
            # One too many would begin meanwhile.
            await asyncio.sleep(0.1)
            return await upload(*arguments, **named)
        finally:
            running -= 1

    world.target.publisher.upload_version = counted  # type: ignore[method-assign]  # watched
    return most


async def waiting(world: World, count: int) -> list[str]:
    """So many photos whose versions wait for Immich."""
    world.house.targets.clear()
    shas = [await world.phone(developed(seed), f"{seed}.jpg") for seed in range(count)]
    await world.house.settled()
    return shas


def go_on(world: World) -> None:
    world.house.targets[world.connection.row_id] = world.target
    world.house.publish_queue.wake()


@pytest.mark.parametrize("ceiling", [1, 2, 4])
async def test_as_many_at_once_as_are_allowed(tmp_path: Path, ceiling: int) -> None:
    async with open_world(tmp_path, uploads=ceiling) as world:
        await waiting(world, 6)
        most = watch(world, ceiling)
        go_on(world)
        await world.done()
        assert max(most) == ceiling
        assert len(world.immich.uploads) == 6


async def test_what_is_new_does_not_wait_behind_what_has_piled_up(tmp_path: Path) -> None:
    async with open_world(tmp_path, uploads=2) as world:
        shas = await waiting(world, 30)
        async with world.house.database.transaction() as session:
            for row in await world.house.rows(VersionRow):
                # In order of the photos: all waited for long, but the last.
                row.due_at = now() - timedelta(minutes=60 - shas.index(row.photo))
                session.add(await session.merge(row))
        watch(world)
        go_on(world)
        await world.house.until(lambda: len(world.immich.uploads) >= 6)
        sent = [upload.file_name for upload in world.immich.uploads][:6]
        assert "29_processed_v1.jpg" in sent
        assert {"0_processed_v1.jpg", "1_processed_v1.jpg"} <= set(sent)


async def test_one_connection_that_is_slow_or_full_keeps_no_other_waiting(tmp_path: Path) -> None:
    async with open_world(tmp_path, uploads=1) as world:
        async with world.house.database.transaction() as session:
            await ensure_owner(session, "bob")
        other = world.immich.add_user("Bob")
        his = Connection(owner_id="bob", url=world.immich.url, key=world.immich.add_key(other))
        await his.refresh(world.house.database)
        await waiting(world, 3)
        released = asyncio.Event()
        upload = world.target.publisher.upload_version

        async def stuck(*arguments: Any, **named: Any) -> UploadResult:
            await released.wait()
            return await upload(*arguments, **named)

        world.target.publisher.upload_version = stuck  # type: ignore[method-assign]  # slow
        go_on(world)
        publisher = Publisher(his, world.house.database)
        world.house.targets[his.row_id] = replace(world.target, publisher=publisher, connection=his)
        sha = await world.house.drop(developed(50), "his.jpg", owner="bob")

        async def there() -> bool:
            rows = await world.house.versions(sha, "bob")
            return bool(rows) and rows[0].publish is Publish.MARKED

        await world.house.until(there)
        assert world.house.publish_queue.active("local") == 1
        released.set()
        await world.done()
        await his.close()


async def test_bytes_are_told_live_and_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(tmp_path) as world:
        told: list[dict[str, Any]] = []
        publish = world.house.events.publish_live

        # Listeners may miss one: what is stored of the photo afterwards takes its place.
        def hear(event: Event) -> None:
            if event.type is EventType.PROGRESS and "upload" in event.data:
                told.append(event.data["upload"])
            publish(event)

        monkeypatch.setattr(world.house.events, "publish_live", hear)
        sha = await world.house.drop(developed(), "1.jpg")
        await world.done()
        version = (await world.house.versions(sha))[0]
        original = await world.house.photo(sha)
        ended = {(one["n"], one["sent"], one["total"]) for one in told if one["sent"] == one["total"]}
        assert ended == {(0, original.size, original.size), (1, version.size, version.size)}
        assert world.house.publish_queue.uploads.of("local") == []


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Ear:
    """Hears live events."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def publish_live(self, event: Event) -> None:
        self.heard.append(event)


def test_a_large_file_is_told_a_few_times_a_second_with_the_rate_of_all() -> None:
    clock, ear = Clock(), Ear()
    photo_row = PhotoRow(
        owner_id="local", sha256="ab" * 32, sha1="", size=1, file_name="large.tif", source=Source.UPLOAD, path=None
    )
    uploads = Uploads(ear, clock=clock)  # type: ignore[arg-type]  # as much of a log as it needs
    with uploads.follow(photo_row, 1) as on_bytes, uploads.follow(photo_row, 2) as other:
        for step in range(1, 101):
            clock.now += 0.02
            on_bytes(step * 1000, 100_000)
            other(step * 500, 100_000)
        (first, second) = uploads.of("local")
        assert (first.sent, second.sent, first.total) == (100_000, 50_000, 100_000)
        assert uploads.rate("local") == pytest.approx(75_000, rel=0.05)
        assert uploads.of("bob") == []
        assert uploads.rate("bob") == 0
    # Two seconds, four times a second each, and the end.
    assert 10 <= len(ear.heard) <= 20
    assert uploads.of("local") == []
    clock.now += 60
    assert uploads.rate("local") == 0


async def test_what_waits_and_why_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.1)
    async with open_world(tmp_path) as world:
        await world.immich.go_away()
        sha = await world.house.drop(developed())
        await world.house.settled()
        await world.house.until(lambda: bool(world.house.publish_queue.outages()))
        async with world.house.database.reading() as session:
            way = await read_on_the_way(session, world.house.publish_queue, "local")
            others = await read_on_the_way(session, world.house.publish_queue, "bob")
        assert way.waiting == 2
        assert "reach" in (way.waits_for or "")
        assert (others.waiting, others.waits_for) == (0, None)
        (version,) = await world.house.versions(sha)
        photo = await world.house.photo(sha)
        said = publish_words(photo, version, current=True, mode="stack", outage=way.waits_for)
        assert "goes on by itself" in said
        await world.immich.come_back()
        await world.done()
        await world.house.until(lambda: not world.house.publish_queue.outages())


async def test_attempts_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT", 60.0)
    async with open_world(tmp_path) as world:
        world.immich.answer_next("/api/stacks", 500, {"message": "Failed"}, method="POST", times=None)
        monkeypatch.setattr("immich_sidecar.immich.stacks._FIRST_WAIT_SECONDS", 0.001)
        sha = await world.house.drop(developed())

        async def failed() -> bool:
            rows = await world.house.versions(sha)
            return bool(rows) and rows[0].attempts > 0

        await world.house.until(failed)
        (version,) = await world.house.versions(sha)
        said = publish_words(await world.house.photo(sha), version, current=True, mode="stack")
        assert "Tried 1 time, and again at" in said
        assert "Failed" in said


async def test_a_paused_owner_publishes_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await waiting(world, 1)
        await world.house.commands.pause("local")
        go_on(world)
        await asyncio.sleep(0.3)
        assert world.immich.uploads == []
        await world.house.commands.resume("local")
        await world.done()
        assert len(world.immich.uploads) == 1
