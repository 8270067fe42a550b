"""Checking a connection: what is wrong is said in words that help, and nobody else's photos are mixed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from immich_sidecar.errors import ImmichAwayError, SettingsError
from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS
from immich_sidecar.immich.connections import Connection, ConnectionState
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.library.tables import EventRow
from tests.immich.stage import Library, connect
from tests.immich_server import ImmichServer, User

#: Servers tell their time in whole seconds.
ROUGHLY = timedelta(seconds=3)


async def test_a_key_that_may_everything(immich: ImmichServer, ada: User, key: str) -> None:
    connection = connect(immich, key)
    before = datetime.now(UTC)
    check = await connection.check()
    after = datetime.now(UTC)
    await connection.close()
    assert check.ok
    assert check.message is None
    assert (check.version, check.user_id, check.user_name) == (str(immich.dialect), ada.id, "Ada")
    assert check.missing_permissions == ()
    assert check.server_time is not None
    assert before - ROUGHLY < check.server_time < after + ROUGHLY


async def test_the_permissions_we_ask_for_are_enough(immich: ImmichServer, ada: User) -> None:
    connection = connect(immich, immich.add_key(ada, list(NEEDED_PERMISSIONS)))
    assert (await connection.check()).ok
    await connection.close()


async def test_missing_permissions_are_named(immich: ImmichServer, ada: User, library: Library) -> None:
    granted = [permission for permission in NEEDED_PERMISSIONS if not permission.startswith("stack.")]
    connection = connect(immich, immich.add_key(ada, granted), albums=True)
    check = await connection.refresh(library.database)
    await connection.close()
    assert check.state is ConnectionState.PERMISSION
    assert check.missing_permissions == (
        "stack.create",
        "stack.read",
        "stack.update",
        "album.read",
        "album.create",
        "albumAsset.create",
    )
    assert "stack.create" in (check.message or "")
    # What the key may do is done.
    assert connection.may_take


async def test_a_key_that_may_not_say_whose_it_is_takes_nothing(
    immich: ImmichServer, ada: User, library: Library
) -> None:
    connection = connect(immich, immich.add_key(ada, ["asset.read"]))
    check = await connection.refresh(library.database)
    await connection.close()
    assert check.state is ConnectionState.PERMISSION
    assert "user.read" in check.missing_permissions
    assert not connection.may_take


async def test_an_unknown_key(immich: ImmichServer) -> None:
    connection = connect(immich, "nonsense")
    check = await connection.check()
    await connection.close()
    assert check.state is ConnectionState.CREDENTIALS
    assert "IMMICH_API_KEY" in (check.message or "")


@pytest.mark.parametrize("key", ["", "schlüssel", "two words", "line\nbreak"])
def test_a_key_that_cannot_be_one(key: str) -> None:
    with pytest.raises(SettingsError, match="IMMICH_API_KEY"):
        Connection(owner_id="local", url="http://127.0.0.1:1", key=key)


async def test_nobody_there(immich: ImmichServer, key: str) -> None:
    connection = connect(immich, key)
    await immich.go_away()
    check = await connection.check()
    await connection.close()
    assert check.state is ConnectionState.AWAY
    assert check.server_time is None


async def test_maintenance_is_away_and_not_gone(immich: ImmichServer, key: str) -> None:
    connection = connect(immich, key)
    immich.maintenance = True
    check = await connection.check()
    assert check.state is ConnectionState.AWAY
    assert "maintenance" in (check.message or "")
    immich.maintenance = False
    assert (await connection.check()).ok
    await connection.close()


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ((2, 4, 1), ConnectionState.VERSION),
        ((2, 5, 0), ConnectionState.OK),
        ((2, 7, 5), ConnectionState.OK),
        ((3, 2, 2), ConnectionState.OK),
        ((4, 0, 0), ConnectionState.VERSION),
    ],
)
async def test_versions(immich: ImmichServer, key: str, version: tuple[int, int, int], state: ConnectionState) -> None:
    major, minor, patch = version
    immich.answer_next("/server/version", 200, {"major": major, "minor": minor, "patch": patch})
    connection = connect(immich, key)
    check = await connection.check()
    await connection.close()
    assert check.state is state


async def test_something_else_answers(immich: ImmichServer, key: str) -> None:
    immich.answer_next("/server/ping", 200, "<html>Welcome to nginx</html>")
    connection = connect(immich, key)
    check = await connection.check()
    await connection.close()
    assert check.state is ConnectionState.REFUSED
    assert "IMMICH_URL" in (check.message or "")


async def test_a_redirect_names_where_to(immich: ImmichServer, key: str) -> None:
    immich.answer_next("/server/ping", 301, "", headers={"Location": "https://photos.example/api/server/ping"})
    connection = connect(immich, key)
    check = await connection.check()
    await connection.close()
    assert check.state is ConnectionState.REFUSED
    assert "https://photos.example" in (check.message or "")


async def test_an_answer_of_another_shape_is_refused_and_not_a_crash(immich: ImmichServer, key: str) -> None:
    connection = connect(immich, key)
    for path in ("ping", "version", "config"):
        immich.answer_next(f"/server/{path}", 200, ["surprise"])
        assert (await connection.check()).state is ConnectionState.REFUSED
    await connection.close()


async def test_it_watches_from_the_servers_time(immich: ImmichServer, key: str, library: Library) -> None:
    immich.store.clock_skew = timedelta(days=-400, hours=3)
    skew = immich.store.clock_skew
    before = datetime.now(UTC)
    connection = connect(immich, key)
    await connection.refresh(library.database)
    after = datetime.now(UTC)
    await connection.close()
    assert connection.watch_from is not None
    assert before + skew - ROUGHLY < connection.watch_from < after + skew + ROUGHLY
    assert (await library.connection_row()).watch_from == connection.watch_from


@pytest.mark.parametrize("skew", [timedelta(0), timedelta(days=30)])
async def test_away_at_the_start_it_watches_from_our_start(
    immich: ImmichServer, key: str, library: Library, skew: timedelta
) -> None:
    immich.store.clock_skew = skew
    await immich.go_away()
    before = datetime.now(UTC)
    connection = connect(immich, key)
    await connection.refresh(library.database)
    after = datetime.now(UTC)
    started = connection.watch_from
    assert started is not None
    assert before - ROUGHLY < started < after + ROUGHLY
    await immich.come_back()
    before = datetime.now(UTC)
    for _ in range(2):
        await connection.refresh(library.database)
        took = datetime.now(UTC) - before
        # In the server's time, once that is known; and moved only once.
        assert -took - ROUGHLY < connection.watch_from - (started + skew) < ROUGHLY
    await connection.close()


async def test_another_user_is_refused(immich: ImmichServer, connection: Connection, library: Library) -> None:
    eve = connect(immich, immich.add_key(immich.add_user("Eve")))
    check = await eve.refresh(library.database, library.events)
    assert check.state is ConnectionState.REFUSED
    assert "Eve" in (check.message or "")
    assert "Ada" in (check.message or "")
    assert not eve.may_take
    assert not eve.may_publish
    row = await library.connection_row()
    assert (row.immich_user_name, row.state) == ("Ada", "refused")
    await eve.close()
    # The right key again, and all is well.
    assert (await connection.refresh(library.database)).ok


async def test_a_new_key_of_the_same_user_is_fine(
    immich: ImmichServer, ada: User, connection: Connection, library: Library
) -> None:
    watch_from = connection.watch_from
    other = connect(immich, immich.add_key(ada))
    assert (await other.refresh(library.database)).ok
    assert (other.id, other.watch_from) == (connection.id, watch_from)
    await other.close()


async def test_a_change_of_state_is_an_event(
    immich: ImmichServer, key: str, connection: Connection, library: Library
) -> None:
    immich.revoke_key(key)
    await connection.refresh(library.database, library.events)
    await connection.refresh(library.database, library.events)
    rows = await library._rows(EventRow, {})
    assert [row.data["connection"] for row in rows if row.type == "connection_changed"] == ["ok", "credentials"]


async def test_an_idle_connection_that_immich_closed_costs_nothing(immich: ImmichServer, key: str) -> None:
    connection = connect(immich, key)
    assert (await connection.check()).ok
    # The answer is lost; reading may be repeated, and is.
    immich.lose_answer_next("/users/me")
    assert (await connection.check()).ok
    await connection.close()


async def test_an_immich_that_is_away_takes_no_permission_away(
    immich: ImmichServer, key: str, library: Library
) -> None:
    connection = connect(immich, key)
    publisher = Publisher(connection, library.database)
    await connection.refresh(library.database)
    assert publisher.may("album.read")
    immich.maintenance = True
    assert (await connection.refresh(library.database)).state is ConnectionState.AWAY
    assert publisher.may("album.read"), "what is under way must not skip what it needs it for"
    again = connect(immich, key)
    assert not Publisher(again, library.database).may("album.read")
    await again.prepare(library.database)
    assert Publisher(again, library.database).may("album.read"), "nor a restart"
    await connection.close()
    await again.close()


async def test_a_connection_that_was_closed_says_nothing_of_the_next_one(
    immich: ImmichServer, key: str, library: Library
) -> None:
    old = connect(immich, key)
    await old.refresh(library.database)
    await old.close()
    await old.note(ImmichAwayError("closed"), library.database)
    assert (await old.refresh(library.database)).state is ConnectionState.AWAY
    assert not old.may_publish
    row = await library.connection_row()
    assert (row.state, row.last_error) == ("ok", None)
