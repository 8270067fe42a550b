"""The socket: what happened comes out in order and only once, commands go in."""

import asyncio
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse

from immich_sidecar.events import Event, EventType
from tests.web.conftest import Front

NOBODY = "0" * 64


async def happen(front: Front, count: int, owner: str = "local", start: int = 0) -> None:
    for number in range(start, start + count):
        async with front.home.database.transaction() as session:
            front.home.events.record(session, Event(EventType.READY, owner, NOBODY, {"number": number}))


async def receive(socket: ClientWebSocketResponse, kind: str | None = None) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = await asyncio.wait_for(socket.receive_json(), 90)
        if kind is None or message["type"] == kind:
            return message


async def ask(socket: ClientWebSocketResponse, **message: Any) -> dict[str, Any]:
    await socket.send_json({"request_id": 7, **message})
    while True:
        answer = await receive(socket)
        if answer.get("request_id") == 7:
            return answer


async def listens(socket: ClientWebSocketResponse) -> None:
    """Wait until the other end is there: what happens from now on is told."""
    assert (await ask(socket, type="ping"))["type"] == "pong"


async def test_events_have_the_shape_that_users_know(front: Front) -> None:
    async with front.client.ws_connect("/ws") as socket:
        await listens(socket)
        await happen(front, 1)
        event = await receive(socket)
    assert event["type"] == "photo_ready"
    assert event["data"] == {"number": 0, "file_id": NOBODY, "owner": "local"}
    assert isinstance(event["id"], int)


async def test_a_reconnect_loses_nothing_and_repeats_nothing(front: Front) -> None:
    await happen(front, 3)
    async with front.client.ws_connect("/ws?after=0") as socket:
        first = [await receive(socket) for _ in range(3)]
    await happen(front, 2, start=3)
    async with front.client.ws_connect(f"/ws?after={first[-1]['id']}") as socket:
        await happen(front, 1, start=5)
        rest = [await receive(socket) for _ in range(3)]
    assert [event["data"]["number"] for event in first + rest] == list(range(6))


async def test_only_the_owners_own_events(front: Front) -> None:
    await front.shelf.put("pending", owner="anna")
    async with front.client.ws_connect("/ws?owner=anna&after=0") as socket:
        await happen(front, 1)
        await happen(front, 1, owner="anna", start=9)
        assert (await receive(socket))["data"]["number"] == 9
    async with front.client.get("/ws?owner=nobody") as response:
        assert response.status == 404
    for after in ("x", "-1", "1e3"):
        async with front.client.get(f"/ws?after={after}") as response:
            assert response.status == 400


async def test_progress_is_live_only(front: Front) -> None:
    async with front.client.ws_connect("/ws") as socket:
        await listens(socket)
        front.home.events.publish_live(Event(EventType.PROGRESS, "local", NOBODY, {"progress": 0.5}))
        event = await receive(socket)
    assert event["data"]["progress"] == 0.5
    assert "id" not in event


async def test_commands_are_answered_and_heard_by_others(front: Front) -> None:
    row = await front.shelf.put("pending")
    async with front.client.ws_connect("/ws") as socket, front.client.ws_connect("/ws") as other:
        await listens(other)
        answer = await ask(socket, type="approve_processing", file_id=row.sha256, version=1)
        assert answer["type"] == "result"
        assert answer["data"]["ok"] is True
        assert answer["data"]["review"] == "approved"
        heard = await receive(other, "review_changed")
        assert (heard["data"]["file_id"], heard["data"]["status"]) == (row.sha256, "approved")
        answer = await ask(socket, type="undo", file_id=row.sha256, version=1)
        assert answer["data"]["review"] == "pending"
        crop = {"x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5}
        answer = await ask(socket, type="modify_crop", file_id=row.sha256, version=1, crop=crop)
        assert answer["data"]["version"] == 2
        answer = await ask(socket, type="change_recipe", file_id=row.sha256, version=2, operations={"crop": None})
        assert answer["data"]["version"] == 3
        assert (await ask(socket, type="ping"))["type"] == "pong"


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ({"type": "approve_processing", "file_id": "ROW"}, 400),
        ({"type": "approve_processing", "file_id": "ROW", "version": 5}, 409),
        ({"type": "approve_processing", "file_id": NOBODY, "version": 1}, 404),
        ({"type": "approve_processing", "version": 1}, 400),
        ({"type": "approve_processing", "file_id": "\ud800", "version": 1}, 404),
        ({"type": "approve_processing", "file_id": "ROW", "version": "²"}, 400),
        ({"type": "drop_tables", "file_id": "ROW", "version": 1}, 400),
        ({"type": ["x"], "file_id": "ROW", "version": 1}, 400),
        ({"type": "modify_crop", "file_id": "ROW", "version": 1, "crop": {"x": 2}}, 422),
        ({"type": "modify_crop", "file_id": "ROW", "version": 1, "crop": "all"}, 400),
        ({"type": "change_recipe", "file_id": "ROW", "version": 1}, 400),
    ],
)
async def test_refusals_say_why_and_leave_the_socket_open(front: Front, message: dict[str, Any], status: int) -> None:
    row = await front.shelf.put("pending")
    sent = {name: row.sha256 if value == "ROW" else value for name, value in message.items()}
    async with front.client.ws_connect("/ws") as socket:
        answer = await ask(socket, **sent)
        assert (answer["type"], answer["data"]["status"]) == ("error", status)
        assert answer["data"]["error"]
        assert (await ask(socket, type="ping"))["type"] == "pong"


async def test_rubbish_is_refused(front: Front) -> None:
    async with front.client.ws_connect("/ws") as socket:
        for text in ("", "{", "[]", "7", "null"):
            await socket.send_str(text)
            assert (await receive(socket))["data"]["status"] == 400
        await socket.send_bytes(b"\x00")
        assert (await receive(socket))["data"]["status"] == 400


async def test_stopping_ends_sockets_at_once(front: Front) -> None:
    async with front.client.ws_connect("/ws") as socket:
        await listens(socket)
        await asyncio.wait_for(front.home.app.shutdown(), 60)
        message = await asyncio.wait_for(socket.receive(), 60)
        assert socket.closed or message.data == 1001
