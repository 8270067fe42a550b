"""A photo that is noticed three ways is one photo, in whatever order, however often, whatever is lost in between."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter

import pytest

from immich_sidecar.immich import socket_listener
from immich_sidecar.library.tables import IntakeState
from tests.immich.desk import Desk, until
from tests.immich.stage import Library, picture
from tests.immich_server import Asset, ImmichServer, User

newest = pytest.mark.parametrize("immich_version", ["3.1.0"])
WAYS = ("webhook", "socket", "poll")


async def each_was_taken_once(desk: Desk, library: Library, assets: list[Asset]) -> None:
    await desk.connections.rounds_over()
    rows = await library.assets()
    assert Counter(row.asset_id for row in rows) == Counter(asset.id for asset in assets)
    assert {row.state for row in rows} == {IntakeState.FETCHED}
    assert Counter(photo.immich_asset_id for photo in await library.photos()) == Counter(a.id for a in assets)
    assert Counter(desk.downloads()) == Counter(f"/api/assets/{asset.id}/original" for asset in assets)
    assert not library.downloads_left()


@newest
@pytest.mark.parametrize("order", list(itertools.permutations(WAYS)), ids="-".join)
@pytest.mark.parametrize("at_once", [True, False])
async def test_in_every_order(
    immich: ImmichServer, ada: User, library: Library, desk: Desk, *, order: tuple[str, ...], at_once: bool
) -> None:
    one = await desk.connect(ada)
    asset = immich.add_asset(ada, picture(1), "one.jpg")
    # Twice each: a socket has two events about one photo, and Immich may send a webhook again.
    for way in (*order, *order):
        if way == "poll":
            await desk.connections.tick()
        else:
            assert desk.connections.noticed(one.id, asset.id, way)
        if not at_once:
            await desk.connections.rounds_over()
    await each_was_taken_once(desk, library, [asset])
    (row,) = await library.assets()
    assert row.noticed_by == order[0] or at_once


@newest
@pytest.mark.parametrize("seed", range(4))
async def test_many_with_delays_and_duplicates(
    immich: ImmichServer, ada: User, library: Library, desk: Desk, seed: int
) -> None:
    rng = random.Random(seed)
    one = await desk.connect(ada)
    immich.slow_down("/original$", 0.05, times=5)
    immich.slow_down("/search/metadata", 0.05, times=5)
    assets: list[Asset] = []

    async def tell(asset: Asset, way: str) -> None:
        await asyncio.sleep(rng.uniform(0, 0.3))
        if way == "poll":
            await desk.connections.tick()
        else:
            desk.connections.noticed(one.id, asset.id, way)

    async def arrive(number: int) -> None:
        await asyncio.sleep(rng.uniform(0, 0.3))
        assets.append(asset := immich.add_asset(ada, picture(number), f"{number}.jpg"))
        ways = [way for way in WAYS for _ in range(rng.randrange(3))]
        await asyncio.gather(*(tell(asset, way) for way in ways))

    await asyncio.gather(*(arrive(number) for number in range(12)))
    # While it still asks, perhaps from before the last came, it does not ask again.
    await desk.connections.rounds_over()
    await desk.round()
    await each_was_taken_once(desk, library, assets)


@newest
async def test_the_real_three_at_once(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    one = await desk.connect(ada, features=("webhook", "socket"), socket=True)
    await until(lambda: immich.listeners(ada) == 1 and one.problems == (), "the socket is open")
    assets = []
    for number in range(8):
        assets.append(await desk.upload(ada, picture(number), f"{number}.jpg"))
        await desk.connections.tick()
    await immich.settled()
    await desk.photos(ada, 8)
    await each_was_taken_once(desk, library, assets)
    told = [event.event for event in immich.told if event.user is ada]
    assert told.count("on_upload_success") == 8
    assert len([delivery for delivery in immich.deliveries if delivery.status == 202]) == 8


@newest
async def test_each_way_is_enough(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    one = await desk.connect(ada, features=("webhook", "socket"), socket=True)
    await until(lambda: one.problems == (), "the socket is open")
    # The webhook is lost: the socket tells.
    immich.lose_webhooks(1)
    first = await desk.upload(ada, picture(1), "first.jpg")
    await desk.photos(ada, 1)
    # The socket is lost: the webhook tells.
    await desk.connections.update_choices(ada.id, one.choices.model_copy(update={"socket": False}))
    second = await desk.upload(ada, picture(2), "second.jpg")
    await desk.photos(ada, 2)
    # Both are lost: asking finds it.
    immich.lose_webhooks(1)
    third = await desk.upload(ada, picture(3), "third.jpg")
    await immich.settled()
    await desk.connections.rounds_over()
    assert len(await library.photos()) == 2
    await desk.round()
    await each_was_taken_once(desk, library, [first, second, third])
    assert [row.noticed_by for row in await library.assets()] == ["socket", "webhook", "poll"]


@newest
async def test_restarted_in_the_middle(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    one = await desk.connect(ada)
    assets = [immich.add_asset(ada, picture(number), f"{number}.jpg") for number in range(3)]
    immich.slow_down(f"{assets[0].id}/original", 120, times=1)
    immich.slow_down(f"{assets[1].id}$", 120, times=1)
    for asset in assets:
        desk.connections.noticed(one.id, asset.id, "webhook")
    # The third waits behind the two.
    under_way = {f"/api/assets/{assets[0].id}/original", f"/api/assets/{assets[1].id}"}
    await until(lambda: under_way <= set(immich.delayed), "they are under way")
    await desk.restart()
    before = len(desk.downloads())
    await desk.round()
    desk.connections.noticed(one.id, assets[1].id, "webhook")
    await desk.connections.rounds_over()
    assert len(await library.photos()) == 3
    assert len(desk.downloads()) - before == 3
    assert len(await library.assets()) == 3
    assert not library.downloads_left()


async def test_the_socket_comes_back_and_what_was_missed_is_asked_for(
    immich: ImmichServer, ada: User, library: Library, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_listener, "FIRST_WAIT_SECONDS", 0.05)
    one = await desk.connect(ada, features=("socket",), socket=True, webhook=False)
    await until(lambda: one.problems == (), "the socket is open")
    await immich.go_away()
    await until(lambda: one.problems != (), "the loss is noticed")
    immich.add_asset(ada, picture(1), "missed.jpg")
    await immich.come_back()
    # No tick: opening the socket asks.
    await desk.photos(ada, 1)
    await until(lambda: one.problems == (), "the socket is open")


async def test_changes_in_immich_are_told_on(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    one = await desk.connect(ada, features=("socket",), socket=True, webhook=False)
    await until(lambda: one.problems == (), "the socket is open")
    asset = immich.add_asset(ada, picture(1), "one.jpg")
    await immich_says(immich, ada, "on_asset_trash", [asset.id])
    await immich_says(immich, ada, "on_asset_delete", asset.id)
    await immich_says(immich, ada, "on_asset_restore", [asset.id])
    await until(lambda: len(desk.changes) == 3, "all three are heard")
    assert desk.changes == [(ada.id, change, [asset.id]) for change in ("trashed", "deleted", "restored")]
    # What came back is looked at.
    await desk.photos(ada, 1)


async def immich_says(immich: ImmichServer, user: User, event: str, *arguments: object) -> None:
    immich.store.tell(user, event, *arguments)
    await immich.settled()


@newest
async def test_a_limited_key_hears_nothing_and_says_so(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    one = await desk.connect(ada, features=("webhook",), socket=True)
    assert "socket" in one.problems[0]
    assert immich.listeners(ada) == 0
    # A key that was limited later: Immich lets the socket open and closes it again.
    two = await desk.connect(ada, features=("webhook", "socket"), socket=True)
    await until(lambda: two.problems == (), "the socket is open")
    (key,) = immich.keys_of(ada)
    key.permissions = ["asset.read"]
    listener = socket_listener.SocketListener(
        immich.url, {"x-api-key": key.secret}, on_new=print, on_change=nobody, on_version=print
    )
    listener.start()
    try:
        await until(lambda: "does not accept" in (listener.problem or ""), "the refusal is understood")
        assert key.secret not in (listener.problem or "")
    finally:
        await listener.stop()


async def nobody(*_: object) -> None:
    return None
