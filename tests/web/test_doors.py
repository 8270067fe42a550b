"""Links from Immich into our pages and back."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from immich_sidecar.library import processed
from immich_sidecar.library.tables import AssetRow, IntakeState
from immich_sidecar.web.doors import asset_in, bookmarklet
from immich_sidecar.web.immich_links import photo_in_immich, search_in_immich, tag_in_immich
from tests.web.conftest import Build
from tests.web.neighbours import Asker, Neighbours, neighbours

ASSET = "af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a"


@pytest.mark.parametrize(
    "text",
    [
        ASSET,
        f"  {ASSET.upper()}\n",
        f"https://photos.example/photos/{ASSET}",
        f"https://photos.example/albums/{uuid4()}/photos/{ASSET}?at=1",
        f"/search/photos/{ASSET}",
        f"immich://asset?id={ASSET}",
        f"https://photos.example/link?target=view_asset&id={ASSET}",
    ],
)
def test_an_address_of_immich_names_its_photo(text: str) -> None:
    assert asset_in(text) == ASSET


@pytest.mark.parametrize("text", ["", "photos", f"{ASSET}0", f"https://photos.example/albums/{ASSET}", "x" * 5000])
def test_other_addresses_name_none(text: str) -> None:
    assert asset_in(text) is None


def test_addresses_in_immich() -> None:
    assert photo_in_immich("http://nas:2283", ASSET) == f"http://nas:2283/photos/{ASSET}"
    assert tag_in_immich("http://nas:2283", "Sidecar/Left alone") == "http://nas:2283/tags?path=Sidecar%2FLeft%20alone"
    search = urlsplit(search_in_immich("http://nas:2283", 'a "b"&c.jpg'))
    assert parse_qs(search.query) == {"query": ['{"originalFileName": "a \\"b\\"&c.jpg"}']}


def test_the_bookmark_keeps_to_its_address() -> None:
    assert '"https://photos.example/develop/open?asset="+m[1]' in bookmarklet("https://photos.example/develop")
    assert "\\u" not in bookmarklet("x")
    assert '"a\\"b' in bookmarklet('a"b')


async def _asset(around: Neighbours, who: Asker, state: IntakeState, **more: object) -> str:
    """A row of an asset that somebody has."""
    asset_id = str(uuid4())
    async with around.home.database.transaction() as session:
        connection = (await around.rows_of(who.owner))["connections"][0][0]
        session.add(AssetRow(owner_id=who.owner, connection_id=connection, asset_id=asset_id, state=state, **more))
    return asset_id


async def test_each_asset_of_a_photo_leads_to_its_page_and_only_its_owner_there(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as around:
        ada, bob = await around.person("Ada"), await around.person("Bob")
        original, version = str(uuid4()), str(uuid4())
        photo = await around.photo(ada, 1, immich_asset_id=original)
        async with around.home.database.transaction() as session:
            row = await processed.get(session, ada.owner, photo.sha256, photo.version)
            row.immich_asset_id = version
            session.add(row)
        for asset_id in (original, version, f"{around.immich.url}/photos/{version}"):
            async with ada.ask("GET", "/open", params={"asset": asset_id}) as answer:
                assert (answer.status, answer.headers["Location"]) == (303, f"/photos/{photo.sha256}")
            status, text = await bob.text("GET", "/open", params={"asset": asset_id})
            assert status == 200
            assert photo.sha256 not in text
            assert photo.file_name not in text


async def test_what_was_left_where_it_is_says_why(tmp_path: Path) -> None:
    async with neighbours(tmp_path) as around:
        ada, bob = await around.person("Ada"), await around.person("Bob")
        skipped = await _asset(around, ada, IntakeState.SKIPPED, reason="a panorama", file_name="<b>wide</b>.jpg")
        text = await ada.page(f"/open?asset={skipped}")
        assert "a panorama" in text
        assert "&lt;b&gt;wide" in text
        assert "<b>wide" not in text
        text = await bob.page(f"/open?asset={skipped}")
        assert "panorama" not in text
        assert "it came into Immich before this service watched" in text
        assert "is no address of a photo" in await ada.page("/open?asset=nonsense", status=422)


async def test_without_immich_there_is_nothing_to_open_and_the_page_stands(build: Build) -> None:
    front = await build()
    assert "Open in Sidecar" in await front.page("/open")
    assert "Develop this photo" not in await front.page(f"/open?asset={ASSET}")
    async with front.client.post(
        "/open", data={"asset": ASSET}, headers={"HX-Request": "true", "Sec-Fetch-Site": "same-origin"}
    ) as answer:
        assert answer.status == 409
    async with front.client.get("/review", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")
