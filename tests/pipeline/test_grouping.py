"""Groups are found by the clock, kept as rows, and stay aside once they were put there."""

from datetime import timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from immich_sidecar.errors import NotFoundError
from immich_sidecar.library import embeddings, groups
from immich_sidecar.library.groups import NO_PICTURE
from immich_sidecar.library.tables import LikenessRow, PhotoRow, WorkState
from immich_sidecar.pipeline import grouping as grouping_module
from immich_sidecar.pipeline.grouping import Grouping, merit_of
from tests.advise.test_groups import NOON, grey
from tests.library.parts import Library, open_library, photo_row


async def put(library: Library, n: int, seconds: float, *, owner: str = "local", seed: int = 3, **facts: object) -> str:
    """A photo that was looked at, with a thumbnail."""
    analysis = {"facts": {"make": "Maker", "model": "One", **facts}, "sharpness": {"score": 0.1 * n}}
    row = photo_row(n, owner=owner, state=WorkState.KEPT, analysis=analysis)
    row.captured_at = NOON + timedelta(seconds=seconds)
    path = library.layout.absolute(library.layout.thumbnail(owner, row.sha256, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.kron(grey(seed, noise=n), np.ones((4, 4), np.uint8)))
    async with library.database.transaction() as session:
        session.add(row)
    return row.sha256


async def test_groups_are_found_shown_and_put_aside(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data") as library:
        grouping = Grouping(library.database, library.layout)
        burst = [await put(library, n, n * 0.5) for n in (1, 2, 3)]
        hers = [await put(library, n, n * 0.5, owner="anna", seed=8) for n in (1, 2, 3)]
        async with library.database.transaction() as session:
            session.add(photo_row(50))  # not looked at yet
        assert await grouping.run() == 6
        assert await grouping.run() == 0
        async with library.database.reading() as session:
            (group,) = await groups.shown(session, "local")
            assert (group.kind, group.members, group.has_best) == ("burst", burst[::-1], True)
            (other,) = await groups.shown(session, "anna")
            assert sorted(other.members) == sorted(hers)
            assert await groups.counts(session, "local") == {"burst": 1}
        async with library.database.transaction() as session:
            with pytest.raises(NotFoundError):
                await groups.dismiss(session, "anna", group.id or 0)
            await groups.dismiss(session, "local", group.id or 0)
        await put(library, 9, 9000, seed=12)
        assert await grouping.run() == 1
        async with library.database.reading() as session:
            assert await groups.shown(session, "local") == []
            assert len(await groups.shown(session, "anna")) == 1
        # Another photo of the same moment makes another group of it.
        await put(library, 4, 2.0)
        await grouping.run()
        async with library.database.reading() as session:
            assert [len(row.members) for row in await groups.shown(session, "local")] == [4]
            # Nothing was done with any of them.
            photo = await session.get_one(PhotoRow, ("local", burst[0]))
            assert (photo.state, photo.revision) == (WorkState.KEPT, 0)


async def test_a_large_library_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping_module, "READ", 2)
    async with open_library(tmp_path / "data") as library:
        burst = [await put(library, n, n * 0.5) for n in range(1, 7)]
        async with library.database.transaction() as session:
            for sha256 in burst:
                await embeddings.store(session, "local", sha256, "clip", "1", np.ones(3, np.float32))
        await Grouping(library.database, library.layout).run()
        async with library.database.reading() as session:
            (group,) = await groups.shown(session, "local")
        assert sorted(group.members) == sorted(burst)


async def test_a_photo_without_a_picture_holds_nobody_up(tmp_path: Path) -> None:
    async with open_library(tmp_path / "data") as library:
        lost = await put(library, 1, 0.0)
        path = library.layout.absolute(library.layout.thumbnail("local", lost, 0))
        kept = path.read_bytes()
        path.unlink()
        await put(library, 2, 0.5)
        assert await Grouping(library.database, library.layout).run() == 2
        async with library.database.reading() as session:
            assert (await session.get_one(LikenessRow, ("local", lost))).shapes == NO_PICTURE
        path.write_bytes(kept)
        assert await Grouping(library.database, library.layout).run() == 1
        async with library.database.reading() as session:
            assert (await session.get_one(LikenessRow, ("local", lost))).shapes != NO_PICTURE


def test_merit_counts_sharpness_eyes_and_votes() -> None:
    sharp = {"sharpness": {"score": 0.8}}
    closed = {**sharp, "findings": {"faces": [{"eyes_open": 0.9}, {"eyes_open": 0.1}, {"eyes_open": None}]}}
    opened = {**sharp, "findings": {"faces": [{"eyes_open": 0.9}]}}
    liked = {**opened, "findings": {**opened["findings"], "aesthetic": {"votes": [0] * 9 + [1]}}}
    assert merit_of({}) < merit_of(sharp) < merit_of(closed) < merit_of(opened) < merit_of(liked)


def test_a_sharp_face_counts_for_more_than_a_sharp_background() -> None:
    on_the_face = {"sharpness": {"score": 0.7}, "findings": {"focus": {"score": 0.6}}}
    behind_it = {"sharpness": {"score": 1.0}, "findings": {"focus": {"score": 0.2}}}

    assert merit_of(behind_it) < merit_of(on_the_face)
    assert merit_of({"findings": {"focus": None}}) == merit_of({})
