"""Who is let in, from where, and what browsers are told."""

import asyncio
import re
from typing import Any

import pytest
from aiohttp import FormData, WSServerHandshakeError

from immich_sidecar.web.api import ROUTES
from immich_sidecar.web.attempts import FREE_ATTEMPTS, Attempts
from immich_sidecar.web.paths import encoded_path, next_path
from tests.web.conftest import Build, Front

PAGES = ("/", "/queue", "/status", "/login", "/healthz", "/api/photos", "/nothing", "/static/style.css")
SAME = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize("path", PAGES)
async def test_headers_are_on_every_answer(front: Front, path: str) -> None:
    async with front.client.get(path, allow_redirects=False) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert "aiohttp" not in response.headers["Server"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:2380", "192.168.1.5", "", "[::1", "localhost.evil.example"]
)
async def test_an_open_service_answers_to_its_own_name_only(front: Front, host: str) -> None:
    async with front.client.get("/api/photos", headers={"Host": host}) as response:
        assert response.status in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "localhost:9", "127.0.0.1:2380", "[::1]:2380", "127.0.0.5"])
async def test_loopback_names_are_its_own(front: Front, host: str) -> None:
    async with front.client.get("/api/photos", headers={"Host": host}) as response:
        assert response.status == 200


async def test_with_a_password_any_host_is_fine(build: Build) -> None:
    front = await build(password="secret")
    async with front.client.get("/api/photos", headers={"Host": "nas", "Authorization": "Bearer secret"}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:1"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[broken"}, False),
        ({"Origin": "OWN"}, True),
        ({"Origin": "http://127.0.0.1:1"}, False),
    ],
)
async def test_changes_and_sockets_come_from_our_own_pages(
    front: Front, headers: dict[str, str], allowed: bool
) -> None:
    own = str(front.client.make_url("/")).rstrip("/")
    sent = {name: value.replace("OWN", own) for name, value in headers.items()}
    async with front.client.post("/api/queue/pause", headers=sent) as response:
        assert response.status == (200 if allowed else 403)
    if allowed:
        async with front.client.ws_connect("/ws", headers=sent):
            pass
    else:
        with pytest.raises(WSServerHandshakeError) as refused:
            await front.client.ws_connect("/ws", headers=sent)
        assert refused.value.status == 403


JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PLAIN = {"Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({**SAME, "HX-Request": "true"}, True),
        ({**SAME, **JSON}, True),
        ({**SAME, "Content-Type": "application/octet-stream"}, True),
        ({**SAME}, False),
        ({**SAME, **FORM}, False),
        ({**SAME, **PLAIN}, False),
        ({**SAME, "Content-Type": "text/plain; application/json"}, False),
        ({**SAME, "Content-Type": "TEXT/PLAIN"}, False),
        ({**SAME, "HX-Request": "false"}, False),
        ({"Origin": "OWN", **FORM}, False),
        ({"Origin": "OWN", **JSON}, True),
        ({"Origin": "http://evil.example", **JSON, "HX-Request": "true"}, False),
        ({"Sec-Fetch-Site": "same-site", "HX-Request": "true"}, False),
        ({"Sec-Fetch-Site": "none", "HX-Request": "true"}, False),
        ({"Sec-Fetch-Site": "none", **JSON}, False),
        ({**JSON}, False),
        ({"HX-Request": "true"}, False),
    ],
)
async def test_a_change_with_a_cookie_is_proven_twice(build: Build, headers: dict[str, str], allowed: bool) -> None:
    front = await build(password="p")
    async with front.client.post("/login", data={"password": "p"}, headers=SAME):
        pass
    own = str(front.client.make_url("/")).rstrip("/")
    sent = {name: value.replace("OWN", own) for name, value in headers.items()}
    for path in ("/api/queue/pause", "/queue/pause"):
        async with front.client.post(path, headers=sent, data=b"{}", skip_auto_headers=["Content-Type"]) as response:
            assert (response.status == 200) is allowed, (path, response.status)
            assert response.status in (200, 403)
    paused = (await front.json("GET", "/api/queue"))["paused"]
    assert paused is allowed


