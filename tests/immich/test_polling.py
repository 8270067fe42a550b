"""Asking costs by what is new and not by what is there, and finds what is ours to find and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.noticing import Noticing
from immich_sidecar.library.tables import IntakeState
from tests.immich.desk import Desk, open_desk
from tests.immich.stage import Library, picture
from tests.immich_server import ImmichServer, User


async def requests_of_a_round(desk: Desk, user: User, crowd: int) -> dict[str, int]:
    """What one round of asking and fetching costs, with so many older assets and ten new ones."""
    immich, library = desk.immich, desk.library
    immich.add_crowd(user, crowd, step=timedelta(seconds=20))
    # It has watched for longer than any of them is there.
    await library.change(await library.connection_row(user.id), watch_from=datetime(1990, 1, 1, tzinfo=UTC))
    await desk.round()
    for number in range(10):
        immich.add_asset(user, picture(number), f"new-{crowd}-{number}.jpg")
    immich.requests.clear()
    await desk.round()
    assert len(await desk.photos(user, 10)) == 10
    return dict(immich.request_counts())


async def test_a_million_assets_cost_what_a_thousand_cost(immich: ImmichServer, library: Library) -> None:
    counts = []
    for name, crowd in (("Ada", 1_000), ("Bob", 1_000_000)):
        user = immich.add_user(name)
        async with open_desk(library, immich) as desk:
            await desk.connect(user, features=("disconnect",), webhook=False)
            counts.append(await requests_of_a_round(desk, user, crowd))
            await desk.connections.disconnect(user.id)
    assert counts[0] == counts[1]
    # One page each for the timeline and the archive; each new photo is read, with its marks, and fetched.
    assert counts[0] == {
        "POST /api/search/metadata": 2,
        "GET /api/assets/{id}": 10,
        "GET /api/assets/{id}/metadata": 10,
        "GET /api/assets/{id}/original": 10,
    }


@pytest.mark.parametrize("page", [3, 1000])
async def test_only_what_is_ours_and_shown_is_noticed(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, page: int
) -> None:
    bob = immich.add_user("Bob")
    immich.add_partner(bob, ada, in_timeline=True)
    for number in range(5):
        immich.add_asset(bob, picture(number), f"his-{number}.jpg")
        immich.add_asset(ada, picture(number), f"hers-{number}.jpg")
    immich.add_asset(ada, picture(10), "archived.jpg", visibility="archive")
    immich.add_asset(ada, picture(11), "hidden.jpg", visibility="hidden")
    immich.add_asset(ada, picture(12), "locked.jpg", visibility="locked")
    immich.trash(immich.add_asset(ada, picture(13), "trashed.jpg"))
    immich.add_asset(ada, picture(14), "older.jpg", created_at=datetime.now(UTC) - timedelta(days=2))
    await Noticing(connection, library.database, page=page).poll()
    rows = {row.file_name: row.state for row in await library.assets()}
    assert sorted(rows) == ["archived.jpg", *(f"hers-{number}.jpg" for number in range(5))]
    assert {rows[f"hers-{number}.jpg"] for number in range(5)} == {IntakeState.SEEN}
    asked = [seen for seen in immich.requests if seen.path == "/api/search/metadata"]
    assert asked


async def test_every_search_says_what_it_wants_to_see(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Versions of Immich differ in what they show where nothing is said."""
    asked: list[str] = []
    search = connection.api.search_assets

    async def noted(window: object, **named: object) -> object:
        asked.append(window.visibility)  # type: ignore[attr-defined]
        return await search(window, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(connection.api, "search_assets", noted)
    noticing = Noticing(connection, library.database)
    await noticing.poll()
    await noticing.poll_updated()
    assert sorted(asked) == ["archive", "archive", "timeline", "timeline"]


async def test_a_change_of_the_whole_library_is_not_read_through(
    immich: ImmichServer, ada: User, library: Library, connection: Connection
) -> None:
    noticing = Noticing(connection, library.database, page=10)
    older = datetime.now(UTC) - timedelta(days=2)
    for number in range(60):
        immich.add_asset(ada, picture(number), f"{number}.jpg", created_at=older, updated_at=immich.store.now())
    immich.add_asset(ada, picture(99), "shown-now.jpg")
    immich.requests.clear()
    assert await noticing.poll_updated() == 1
    assert [row.file_name for row in await library.assets()] == ["shown-now.jpg"]
    assert immich.request_counts()["POST /api/search/metadata"] == 2
