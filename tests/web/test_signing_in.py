"""Signing in: by Immich's own session, with e-mail and password, with a key, as the operator; and out again."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from immich_sidecar.errors import ImmichAwayError, StorageError
from immich_sidecar.library.tables import ConnectionRow, OwnerRow, SessionRow, now
from immich_sidecar.web import access
from immich_sidecar.web.attempts import FREE_ATTEMPTS, FREE_ATTEMPTS_OF_ACCOUNT
from immich_sidecar.web.identity import COOKIE, IMMICH_COOKIE
from immich_sidecar.web.pending import KEPT_FOR, PENDING
from tests.immich_server.given import PASSWORD as HERS
from tests.web.house import house
from tests.web.neighbours import FROM_OUR_PAGE, PASSWORD, Asker, Neighbours, neighbours

LOGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Neighbours]:
    async with neighbours(tmp_path / "data") as everybody:
        yield everybody


async def submit(asker: Asker, status: int = 303, path: str = "/login", **form: str) -> tuple[str, str]:
    """Send the sign-in form; gives where it leads and what it says. A new cookie is kept."""
    async with asker.session.post(
        path, data=form, headers={**asker.headers, **LOGIN}, allow_redirects=False
    ) as response:
        text = await response.text()
        assert response.status == status, text
        if (morsel := response.cookies.get(COOKIE)) is not None:
            asker.headers["Cookie"] = f"{COOKIE}={morsel.value}" if morsel.value else ""
        return response.headers.get("Location", ""), text


async def rows(street: Neighbours, table: Any) -> list[Any]:
    from sqlmodel import select

    async with street.home.database.reading() as session:
        return list((await session.exec(select(table))).all())


async def with_password(street: Neighbours, name: str = "Ada") -> Asker:
    """A user of Immich at our own form."""
    asker = await street.somebody(name)
    asker.user = street.immich.add_user(name)
    return asker


def asked_who(street: Neighbours) -> int:
    """How often Immich was asked whose a session is."""
    return street.immich.request_counts()["GET /api/users/me"]


# ---- by Immich's own session


async def test_the_session_of_immich_opens_the_pages(street: Neighbours) -> None:
    ada = await street.person("Ada")
    await street.photo(ada, 1)
    assert "secret-of-Ada-1.jpg" in await ada.page("/")
    assert "through your session in Immich" in await ada.page("/account")
    assert await rows(street, SessionRow) == [], "nothing is kept of it"
    for row in await rows(street, OwnerRow):
        assert row.id in ("local", ada.owner)


async def test_a_session_is_asked_about_once_a_minute(street: Neighbours) -> None:
    ada = await street.person("Ada")
    await asyncio.gather(*(ada.page("/status") for _ in range(12)))
    assert asked_who(street) == 1, "twelve pages at once, one question"
    street.immich.log_out(ada.headers["Cookie"].partition("=")[2])
    await ada.page("/status")
    clock = [0.0]
    street.home.context.sign_in._clock = lambda: clock[0] + 10**6  # type: ignore[union-attr]
    async with ada.ask("GET", "/status", headers={"HX-Request": "false"}) as response:
        assert response.status == 303, "a minute later the end of the session in Immich is the end here"
    assert asked_who(street) == 2


async def test_invented_sessions_do_not_flood_immich(street: Neighbours) -> None:
    stranger = await street.somebody("nobody", Cookie=f"{IMMICH_COOKIE}=invented")
    for _ in range(5):
        assert (await stranger.text("GET", "/api/photos"))[0] == 401
    assert asked_who(street) == 1
    for token in ("ä" * 20, "a b", ""):
        odd = await street.somebody("odd", Cookie=f"{IMMICH_COOKIE}={token}")
        assert (await odd.text("GET", "/api/photos"))[0] in (400, 401)


async def test_the_token_is_kept_nowhere(street: Neighbours, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ada = await street.person("Ada")
    token = ada.headers["Cookie"].partition("=")[2]
    for path in ("/", "/account", "/status", "/api/status"):
        assert token not in (await ada.text("GET", path))[1]
    for file in street.home.layout.data_dir.rglob("*"):
        if file.is_file():
            assert token.encode() not in file.read_bytes(), file
    assert token not in caplog.text


async def test_with_immich_away_nobody_is_locked_out(street: Neighbours) -> None:
    ada = await street.person("Ada")
    await street.immich.stop()
    async with ada.session.get("/", headers=ada.headers, allow_redirects=False) as response:
        assert response.status == 503
        assert "Immich" in await response.text()
    form = await street.somebody("Ada")
    for _ in range(FREE_ATTEMPTS + 3):
        _, text = await submit(form, 503, way="immich", email="ada@example.test", password=HERS)
        assert "Nothing was counted against you" in text
    await submit(form, way="password", password=PASSWORD)
    assert "Nothing runs" in await form.page("/queue")


# ---- led to Immich's login


@asynccontextmanager
async def beside(folder: Path, **settings: str) -> AsyncIterator[Neighbours]:
    """The service in a sub-path of the origin that Immich has."""
    shown = {"immich_public_url": "https://photos.example", "public_url": "https://photos.example", **settings}
    async with neighbours(folder, base_path="/develop", **shown) as everybody:
        yield everybody


async def test_the_unknown_are_led_to_immichs_login_and_back_once(tmp_path: Path) -> None:
    async with beside(tmp_path) as street:
        stranger = await street.somebody("nobody")
        for asked in ("/develop/queue?x=1%262", "/queue?x=1%262"):
            async with stranger.session.get(asked, allow_redirects=False) as response:
                there = urlsplit(response.headers["Location"])
            assert (response.status, there.scheme, there.netloc, there.path) == (303, "", "", "/auth/login")
            back = parse_qs(there.query)["continue"][0]
            assert back.startswith("/develop/login?back=1&next=")
        # Immich leads there after the login. Known by now: on to the page that was asked for.
        user = street.immich.add_user("Ada")
        cookie = {"Cookie": f"{IMMICH_COOKIE}={street.immich.log_in(user)}"}
        async with stranger.session.get(back, headers=cookie, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/develop/queue?x=1%262")
        # Still unknown: our own form, and no way back into a circle.
        async with stranger.session.get(back, allow_redirects=False) as response:
            assert response.status == 200
            text = await response.text()
        assert "did not reach this page" in text
        assert 'href="/auth/login?continue=' in text
        # What is no page is refused plainly.
        assert (await stranger.text("GET", "/develop/api/photos"))[0] == 401


async def test_with_immich_away_its_login_is_not_shown(tmp_path: Path) -> None:
    async with beside(tmp_path) as street:
        await street.immich.stop()
        stranger = await street.somebody("nobody")
        async with stranger.session.get("/develop/queue", allow_redirects=False) as response:
            assert response.headers["Location"].startswith("/develop/login?next=")


async def test_on_another_origin_our_own_form_is_shown(tmp_path: Path) -> None:
    async with beside(tmp_path, public_url="https://sidecar.example") as street:
        stranger = await street.somebody("nobody")
        async with stranger.session.get("/develop/queue", allow_redirects=False) as response:
            assert response.headers["Location"].startswith("/develop/login?next=")


# ---- our own form


async def test_e_mail_and_password(street: Neighbours) -> None:
    ada = await with_password(street)
    target, _ = await submit(ada, way="immich", email="ada@example.test", password=HERS, next="")
    assert target == "/setup"
    assert "Welcome, Ada" in await ada.page("/setup")
    [row] = await rows(street, SessionRow)
    token = ada.headers["Cookie"].partition("=")[2]
    assert (row.id, row.kind, row.immich_user_id) == (hashlib.sha256(token.encode()).hexdigest(), "immich", ada.owner)
    assert (row.expires_at - now()).total_seconds() < 3700, "nobody can be asked about them before they are connected"
    for file in street.home.layout.data_dir.rglob("*"):
        if file.is_file():
            assert HERS.encode() not in file.read_bytes()
            assert token.encode() not in file.read_bytes()


async def test_wrong_passwords_are_counted_by_address_and_by_account(street: Neighbours) -> None:
    ada = await with_password(street)
    for _ in range(FREE_ATTEMPTS):
        _, text = await submit(ada, 401, way="immich", email="ada@example.test", password="wrong")
        assert "does not know this e-mail address" in text
        assert 'value="ada@example.test"' in text
    await submit(ada, 401, way="key", key="wrong")
    await submit(ada, 429, way="immich", email="ada@example.test", password=HERS)
    await submit(ada, 429, way="password", password=PASSWORD)
    assert not await rows(street, SessionRow)


async def test_an_account_is_slowed_whatever_the_address(tmp_path: Path) -> None:
    async with neighbours(tmp_path, trusted_proxies="127.0.0.0/8") as street:
        ada = await with_password(street)
        for number in range(FREE_ATTEMPTS_OF_ACCOUNT + 1):
            ada.headers = {"X-Forwarded-For": f"198.51.100.{number}"}
            await submit(ada, 401, way="immich", email=" Ada@example.test", password="wrong")
        ada.headers = {"X-Forwarded-For": "198.51.100.200"}
        await submit(ada, 429, way="immich", email="ada@example.test", password=HERS)
        bob = await with_password(street, "Bob")
        bob.headers = {"X-Forwarded-For": "198.51.100.201"}
        await submit(bob, way="immich", email="bob@example.test", password=HERS)


async def test_with_a_key(street: Neighbours) -> None:
    ada = await with_password(street)
    key = street.immich.add_key(ada.user)
    target, _ = await submit(ada, way="key", key=f" {key} ")
    assert target == "/setup"
    assert "The API key you gave is kept" in await ada.page("/setup")
    dumb = street.immich.add_key(ada.user, permissions=["asset.read"])
    _, text = await submit(await street.somebody("x"), 401, way="key", key=dumb)
    assert "user.read" in text


async def test_a_server_without_passwords_is_signed_in_to_by_key(street: Neighbours) -> None:
    street.immich.oauth_only = True
    ada = await with_password(street)
    page = await ada.page("/login")
    assert 'name="email"' not in page
    assert 'name="key"' in page
    assert "API key" in page
    target, _ = await submit(ada, way="key", key=street.immich.add_key(ada.user))
    assert target == "/setup"


async def test_the_operator_is_not_shown_where_there_is_no_password(tmp_path: Path) -> None:
    async with neighbours(tmp_path, password=None, public_url="https://sidecar.example") as street:
        stranger = await street.somebody("nobody")
        page = await stranger.page("/login")
        assert 'value="password"' not in page
        assert (await stranger.text("GET", "/api/photos"))[0] == 401


async def test_other_sites_sign_nobody_in(street: Neighbours) -> None:
    ada = await with_password(street)
    form = {"way": "immich", "email": "ada@example.test", "password": HERS}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ):
        async with ada.session.post("/login", data=form, headers=headers, allow_redirects=False) as response:
            assert response.status == 403
    assert not await rows(street, SessionRow)


# ---- an open service


async def test_an_open_service_is_open_only_without_a_proxy(tmp_path: Path) -> None:
    async with neighbours(tmp_path, password=None) as street:
        here = await street.somebody("here")
        assert "Inbox" in await here.page("/")
        for headers in (
            {"X-Forwarded-For": "203.0.113.9"},
            {"Forwarded": "for=203.0.113.9"},
            {"Via": "1.1 caddy"},
            {"Host": "photos.example"},
        ):
            async with here.session.get("/api/photos", headers=headers) as response:
                assert response.status == 401, headers
        # Who signs in by the form there is themselves, and no operator.
        ada = await with_password(street)
        await submit(ada, way="immich", email="ada@example.test", password=HERS)
        await ada.page("/?owner=local", 404)


# ---- sessions


async def signed_in(street: Neighbours, asker: Asker) -> str:
    """Sign in with e-mail and password; gives the id of the session."""
    assert asker.user is not None
    await submit(asker, way="immich", email=asker.user.email, password=HERS)
    return hashlib.sha256(asker.headers["Cookie"].partition("=")[2].encode()).hexdigest()


async def connected(street: Neighbours, asker: Asker) -> None:
    assert (await asker.text("POST", "/setup", data={"mode": "stack", "feature": ["albums"]}))[0] == 303


async def test_sessions_are_listed_and_ended(street: Neighbours) -> None:
    ada = await with_password(street)
    phone = Asker(
        "Ada's phone", ada.session, {"User-Agent": "Mozilla/5.0 (Android 15; Mobile) Firefox/130.0"}, ada.user
    )
    here, there = await signed_in(street, ada), await signed_in(street, phone)
    page = await ada.page("/account")
    assert "Firefox, Android" in page
    assert page.count("this one") == 1
    assert (await ada.text("POST", "/account/sessions", data={"which": there}))[0] == 303
    assert (await phone.text("GET", "/setup"))[0] == 401
    assert [row.id for row in await rows(street, SessionRow)] == [here]
    again = await signed_in(street, phone)
    await ada.text("POST", "/account/sessions", data={"which": "others"})
    assert again not in [row.id for row in await rows(street, SessionRow)]
    async with ada.ask("POST", "/account/sessions", data={"which": "all"}) as response:
        assert response.headers["Location"] == "/login"
    assert not await rows(street, SessionRow)


async def test_logging_out_ends_the_session_and_its_sockets(street: Neighbours) -> None:
    ada = await with_password(street)
    await signed_in(street, ada)
    await connected(street, ada)
    async with ada.session.ws_connect("/ws", headers={**FROM_OUR_PAGE, **ada.headers}) as socket:
        cookie = dict(ada.headers)
        async with ada.ask("POST", "/logout") as response:
            assert response.headers["Location"] == "/login"
            assert response.cookies[COOKIE].value == ""
        while (message := await asyncio.wait_for(socket.receive(), 90)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.data == 4401
    ada.headers = cookie
    assert (await ada.text("GET", "/api/photos"))[0] == 401


async def test_a_socket_ends_with_the_session_of_immich(street: Neighbours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("immich_sidecar.web.socket.LOOK_AGAIN", 0.05)
    ada = await street.person("Ada")
    async with ada.session.ws_connect("/ws", headers={**FROM_OUR_PAGE, **ada.headers}) as socket:
        token = ada.headers["Cookie"].partition("=")[2]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.receive(), 0.3)
        street.immich.log_out(token)
        street.home.context.sign_in.forget(token)  # type: ignore[union-attr]
        assert (await asyncio.wait_for(socket.receive(), 90)).data == 4401


async def test_a_busy_database_leaves_no_socket_unwatched(street: Neighbours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("immich_sidecar.web.socket.LOOK_AGAIN", 0.05)
    answers: list[Exception | None] = [StorageError("the database is locked"), ImmichAwayError("Immich is away"), None]

    async def find_visitor(_request: web.Request) -> None:
        if isinstance(answer := answers.pop(0), Exception):
            raise answer

    ada = await street.person("Ada")
    async with ada.session.ws_connect("/ws", headers={**FROM_OUR_PAGE, **ada.headers}) as socket:
        monkeypatch.setattr("immich_sidecar.web.socket.find_visitor", find_visitor)
        assert (await asyncio.wait_for(socket.receive(), 60)).data == 4401


async def test_a_changed_password_ends_the_operators_sessions_alone(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as street:
        operator = await street.somebody("operator")
        await submit(operator, way="password", password=PASSWORD)
        assert "Nothing runs" in await operator.page("/queue")
        ada = await with_password(street)
        await signed_in(street, ada)
        immich = street.immich.url
    for password, left in ((PASSWORD, {"password", "immich"}), ("another", {"immich"})):
        async with house(tmp_path, password=password, immich=True, immich_url=immich) as home:
            from aiohttp.test_utils import TestClient, TestServer

            async with TestClient(TestServer(home.app)) as client:
                status = 200 if "password" in left else 401
                async with client.get("/api/photos", headers=operator.headers) as response:
                    assert response.status == status
            from sqlmodel import select

            async with home.database.reading() as session:
                assert {row.kind for row in (await session.exec(select(SessionRow))).all()} == left


async def test_signed_cookies_of_before_just_end(street: Neighbours) -> None:
    old = await street.somebody("old", Cookie=f"{COOKIE}=1893456000.abc.def")
    assert (await old.text("GET", "/api/photos"))[0] == 401
    for junk in ("", "..", "\\", "x" * 5000, "%00"):
        odd = await street.somebody("odd", Cookie=f"{COOKIE}={junk}")
        assert (await odd.text("GET", "/api/photos"))[0] == 401


async def test_a_refused_key_ends_the_sessions_of_before(street: Neighbours) -> None:
    ada = await with_password(street)
    await signed_in(street, ada)
    await connected(street, ada)
    assert (await ada.text("GET", "/api/photos"))[0] == 200
    [row] = await rows(street, SessionRow)
    assert (row.expires_at - now()).days >= 29, "connected: their key says whether they still are one of Immich's"
    await set_state(street, ada, "credentials")
    assert (await ada.text("GET", "/api/photos"))[0] == 401
    assert not await rows(street, SessionRow)
    await signed_in(street, ada)
    assert (await ada.text("GET", "/api/photos"))[0] == 200, "who signs in anew is one of Immich's"
    assert "Connect again" in await ada.page("/setup")
    await set_state(street, ada, "away")
    assert (await ada.text("GET", "/api/photos"))[0] == 200
    await set_state(street, ada, "ok")
    assert (await ada.text("GET", "/api/photos"))[0] == 200
    await set_state(street, ada, "credentials")
    assert (await ada.text("GET", "/api/photos"))[0] == 401, "refused once more"


async def set_state(street: Neighbours, asker: Asker, state: str) -> None:
    from sqlmodel import select

    async with street.home.database.transaction() as session:
        row = (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == asker.owner))).one()
        row.state = state
        session.add(row)


# ---- what they signed in with


class CalledLater:
    """What is to be called once a credential was kept for long enough, and that moment in the hands of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._waiting: list[asyncio.TimerHandle] = []
        loop = asyncio.get_running_loop()
        real = loop.call_later

        def call_later(delay: float, *what: Any, **more: Any) -> asyncio.TimerHandle:
            handle = real(delay, *what, **more)
            if delay == KEPT_FOR:
                self._waiting.append(handle)
            return handle

        monkeypatch.setattr(loop, "call_later", call_later)

    def ten_minutes_pass(self) -> None:
        due = [handle for handle in self._waiting if not handle.cancelled()]
        assert due
        for handle in due:
            handle._run()
            handle.cancel()


