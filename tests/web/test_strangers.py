"""Every route that there is, asked by those who must not: strangers, other users, administrators, the operator."""

import asyncio
import hashlib
import io
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from sqlmodel import select

from immich_sidecar.events import Event, EventType
from immich_sidecar.library.tables import (
    BackfillRow,
    BackfillState,
    ConnectionRow,
    LutRow,
    PhotoGroupRow,
    PhotoRow,
    PresetRow,
    SessionRow,
)
from immich_sidecar.pipeline.backfills import COMMANDS
from immich_sidecar.web.acting import ACTIONS, MESSAGES
from tests.web.neighbours import FROM_OUR_PAGE, Asker, Neighbours, neighbours
from tests.web.shelf import _jpeg, _picture

#: Digest of a LUT of Ada's.
LUT = hashlib.sha256(b"of Ada").hexdigest()
#: Whatever any `{action}` knows.
ALL_ACTIONS = (*dict.fromkeys((*ACTIONS, *COMMANDS, "pause", "resume", "rename", "delete", "remove", "download")),)
#: What is meant to answer to everybody, and with what.
OPEN = {
    ("GET", "/healthz"): 200,
    ("GET", "/readyz"): 200,
    ("GET", "/login"): 200,
    ("POST", "/login"): 400,
    ("GET", "/static/{name}"): 200,
    # Immich itself, with a secret of its own.
    ("POST", "/hooks/immich/{connection}"): 404,
}
#: What a person may see who has not agreed to anything.
BEFORE_SET_UP = {"/setup", "/logout", "/account"}
BEFORE_SET_UP |= {f"/account/{name}" for name in ("choices", "sessions", "disconnect", "taste")}
#: Values for the variables of paths that name nobody's photo.
SAMPLES = {"name": "style.css", "n": "1", "connection": "1", "asset": "00000000-0000-4000-8000-000000000000"}
#: The first preset of one's own that anybody makes, and a LUT, both Ada's.
SAMPLES |= {"preset": "own-1", "lut": LUT}
#: The first group that was found of anybody, which is one of Ada's.
SAMPLES |= {"group": "1"}
#: Models are the operator's; a name that is none, as nothing is to be fetched here.
SAMPLES |= {"model": "no-such-model"}


@dataclass(frozen=True)
class Way:
    """One route, with its variables filled in."""

    method: str
    template: str
    path: str
    #: Id of a photo of Ada's, for routes that take it elsewhere than in their path.
    hers: str

    @property
    def names_something(self) -> bool:
        """Whether the path names a photo or something else that is Ada's."""
        return any(f"{{{name}}}" in self.template for name in ("id", "backfill", "preset", "lut", "group"))


def ways(app: Any, photo: PhotoRow, backfill: int) -> Iterator[Way]:
    """All routes of the application; one with a new kind of variable needs a sample here."""
    known = {**SAMPLES, "id": photo.sha256, "backfill": str(backfill)}
    for route in app.router.routes():
        if route.resource is None or route.method == "HEAD":
            continue
        template = route.resource.canonical
        names = set(re.findall(r"\{(\w+)\}", template))
        assert names <= {*known, "action"}, f"{template}: give its variables a value of Ada's"
        for action in ALL_ACTIONS if "action" in names else ("",):
            yield Way(route.method, template, template.format(**{**known, "action": action}), photo.sha256)


