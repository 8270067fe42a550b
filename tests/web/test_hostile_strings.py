"""Whatever others put into a photo, an account or an error is text, wherever it comes out again.

Under one origin with Immich a single script in one of these strings would own the whole Immich account.
"""

import json
import re
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData

from immich_sidecar.events import Event, EventType
from immich_sidecar.library.tables import (
    AssetRow,
    ConnectionRow,
    FileRow,
    IntakeState,
    Publish,
    SessionRow,
    VersionRow,
    WorkState,
    now,
)
from immich_sidecar.web.media import content_disposition
from tests.web.neighbours import FROM_OUR_PAGE, Asker, Neighbours, neighbours
from tests.web.shelf import SUGGESTIONS

#: Marks what is ours in the answers: any tag or attribute that holds it came out as more than text.
MARK = "pwned"
HOSTILE = (
    f"<script>{MARK}(1)</script>",
    f'"><img src=x onerror={MARK}(1)>',
    f"'><svg onload={MARK}(1)>",
    f"` onmouseover={MARK}(1) `",
    f"</title></textarea></style><script>{MARK}(1)</script>",
    f"javascript:{MARK}(1)",
    "{{191*191}}{% raw %}${191*191}#{191*191}<%= 191*191 %>",
    f"a\u202egpj.exe {MARK}",
    f"nul\x00{MARK}",
    f"line\r\nSet-Cookie: {MARK}=1\r\n\r\n<html>",
    f"lone \ud800 surrogate {MARK}".encode("utf-8", "replace").decode(),
    f"&lt;{MARK}&gt; &amp;quot;",
    f'{{"hx-on:click": "{MARK}(1)"}}',
    "日本語 ☀ ñ \u200b\ufeff\u2028\u2029",
    "x" * 10_240,
)


class Reader(HTMLParser):
    """Reads a page as a browser does and keeps what could run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def what_could_run(page: str) -> Iterator[str]:
    reader = Reader()
    reader.feed(page)
    for tag, attributes in reader.tags:
        if tag in ("script", "style", "iframe", "object", "embed", "base") and not attributes.get("src", "").startswith(
            ("/static/", "/develop/static/")
        ):
            yield f"<{tag}>"
        for name, value in attributes.items():
            if name.startswith(("on", "hx-on")):
                yield f"{tag} {name}={value}"
            if name in ("href", "src", "action", "formaction", "hx-get", "hx-post", "xlink:href", "data-src"):
                if not re.match(r"(/|\?|#|https?://)", value or ""):
                    yield f"{tag} {name}={value}"
                if MARK in (value or "") and "%" not in (value or "") and "owner=" not in (value or ""):
                    yield f"{tag} {name}={value}"
    if re.search(r"(?<![0-9a-f])36481(?![0-9a-f])", page):
        yield "a template was run"


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Neighbours]:
    async with neighbours(tmp_path / "data") as everybody:
        yield everybody


async def fill(street: Neighbours, ada: Asker, evil: str) -> list[str]:
    """Put the string everywhere where somebody else's words are kept; gives the ids of the photos."""
    name = evil.replace("/", "_")[:255] or "x"
    evil_suggestions = [{**item, "reason": f"{evil} {item['reason']}"} for item in SUGGESTIONS]
    put = street.home.shelf.put
    pending = await put(
        "pending",
        owner=ada.owner,
        seed=1,
        size=(48, 32),
        file_name=name,
        suggestions=evil_suggestions,
        original_publish=Publish.BLOCKED,
        original_publish_error=evil,
        immich_asset_id=evil[:200],
        immich_stack_id=evil[:200],
        media_type="image/jpeg",
    )
    failed = await put("failed", owner=ada.owner, seed=2, size=(48, 32), file_name=name, error=f"{evil} broke")
    alone = await put("left_alone", owner=ada.owner, seed=3, size=(48, 32), file_name=name, reason=evil)
    waiting = await put(
        "rendering", owner=ada.owner, seed=4, size=(48, 32), file_name=name, last_error=evil, state=WorkState.ADVISED
    )
    async with street.home.database.transaction() as session:
        from sqlmodel import select

        version = (await session.exec(select(VersionRow).where(VersionRow.owner_id == ada.owner))).one()
        version.publish, version.blocked_reason, version.immich_asset_id = Publish.BLOCKED, evil, evil[:200]
        session.add(version)
        connection = (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == ada.owner))).one()
        connection.immich_user_name = connection.immich_user_email = connection.last_error = evil
        connection.version, connection.url, connection.permissions = evil, f"http://x/{evil}", [evil]
        session.add(connection)
        state = IntakeState.FAILED
        session.add(
            AssetRow(
                owner_id=ada.owner, connection_id=connection.id, asset_id=evil, file_name=name, state=state, reason=evil
            )
        )
        path = f"bytes:/in/{evil}"
        session.add(FileRow(owner_id=ada.owner, path=path, size=1, mtime_ns=1, state=state, reason=evil))
        session.add(
            SessionRow(
                id=ada.owner,
                owner_id=ada.owner,
                kind="immich",
                immich_user_id=ada.owner,
                browser=evil[:120],
                expires_at=now().replace(year=2100),
            )
        )
    return [row.sha256 for row in (pending, failed, alone, waiting)]


