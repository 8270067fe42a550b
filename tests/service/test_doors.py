"""A photo that was left where it is, developed because its owner asks for it by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.immich_server import differences
from tests.service import pictures
from tests.service.running import Home, home, immich_running, until

pytestmark = pytest.mark.every_immich


async def _ask(opened: Home, asset_id: str) -> tuple[int, str]:
    headers = {"HX-Request": "true", "Sec-Fetch-Site": "same-origin"}
    async with (
        aiohttp.ClientSession(opened.service.address) as session,
        session.post("/open", data={"asset": asset_id}, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def _there(opened: Home, asset_id: str) -> str:
    """Where the door leads once the photo is there."""
    async with aiohttp.ClientSession(opened.service.address) as session:

        async def look() -> Any:
            async with session.get("/open", params={"asset": asset_id}, allow_redirects=False) as answer:
                return answer.headers.get("Location")

        return str(await until(look, "the photo is there", opened.service))


async def test_an_old_photo_is_developed_when_asked_for(tmp_path: Path, immich_version: str) -> None:
    async with immich_running(immich_version) as immich, home(tmp_path, immich) as opened:
        long_ago = datetime.now(UTC) - timedelta(days=900)
        old = immich.add_asset(opened.user, pictures.dark(700), "old.jpg", created_at=long_ago)
        another = immich.add_asset(opened.user, pictures.dark(701), "another old.jpg", created_at=long_ago)
        before = immich.snapshot()
        page = await opened.service.page("/open", asset=old.id)
        assert "Develop this photo" in page
        assert "before this service watched" in page
        status, text = await _ask(opened, old.id)
        assert status == 200
        assert "This page goes on to it by itself" in text
        photo = await opened.service.photo("old.jpg")
        assert await _there(opened, old.id) == f"/photos/{photo['id']}"
        await opened.service.settled()
        (version,) = opened.ours(old)
        assert opened.stack(old) == ["old.jpg", version.name]
        assert await _there(opened, version.id) == f"/photos/{photo['id']}", "our version leads to it as well"
        await _ask(opened, old.id)
        await opened.service.settled()
        assert len(opened.ours(old)) == 1, "asked twice it is developed once"
        touched = {found.id for found in differences(before, immich.snapshot()) if found.kind == "asset"}
        assert another.id not in touched


async def test_a_kind_that_is_left_alone_is_taken_when_asked_for(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich) as opened:
        panorama = {"projectionType": "EQUIRECTANGULAR"}
        wide = immich.add_asset(opened.user, pictures.dark(702), "wide.jpg", exif=panorama)

        async def skipped() -> bool:
            return "wide.jpg" in await opened.service.not_taken()

        await until(skipped, "it is left where it is", opened.service)
        assert "a panorama" in await opened.service.page("/open", asset=wide.id)
        await _ask(opened, wide.id)
        await opened.service.photo("wide.jpg")
        await opened.service.settled()
        film = immich.add_asset(opened.user, b"a film", "film.mp4")
        assert "a video" in (await _ask(opened, film.id))[1], "what no rule can take says why"
        other = immich.add_asset(immich.add_user("Bob"), pictures.dark(703), "bob's.jpg")
        assert "somebody else" in (await _ask(opened, other.id))[1]
        assert opened.service.rows("SELECT * FROM assets WHERE asset_id = ?", other.id) == []