async def test_what_they_signed_in_with_is_kept_for_minutes_and_ended(
    street: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = CalledLater(monkeypatch)
    ada = await with_password(street)
    session_id = await signed_in(street, ada)
    pending = street.home.app[PENDING]
    credential = pending.of(session_id)
    assert credential is not None
    assert credential.token is not None
    assert credential.token not in repr(pending.of(session_id))
    assert credential.token in street.immich.store.sessions
    later.ten_minutes_pass()
    await until(lambda: credential.token not in street.immich.store.sessions)
    assert pending.of(session_id) is None
    assert "Sign in once more" in await ada.page("/setup")
    assert (await ada.text("POST", "/setup", data={"mode": "stack"}))[0] == 200
    assert not await rows(street, ConnectionRow)


async def test_who_is_connected_leaves_no_session_in_immich(
    street: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await with_password(street)
    await signed_in(street, ada)
    await connected(street, ada)
    await until(lambda: not street.immich.store.sessions)
    later = CalledLater(monkeypatch)
    await signed_in(street, ada)
    assert street.immich.store.sessions, "for a moment, in case they disconnect"
    later.ten_minutes_pass()
    await until(lambda: not street.immich.store.sessions)


async def test_a_fresh_sign_in_lets_the_key_be_deleted(street: Neighbours) -> None:
    ada = await with_password(street)
    await signed_in(street, ada)
    await connected(street, ada)
    await until(lambda: not street.immich.store.sessions)
    assert "sign in once more" in await ada.page("/account")
    await signed_in(street, ada)
    assert "sign in once more" not in await ada.page("/account")
    status, text = await ada.text("POST", "/account/disconnect", data={"sure": "yes"})
    assert status == 200
    assert "Nothing of it is left in Immich" in text
    assert not [key for key in street.immich.keys_of(ada.user) if key.name.startswith("immich-sidecar")]


async def until(happens: Any) -> None:
    async with asyncio.timeout(90):
        while not happens():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


# ---- set-up, choices, disconnecting


async def test_the_set_up_makes_a_key_for_what_was_agreed_to(street: Neighbours) -> None:
    ada = await street.person("Ada", set_up=False)
    page = await ada.page("/setup")
    assert re.search(r'value="stack" checked', page)
    assert "SIDECAR_WEBHOOK_URL" in page
    for odd in (
        {"mode": "nonsense"},
        {"mode": "stack", "feature": "nonsense"},
        {"mode": "stack", "feature": "webhook"},
    ):
        assert (await ada.text("POST", "/setup", data=odd))[0] == 400, odd
    form = {"mode": "review", "feature": ["review_tags", "albums"]}
    status, text = await ada.text("POST", "/setup", data=form)
    assert (status, "Location: /account?connected=1" in text) == (303, True)
    [key] = [key for key in street.immich.keys_of(ada.user) if key.name.startswith("immich-sidecar")]
    assert "tag.asset" in key.permissions
    assert "asset.delete" not in key.permissions
    assert "face.read" not in key.permissions
    [row] = await rows(street, ConnectionRow)
    assert (row.owner_id, row.choices["mode"], row.choices["review_tag"]) == (ada.owner, "review", True)
    assert not row.choices["native_edits"]
    page = await ada.page("/account")
    assert "made for this service, encrypted" in page
    assert "Inbox" in await ada.page("/")


async def test_a_refusal_of_immich_is_shown_and_nothing_is_lost(street: Neighbours) -> None:
    ada = await with_password(street)
    await signed_in(street, ada)
    await street.immich.stop()
    status, text = await ada.text("POST", "/setup", data={"mode": "auto", "feature": ["faces"]})
    assert status == 503
    assert "cannot be reached" in text
    assert re.search(r'value="auto" checked', text)
    assert not await rows(street, ConnectionRow)


async def test_choices_are_kept_and_only_those_that_were_shown(street: Neighbours) -> None:
    ada = await street.person("Ada", set_up=False)
    await connected(street, ada)
    page = await ada.page("/account")
    shown = re.findall(r'name="shown" value="(\w+)"', page)
    assert "watch" in shown
    assert "retire" not in shown, "the key does not allow it"
    form = {"mode": "auto", "shown": [*shown, "retire", "nonsense"], "on": ["pairs", "rating", "retire"]}
    form["shown"] = [name for name in form["shown"] if name != "follow_albums"]
    assert (await ada.text("POST", "/account/choices", data=form))[0] == 303
    [row] = await rows(street, ConnectionRow)
    assert row.choices["mode"] == "auto"
    assert row.choices["rating"]
    assert not row.choices["watch"]
    assert row.choices["follow_albums"], "it was not shown, and stays"
    assert "nonsense" not in row.choices
    for wrong in ({"mode": "nonsense"},):
        assert (await ada.text("POST", "/account/choices", data=wrong))[0] == 400
    bob = await street.person("Bob", set_up=False)
    assert (await bob.text("POST", "/account/choices", data={"mode": ""}))[0] == 409


async def test_disconnecting_removes_the_key_and_ends_other_browsers(street: Neighbours) -> None:
    ada = await street.person("Ada", set_up=False)
    await connected(street, ada)
    form = await street.somebody("Ada")
    form.user = ada.user
    await signed_in(street, form)
    photo = await street.photo(ada, 1)
    assert (await ada.text("POST", "/account/disconnect", data={}))[0] == 400
    status, text = await ada.text("POST", "/account/disconnect", data={"sure": "yes"})
    assert status == 200
    assert "The connection is ended" in text
    assert not [key for key in street.immich.keys_of(ada.user) if key.name.startswith("immich-sidecar")]
    assert not await rows(street, SessionRow)
    assert (await ada.text("GET", f"/api/photos/{photo.sha256}"))[0] == 200, "their photos stay theirs"
    assert "Connect again" in await ada.page("/account")


async def test_the_key_in_the_settings_is_nobodys_to_end(tmp_path: Path) -> None:
    from tests.immich_server import ImmichServer

    async with ImmichServer() as immich:
        user = immich.add_user("Ada")
        key = immich.add_key(user)
        token = immich.log_in(user)
        async with house(tmp_path, password="p", immich=True, immich_url=immich.url, immich_api_key=key) as home:
            connections = home.context.connections
            assert connections is not None
            one = connections.of_owner("local")
            assert one is not None
            await one.connection.refresh(home.database, home.events)
            await home.shelf.put("pending", file_name="hers.jpg")
            from aiohttp.test_utils import TestClient, TestServer

            async with TestClient(TestServer(home.app)) as client:
                headers = {"Cookie": f"{IMMICH_COOKIE}={token}", **FROM_OUR_PAGE}
                async with client.get("/api/photos", headers=headers) as response:
                    items = (await response.json())["items"]
                    assert [item["owner"] for item in items] == ["local"], "the key's user has its owner"
                async with client.get("/api/photos", headers={"Authorization": "Bearer p"}) as response:
                    assert len((await response.json())["items"]) == 1, "and so has the operator who set the key"
                data = {"sure": "yes"}
                async with client.post("/account/disconnect", data=data, headers=headers) as response:
                    assert response.status == 409
                    assert "IMMICH_API_KEY" in await response.text()


async def test_an_owner_whom_somebody_claimed_is_not_the_operators(street: Neighbours) -> None:
    operator = await street.operator()
    user = street.immich.add_user("Ada")
    await street.home.shelf.put("pending", owner=user.id, file_name="from-a-hot-folder.jpg")
    assert "from-a-hot-folder.jpg" in await operator.page(f"/?owner={user.id}")
    ada = await street.somebody("Ada", Cookie=f"{IMMICH_COOKIE}={street.immich.log_in(user)}")
    await ada.page("/setup")
    await operator.page(f"/?owner={user.id}", 404)


def test_what_is_open_is_little() -> None:
    assert access.OPEN_PATHS == ("/healthz", "/readyz", "/login")
    assert access.OPEN_FOLDERS == ("/static/", "/hooks/")
