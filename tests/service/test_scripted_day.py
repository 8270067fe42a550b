"""A whole day of three people beside the real service, and 5,000 assets that nobody may touch.

`SIDECAR_TEST_DAY` chooses another seed. What happened stands in the output of a test that failed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.immich_server import Asset, ImmichServer, differences
from tests.service.day import Day, Fate, a_day
from tests.service.day_check import KEY, Check
from tests.service.day_script import HOURS, Script

OLD_ASSETS = 5000


async def live_through(day: Day, amount: int) -> Check:
    """Play the day until nothing is left to do, and look."""
    script = Script(day, amount)
    for number, disturbance in zip(range(HOURS), script.disturbances(), strict=True):
        await day.hour(number + 1, disturbance)
    day.note("evening")
    day.worlds.real.no_faults()
    for person in day.people:
        await person.retry()
    for photo in day.photos.values():
        if photo.fate is Fate.DEVELOP and not photo.deleted:
            await photo.person.reviewable(photo.asset.name)
    # Webhooks that were lost, tags and albums that follow: the next rounds see to them.
    until = time.monotonic() + 120
    while True:
        await day.calm()
        await asyncio.sleep(4)
        await day.calm()
        for server in day.worlds.both:
            await server.settled()
        day.note("night")
        evening = day.worlds.real.snapshot()
        await asyncio.sleep(3)
        changed = [str(one) for one in differences(evening, day.worlds.real.snapshot(), ignore=())]
        if not changed:
            break
        assert time.monotonic() < until, changed
    return Check(day)


def see_to_the_books(day: Day) -> None:
    log = day.service.log.read_text()
    assert "Traceback" not in log, log


@pytest.mark.timeout(900)
async def test_a_day(tmp_path: Path) -> None:
    async with a_day(tmp_path, int(os.environ.get("SIDECAR_TEST_DAY", "1")), old_assets=OLD_ASSETS) as day:
        check = await live_through(day, 1)
        assert not check.violations, "\n".join(check.violations)
        assert len(check.our_ids) > 20
        every_harm_is_seen(day)
    await day.service.verify()
    see_to_the_books(day)


@pytest.mark.day
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100, 100 + int(os.environ.get("SIDECAR_TEST_DAYS", "6"))))
async def test_long_days(tmp_path: Path, seed: int) -> None:
    async with a_day(tmp_path, seed, old_assets=OLD_ASSETS) as day:
        check = await live_through(day, 3)
        assert not check.violations, "\n".join(check.violations)
    await day.service.verify()
    see_to_the_books(day)


def every_harm_is_seen(day: Day) -> None:
    """The check finds whatever is done to the real Immich now."""
    immich = day.worlds.real
    ada = day.people[0]
    mine = [photo for photo in day.photos.values() if photo.person is ada]
    ours = Check(day).ours
    approved = next(one for one in mine if one.review == "approved" and one.asset.id in ours and not one.apart)
    untouched = next(one for one in mine if one.fate is Fate.UNTOUCHED)
    pending = next(one for one in mine if one.fate is Fate.DEVELOP and one.review == "pending")
    crowd = immich.store.assets.crowds[0]
    old = immich.assets[crowd.id_of(0)]
    mark = immich.metadata_of(ours[approved.asset.id][approved.version], KEY)

    def twice() -> None:
        immich.add_asset(ada.user, b"again", "again.jpg", metadata={KEY: (dict(mark or {}), datetime.now(UTC))})

    def on_top() -> None:
        assert old.stack_id is not None
        immich.stacks[old.stack_id].primary_asset_id = crowd.id_of(1)

    def into_an_album() -> None:
        next(iter(immich.albums.values())).asset_ids.append(ours[pending.asset.id][1].id)

    def tag() -> None:
        old.tag_ids.append(immich.tag_named(ada.user, "Sidecar/Review").id)

    def put_mark(asset: Asset) -> None:
        asset.metadata[KEY] = (dict(mark or {}), datetime.now(UTC))

    def key(server: ImmichServer) -> None:
        server.add_key(ada.user, name="immich-sidecar (again)")

    harms: dict[str, Callable[[], object]] = {
        "words of an old photo": lambda: crowd_asset(immich, 900).exif.update(description="better words"),
        "an old photo is hidden": lambda: setattr(crowd_asset(immich, 901), "visibility", "hidden"),
        "an old photo is deleted": lambda: immich.delete(crowd_asset(immich, 902)),
        "an old photo is marked": lambda: put_mark(crowd_asset(immich, 903)),
        "an old photo is tagged": tag,
        "an old stack has another primary": on_top,
        "a photo leaves its stack": lambda: setattr(old, "stack_id", None),
        "a version is there twice": twice,
        "what nobody may touch is marked": lambda: put_mark(untouched.asset),
        "an original is trashed": lambda: immich.trash(approved.asset),
        "a version that waits is shown in an album": into_an_album,
        "a version is lost": lambda: immich.delete(ours[pending.asset.id][1]),
        "a key too many": lambda: key(immich),
        "a webhook too many": lambda: immich.add_webhook(ada.user, "http://127.0.0.1:1/"),
        "a partner is lost": immich.store.partners.pop,
        "a favourite": lambda: setattr(pending.asset, "is_favorite", True),
    }
    known: set[str] = set()
    for what, do in harms.items():
        do()
        violations = set(Check(day).violations)
        assert violations - known, f"it is not seen that {what}"
        known = violations


def crowd_asset(immich: ImmichServer, index: int) -> Asset:
    """One of the old photos that nobody ever asked for."""
    asset: Asset = immich.assets[immich.store.assets.crowds[0].id_of(index)]
    return asset
