"""Uploading by a plain form: several files, each with what became of it."""

import io
import re

from aiohttp import FormData

from tests.photos.make import scene, write_jpeg
from tests.web.conftest import Build, Front


def photo(tmp_path, seed: int) -> bytes:
    return write_jpeg(tmp_path / f"{seed}.jpg", scene(48, 32, seed=seed)).read_bytes()


async def test_each_file_of_the_form_is_taken_or_refused_by_itself(front: Front, tmp_path) -> None:
    form = FormData()
    form.add_field("owner", "not a file")
    same = photo(tmp_path, 1)
    for name, data in (
        ("one.jpg", same),
        ("rubbish.jpg", b"this is no picture"),
        ("empty.jpg", b""),
        ("again.jpg", same),
        ("two.jpg", photo(tmp_path, 2)),
    ):
        form.add_field("photo", io.BytesIO(data), filename=name)
    async with front.client.post("/upload", data=form) as response:
        assert response.status == 200
        text = await response.text()
    assert text.count(">Taken<") == 2
    assert text.count("Was here already") == 1
    assert "The file is empty." in text
    assert "rubbish.jpg" in text
    assert text.count("Refused") == 2
    assert {item["file_name"] for item in (await front.json("GET", "/api/photos"))["items"]} == {"one.jpg", "two.jpg"}
    folder = front.home.layout.data_dir / "originals"
    assert not [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".jpg"]


async def test_the_form_goes_to_the_owner_who_is_shown(front: Front, tmp_path) -> None:
    await front.shelf.put("pending", owner="anna", seed=9)
    assert re.search(r'action="/upload\?token=\w+&amp;owner=anna"', await front.page("/upload?owner=anna"))
    assert 'href="/upload?owner=anna"' in await front.page("/?owner=anna")
    form = FormData()
    form.add_field("photo", io.BytesIO(photo(tmp_path, 3)), filename="hers.jpg")
    async with front.client.post("/upload?owner=anna", data=form) as response:
        assert ">Taken<" in await response.text()
    assert (await front.json("GET", "/api/photos"))["items"] == []


async def test_other_sites_upload_nothing(build: Build, tmp_path) -> None:
    front = await build()
    form = FormData()
    form.add_field("photo", io.BytesIO(photo(tmp_path, 4)), filename="x.jpg")
    async with front.client.post("/upload", data=form, headers={"Sec-Fetch-Site": "cross-site"}) as response:
        assert response.status == 403
    async with front.client.post("/upload", data={"photo": "x"}) as response:
        assert response.status == 400