async def test_nothing_hostile_runs_on_any_page(street: Neighbours) -> None:
    root = await street.person("Root", is_admin=True)
    for number, evil in enumerate(HOSTILE):
        await look_everywhere(street, await street.person(f"Ada {number}"), evil)
    assert not list(what_could_run(await root.page("/people")))


async def look_everywhere(street: Neighbours, ada: Asker, evil: str) -> None:
    """Fill everything with the string, and look at everything."""
    ids = await fill(street, ada, evil)
    pages = [
        "/",
        "/?show=failed",
        "/?show=left_alone",
        "/?show=in_progress",
        "/queue",
        "/status",
        "/account",
        "/upload",
    ]
    pages += ["/setup", *(f"/photos/{item}" for item in ids)]
    partials = ["/", "/queue", "/status", "/filters", "/failed-files"]
    partials += [f"/photos/{item}/{part}" for item in ids for part in ("card", "panel")]
    seen = 0
    for path in pages:
        page = await ada.page(path)
        assert not list(what_could_run(page)), (path, list(what_could_run(page)))
        seen += MARK in page
    for path in partials:
        status, text = await ada.text("GET", path)
        assert status == 200, path
        assert not list(what_could_run(text.partition("\n<")[2])), path
    if MARK in evil:
        assert seen >= 5, "it is shown, as text"
    for path in ("/api/photos", "/api/queue", "/api/status", "/api/owners", f"/api/photos/{ids[0]}"):
        async with ada.ask("GET", path) as response:
            assert response.content_type == "application/json"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            json.loads(await response.text())


async def test_nothing_hostile_gets_into_headers(street: Neighbours) -> None:
    for evil in HOSTILE:
        ada = await street.person("Ada")
        first, *_ = await fill(street, ada, evil)
        for path in (f"/api/photos/{first}/original", f"/api/photos/{first}/versions/1"):
            async with ada.ask("GET", path) as response:
                assert response.status == 200
                disposition = response.headers["Content-Disposition"]
                assert re.fullmatch(
                    r"attachment; filename=\"[A-Za-z0-9._ ()+-]+\"; filename\*=UTF-8''[\w.%~-]+", disposition
                )
                assert "Set-Cookie" not in response.headers
                assert response.headers["Content-Type"] == "image/jpeg"
                assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        headers = {"HX-Request": "true"}
        data = {"version": "1", "then": "next"}
        async with ada.ask("POST", f"/photos/{first}/approve", data=data, headers=headers) as response:
            assert response.status == 200
            assert all(MARK not in value for value in response.headers.values())