async def test_a_form_without_scripts_carries_its_token(build: Build) -> None:
    front = await build(password="p")
    row = await front.shelf.put("pending")
    async with front.client.post("/login", data={"password": "p"}, headers=SAME):
        pass
    token = re.search(r'name="token" value="(\w{32})"', await front.page(f"/photos/{row.sha256}"))[1]
    path = f"/photos/{row.sha256}/approve"
    for given in ("", "0" * 32, token[:-1], token.upper() + "x", "ü"):
        data = {"version": "1", "token": given}
        async with front.client.post(path, data=data, headers=SAME, allow_redirects=False) as response:
            assert response.status == 403, given
    form = FormData({"version": "1", "token": token})
    form.add_field("x", b"x", filename="x")
    async with front.client.post(path, data=form, headers=SAME) as response:
        assert response.status == 403, "a form with files carries it in its address"
    data = {"version": "1", "token": token}
    async with front.client.post(path, data=data, headers={"Sec-Fetch-Site": "cross-site"}) as response:
        assert response.status == 403
    async with front.client.post(path, data=data, headers=SAME, allow_redirects=False) as response:
        assert response.status == 303
    front.client.session.cookie_jar.clear()
    async with front.client.post("/login", data={"password": "p"}, headers=SAME):
        pass
    async with front.client.post(path, data=data, headers=SAME, allow_redirects=False) as response:
        assert response.status == 403, "the token is of one session"


async def test_every_form_of_every_page_carries_the_token(front: Front) -> None:
    rows = [await front.shelf.put(status, seed=seed) for seed, status in enumerate(("pending", "failed", "left_alone"))]
    pages = ["/", "/?show=failed", "/queue", "/upload", "/account", *(f"/photos/{row.sha256}" for row in rows)]
    for page in pages:
        forms = re.findall(r'<form[^>]*method="post".*?</form>', await front.page(page), re.DOTALL)
        assert forms or page == "/account", page
        for form in forms:
            assert 'name="token"' in form or "token=" in form.partition(">")[0], (page, form)


async def test_every_changing_route_refuses_other_sites(front: Front) -> None:
    row = await front.shelf.put("pending")
    changing = [
        (route.method, route.resource.canonical.replace("{id}", row.sha256).replace("{action}", "approve"))
        for route in front.home.app.router.routes()
        if route.resource and route.method not in ("GET", "HEAD")
    ]
    assert len(changing) > 15
    for method, path in changing:
        async with front.client.request(method, path, headers={"Sec-Fetch-Site": "cross-site"}) as response:
            assert response.status == 403, path


async def test_nothing_but_the_open_paths_answers_without_the_password(build: Build) -> None:
    front = await build(password="secret")
    row = await front.shelf.put("pending")
    for route in front.home.app.router.routes():
        if route.resource is None or route.method == "HEAD":
            continue
        path = route.resource.canonical.replace("{id}", row.sha256).replace("{n}", "1").replace("{action}", "approve")
        path = path.replace("{name}", "style.css")
        async with front.client.request(route.method, path, headers=SAME, allow_redirects=False) as response:
            if path in ("/healthz", "/readyz", "/login", "/static/style.css"):
                assert response.status in (200, 401), path
            elif response.status == 303:
                assert response.headers["Location"].startswith("/login"), path
            else:
                assert response.status == 401, path


async def test_login_sets_a_cookie_that_opens_the_pages(build: Build) -> None:
    front = await build(password="grün & 100 %")
    async with front.client.get("/queue", allow_redirects=False) as response:
        login = response.headers["Location"]
    assert "Log in" in await front.page(login)
    wanted = login.partition("next=")[2]
    form = {"password": "grün & 100 %", "next": wanted.replace("%3D", "=")}
    async with front.client.post("/login", data=form, headers=SAME, allow_redirects=False) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/queue"
        cookie = response.cookies["immich_sidecar_session"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert not cookie["secure"]
    assert "Nothing runs" in await front.page("/queue")
    async with front.client.post("/api/queue/pause") as response:
        assert response.status == 403, "a cookie without a word about where the request comes from"
    async with front.client.post("/logout", headers=SAME, allow_redirects=False) as response:
        assert response.status == 303
    async with front.client.get("/queue", allow_redirects=False) as response:
        assert response.status == 303


async def test_the_cookie_is_secure_behind_https(build: Build) -> None:
    front = await build(password="p", public_url="https://photos.example/develop")
    sent = {"Origin": "https://photos.example"}
    async with front.client.post(
        "/develop/login", data={"password": "p"}, headers=sent, allow_redirects=False
    ) as response:
        cookie = response.cookies["immich_sidecar_session"]
        assert response.headers["Location"] == "/develop/"
    assert cookie["secure"]
    assert cookie["path"] == "/develop", "with and without the slash, and not for /developer"


async def test_guessing_is_slowed_also_for_bearers(build: Build) -> None:
    front = await build(password="secret")
    for _ in range(FREE_ATTEMPTS + 1):
        async with front.client.post("/login", data={"password": "wrong"}, headers=SAME) as response:
            assert response.status == 401
            assert "The password is wrong" in await response.text()
    async with front.client.post("/login", data={"password": "secret"}, headers=SAME) as response:
        assert response.status == 429
        assert int(response.headers["Retry-After"]) >= 1
    async with front.client.get("/api/photos", headers={"Authorization": "Bearer secret"}) as response:
        assert response.status == 429


async def test_scripts_use_a_bearer(build: Build) -> None:
    front = await build(password="secret")
    for token, status in (("secret", 200), ("Secret", 401), ("", 401)):
        async with front.client.get("/api/photos", headers={"Authorization": f"Bearer {token}"}) as response:
            assert response.status == status
    async with front.client.post("/api/queue/pause", headers={"Authorization": "bearer secret"}) as response:
        assert response.status == 200
    async with front.client.ws_connect("/ws", headers={"Authorization": "Bearer secret"}):
        pass


def test_waiting_doubles_and_is_forgotten_after_success() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    waits = []
    for _ in range(FREE_ATTEMPTS + 8):
        attempts.failed("a")
        waits.append(attempts.wait("a"))
    assert waits[:FREE_ATTEMPTS] == [0.0] * FREE_ATTEMPTS
    assert waits[FREE_ATTEMPTS:] == [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert attempts.wait("b") == 0.0
    now[0] = 61.0
    assert attempts.wait("a") == 0.0
    attempts.succeeded("a")
    attempts.failed("a")
    assert attempts.wait("a") == 0.0


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "/\\evil.example", "https://evil.example", "x", "", "/a\nb", "/\tb", "/a\\b", "/\u202ea"],
)
def test_a_login_leads_to_no_other_site(path: str) -> None:
    assert next_path(encoded_path(path), "") == "/"
    assert next_path("%%%", "/base") == "/base/"


