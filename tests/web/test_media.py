"""Originals that were evicted, the version that stands while another is made, and what sliders work on."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageChops

from immich_sidecar.errors import ImmichAwayError, ImmichGoneError
from immich_sidecar.library import originals
from immich_sidecar.library.tables import PhotoRow, Publish, VersionRow, WorkState
from tests.web.conftest import Build, Front


async def evicted(front: Front) -> tuple[PhotoRow, bytes]:
    """A photo of Immich whose original and its pictures were evicted, and the original's bytes."""
    row = await front.shelf.put("pending", immich_asset_id="asset-1")
    layout = front.home.layout
    data = layout.absolute(row.path or "").read_bytes()
    cached = layout.cached_original("local", row.sha256, row.file_name)
    async with front.home.database.transaction() as session:
        photo = await session.get(PhotoRow, ("local", row.sha256))
        assert photo is not None
        photo.path = cached
        session.add(photo)
    layout.absolute(row.path or "").unlink()
    for n in (0, 1):
        layout.absolute(layout.preview("local", row.sha256, n)).unlink()
    return row, data


class Immich:
    """Stands for the intake that fetches originals again."""

    def __init__(self) -> None:
        self.front: Front | None = None
        self.data = b""
        self.asked = 0
        self.error: Exception | None = None

    async def refetch(self, photo: PhotoRow) -> Path:
        assert self.front is not None
        self.asked += 1
        await asyncio.sleep(0.05)
        if self.error is not None:
            raise self.error
        home = self.front.home
        arriving = home.layout.absolute(home.layout.temporary("local", photo.file_name))
        arriving.parent.mkdir(parents=True, exist_ok=True)
        arriving.write_bytes(self.data)
        return await originals.put_back(home.database, home.layout, photo.owner_id, photo.sha256, arriving)


async def test_an_evicted_original_is_fetched_again_once(build: Build) -> None:
    immich = Immich()
    front = immich.front = await build(refetch=immich.refetch)
    row, immich.data = await evicted(front)
    base = f"/photos/{row.sha256}"
    paths = [f"{base}/preview?version=0", f"{base}/preview?version=1&framed=1", f"{base}/adjusted?exposure=1"]

    async def ask(path: str) -> tuple[int, str]:
        async with front.client.get(path) as response:
            return response.status, response.content_type

    answers = await asyncio.gather(*(ask(path) for path in paths))
    assert answers == [(200, "image/jpeg")] * 3
    assert immich.asked == 1
    async with front.client.get(f"/api{base}/original") as response:
        assert await response.read() == immich.data


async def test_without_immich_it_is_said_in_words(build: Build) -> None:
    front = await build()
    row, _ = await evicted(front)
    error = (await front.json("GET", f"/api/photos/{row.sha256}/preview?version=0", status=410))["error"]
    assert "is not kept here any more" in error
    assert row.sha256 not in error
    async with front.client.get(f"/photos/{row.sha256}/preview?version=1") as response:
        assert response.status == 200, "the version's own file is here"
    for error_of_immich, status in (
        (ImmichAwayError("Immich does not answer"), 503),
        (ImmichGoneError("It is gone"), 410),
    ):
        immich = Immich()
        immich.error = error_of_immich
        other = immich.front = await build(refetch=immich.refetch)
        row, _ = await evicted(other)
        for _ in range(2):
            told = await other.json("GET", f"/api/photos/{row.sha256}/preview?version=0", status=status)
            assert told["error"] == str(error_of_immich)
        assert immich.asked == 2, "a failure is not remembered"


async def shown(front: Front, row: PhotoRow) -> str:
    text = await front.page(f"/photos/{row.sha256}")
    return text.split('data-shown="')[1].split('"')[0]


async def finish(front: Front, sha256: str, n: int, state: WorkState = WorkState.KEPT) -> None:
    """As if version n had been rendered."""
    async with front.home.database.transaction() as session:
        photo = await session.get(PhotoRow, ("local", sha256))
        assert photo is not None
        photo.state = state
        values = {"path": f"processed/{n}.jpg", "size": 1, "sha256": "0" * 64, "sha1": "0" * 40}
        session.add(photo)
        if state is WorkState.KEPT:
            recipe = photo.recipe_id or ""
            row = VersionRow(
                owner_id="local",
                photo=sha256,
                n=n,
                recipe_id=recipe,
                width=36,
                height=24,
                publish=Publish.NONE,
                **values,
            )
            session.add(row)


