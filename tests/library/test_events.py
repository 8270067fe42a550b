"""Events: nothing is lost, nobody waits for a slow listener."""

import asyncio
import gc
from datetime import timedelta

import pytest
from sqlalchemy import text

from immich_sidecar.events import Event, EventType
from immich_sidecar.library.events import MAX_LIVE, RECENT, EventLog, Subscription
from immich_sidecar.library.tables import EventRow, now
from tests.library.parts import Library


def _event(n: int, owner: str = "local", sha256: str | None = None) -> Event:
    return Event(EventType.READY, owner, sha256 or f"{n:064x}", {"n": n})


async def _record(library: Library, *events: Event, log: EventLog | None = None) -> None:
    async with library.database.transaction() as session:
        for event in events:
            (log or library.events).record(session, event)


async def _next(subscription: Subscription, number: int = 1) -> list[Event]:
    return [await asyncio.wait_for(anext(subscription), 90) for _ in range(number)]


async def _is_quiet(subscription: Subscription) -> bool:
    try:
        await asyncio.wait_for(anext(subscription), 0.1)
    except TimeoutError:
        return True
    return False


async def test_a_listener_hears_what_is_committed_from_then_on(library: Library) -> None:
    await _record(library, _event(1))
    listener = library.events.subscribe("local")
    await _record(library, _event(2), _event(3))
    heard = await _next(listener, 2)
    assert [event.data["n"] for event in heard] == [2, 3]
    assert [event.id for event in heard] == [2, 3]
    assert heard[0].type is EventType.READY
    assert await _is_quiet(listener)


async def test_what_is_rolled_back_never_happened(library: Library) -> None:
    listener = library.events.subscribe("local")

    async def fails() -> None:
        async with library.database.transaction() as session:
            library.events.record(session, _event(1))
            await session.flush()
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        await fails()
    assert await _is_quiet(listener)
    await _record(library, _event(2))
    assert [event.data["n"] for event in await _next(listener)] == [2]


async def test_nothing_is_heard_before_the_commit(library: Library) -> None:
    listener = library.events.subscribe("local", after=0)
    async with library.database.transaction() as session:
        library.events.record(session, _event(1))
        await session.flush()
        assert await _is_quiet(listener)
    assert len(await _next(listener)) == 1


async def test_owners_do_not_hear_each_other(library: Library) -> None:
    ours, annas = library.events.subscribe("local", after=0), library.events.subscribe("anna", after=0)
    await _record(library, _event(1), _event(2, "anna"), _event(3))
    library.events.publish_live(Event(EventType.PROGRESS, "anna", "x"))
    assert [event.data["n"] for event in await _next(ours, 2)] == [1, 3]
    assert [event.data["n"] for event in await _next(annas, 1)] == [2]
    assert (await _next(annas))[0].type is EventType.PROGRESS
    assert await _is_quiet(ours)


async def test_coming_back_with_an_id_loses_nothing(library: Library) -> None:
    """Also over a restart, and over more than one reading of the database."""
    for n in range(0, 700, 100):
        await _record(library, *(_event(n + i) for i in range(100)))
    again = EventLog(library.database)  # as after a restart: nothing in memory
    listener = again.subscribe("local", after=150)
    await _record(library, _event(700), log=again)
    heard = await _next(listener, 551)
    assert [event.id for event in heard] == list(range(151, 702))
    assert await _is_quiet(listener)


async def test_replay_and_following_overlap_without_loss_or_repetition(library: Library) -> None:
    await _record(library, *(_event(n) for n in range(300)))
    written = 300

    async def write() -> None:
        nonlocal written
        while written < 600:
            await _record(library, _event(written))
            written += 1

    writer = asyncio.create_task(write())
    heard = []
    for reconnect in (1, 57, 300, 1, 241):  # listens for a while, goes away, comes back with the last id
        listener = library.events.subscribe("local", after=heard[-1].id if heard else 0)
        heard += await _next(listener, reconnect)
        listener.close()
    await writer
    assert [event.data["n"] for event in heard] == list(range(600))


async def test_an_id_of_another_data_directory_is_answered_with_all_there_is(library: Library) -> None:
    await _record(library, _event(1))
    listener = library.events.subscribe("local", after=1000)
    assert [event.data["n"] for event in await _next(listener)] == [1]
    await _record(library, _event(2))
    assert [event.data["n"] for event in await _next(listener)] == [2]


