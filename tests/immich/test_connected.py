"""Connecting with consent, ending it again, and many connections side by side."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from immich_sidecar.errors import ConflictError, ImmichCredentialsError, ImmichVersionError
from immich_sidecar.immich.api import Api, ImmichUser
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS, permissions_for
from immich_sidecar.immich.connections import ConnectionState
from immich_sidecar.immich.set_up import HEADER, METHOD, WORKFLOW, digest
from immich_sidecar.library.tables import IntakeState
from tests.immich.desk import Desk, open_desk, until
from tests.immich.stage import Library, picture
from tests.immich_server import ImmichServer, User

#: Where workflows can call a webhook.
newest = pytest.mark.parametrize("immich_version", ["3.1.0"])


async def me(immich: ImmichServer, token: str) -> ImmichUser:
    api = Api(immich.url, session_token=token)
    try:
        return await api.me()
    finally:
        await api.close()


@newest
async def test_a_user_who_consents_gets_a_limited_key_and_a_webhook(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    one = await desk.connect(ada, features=("webhook", "faces"))
    (key,) = immich.keys_of(ada)
    assert key.permissions == list(permissions_for(("webhook", "faces"), version=(3, 1, 0)))
    assert "all" not in key.permissions
    assert "asset.delete" not in key.permissions
    assert key.name.startswith("immich-sidecar (")
    row = await library.connection_row(ada.id)
    assert (row.immich_user_id, row.immich_user_name, row.immich_user_email) == (ada.id, "Ada", ada.email)
    assert (row.key_id, row.key_made_by_us, row.state) == (key.id, True, "ok")
    assert row.key is not None
    assert key.secret not in row.key
    (workflow,) = immich.workflows_of(ada)
    assert (workflow.name, workflow.trigger, workflow.enabled) == (WORKFLOW, "AssetCreate", True)
    (step,) = workflow.steps
    assert step["method"] == METHOD
    config = step["config"]
    assert config["url"] == f"{desk.webhook_url}/hooks/immich/{one.id}"
    assert (config["headerName"], config["method"]) == (HEADER, "POST")
    assert row.webhook_secret_sha256 == digest(config["headerValue"])
    assert config["headerValue"] not in key.secret
    assert row.workflow_ids == [workflow.id]
    assert one.problems == ()
    assert len(config["headerValue"]) >= 43


async def test_the_session_that_consented_leaves_no_trace(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    token = immich.log_in(ada)
    await desk.connections.connect(ada.id, await me(immich, token), token=token, choices=Choices())
    await library.database.close()
    for file in library.layout.data_dir.rglob("*"):
        assert not file.is_file() or token.encode() not in file.read_bytes()
    await library.database.open()


@newest
async def test_a_key_of_their_own_is_kept_as_it_is(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    secret = immich.add_key(ada, list(NEEDED_PERMISSIONS))
    found = await me(immich, immich.log_in(ada))
    one = await desk.connections.connect(ada.id, found, key=secret, choices=Choices())
    assert [key.secret for key in immich.keys_of(ada)] == [secret]
    row = await library.connection_row(ada.id)
    assert (row.key_made_by_us, row.state) == (False, "ok")
    assert "may not make workflows" in one.problems[0]
    assert any("Your own API key" in sentence for sentence in await desk.connections.disconnect(ada.id))
    assert [key.secret for key in immich.keys_of(ada)] == [secret]


async def test_nobody_connects_for_somebody_else(immich: ImmichServer, ada: User, desk: Desk) -> None:
    eve = immich.add_user("Eve")
    token = immich.log_in(eve)
    with pytest.raises(ConflictError, match="Eve"):
        await desk.connections.connect(ada.id, await me(immich, immich.log_in(ada)), token=token)
    with pytest.raises(ConflictError, match="Eve"):
        await desk.connections.connect(ada.id, await me(immich, immich.log_in(ada)), key=immich.add_key(eve))
    await desk.connect(ada)
    # Nor does a user become the owner of another's photos.
    with pytest.raises(ConflictError, match="Ada"):
        await desk.connections.connect(ada.id, await me(immich, token), token=token)
    with pytest.raises(ConflictError, match="belongs to the owner"):
        await desk.connections.connect("another", await me(immich, immich.log_in(ada)), token=immich.log_in(ada))
    with pytest.raises(ImmichCredentialsError):
        await desk.connections.connect(ada.id, await me(immich, immich.log_in(ada)), token="ended-long-ago")


@newest
async def test_connected_it_watches_from_now_and_goes_on_after_a_restart(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    immich.add_asset(ada, picture(0), "old.jpg", created_at=datetime.now(UTC) - timedelta(minutes=5))
    await desk.connect(ada)
    immich.add_asset(ada, picture(1), "one.jpg")
    await desk.round()
    await desk.restart()
    immich.add_asset(ada, picture(2), "two.jpg")
    await desk.round()
    assert sorted(photo.file_name for photo in await library.photos()) == ["one.jpg", "two.jpg"]
    assert {photo.owner_id for photo in await library.photos()} == {ada.id}
    # The webhook is made once.
    assert len(immich.workflows_of(ada)) == 1


async def test_ended_it_leaves_nothing_in_immich_and_every_photo_here(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    await desk.connect(ada)
    immich.add_asset(ada, picture(1), "one.jpg")
    await desk.round()
    assert await desk.connections.disconnect(ada.id) == ()
    assert not immich.keys_of(ada)
    assert not immich.workflows_of(ada)
    row = await library.connection_row(ada.id)
    assert (row.key, row.key_id, row.webhook_secret_sha256, row.workflow_ids) == (None, None, None, [])
    assert (row.state, row.disconnected_at is None) == ("disconnected", False)
    assert len(await library.photos()) == 1
    assert desk.connections.of_owner(ada.id) is None
    with pytest.raises(ConflictError, match="no connection"):
        await desk.connections.disconnect(ada.id)
    await desk.restart()
    assert desk.connections.all() == ()
    # What came meanwhile stays; connected again, it watches from now on.
    immich.add_asset(ada, picture(2), "meanwhile.jpg", created_at=datetime.now(UTC) - timedelta(seconds=30))
    await desk.connect(ada)
    immich.add_asset(ada, picture(3), "after.jpg")
    await desk.round()
    assert sorted(photo.file_name for photo in await library.photos()) == ["after.jpg", "one.jpg"]
    assert (await library.connection_row(ada.id)).id == row.id


@newest
async def test_what_cannot_be_removed_is_told(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    await desk.connect(ada, features=("webhook",))
    left = await desk.connections.disconnect(ada.id)
    assert len(left) == 1
    assert "API key immich-sidecar" in left[0]
    assert len(immich.keys_of(ada)) == 1
    # With the user's own session it can be.
    await desk.connect(ada, features=("webhook",))
    assert await desk.connections.disconnect(ada.id, token=immich.log_in(ada)) == ()
    await desk.connect(ada)
    await immich.go_away()
    left = await desk.connections.disconnect(ada.id)
    assert len(left) == 2
    assert desk.connections.of_owner(ada.id) is None
    assert (await library.connection_row(ada.id)).key is None


async def test_a_revoked_key_is_noticed_and_mended_without_losing_the_place(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    await desk.connect(ada)
    await desk.round()
    (key,) = immich.keys_of(ada)
    immich.revoke_key(key.secret)
    # While nobody listens a photo comes.
    immich.add_asset(ada, picture(1), "one.jpg")
    await desk.round()
    await desk.round()
    row = await library.connection_row(ada.id)
    assert row.state == "credentials"
    assert "connect Immich again" in (row.last_error or "")
    assert "IMMICH_API_KEY" not in (row.last_error or "")
    before = (row.id, row.watch_from, row.created_cursor)
    await desk.connect(ada)
    row = await library.connection_row(ada.id)
    assert (row.id, row.watch_from) == before[:2]
    assert row.state == "ok"
    await desk.round()
    assert [photo.file_name for photo in await library.photos(owner_id=ada.id)] == ["one.jpg"]


@newest
async def test_connecting_again_replaces_the_key_and_keeps_one_webhook(
    immich: ImmichServer, ada: User, desk: Desk
) -> None:
    await desk.connect(ada)
    (first,) = immich.keys_of(ada)
    await desk.connect(ada, features=("webhook", "albums"))
    (second,) = immich.keys_of(ada)
    assert first.id != second.id
    assert "album.read" in second.permissions
    assert len(immich.workflows_of(ada)) == 1


@newest
async def test_the_operators_key_is_not_touched(immich: ImmichServer, ada: User, key: str, library: Library) -> None:
    async with open_desk(library, immich, immich_api_key=key) as desk:
        await desk.round()
        one = desk.connections.of_owner("local")
        assert one is not None
        assert one.from_settings
        # Nobody was asked: nothing is made in Immich.
        assert not immich.workflows_of(ada)
        assert len(immich.keys_of(ada)) == 1
        found = await me(immich, immich.log_in(ada))
        again = await desk.connections.connect("local", found, token=immich.log_in(ada), choices=Choices(webhook=True))
        assert again is one
        assert len(immich.keys_of(ada)) == 1
        assert len(immich.workflows_of(ada)) == 1
        with pytest.raises(ConflictError, match="IMMICH_API_KEY"):
            await desk.connections.disconnect("local")
        await desk.restart(immich_api_key=key)
        await desk.round()
        assert len(immich.workflows_of(ada)) == 1


async def test_another_users_key_makes_nothing_seem_gone(
    immich: ImmichServer, ada: User, key: str, library: Library
) -> None:
    """To that key Immich says of each of Ada's photos that there is none."""
    async with open_desk(library, immich, immich_api_key=key) as desk:
        await desk.round()
        immich.add_asset(ada, picture(1), "taken.jpg")
        await desk.round()
        (taken,) = await library.photos()
        immich.add_asset(ada, picture(2), "waiting.jpg")
        library.space.min_free = 1 << 60
        await desk.round()
        library.space.min_free = 0
        library.layout.absolute(taken.path or "").unlink()

        await desk.restart(immich_api_key=immich.add_key(immich.add_user("Bob")))
        with pytest.raises(ImmichCredentialsError, match="Bob"):
            await desk.connections.refetch(taken)
        await desk.round()
        assert (await library.connection_row()).state == "refused"
        assert (await library.asset("waiting.jpg")).state is IntakeState.SEEN

        await desk.restart(immich_api_key=key)
        await desk.round()
        assert {photo.file_name for photo in await library.photos()} == {"taken.jpg", "waiting.jpg"}
        assert (await desk.connections.refetch(taken)).is_file()


