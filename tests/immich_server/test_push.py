"""Events over sockets, webhooks and logins of the stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import socketio
from aiohttp import web

from . import ImmichServer, User
from .given import PASSWORD
from .test_server import picture, upload


@pytest.fixture
async def server() -> AsyncIterator[ImmichServer]:
    async with ImmichServer(extraction_delay=0, thumbnail_delay=0) as running:
        yield running


@pytest.fixture
def ada(server: ImmichServer) -> User:
    return server.add_user("Ada")


@pytest.fixture
async def client(server: ImmichServer, ada: User) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"x-api-key": server.add_key(ada)}
    async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as open_client:
        yield open_client


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


class Listener:
    """A socket that notes what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[Any, ...]]] = []
        self.disconnected = asyncio.Event()
        self._socket = socketio.AsyncClient(reconnection=False)
        self._socket.on("*", self._hear)
        self._socket.on("error", lambda *args: self._hear("error", *args))
        self._socket.on("disconnect", lambda *_: self.disconnected.set())

    def _hear(self, event: str, *args: Any) -> None:
        self.heard.append((event, args))

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.heard]

    async def until(self, event: str) -> tuple[Any, ...]:
        """The arguments of the first such event."""
        await _until(lambda: event in self.events)
        return next(args for heard, args in self.heard if heard == event)

    async def connect(self, server: ImmichServer, **headers: str) -> Listener:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        await self._socket.connect(
            server.url, headers, transports=["websocket"], socketio_path="/api/socket.io", wait_timeout=90
        )
        return self

    async def close(self) -> None:
        await self._socket.disconnect()