async def test_the_version_before_stands_until_the_new_one_is_ready(front: Front) -> None:
    row = await front.shelf.put("pending")
    commands = front.home.context.commands
    assert await shown(front, row) == "1"
    await commands.change("local", row.sha256, 1, {"exposure": {"ev": 1.0}})
    assert await shown(front, row) == "1"
    await finish(front, row.sha256, 2)
    assert await shown(front, row) == "2"
    await commands.undo("local", row.sha256, 2)
    assert await shown(front, row) == "1"
    await commands.change("local", row.sha256, 1, {"exposure": {"ev": -1.0}})
    assert await shown(front, row) == "1", "not the one that was undone"
    await commands.change("local", row.sha256, 3, {"exposure": {"ev": -2.0}})
    assert await shown(front, row) == "1", "nor after a change of what was never rendered"
    urls = (await front.json("GET", f"/api/photos/{row.sha256}"))["urls"]
    assert "version=1&" in urls["preview"]
    await finish(front, row.sha256, 4)
    assert await shown(front, row) == "4"


async def test_a_version_is_not_shown_before_its_file_is_in_place(front: Front) -> None:
    row = await front.shelf.put("pending")
    await front.home.context.commands.change("local", row.sha256, 1, {"exposure": {"ev": 1.0}})
    await finish(front, row.sha256, 2)
    await finish(front, row.sha256, 2, WorkState.RENDERED)
    assert await shown(front, row) == "1"


async def test_before_lies_in_the_frame_of_the_version_that_is_shown(front: Front) -> None:
    row = await front.shelf.put("pending")
    path = f"/photos/{row.sha256}/preview?version=1&framed=1"
    async with front.client.get(path) as response:
        before = Image.open(io.BytesIO(await response.read()))
    patch = {"crop": {"x": 0.0, "y": 0.0, "width": 0.5, "height": 0.5}}
    await front.home.context.commands.change("local", row.sha256, 1, patch)
    async with front.client.get(path) as response:
        after = Image.open(io.BytesIO(await response.read()))
    assert after.size == before.size
    assert ImageChops.difference(after, before).getbbox() is None


async def test_what_sliders_work_on_is_made_ready(front: Front) -> None:
    row = await front.shelf.put("pending")
    folder = front.home.layout.absolute(front.home.layout.ai_results("local", row.sha256, "x")).parent
    assert not list(folder.glob("*.npy"))
    for _ in range(2):
        async with front.client.get(f"/photos/{row.sha256}/made-ready?client=a") as response:
            assert response.status == 204
        assert len(list(folder.glob("*.npy"))) == 1
    fresh = await front.shelf.put("analysing", seed=5)
    async with front.client.get(f"/photos/{fresh.sha256}/made-ready") as response:
        assert response.status == 204, "nothing is known of it yet"


async def test_making_ready_overtakes_no_slider_that_was_moved_before(front: Front) -> None:
    row = await front.shelf.put("pending")
    previews = front.home.context.previews
    async with previews._lane:
        asked = asyncio.ensure_future(front.client.get(f"/photos/{row.sha256}/adjusted?exposure=1&client=a"))
        for _ in range(6000):
            if previews._newest:
                break
            await asyncio.sleep(0.01)
        async with front.client.get(f"/photos/{row.sha256}/made-ready?client=a") as response:
            assert response.status == 204
    response = await asked
    assert response.status == 200
    response.release()


async def test_what_was_asked_for_last_is_shown_after_one_that_was_there_already(front: Front) -> None:
    """A slider that goes forth, back to where a picture is known, and forth again."""
    row = await front.shelf.put("pending")
    previews = front.home.context.previews
    page = f"/photos/{row.sha256}/adjusted?client=a&exposure="
    async with front.client.get(page + "0.5") as known:
        assert known.status == 200
    async with previews._lane:
        first = asyncio.ensure_future(front.client.get(page + "1"))
        await until(lambda: bool(previews._newest))
        async with front.client.get(page + "0.5") as known:
            assert known.status == 200
        last = asyncio.ensure_future(front.client.get(page + "1.5"))
        await until(lambda: bool(previews._newest))
    for asked, status in ((first, 204), (last, 200)):
        async with await asked as response:
            assert response.status == status


async def until(true: Callable[[], bool]) -> None:
    for _ in range(6000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")
