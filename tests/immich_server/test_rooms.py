"""What the stand-in offers to tests beyond what the recordings show: tags, sidecars, sharing, edits, the trash."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from PIL import Image

from . import Asset, ImmichServer, User, differences
from .test_server import picture, upload

_XMP = """<?xpacket?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmp:Rating="4">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">A bird
</rdf:li></rdf:Alt></dc:description><lr:hierarchicalSubject><rdf:Bag><rdf:li>animals|birds</rdf:li></rdf:Bag>
</lr:hierarchicalSubject></rdf:Description></rdf:RDF></x:xmpmeta>"""


def keyworded() -> bytes:
    """A JPEG that says something of itself in XMP."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "olive").save(buffer, "JPEG", xmp=_XMP.encode())
    return buffer.getvalue()


@pytest.fixture
async def server() -> AsyncIterator[ImmichServer]:
    async with ImmichServer(extraction_delay=0, thumbnail_delay=0) as running:
        running.processing.sidecar_delay = 0
        yield running


@pytest.fixture
def ada(server: ImmichServer) -> User:
    return server.add_user("Ada")


@pytest.fixture
def bob(server: ImmichServer) -> User:
    return server.add_user("Bob")


@pytest.fixture
async def client(server: ImmichServer, ada: User) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(server, ada) as opened:
        yield opened


def client_of(server: ImmichServer, user: User) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{server.url}/api", headers={"x-api-key": server.add_key(user)}, timeout=90)


async def found(client: httpx.AsyncClient, **query: Any) -> list[str]:
    items = (await client.post("/search/metadata", json=query)).json()["assets"]["items"]
    return [item["originalFileName"] for item in items]


def events(server: ImmichServer, user: User) -> list[str]:
    return [told.event for told in server.told if told.user is user]


async def make_tag(client: httpx.AsyncClient, value: str) -> str:
    return str((await client.put("/tags", json={"tags": [value]})).json()[0]["id"])


async def test_keywords_of_a_file_become_tags(server: ImmichServer, client: httpx.AsyncClient) -> None:
    asset_id = (await upload(client, keyworded())).json()["id"]
    await server.settled()
    asset = server.assets[asset_id]
    assert server.tags_of(asset) == {"animals/birds"}
    assert (asset.exif["rating"], asset.exif["description"]) == (4, "A bird")
    parent, leaf = await make_tag(client, "animals"), await make_tag(client, "animals/birds")
    assert await found(client, tagIds=[parent]) == await found(client, tagIds=[leaf], rating=4) == ["a.jpg"]
    assert await found(client, tagIds=[await make_tag(client, "Animals")]) == []


@pytest.mark.parametrize("early", [True, False])
async def test_tagging_before_the_file_was_read_loses_its_keywords(
    server: ImmichServer, client: httpx.AsyncClient, early: bool
) -> None:
    tag_id = await make_tag(client, "mine")
    if early:
        server.hold_processing()
    asset_id = (await upload(client, keyworded())).json()["id"]
    if not early:
        await server.settled()
    answer = await client.put(f"/tags/{tag_id}/assets", json={"ids": [asset_id]})
    assert answer.json() == [{"id": asset_id, "success": True}]
    server.go_on_processing()
    await server.settled()
    assert server.tags_of(server.assets[asset_id]) == ({"mine"} if early else {"mine", "animals/birds"})
    assert "on_asset_update" in [told.event for told in server.told]