async def test_an_upload_is_told_when_its_thumbnails_are_there(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    bob = server.add_user("Bob")
    hers = await Listener().connect(server, x_api_key=client.headers["x-api-key"])
    his = await Listener().connect(server, x_immich_user_token=server.log_in(bob))
    assert await hers.until("on_server_version") == ({"major": 3, "minor": 1, "patch": 0, "prerelease": None},)
    await his.until("on_server_version")
    asset_id = (await upload(client, picture(), isFavorite="true")).json()["id"]
    (asset,) = await hers.until("on_upload_success")
    assert (asset["id"], asset["isFavorite"], asset["tags"]) == (asset_id, False, [])
    assert "stack" not in asset
    assert asset["thumbhash"]
    (ready,) = await hers.until("AssetUploadReadyV2")
    assert ready["asset"]["id"] == ready["exif"]["assetId"] == asset_id
    assert ready["asset"]["stackId"] is None
    for other in ({"visibility": "hidden"}, {"visibility": "locked"}):
        await upload(client, picture("red" if other["visibility"] == "hidden" else "blue"), **other)
    await upload(client, picture())
    await upload(client, b"no picture")
    await server.settled()
    await asyncio.sleep(0.05)
    assert hers.events == ["on_server_version", "on_upload_success", "AssetUploadReadyV2"]
    assert his.events == ["on_server_version"]
    await hers.close()
    await his.close()


@pytest.mark.parametrize("credential", ["limited", "bad", "none", "bearer"])
async def test_a_socket_without_the_right_to_everything_is_told_so_and_cut(
    server: ImmichServer, ada: User, credential: str
) -> None:
    headers = {
        "limited": {"x_api_key": server.add_key(ada, ["asset.read"])},
        "bad": {"x_api_key": "nonsense"},
        "none": {},
        "bearer": {"Authorization": f"Bearer {server.add_key(ada)}"},
    }[credential]
    listener = await Listener().connect(server, **headers)
    await asyncio.wait_for(listener.disconnected.wait(), 90)
    assert listener.heard == [("error", ("unauthorized",))]
    assert server.listeners(ada) == 0


@pytest.mark.parametrize("header", ["x_immich_user_token", "Cookie", "Authorization"])
async def test_a_session_opens_a_socket(server: ImmichServer, ada: User, header: str) -> None:
    token = server.log_in(ada)
    value = {"Cookie": f"immich_access_token={token}", "Authorization": f"Bearer {token}"}.get(header, token)
    listener = await Listener().connect(server, **{header: value})
    await listener.until("on_server_version")
    await listener.close()


async def test_polling_is_refused(server: ImmichServer, client: httpx.AsyncClient) -> None:
    answer = await client.get("/socket.io/", params={"EIO": "4", "transport": "polling"})
    assert (answer.status_code, answer.json()) == (400, {"code": 0, "message": "Transport unknown"})


async def test_a_server_that_goes_away_cuts_sockets_and_repeats_nothing(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    listener = await Listener().connect(server, x_api_key=client.headers["x-api-key"])
    await listener.until("on_server_version")
    await server.go_away()
    await asyncio.wait_for(listener.disconnected.wait(), 90)
    await server.come_back()
    await upload(client, picture())
    await server.settled()
    again = await Listener().connect(server, x_api_key=client.headers["x-api-key"])
    await again.until("on_server_version")
    await asyncio.sleep(0.05)
    assert again.events == ["on_server_version"]
    await again.close()


class Receiver:
    """A small server that notes webhooks."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], Any]] = []
        self.status = 202
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Receiver:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.json()))
        return web.Response(status=self.status)


async def test_a_webhook_is_sent_before_and_after_extraction(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    async with Receiver() as receiver:
        for trigger in ("AssetCreate", "AssetMetadataExtraction"):
            config = {"url": receiver.url, "headerName": "X-Secret", "headerValue": "s3cret", "method": "POST"}
            body = {"trigger": trigger, "steps": [{"method": "immich-plugin-core#webhook", "config": config}]}
            assert (await client.post("/workflows", json=body)).status_code == 201
        server.hold_processing()
        asset_id = (await upload(client, picture(taken="2020:01:02 03:04:05"))).json()["id"]
        await _until(lambda: bool(receiver.got))
        headers, body = receiver.got[0]
        assert (headers["X-Secret"], headers["User-Agent"]) == ("s3cret", "immich-server/3.1.0")
        asset = body["data"]["asset"]
        assert (body["type"], body["trigger"], asset["id"]) == ("AssetV1", "AssetCreate", asset_id)
        assert bytes(asset["checksum"]["data"]) == server.assets[asset_id].checksum
        assert asset["exifInfo"]["dateTimeOriginal"] is None
        server.go_on_processing()
        await server.settled()
        assert receiver.got[1][1]["trigger"] == "AssetMetadataExtraction"
        assert receiver.got[1][1]["data"]["asset"]["exifInfo"]["dateTimeOriginal"].startswith("2020-01-02")
        # Neither a duplicate nor a failure is sent (again).
        receiver.status = 500
        await upload(client, picture(taken="2020:01:02 03:04:05"))
        await upload(client, picture("red"))
        await server.settled()
        assert len(receiver.got) == 4
        assert [delivery.status for delivery in server.deliveries] == [202, 202, 500, 500]


async def test_webhooks_can_be_lost(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    async with Receiver() as receiver:
        server.add_webhook(ada, receiver.url)
        server.lose_webhooks(1)
        await upload(client, picture())
        await upload(client, picture("red"))
        await server.settled()
        assert len(receiver.got) == 1
        assert [delivery.lost for delivery in server.deliveries] == [True, False]
    await upload(client, picture("blue"))
    await server.settled()
    assert server.deliveries[-1].error


async def test_logging_in_and_out(server: ImmichServer, ada: User) -> None:
    async with httpx.AsyncClient(base_url=f"{server.url}/api", timeout=90) as browser:
        wrong = await browser.post("/auth/login", json={"email": ada.email, "password": "wrong"})
        assert (wrong.status_code, wrong.json()) == (401, {"message": "Incorrect email or password"})
        answer = await browser.post("/auth/login", json={"email": ada.email.upper(), "password": PASSWORD})
        assert answer.status_code == 201
        assert answer.json()["userId"] == ada.id
        cookies = answer.headers.get_list("set-cookie")
        assert [cookie.partition("=")[0] for cookie in cookies] == [
            *("immich_access_token", "immich_auth_type", "immich_is_authenticated"),
        ]
        assert ["HttpOnly" in cookie for cookie in cookies] == [True, True, False]
        assert all("SameSite=Lax" in cookie and "Secure" not in cookie for cookie in cookies)
        # The session wins over a key, also over a bad one.
        assert (await browser.get("/users/me", headers={"x-api-key": "nonsense"})).json()["id"] == ada.id
        assert (await browser.post("/auth/validateToken")).json() == {"authStatus": True}
        made = await browser.post("/api-keys", json={"name": "Sidecar", "permissions": ["asset.read"]})
        assert made.status_code == 201
        key_id = made.json()["apiKey"]["id"]
        changed = await browser.put(f"/api-keys/{key_id}", json={"permissions": ["asset.read", "stack.read"]})
        assert changed.json()["permissions"] == ["asset.read", "stack.read"]
        assert server.key(made.json()["secret"]).permissions == ["asset.read", "stack.read"]
        assert (await browser.delete(f"/api-keys/{key_id}")).status_code == 204
        assert (await browser.delete(f"/api-keys/{key_id}")).json() == {"message": "API Key not found"}
        token = browser.cookies["immich_access_token"]
        assert (await browser.post("/auth/logout")).json()["successful"] is True
    async with httpx.AsyncClient(
        base_url=f"{server.url}/api", headers={"x-immich-user-token": token}, timeout=90
    ) as gone:
        assert (await gone.get("/users/me")).json() == {"message": "Invalid user token"}


async def test_a_key_gives_no_more_than_it_has(server: ImmichServer, ada: User) -> None:
    secret = server.add_key(ada, ["apiKey.create", "apiKey.update", "asset.read"])
    async with httpx.AsyncClient(base_url=f"{server.url}/api", headers={"x-api-key": secret}, timeout=90) as client:
        more = {"message": "Cannot grant permissions you do not have"}
        assert (await client.post("/api-keys", json={"permissions": ["asset.delete"]})).json() == more
        own_id = server.key(secret).id
        assert (await client.put(f"/api-keys/{own_id}", json={"permissions": ["all"]})).json() == more
        # Logging out needs everything, and does nothing to a key.
        assert (await client.post("/auth/logout")).json() == {"message": "Missing required permission: all"}


async def test_a_server_that_knows_only_oauth(server: ImmichServer, ada: User) -> None:
    server.oauth_only = True
    async with httpx.AsyncClient(base_url=f"{server.url}/api", timeout=90) as browser:
        answer = await browser.post("/auth/login", json={"email": ada.email, "password": PASSWORD})
        assert (answer.status_code, answer.json()) == (401, {"message": "Password login has been disabled"})
        features = (await browser.get("/server/features")).json()
        assert (features["passwordLogin"], features["oauth"]) == (False, True)