async def test_a_slow_listener_costs_no_memory_and_misses_nothing(library: Library) -> None:
    listener = library.events.subscribe("local")
    number = RECENT + 500
    for start in range(0, number, 250):
        await _record(library, *(_event(start + n) for n in range(250)))
    for n in range(3 * MAX_LIVE):
        library.events.publish_live(Event(EventType.PROGRESS, "local", f"{n}", {"progress": 0.5}))
    assert len(listener._live) == MAX_LIVE
    assert not listener._ready
    assert len(library.events._recent) == RECENT
    heard = await _next(listener, number)
    assert [event.data["n"] for event in heard] == list(range(number))
    live = await _next(listener, MAX_LIVE)
    assert [event.sha256 for event in live] == [f"{n}" for n in range(2 * MAX_LIVE, 3 * MAX_LIVE)]


async def test_progress_is_live_newest_only_and_never_after_the_end(library: Library) -> None:
    listener = library.events.subscribe("local")
    for step in (0.1, 0.5, 0.9):
        library.events.publish_live(Event(EventType.PROGRESS, "local", "a", {"progress": step}))
    library.events.publish_live(Event(EventType.PROGRESS, "local", "b", {"progress": 0.2}))
    await _record(library, _event(1, sha256="a"))
    heard = await _next(listener, 2)
    assert [(event.type, event.sha256) for event in heard] == [(EventType.READY, "a"), (EventType.PROGRESS, "b")]
    assert await _is_quiet(listener)
    async with library.database.reading() as session:
        assert (await (await session.connection()).execute(text("SELECT count(*) FROM events"))).scalar() == 1
    library.events.publish_live(Event(EventType.PROGRESS, "local", "c", {"progress": 0.1}))
    library.events.publish_live(Event(EventType.PROGRESS, "local", "c", {"progress": 0.4}))
    assert (await _next(listener))[0].data == {"progress": 0.4}


async def test_many_listeners_each_hear_everything_once(library: Library) -> None:
    listeners = [library.events.subscribe("local") for _ in range(20)]
    waiting = [asyncio.create_task(_next(listener, 30)) for listener in listeners]
    await asyncio.sleep(0)
    for n in range(30):
        await _record(library, _event(n))
    for heard in await asyncio.gather(*waiting):
        assert [event.data["n"] for event in heard] == list(range(30))


async def test_closing_ends_the_loops_of_listeners(library: Library) -> None:
    listener = library.events.subscribe("local")

    async def collect() -> list[int]:
        return [event.data["n"] async for event in listener]

    task = asyncio.create_task(collect())
    await _record(library, _event(1))
    await asyncio.sleep(0.05)
    library.events.close()
    assert await asyncio.wait_for(task, 90) == [1]
    assert [event async for event in library.events.subscribe("local", after=0)] == []


async def test_a_listener_that_is_dropped_is_forgotten(library: Library) -> None:
    listener = library.events.subscribe("local")
    assert len(library.events._listeners) == 1
    del listener
    gc.collect()
    assert len(library.events._listeners) == 0


async def test_old_events_are_pruned_and_the_numbers_go_on(library: Library) -> None:
    async with library.database.transaction() as session:
        for n in range(5):
            session.add(EventRow(owner_id="local", type="photo_ready", at=now() - timedelta(hours=30 - 5 * n)))
    assert await library.events.last_id() == 5
    assert await library.events.holds_all_after(0)
    assert await library.events.prune() == 2  # 30 and 25 hours old
    assert not await library.events.holds_all_after(1)
    assert await library.events.holds_all_after(2)
    async with library.database.transaction() as session:
        await (await session.connection()).execute(text("UPDATE events SET at = '2020-01-01 00:00:00.000000'"))
    assert await library.events.prune() == 2
    await _record(library, _event(9))
    assert await library.events.last_id() == 6
    assert await library.events.prune() == 1
    assert await library.events.holds_all_after(5)
    assert not await library.events.holds_all_after(4)


async def test_an_empty_log(library: Library) -> None:
    assert await library.events.last_id() == 0
    assert await library.events.holds_all_after(0)
    assert await library.events.prune() == 0