async def test_a_write_goes_to_the_sidecar_and_comes_back(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    asset = server.add_asset(ada, content := keyworded(), "a.jpg")
    changes = {"description": "Mine", "rating": 2, "dateTimeOriginal": "2020-05-06T07:08:09+02:00"}
    await client.put(f"/assets/{asset.id}", json=changes)
    await server.settled()
    assert asset.sidecar
    assert (asset.sidecar["Description"], asset.sidecar["Rating"]) == ("Mine", 2)
    shown = (await client.get(f"/assets/{asset.id}")).json()
    assert shown["exifInfo"]["description"] == "Mine"
    assert shown["localDateTime"] == "2020-05-06T07:08:09.000Z"
    assert (await client.get(f"/assets/{asset.id}/original")).content == content
    assert events(server, ada) == ["on_asset_update"]
    # A favourite alone tells nobody.
    await client.put(f"/assets/{asset.id}", json={"isFavorite": True})
    await server.settled()
    assert events(server, ada) == ["on_asset_update"]
    await client.put(f"/assets/{asset.id}", json={"rating": None})
    await server.settled()
    assert asset.exif["rating"] is None


async def test_a_read_only_library_loses_what_is_written(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    library = server.add_library(ada, "/photos")
    asset = server.add_external(library, keyworded(), "a.jpg")
    assert asset.checksum != server.add_asset(ada, keyworded(), "b.jpg").checksum
    answer = await client.put(f"/assets/{asset.id}", json={"description": "Mine", "rating": 1})
    assert answer.json()["exifInfo"]["rating"] == 1
    await server.settled()
    assert (asset.exif["description"], asset.exif["rating"]) == ("A bird", 4)
    assert await found(client, libraryId=library.id) == ["a.jpg"]
    shown = (await client.get(f"/assets/{asset.id}")).json()
    assert (shown["libraryId"], shown["originalPath"]) == (library.id, "/photos/a.jpg")
    # What a scan finds starts workflows, and no socket is told.
    server.told.clear()
    server.add_webhook(ada, "http://127.0.0.1:1/")
    scanned = server.add_external(library, picture("red"), "new.jpg", scan=True)
    await server.settled()
    assert scanned.thumbhash
    assert [delivery.asset_id for delivery in server.deliveries] == [scanned.id]
    assert not server.told


async def test_a_sidecar_that_is_uploaded_is_read(server: ImmichServer, client: httpx.AsyncClient) -> None:
    files = {"assetData": ("a.jpg", picture(), "image/jpeg"), "sidecarData": ("a.xmp", _XMP.encode(), "text/xml")}
    dates = {"fileCreatedAt": "2026-01-02T03:04:05Z", "fileModifiedAt": "2026-01-02T03:04:05Z"}
    asset_id = (await client.post("/assets", data=dates, files=files)).json()["id"]
    await server.settled()
    assert server.tags_of(server.assets[asset_id]) == {"animals/birds"}


async def test_tags_belong_to_one_user(server: ImmichServer, ada: User, bob: User, client: httpx.AsyncClient) -> None:
    asset, foreign = server.add_asset(ada, picture()), server.add_asset(bob, picture())
    async with client_of(server, bob) as his:
        tag_id = await make_tag(his, "his")
    refused = await client.put(f"/tags/{tag_id}/assets", json={"ids": [asset.id]})
    assert (refused.status_code, refused.json()) == (400, {"message": "Not found or no tag.asset access"})
    assert (await client.get("/tags")).json() == []
    mine = await make_tag(client, "mine")
    body = {"tagIds": [mine, tag_id], "assetIds": [asset.id, foreign.id]}
    assert (await client.put("/tags/assets", json=body)).json() == {"count": 1}
    assert server.tags_of(asset) == {"mine"}
    assert not foreign.tag_ids


async def test_partners_see_each_other(server: ImmichServer, ada: User, bob: User, client: httpx.AsyncClient) -> None:
    theirs = server.add_asset(bob, picture(), "his.jpg")
    server.add_asset(bob, picture("red"), "old.jpg", visibility="archive")
    entry = server.add_partner(bob, ada)
    assert await found(client, visibility="timeline") == ["his.jpg"]
    assert (await client.get(f"/assets/{theirs.id}/original")).status_code == 200
    assert (await client.put(f"/assets/{theirs.id}", json={"rating": 1})).status_code == 400
    assert (await client.get("/partners", params={"direction": "shared-with"})).json()[0]["inTimeline"] is True
    entry.in_timeline = False
    assert await found(client) == []


async def test_who_may_do_what_in_a_shared_album(
    server: ImmichServer, ada: User, bob: User, client: httpx.AsyncClient
) -> None:
    hers = server.add_asset(ada, picture(), "hers.jpg")
    his = server.add_asset(bob, picture(), "his.jpg")
    album = server.add_album(bob, "Trip", his, roles={ada: "viewer"})
    path = f"/albums/{album.id}/assets"
    assert (await client.get(f"/assets/{his.id}")).status_code == 200
    assert (await client.get("/albums")).json()[0]["shared"] is True
    refused = await client.put(path, json={"ids": [hers.id]})
    assert (refused.status_code, refused.json()) == (400, {"message": "Not found or no albumAsset.create access"})
    album.roles[ada.id] = "editor"
    assert (await client.put(path, json={"ids": [hers.id]})).json() == [{"id": hers.id, "success": True}]
    assert events(server, bob) == events(server, ada) == ["on_album_update"]
    answer = await client.request("DELETE", path, json={"ids": [his.id, hers.id]})
    assert [item.get("error") for item in answer.json()] == ["no_permission", None]
    assert await found(client, albumIds=[album.id]) == ["his.jpg"]
    assert await found(client) == ["hers.jpg"]
    assert (await client.delete(f"/albums/{album.id}/user/me")).status_code == 204
    assert (await client.get(f"/albums/{album.id}")).status_code == 400


async def test_edits_are_rendered_and_undone(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    halves = Image.new("RGB", (100, 60), "red")
    halves.paste("blue", (50, 0, 100, 60))
    buffer = io.BytesIO()
    halves.save(buffer, "PNG")
    asset = server.add_asset(ada, buffer.getvalue(), "a.png")
    crop = {"action": "crop", "parameters": {"x": 40, "y": 10, "width": 60, "height": 40}}
    turn = {"action": "rotate", "parameters": {"angle": 90}}
    answer = await client.put(f"/assets/{asset.id}/edits", json={"edits": [crop, turn]})
    assert answer.status_code == 200
    await server.settled()
    shown = (await client.get(f"/assets/{asset.id}")).json()
    assert (shown["isEdited"], shown["width"], shown["height"]) == (True, 40, 60)
    edited = await client.get(f"/assets/{asset.id}/original", params={"edited": "true"})
    with Image.open(io.BytesIO(edited.content)) as rendered:
        assert rendered.size == (40, 60)
        # Turned clockwise: what was left is on top.
        assert rendered.getpixel((20, 3))[0] > 200
        assert rendered.getpixel((20, 50))[2] > 200
    assert (await client.get(f"/assets/{asset.id}/original")).content == buffer.getvalue()
    assert (await client.delete(f"/assets/{asset.id}/edits")).status_code == 204
    await server.settled()
    assert (asset.is_edited, asset.width, asset.height) == (False, 100, 60)
    assert events(server, ada) == ["AssetEditReadyV2"] * 2
    live, _ = server.add_live_photo(ada, picture(), b"video", "live.jpg")
    refused = await client.put(f"/assets/{live.id}/edits", json={"edits": [turn]})
    assert refused.json() == {"message": "Editing live photos is not supported"}


async def test_live_photos_are_linked_and_deleted_together(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    video_id = (await upload(client, b"video", "IMG_1.mov")).json()["id"]
    await server.settled()
    photo_id = (await upload(client, picture(), "IMG_1.jpg", livePhotoVideoId=video_id)).json()["id"]
    await server.settled()
    assert server.assets[video_id].visibility == "hidden"
    assert ("on_asset_hidden", (video_id,)) in [(told.event, told.args) for told in server.told]
    refused = await upload(client, picture("red"), "IMG_2.jpg", livePhotoVideoId=photo_id)
    assert refused.json() == {"message": "Live photo video must be a video"}
    await client.request("DELETE", "/assets", json={"ids": [photo_id], "force": True})
    await server.settled()
    assert not server.assets


async def test_the_video_of_a_motion_photo_is_taken_out(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    content = picture() + b"MotionPhoto_Data\x00\x00\x00\x18ftypmp42 and so on"
    photo = server.assets[(await upload(client, content, "IMG_1.jpg")).json()["id"]]
    await server.settled()
    video = server.asset_named("IMG_1.mp4")
    assert photo.live_photo_video_id == video.id
    assert (video.type, video.visibility, video.size) == ("VIDEO", "hidden", 22)
    assert await found(client, visibility="timeline") == ["IMG_1.jpg"]
    await client.post("/assets/jobs", json={"assetIds": [photo.id], "name": "refresh-metadata"})
    await server.settled()
    assert len(server.assets) == 2


async def test_the_trash_tells_its_owner(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    a, b = server.add_asset(ada, picture()), server.add_asset(ada, picture("red"))
    await client.request("DELETE", "/assets", json={"ids": [a.id, b.id]})
    assert await found(client) == []
    assert (await client.get("/assets/statistics", params={"isTrashed": "true"})).json()["images"] == 2
    await client.post("/trash/restore/assets", json={"ids": [a.id]})
    await client.request("DELETE", "/assets", json={"ids": [a.id], "force": True})
    await server.settled()
    assert events(server, ada) == ["on_asset_trash", "on_asset_restore", "on_asset_delete"]


async def test_the_race_of_stacks(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    primary, *others = (server.add_asset(ada, bytes([index]) * 30, f"{index}.jpg") for index in range(4))
    server.race_stacks()
    bodies = [{"assetIds": [primary.id, other.id]} for other in others]
    answers = await asyncio.gather(*(client.post("/stacks", json=body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 500, 500]
    assert next(a.json() for a in answers if a.status_code == 500) == {"message": "Failed to create stack"}
    assert len(server.stack_of(primary)) == 2


async def test_people_and_faces(server: ImmichServer, ada: User, bob: User, client: httpx.AsyncClient) -> None:
    asset = server.add_asset(ada, picture())
    eve = server.add_person(ada, "Eve")
    server.add_face(asset, (1, 2, 30, 40), eve)
    server.add_face(asset, (5, 6, 7, 8), server.add_person(bob, "Unknown to Ada"))
    first, second = (await client.get("/faces", params={"id": asset.id})).json()
    assert (first["person"]["name"], first["boundingBoxX2"], first["imageWidth"]) == ("Eve", 30, 64)
    assert second["person"] is None
    assert (await client.get("/people")).json()["total"] == 1
    assert await found(client, personIds=[eve.id]) == ["photo.jpg"]
    items = (await client.post("/search/metadata", json={"withPeople": True})).json()["assets"]["items"]
    assert items[0]["people"][0]["name"] == "Eve"


async def test_a_smart_search_looks_for_words(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    server.add_asset(ada, keyworded(), "one.jpg")
    server.add_asset(ada, picture(), "bird.jpg")
    assert (await client.post("/search/smart", json={"query": "bird"})).status_code == 400
    server.about.smart_search = True
    items = (await client.post("/search/smart", json={"query": "animals bird"})).json()["assets"]["items"]
    assert [item["originalFileName"] for item in items] == ["one.jpg", "bird.jpg"]


async def test_notifications_come_from_administrators(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    body = {"userId": ada.id, "title": "12 photos wait for you"}
    assert (await client.post("/admin/notifications", json=body)).json() == {"message": "Forbidden"}
    async with client_of(server, server.add_user("Root", is_admin=True)) as root:
        assert (await root.post("/admin/notifications", json=body)).status_code == 201
    assert (await client.get("/notifications")).json()[0]["title"] == body["title"]


async def test_copying_takes_everything_along(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    source: Asset = server.add_asset(ada, keyworded(), "a.jpg", is_favorite=True)
    other, target = server.add_asset(ada, picture("red"), "b.jpg"), server.add_asset(ada, picture(), "c.jpg")
    stack, album = server.add_stack(source, other), server.add_album(ada, "Trip", source)
    await client.put(f"/assets/{source.id}", json={"description": "Mine"})
    await server.settled()
    assert (await client.put("/assets/copy", json={"sourceId": source.id, "targetId": target.id})).status_code == 204
    await server.settled()
    assert (target.stack_id, target.is_favorite, target.exif["description"]) == (stack.id, True, "Mine")
    assert target.id in album.asset_ids


async def test_a_snapshot_tells_what_changed(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    a, b = server.add_asset(ada, picture(), "a.jpg"), server.add_asset(ada, picture("red"), "b.jpg")
    crowd = server.add_crowd(ada, 1000)
    before = server.snapshot(contents=True)
    await client.get(f"/assets/{crowd.id_of(7)}")
    assert differences(before, server.snapshot(contents=True)) == []
    await client.put(f"/assets/{a.id}", json={"rating": 3})
    await client.put(f"/assets/{crowd.id_of(8)}", json={"isFavorite": True})
    await client.post("/stacks", json={"assetIds": [a.id, b.id]})
    await server.settled()
    found_differences = differences(before, server.snapshot(contents=True))
    assert {(one.kind, one.label, one.field) for one in found_differences} == {
        ("asset", "a.jpg", "rating"),
        ("asset", "a.jpg", "stack"),
        ("asset", "b.jpg", "stack"),
        ("asset", "IMG_0000008.jpg", ""),
        ("stack", "a.jpg", ""),
    }
    assert f"asset a.jpg ({a.id[:8]}): rating None -> 3" in map(str, found_differences)
