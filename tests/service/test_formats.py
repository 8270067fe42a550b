"""Versions that are no JPEG: set for all, and chosen for one; from the file on disk to Immich and to the pages."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from immich_sidecar.develop.formats import Format, sniff
from immich_sidecar.develop.probe import probe
from tests.immich_server import ImmichServer
from tests.service import pictures
from tests.service.running import Home, home, immich_running

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def immich(immich_version: str) -> AsyncIterator[ImmichServer]:
    async with immich_running(immich_version) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def in_heic(tmp_path_factory: pytest.TempPathFactory, immich: ImmichServer) -> AsyncIterator[Home]:
    folder = tmp_path_factory.mktemp("heic")
    async with home(folder, immich, "Hedi", SIDECAR_MODE="stack", SIDECAR_OUTPUT="heic") as opened:
        yield opened


async def test_a_version_goes_everywhere_in_the_format_that_was_set(in_heic: Home) -> None:
    original, photo = await in_heic.developed(pictures.dark(41), "lake.jpg")
    (ours,) = in_heic.ours(original)
    assert ours.name == "lake_processed_v1.heic"
    assert in_heic.stack(original) == ["lake.jpg", "lake_processed_v1.heic"]
    (version,) = in_heic.service.rows("SELECT path, width, height FROM versions WHERE photo = ?", photo["id"])
    path = in_heic.service.data / version["path"]
    assert path.suffix == ".heic"
    facts = probe(path)
    assert (facts.media_type, facts.width, facts.height) == ("image/heic", version["width"], version["height"])
    output = next(o for o in photo["recipe"]["operations"] if o["type"] == "output")
    assert output["parameters"] == {"format": "heic", "quality": 60, "longest_edge": 0, "profile": "keep"}


async def test_pages_show_its_preview_and_hand_out_the_file(in_heic: Home) -> None:
    _, photo = await in_heic.developed(pictures.dark(42), "hill.jpg")
    address = f"/api/photos/{photo['id']}"
    async with aiohttp.ClientSession(in_heic.service.address) as session:
        async with session.get(f"{address}/versions/1") as file:
            assert file.content_type == "image/heic"
            assert "hill_v1.heic" in file.headers["Content-Disposition"]
            assert sniff(await file.read()) is Format.HEIC
        for shown in (f"{address}/versions/1?show=1", f"{address}/preview?version=1", f"{address}/thumbnail?version=1"):
            async with session.get(shown) as picture:
                assert picture.content_type == "image/jpeg"
                assert Image.open(io.BytesIO(await picture.read())).format == "JPEG"


async def test_another_format_and_size_for_one_photo(in_heic: Home) -> None:
    original, photo = await in_heic.developed(pictures.dark(43), "tree.jpg")
    await in_heic.service.approve(photo)
    photo = await in_heic.service.change(photo, output={"format": "tiff16", "longest_edge": 240})
    await in_heic.service.approve(photo)
    assert "tree_processed_v2.tif" in [asset.name for asset in in_heic.immich.assets.values()]
    assert in_heic.stack(original)[0] == "tree_processed_v2.tif"
    (row,) = in_heic.service.rows("SELECT path FROM versions WHERE n = 2")
    facts = probe(in_heic.service.data / row["path"])
    assert (facts.format, max(facts.width, facts.height), facts.bit_depth) == ("tiff", 240, 16)