async def test_two_connections_of_one_user_are_refused(
    immich: ImmichServer, ada: User, key: str, library: Library, desk: Desk
) -> None:
    await desk.connect(ada)
    await desk.restart(immich_api_key=key)
    await desk.round()
    row = await library.connection_row("local")
    assert row.state == "refused"
    assert "connected already" in (row.last_error or "")
    immich.add_asset(ada, picture(1), "one.jpg")
    await desk.round()
    assert {photo.owner_id for photo in await library.photos()} == {ada.id}


async def test_another_secret_makes_a_key_unreadable_and_is_said(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    await desk.connect(ada)
    await desk.stop()
    (library.layout.data_dir / "secret_key").unlink()
    await desk.start()
    row = await library.connection_row(ada.id)
    assert row.state == "credentials"
    assert "SIDECAR_SECRET_KEY" in (row.last_error or "")
    assert desk.connections.all() == ()
    await desk.connect(ada)
    assert (await library.connection_row(ada.id)).state == "ok"


@newest
async def test_choices_are_kept_and_acted_on(immich: ImmichServer, ada: User, library: Library, desk: Desk) -> None:
    one = await desk.connect(ada)
    await desk.connections.update_choices(ada.id, Choices(webhook=False, watch=False, albums=True))
    assert not immich.workflows_of(ada)
    assert (await library.connection_row(ada.id)).webhook_secret_sha256 is None
    assert one.albums
    immich.add_asset(ada, picture(1), "one.jpg")
    await desk.round()
    assert not await library.photos()
    await desk.restart()
    await desk.connections.update_choices(ada.id, Choices())
    await desk.round()
    assert len(immich.workflows_of(ada)) == 1
    assert len(await library.photos()) == 1


async def test_one_that_is_slow_or_fails_delays_no_other(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    bob = immich.add_user("Bob")
    await desk.connect(ada)
    await desk.connect(bob)
    asset = immich.add_asset(ada, picture(1), "slow.jpg")
    immich.slow_down(f"{asset.id}/original", 300)
    await desk.connections.tick()
    await until(lambda: any(seen.path.endswith(asset.id) for seen in immich.requests), "Ada's is asked for")
    immich.add_asset(bob, picture(2), "bobs.jpg")
    # Nor itself: what comes after it is taken beside it.
    immich.add_asset(ada, picture(3), "next.jpg")

    async def both_taken() -> bool:
        await desk.connections.tick()
        names = [[photo.file_name for photo in await library.photos(owner_id=who.id)] for who in (bob, ada)]
        return names == [["bobs.jpg"], ["next.jpg"]]

    await until(both_taken, "both are taken while the slow one is not")


@pytest.mark.parametrize("version", [(2, 4, 1), (4, 0, 0)])
async def test_a_version_that_is_not_supported_is_read_and_not_written_to(
    immich: ImmichServer, ada: User, library: Library, desk: Desk, version: tuple[int, int, int]
) -> None:
    one = await desk.connect(ada)
    immich.add_asset(ada, picture(0), "before.jpg")
    await desk.round()
    numbers = dict(zip(("major", "minor", "patch"), version, strict=True))
    immich.answer_next("/server/version", 200, numbers, times=100)
    await desk.restart()
    await desk.round()
    one = desk.connections.all()[0]
    row = await library.connection_row(ada.id)
    assert (row.state, row.version) == ("version", ".".join(map(str, version)))
    assert "nothing is written" in (row.last_error or "")
    assert desk.connections.targets() == {}
    assert not one.connection.may_publish
    # Photos are found and fetched, and fetched again.
    immich.add_asset(ada, picture(1), "after.jpg")
    await desk.round()
    (photo,) = await library.photos(file_name="before.jpg")
    assert len(await library.photos()) == 2
    library.layout.absolute(photo.path or "").unlink()
    assert (await desk.connections.refetch(photo)).exists()
    with pytest.raises(ImmichVersionError):
        await desk.connections.connect(
            ada.id, await me(immich, immich.log_in(ada)), token=immich.log_in(ada), choices=Choices()
        )
    # Updated while we run.
    immich.no_faults()
    await desk.round()
    assert one.connection.state is ConnectionState.OK
    assert list(desk.connections.targets()) == [one.id]
    writes = [seen for seen in immich.requests if seen.method in ("PUT", "DELETE") or seen.path.endswith("/assets")]
    assert not writes


@pytest.mark.parametrize("status", [400, 500])
async def test_an_immich_that_answers_and_cannot_search_is_told(
    immich: ImmichServer, ada: User, library: Library, desk: Desk, status: int
) -> None:
    one = await desk.connect(ada)
    immich.answer_next("/search/metadata", status, {"message": "the index is broken"}, times=None)
    immich.add_asset(ada, picture(1), "one.jpg")
    await desk.round()
    assert (await library.connection_row(ada.id)).state == "ok"
    assert one.problems[-1].startswith("New photos are not noticed:")
    assert "the index is broken" in one.problems[-1]
    immich.no_faults()
    await desk.round()
    assert "New photos are not noticed" not in " ".join(one.problems)
    assert await library.photos()


async def test_an_update_is_noticed_within_the_hour(
    immich: ImmichServer, ada: User, library: Library, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await desk.connect(ada)
    immich.answer_next("/server/version", 200, {"major": 4, "minor": 0, "patch": 0}, times=100)
    await desk.round()
    assert one.connection.state is ConnectionState.OK
    monkeypatch.setattr("immich_sidecar.immich.connections.CHECK_EVERY_SECONDS", 0.0)
    await desk.round()
    assert one.connection.state is ConnectionState.VERSION


@pytest.mark.parametrize("immich_version", ["2.7.5"])
async def test_an_immich_without_webhooks_is_asked(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    one = await desk.connect(ada)
    assert "from version 3.0 on" in one.problems[0]
    (key,) = immich.keys_of(ada)
    assert not [permission for permission in key.permissions if permission.startswith("workflow")]
    immich.add_asset(ada, picture(1), "one.jpg")
    await desk.round()
    assert len(await library.photos()) == 1
    assert not [seen for seen in immich.requests if "workflow" in seen.path]


@newest
async def test_a_stranger_to_the_webhook_learns_nothing(immich: ImmichServer, ada: User, desk: Desk) -> None:
    import aiohttp

    one = await desk.connect(ada)
    asset = immich.add_asset(ada, picture(1), "one.jpg", created_at=datetime.now(UTC) - timedelta(hours=1))
    body = {"data": {"asset": {"id": asset.id, "ownerId": ada.id}}}
    (workflow,) = immich.workflows_of(ada)
    secret = workflow.steps[0]["config"]["headerValue"]
    async with aiohttp.ClientSession(desk.webhook_url) as session:

        async def post(number: object, secret: str | None, **more: object) -> tuple[int, str]:
            headers = {} if secret is None else {HEADER: secret}
            async with session.post(f"/hooks/immich/{number}", headers=headers, **({"json": body} | more)) as answer:
                return answer.status, await answer.text()

        nothing = await post(one.id + 1, secret)
        assert nothing[0] == 404
        assert await post(one.id, "wrong") == nothing
        assert await post(one.id, None) == nothing
        assert await post(one.id, digest(secret)) == nothing
        for number in ("0", "-1", "x", "9" * 40, "%31", f"{one.id}%20"):
            assert (await post(number, secret + "x"))[0] == 404
        assert (await post(one.id, secret))[0] == 202
        assert (await post(one.id, secret, json={"data": {"asset": {"id": "../users/me"}}}))[0] == 202
        for junk in (b"", b"[1]", b"{", b'{"data": {"asset": {"id": 7}}}', b"[" * 100_000):
            assert (await post(one.id, secret, json=None, data=junk))[0] == 400
        assert (await post(one.id, secret, json=None, data=b" " * ((1 << 20) + 1)))[0] == 413
        # Without the secret nothing of the body is read.
        assert (await post(one.id, "wrong", json=None, data=b" " * (1 << 21)))[0] == 404
    before = len(immich.requests)
    await desk.connections.rounds_over()
    assert not any("users/me" in seen.path for seen in immich.requests[before:])


@newest
async def test_the_webhook_is_a_hint_and_nothing_more(
    immich: ImmichServer, ada: User, library: Library, desk: Desk
) -> None:
    bob = immich.add_user("Bob")
    immich.add_partner(bob, ada)
    one = await desk.connect(ada)
    old = immich.add_asset(ada, picture(1), "old.jpg", created_at=datetime.now(UTC) - timedelta(hours=1))
    his = immich.add_asset(bob, picture(2), "his.jpg")
    film = immich.add_asset(ada, b"film", "film.mp4")
    for asset_id in (old.id, his.id, film.id, immich.store.new_id()):
        assert desk.connections.noticed(one.id, asset_id, "webhook")
    await desk.connections.rounds_over()
    assert {row.file_name: row.state for row in await library.assets()} == {"film.mp4": IntakeState.SKIPPED}
    assert not await library.photos()
    assert not desk.downloads()