async def each(asker: Asker, way: Way, **query: str) -> list[tuple[int, str]]:
    """The route asked as a program or a page would ask it, and uploads as both would send them."""
    path = way.path + (f"?{urlencode(query)}" if query else "")
    if way.method == "GET":
        return [await asker.text("GET", path)]
    answers = []
    if way.path.startswith("/api/"):
        body: Any = {"version": 1, "operations": {"exposure": None}, "scope": {"kind": "library"}}
        body |= {"preset": "vivid", "x": 0.5, "y": 0.5, "what": ["tags"], "name": "theirs"}
        if way.template.endswith("/batch"):
            body = [
                {"id": way.hers, "version": 1, "action": action, "preset": "own-1"} for action in (*ACTIONS, "preset")
            ]
        answers.append(await asker.text(way.method, path, json=body))
    else:
        form = {
            "version": "1",
            "operation": "exposure",
            "to": "off",
            "exposure": "1",
            "action": "approve",
            "sure": "yes",
            "preset": "vivid",
            "name": "theirs",
        }
        form |= {"x": "0.5", "y": "0.5", "what": "tags"}
        form |= {"photo": f"{way.hers}:1", "which": "all", "mode": "auto", "on": "retire", "shown": "retire"}
        answers.append(await asker.text(way.method, path, data=form))
    if way.template in ("/upload", "/api/photos"):
        file = aiohttp.FormData()
        file.add_field("photo", io.BytesIO(JPEG), filename="theirs.jpg")
        answers.append(await asker.text(way.method, path, data=file))
    return answers


JPEG = _jpeg(_picture(None, (64, 48), 4711), 90)


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Neighbours]:
    async with neighbours(tmp_path / "data") as everybody:
        yield everybody


async def ada_at_home(street: Neighbours) -> tuple[Asker, PhotoRow, int]:
    """Ada, with a photo of each kind, a session of our own and a backfill, whose number comes last."""
    ada = await street.person("Ada")
    photo = await street.photo(ada, 1)
    await street.photo(ada, 2, "failed")
    async with street.home.database.transaction() as session:
        row = SessionRow(
            id="a" * 64, owner_id=ada.owner, kind="immich", immich_user_id=ada.owner, expires_at=photo.created_at
        )
        row.expires_at = row.expires_at.replace(year=2100)
        session.add(row)
        connection = (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == ada.owner))).one()
        older = BackfillRow(
            owner_id=ada.owner,
            connection_id=connection.id,
            scope={"kind": "search", "query": "secret-of-Ada"},
            state=BackfillState.READY,
            error="secret-of-Ada",
        )
        session.add(older)
        session.add(PresetRow(owner_id=ada.owner, name="secret-of-Ada", operations={"exposure": {"ev": 1.0}}))
        session.add(
            LutRow(owner_id=ada.owner, sha256=LUT, name="secret-of-Ada", points=2, size=6, path=f"luts/{LUT}.cube")
        )
        session.add(
            PhotoGroupRow(owner_id=ada.owner, kind="burst", key="k", members=[photo.sha256], reason="secret-of-Ada")
        )
        await session.flush()
        backfill = older.id
    assert "secret-of-Ada-1.jpg" in await ada.page("/")
    assert (await ada.page("/presets")).count("secret-of-Ada") >= 2
    assert (await ada.text("GET", f"/api/backfills/{backfill}"))[0] == 200
    assert "secret-of-Ada" in await ada.page("/groups")
    assert '"id": 1,' in (await ada.text("GET", "/api/groups"))[1]
    return ada, photo, backfill


def told_of(ada: Asker, photo: PhotoRow, way: Way, text: str, **query: str) -> list[str]:
    """What an answer gives away about Ada. That it repeats what was asked for says nothing."""
    secrets = {"secret-of-Ada", "secret of Ada", photo.sha1, photo.sha256, ada.owner}
    asked_for = way.path + "".join(query.values()) + ("" if way.method == "GET" else way.hers)
    return [secret for secret in secrets if secret in text and secret not in asked_for]