def test_a_login_leads_to_pages_of_ours_only_below_the_base_path() -> None:
    assert next_path(encoded_path("/develop/queue?x=1"), "/develop") == "/develop/queue?x=1"
    for path in ("/photos/1", "/developer/x", "/develop", "/api/users/me"):
        assert next_path(encoded_path(path), "/develop") == "/develop/", path


async def test_each_route_keeps_owners_apart(front: Front) -> None:
    mine = await front.shelf.put("pending", seed=1)
    hers = await front.shelf.put("pending", seed=2, owner="anna")
    same = await front.shelf.put("approved", seed=1, owner="anna")
    assert same.sha256 == mine.sha256
    for route in ROUTES:
        if "{id}" not in route.path:
            continue
        path = route.path.replace("{id}", hers.sha256).replace("{n}", "1")
        body: Any = (
            {"version": 1, "operations": {"exposure": None}, "preset": "vivid"} if route.method != "GET" else None
        )
        async with front.client.request(route.method, path, json=body) as response:
            assert response.status == 404, route.path
    for path in ("", "/card", "/panel", "/preview", "/thumbnail"):
        for query, status in (("", 404), ("?owner=anna", 200)):
            async with front.client.get(f"/photos/{hers.sha256}{path}{query}") as response:
                assert response.status == status, (path, query)
    assert (await front.json("GET", f"/api/photos/{mine.sha256}"))["review"] == "pending"
    assert (await front.json("GET", f"/api/photos/{mine.sha256}?owner=anna"))["review"] == "approved"
    assert len((await front.json("GET", "/api/photos"))["items"]) == 1
    for path in ("/", "/queue", "/status", "/api/photos", "/api/queue", "/api/status"):
        await front.page(f"{path}?owner=nobody", status=404)
    assert hers.sha256 not in await front.page("/")
    assert hers.sha256 in await front.page("/?owner=anna")


async def test_a_bulk_form_of_one_owner_touches_no_other(front: Front) -> None:
    hers = await front.shelf.put("pending", seed=2, owner="anna")
    form = {"action": "approve", "photo": f"{hers.sha256}:1"}
    async with front.client.post("/photos", data=form, allow_redirects=False) as response:
        assert "refused=1" in response.headers["Location"]
    assert (await front.json("GET", f"/api/photos/{hers.sha256}?owner=anna"))["review"] == "pending"


@pytest.mark.parametrize(
    "path", ["/static/../pyproject.toml", "/static/%2e%2e/pyproject.toml", "/static//etc/passwd", "/static/"]
)
async def test_static_files_are_only_ours(front: Front, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.client.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.split()[1] == b"404"


async def test_large_bodies_are_refused(front: Front) -> None:
    row = await front.shelf.put("pending")
    async with front.client.post(f"/api/photos/{row.sha256}/approve", data=b"x" * (3 << 20)) as response:
        assert response.status == 413
