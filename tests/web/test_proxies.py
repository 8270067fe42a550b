"""What a proxy says is believed of trusted ones alone; below a base path everything keeps to it."""

import re
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from immich_sidecar.errors import SettingsError
from immich_sidecar.settings import IMMICH_PATHS, OWN_PATHS, Settings, load_settings, origin_of
from immich_sidecar.web import proxies
from immich_sidecar.web.context import CONTEXT
from tests.web.conftest import Build
from tests.web.neighbours import FROM_OUR_PAGE


class _Context:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings


def asked(peer: str, *headers: tuple[str, str], **settings: Any) -> web.Request:
    from multidict import CIMultiDict

    app = web.Application()
    app[CONTEXT] = _Context(Settings(**settings))  # type: ignore[misc]
    request = make_mocked_request("GET", "/", headers=CIMultiDict(headers), app=app)
    return request.clone(remote=peer)


TRUSTED = {"trusted_proxies": "10.0.0.0/8, 2001:db8::/32"}


@pytest.mark.parametrize(
    ("peer", "told", "address"),
    [
        ("203.0.113.1", ("198.51.100.1",), "203.0.113.1"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("6.6.6.6, 198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("198.51.100.1, 10.9.9.9",), "198.51.100.1"),
        ("10.0.0.1", ("6.6.6.6", "198.51.100.1, 10.9.9.9"), "198.51.100.1"),
        ("10.0.0.1", ("198.51.100.1:4711",), "198.51.100.1"),
        ("10.0.0.1", ("[2001:db9::1]:443",), "2001:db9::1"),
        ("2001:db8::5", ("2001:db9::1",), "2001:db9::1"),
        ("::ffff:10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("10.0.0.2, 10.0.0.3",), "10.0.0.2"),
    ],
)
def test_the_clients_address(peer: str, told: tuple[str, ...], address: str) -> None:
    headers = [("X-Forwarded-For", line) for line in told]
    assert proxies.client_address(asked(peer, *headers, **TRUSTED)) == address


@pytest.mark.parametrize("peer", ["203.0.113.1", "10.0.0.1"])
def test_host_and_scheme(peer: str) -> None:
    headers = (("Host", "inner:2380"), ("X-Forwarded-Host", "photos.example"), ("X-Forwarded-Proto", "https"))
    trusted = peer.startswith("10.")
    request = asked(peer, *headers, **TRUSTED)
    assert proxies.host(request) == ("photos.example" if trusted else "inner:2380")
    assert proxies.is_https(request) is trusted
    assert proxies.origin(request) == ("https://photos.example" if trusted else "http://inner:2380")
    assert proxies.came_through_proxy(request)
    lied = (("X-Forwarded-Host", "evil.example, photos.example"), ("X-Forwarded-Proto", "gopher"))
    assert proxies.host(asked("10.0.0.1", *lied, **TRUSTED)) == "photos.example"
    assert proxies.scheme(asked("10.0.0.1", *lied, **TRUSTED)) is None
    public = asked(peer, *headers, public_url="https://other.example/x", **TRUSTED)
    assert proxies.origin(public) == "https://other.example"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Photos.Example/x", "https://photos.example"),
        ("https://photos.example:443", "https://photos.example"),
        ("http://photos.example:443", "http://photos.example:443"),
        ("http://[::1]:2380/a", "http://[::1]:2380"),
        ("ftp://photos.example", None),
        ("http://[broken", None),
        ("http://x:99999", None),
        ("null", None),
        (None, None),
    ],
)
def test_origins_are_written_as_browsers_do(url: str | None, origin: str | None) -> None:
    assert origin_of(url) == origin


# ---- the base path


@pytest.mark.parametrize("path", sorted(IMMICH_PATHS | OWN_PATHS))
def test_a_path_of_immichs_or_of_ours_is_refused(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("SIDECAR_BASE_PATH", f"/{path}")
    with pytest.raises(SettingsError, match="SIDECAR_BASE_PATH"):
        load_settings()


@pytest.mark.parametrize("path", ["/a b", "/../x", "/a/./b", "/ü", '/"x', "/a?b", "/a#b"])
def test_a_path_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("SIDECAR_BASE_PATH", path)
    with pytest.raises(SettingsError, match="SIDECAR_BASE_PATH"):
        load_settings()


def test_where_the_base_path_comes_from() -> None:
    assert Settings(base_path="develop/").pages_path() == "/develop"
    assert Settings(public_url="https://x.example/develop").pages_path() == "/develop"
    assert Settings(public_url="https://x.example/develop", base_path="/other").pages_path() == "/other"
    assert Settings(public_url="https://x.example/develop", base_path="/").pages_path() == ""
    beside = {"immich_url": "http://immich:2283", "immich_public_url": "https://x.example"}
    with pytest.raises(ValueError, match="Immich"):
        Settings(public_url="https://x.example/photos", **beside)
    assert Settings(public_url="https://other.example/photos", **beside).pages_path() == "/photos"


def test_every_page_that_we_have_is_refused_as_base_path(front: Any) -> None:
    ours = {route.resource.canonical.split("/")[1] for route in front.home.app.router.routes() if route.resource}
    assert {name for name in ours if name} - IMMICH_PATHS <= OWN_PATHS


async def test_below_a_base_path(build: Build) -> None:
    front = await build(base_path="/develop", password="p")
    row = await front.shelf.put("pending")
    client = front.client
    async with client.get("/develop", allow_redirects=False) as response:
        assert response.status == 303
    async with client.get("/develop/queue", allow_redirects=False) as response:
        assert response.headers["Location"].startswith("/develop/login?next=")
        login = response.headers["Location"]
    form = {"password": "p", "next": re.search(r"next=([^&]+)", login)[1].replace("%3D", "=")}  # type: ignore[index]
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with client.post("/develop/login", data=form, headers=headers, allow_redirects=False) as response:
        assert response.headers["Location"] == "/develop/queue"
        assert response.cookies["immich_sidecar_session"]["path"] == "/develop"
    async with client.get("/develop", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/develop/")
    for page in ("/", "/queue", "/status", "/account", "/people", "/upload", f"/photos/{row.sha256}", "/?show=failed"):
        text = await front.page(f"/develop{page}")
        assert not re.findall(r'(?:href|src|action|hx-get|hx-post|data-preview)="/(?!develop/)', text), page
        assert 'data-base="/develop"' in text
        for address in re.findall(r'(?:href|src)="(/develop/static/[^"#]+)', text):
            async with client.get(address.replace("&amp;", "&")) as response:
                assert response.status == 200, address
    async with client.post(
        f"/develop/photos/{row.sha256}/approve", data={"version": "1"}, headers=FROM_OUR_PAGE
    ) as response:
        assert response.status == 200
        assert 'hx-post="/develop/' in await response.text()
    async with client.ws_connect("/develop/ws?after=0", headers=FROM_OUR_PAGE) as socket:
        heard = [await socket.receive_json() for _ in range(1)]
    urls = [item["data"].get("preview_url") for item in heard]
    assert all(url is None or url.startswith("/develop/photos/") for url in urls)
    told = await front.json("GET", f"/develop/api/photos/{row.sha256}")
    assert all(url.startswith("/develop/") for url in told["urls"].values())
    async with client.post("/develop/logout", headers=FROM_OUR_PAGE, allow_redirects=False) as response:
        assert response.headers["Location"] == "/develop/login"
        assert response.cookies["immich_sidecar_session"]["path"] == "/develop"
    async with client.get("/develop/nothing", allow_redirects=False) as response:
        assert response.headers["Location"].startswith("/develop/login")