async def test_what_is_asked_for_comes_back_as_text(street: Neighbours) -> None:
    ada = await street.person("Ada")
    for evil in HOSTILE:
        asked = [
            ("GET", "/", {"show": evil}),
            ("GET", "/", {"after": evil}),
            ("GET", "/", {"owner": evil}),
            ("GET", "/login", {"next": evil, "back": "1"}),
            ("GET", "/photos/" + "0" * 64, {}),
            ("GET", "/api/photos", {"status": evil, "limit": "5"}),
            ("GET", "/static/x", {"v": evil}),
            ("GET", f"/photos/{'0' * 64}/preview", {"recipe": evil, "client": evil}),
        ]
        for method, path, query in asked:
            headers = {**ada.headers, "Sec-Fetch-Site": "none"}
            given = {name: value.replace("\x00", "")[:3000] for name, value in query.items()}
            async with ada.session.request(
                method, path, params=given, headers=headers, allow_redirects=False
            ) as response:
                assert response.status in (200, 303, 400, 404), (path, response.status)
                text = await response.text()
                assert "Set-Cookie" not in response.headers or MARK not in response.headers["Set-Cookie"]
                location = response.headers.get("Location", "/")
                assert location.startswith("/") and not location.startswith("//")  # noqa: PT018
                if response.content_type == "text/html":
                    assert not list(what_could_run(text)), (path, text)


async def test_hostile_sign_ins_are_shown_as_text(street: Neighbours) -> None:
    stranger = await street.somebody("nobody")
    for evil in HOSTILE:
        for form in ({"way": "immich", "email": evil, "password": "x"}, {"way": "key", "key": evil}, {"way": evil}):
            form |= {"next": evil}
            async with stranger.session.post(
                "/login", data=form, headers={"Sec-Fetch-Site": "same-origin"}
            ) as response:
                assert response.status in (400, 401, 413, 429), response.status
                text = await response.text()
            assert not list(what_could_run(text)) or "x" * 2000 in evil, (form, text)


async def test_hostile_names_of_users_and_uploads(street: Neighbours) -> None:
    for evil in HOSTILE:
        ada = await street.person(evil[:300])
        form = FormData()
        form.add_field("photo", b"no photo at all", filename=re.sub(r"[\x00\r\n]", "", evil)[:300])
        async with ada.session.post("/upload", data=form, headers={**ada.headers, **FROM_OUR_PAGE}) as response:
            assert response.status == 200
            assert not list(what_could_run(await response.text()))
        for path in ("/", "/account", "/setup"):
            assert not list(what_could_run(await ada.page(path)))
    root = await street.person("Root", is_admin=True)
    assert not list(what_could_run(await root.page("/people")))


async def test_the_socket_sends_json(street: Neighbours) -> None:
    ada = await street.person("Ada")
    async with ada.session.ws_connect("/ws", headers={**FROM_OUR_PAGE, **ada.headers}) as socket:
        for evil in HOSTILE:
            async with street.home.database.transaction() as session:
                event = Event(EventType.CONNECTION_CHANGED, ada.owner, data={"error": evil})
                street.home.events.record(session, event)
            assert (await socket.receive_json())["data"]["error"] == evil
            messages = (
                {"type": evil},
                {"type": "undo", "file_id": evil, "version": 1},
                {"type": "ping", "request_id": evil},
            )
            for message in messages:
                await socket.send_json(message)
                answer: dict[str, Any] = await socket.receive_json()
                assert answer["type"] in ("error", "pong")


@pytest.mark.parametrize("name", [*HOSTILE, "", ".", "\x7f", "a" * 300 + ".jpg", "ä" * 300])
def test_a_content_disposition_is_one_line_of_ascii(name: str) -> None:
    header = content_disposition("attachment", name)
    assert header.isascii()
    assert header.isprintable()
    assert len(header) < 2100
    assert header.count('"') == 2