async def test_strangers_see_nothing_and_change_nothing(street: Neighbours) -> None:
    ada, photo, backfill = await ada_at_home(street)
    stranger = await street.somebody("nobody")
    before = await street.rows_of(ada.owner)
    asked = set()
    for way in ways(street.home.app, photo, backfill):
        asked.add((way.method, way.template))
        for query in ({}, {"owner": ada.owner}):
            for status, text in await each(stranger, way, **query):
                assert not told_of(ada, photo, way, text, **query), (way, text)
                if (way.method, way.template) in OPEN:
                    assert status in (OPEN[way.method, way.template], 400, 401, 404, 429), (way, status)
                else:
                    assert status == 401, (way, status, text)
    assert asked >= set(OPEN)
    assert await street.rows_of(ada.owner) == before
    as_browser = {"Sec-Fetch-Site": "none", "HX-Request": "false"}
    for way in ways(street.home.app, photo, backfill):
        if way.method == "GET" and (way.method, way.template) not in OPEN:
            async with stranger.ask("GET", way.path, headers=as_browser) as response:
                if way.template.startswith(("/api/", "/ws")):
                    assert response.status == 401, way
                else:
                    assert response.status == 303, way
                    assert response.headers["Location"].startswith("/login"), way


@pytest.mark.parametrize("who", ["Bob", "Root", "operator"])
async def test_others_see_nothing_and_change_nothing(street: Neighbours, who: str) -> None:
    ada, photo, backfill = await ada_at_home(street)
    asker = await street.operator() if who == "operator" else await street.person(who, is_admin=who == "Root")
    if asker.user is not None:
        await street.photo(asker, 9)
    before = await street.rows_of(ada.owner)
    for way in ways(street.home.app, photo, backfill):
        if way.template in ("/logout", "/ws") or (way.method, way.template) in OPEN:
            continue
        for query in ({}, {"owner": ada.owner}):
            answers = await each(asker, way, **query)
            statuses = {status for status, _ in answers}
            for _, text in answers:
                assert not (told := told_of(ada, photo, way, text, **query)), (way, query, told, text)
            if way.names_something:
                # Where a body is none of its kind that is said first, whosever photo it is.
                assert 404 in statuses and statuses <= {400, 404, 415}, (way, query, statuses)  # noqa: PT018
            elif query:
                assert statuses <= {404}, (way, query, statuses)
    assert await street.rows_of(ada.owner) == before
    assert (await ada.text("GET", f"/api/photos/{photo.sha256}"))[0] == 200


async def test_a_missing_owner_and_a_foreign_one_look_alike(street: Neighbours) -> None:
    ada, photo, _ = await ada_at_home(street)
    bob = await street.person("Bob")
    for path in ("/", "/api/photos", "/queue", "/status", "/account", f"/api/photos/{photo.sha256}"):
        answers = []
        for owner in (ada.owner, "local", ada.owner[:-4] + "0000"):
            async with bob.ask("GET", path, params={"owner": owner}) as response:
                told = (await response.text()).replace(owner, "OWNER")
                answers.append((response.status, re.sub(r'"\w{8}', "", told) if "html" in told else told))
        assert answers[0] == answers[1] == answers[2], path
        assert answers[0][0] == 404


async def test_the_same_photo_of_two_is_two(street: Neighbours) -> None:
    ada, bob = await street.person("Ada"), await street.person("Bob")
    hers, his = await street.photo(ada, 1), await street.photo(bob, 1)
    assert hers.sha256 == his.sha256
    status, text = await bob.text("POST", f"/api/photos/{his.sha256}/approve", json={"version": 1})
    assert status == 200
    assert "secret-of-Ada" not in text
    for asker, review in ((ada, "pending"), (bob, "approved")):
        async with asker.ask("GET", f"/api/photos/{his.sha256}") as response:
            told = await response.json()
        assert told["review"] == review
        assert told["file_name"] == f"secret-of-{asker.name}-1.jpg"


async def test_an_administrator_counts_and_no_more(street: Neighbours) -> None:
    await ada_at_home(street)
    root, bob = await street.person("Root", is_admin=True), await street.person("Bob")
    page = await root.page("/people")
    assert "Ada" in page
    assert re.search(r"Ada</bdi>.*?<dt>All</dt><dd>2</dd>", page, re.DOTALL)
    assert "secret-of" not in page
    assert "/photos/" not in page
    await bob.page("/people", 404)
    assert "People" not in await bob.page("/")
    operator = await street.operator()
    assert "secret-of" not in await operator.page("/people")


