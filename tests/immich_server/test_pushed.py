"""Events and webhooks of the stand-in look like those that were recorded."""

from __future__ import annotations

import json

import httpx
import pytest

from . import ImmichServer, pushed
from .test_rooms import keyworded
from .test_server import DATES

#: What only an administrator, machine learning or another user brings about, and what a socket gets alone.
NOT_PLAYED = {"on_config_update", "on_notification", "error", "on_server_version"}
DEVICE = {"deviceAssetId": "1", "deviceId": "me"}


@pytest.mark.parametrize("version", ["2.7.5", "3.1.0"])
async def test_every_recorded_event_is_sent_in_its_shape(version: str) -> None:
    recorded = pushed.load(version)["events"]
    async with ImmichServer(version=version, extraction_delay=0, thumbnail_delay=0) as server:
        ada = server.add_user("Ada")
        headers = {"x-api-key": server.add_key(ada)}
        async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as client:
            files = {"assetData": ("a.jpg", keyworded(), "image/jpeg")}
            asset_id = (await client.post("/assets", data=DATES | DEVICE, files=files)).json()["id"]
            await server.settled()
            other = server.add_asset(ada, b"another", "b.jpg")
            await client.post("/stacks", json={"assetIds": [asset_id, other.id]})
            await client.put(f"/assets/{asset_id}", json={"description": "new"})
            await server.settled()
            crop = {"action": "crop", "parameters": {"x": 1, "y": 2, "width": 3, "height": 4}}
            await client.put(f"/assets/{asset_id}/edits", json={"edits": [crop]})
            await server.settled()
            album = server.add_album(ada, "Trip")
            await client.put(f"/albums/{album.id}/assets", json={"ids": [asset_id]})
            await client.request("DELETE", "/assets", json={"ids": [asset_id]})
            await client.post("/trash/restore/assets", json={"ids": [asset_id]})
            await client.request("DELETE", "/assets", json={"ids": [asset_id], "force": True})
            await server.settled()
    told = {event.event: json.loads(json.dumps(event.args)) for event in server.told}
    assert told.keys() == recorded.keys() - NOT_PLAYED
    wrong = {name: list(pushed.shape_differences(recorded[name], told[name])) for name in told}
    assert not any(wrong.values()), wrong


async def test_webhooks_have_the_recorded_shape() -> None:
    recorded = {body["trigger"]: body for body in pushed.load("3.1.0")["webhooks"]}
    async with ImmichServer(extraction_delay=0, thumbnail_delay=0) as server:
        ada = server.add_user("Ada")
        for trigger in recorded:
            server.add_webhook(ada, "http://127.0.0.1:1/", trigger=trigger)
        headers = {"x-api-key": server.add_key(ada)}
        async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as client:
            await client.post("/assets", data=DATES, files={"assetData": ("a.jpg", keyworded(), "image/jpeg")})
        await server.settled()
    sent = {delivery.trigger: delivery.body for delivery in server.deliveries}
    assert sent.keys() == recorded.keys()
    wrong = {trigger: list(pushed.shape_differences(recorded[trigger], sent[trigger])) for trigger in sent}
    assert not any(wrong.values()), wrong