async def test_who_has_not_agreed_sees_the_set_up_alone(street: Neighbours) -> None:
    _, photo, backfill = await ada_at_home(street)
    carol = await street.person("Carol", set_up=False)
    as_browser = {"Sec-Fetch-Site": "none", "HX-Request": "false"}
    for way in ways(street.home.app, photo, backfill):
        if (way.method, way.template) in OPEN:
            continue
        if way.template in BEFORE_SET_UP:
            continue
        for status, text in await each(carol, way):
            assert status == 403, (way, status, text)
        if way.method == "GET" and not way.template.startswith(("/api/", "/ws")):
            async with carol.ask("GET", way.path, headers=as_browser) as response:
                assert (response.status, response.headers.get("Location")) == (303, "/setup"), way
    assert "Welcome, Carol" in await carol.page("/setup")
    assert "secret-of" not in await carol.page("/account")


async def test_a_session_of_another_cannot_be_ended(street: Neighbours) -> None:
    ada, *_ = await ada_at_home(street)
    bob = await street.person("Bob")
    for which in ("a" * 64, "all", "others"):
        assert (await bob.text("POST", "/account/sessions", data={"which": which}))[0] == 303
    async with street.home.database.reading() as session:
        assert await session.get(SessionRow, "a" * 64) is not None
    await ada.text("POST", "/account/sessions", data={"which": "a" * 64})
    async with street.home.database.reading() as session:
        assert await session.get(SessionRow, "a" * 64) is None


async def test_sockets_are_of_one_owner(street: Neighbours) -> None:
    ada, photo, _ = await ada_at_home(street)
    bob, stranger = await street.person("Bob"), await street.somebody("nobody")
    for asker, query, status in ((stranger, "", 401), (bob, f"?owner={ada.owner}", 404), (bob, "?owner=local", 404)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await asker.session.ws_connect(f"/ws{query}", headers={**FROM_OUR_PAGE, **asker.headers})
        assert refused.value.status == status
    before = await street.rows_of(ada.owner)
    async with bob.session.ws_connect("/ws?after=0", headers={**FROM_OUR_PAGE, **bob.headers}) as socket:
        for kind in MESSAGES:
            message = {"type": kind, "file_id": photo.sha256, "version": 1, "operations": {"exposure": None}}
            message |= {"owner": ada.owner, "owner_id": ada.owner, "crop": None, "preset": "vivid"}
            await socket.send_json(message)
            answer = await socket.receive_json()
            assert (answer["type"], answer["data"]["status"]) == ("error", 404), kind
        assert await street.rows_of(ada.owner) == before
        async with street.home.database.transaction() as session:
            for owner in (ada.owner, bob.owner):
                event = Event(EventType.CONNECTION_CHANGED, owner, data={"of": owner})
                street.home.events.record(session, event)
        street.home.events.publish_live(
            Event(EventType.PROGRESS, ada.owner, sha256=photo.sha256, data={"progress": 0.5})
        )
        heard = await asyncio.wait_for(socket.receive_json(), 90)
        assert heard["data"]["owner"] == bob.owner
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.receive_json(), 0.3)


async def test_an_upload_is_the_visitors_own(street: Neighbours) -> None:
    ada, *_ = await ada_at_home(street)
    bob = await street.person("Bob")
    before = await street.rows_of(ada.owner)
    headers = {"Content-Type": "application/octet-stream"}
    data = _jpeg(_picture(None, (80, 60), 5), 90)
    for query, status in ((f"?name=x.jpg&owner={ada.owner}", 404), ("?name=x.jpg", 201)):
        assert (await bob.text("POST", f"/api/photos{query}", data=data, headers=headers))[0] == status
    assert await street.rows_of(ada.owner) == before
    async with bob.ask("GET", "/api/photos") as response:
        assert [item["file_name"] for item in (await response.json())["items"]] == ["x.jpg"]
