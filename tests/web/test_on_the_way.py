"""What the pages say of versions on their way to Immich, of those that were replaced, and of what is left alone."""

import html
from typing import Any

import pytest
from sqlalchemy import event

from immich_sidecar.immich.retire import Fate
from immich_sidecar.library import processed
from immich_sidecar.library.tables import ConnectionRow, PhotoRow, Publish, Review, Source, VersionRow, WorkState, now
from immich_sidecar.pipeline.uploads import Upload
from immich_sidecar.web.on_the_way import publish_words, read_on_the_way
from tests.web.conftest import Front


def rows(**columns: Any) -> tuple[PhotoRow, VersionRow]:
    photo = PhotoRow(
        owner_id="local",
        sha256="ab" * 32,
        sha1="",
        size=1,
        file_name="a.jpg",
        source=Source.IMMICH,
        path=None,
        connection_id=1,
        review=columns.pop("review", Review.APPROVED),
        state=columns.pop("state", WorkState.KEPT),
        version=2,
    )
    version = VersionRow(
        owner_id="local",
        photo=photo.sha256,
        n=1,
        recipe_id="r",
        path="",
        size=5 << 20,
        sha256="",
        sha1="",
        width=1,
        height=1,
        **({"publish": Publish.MARKED, "immich_asset_id": "x"} | columns),
    )
    return photo, version


@pytest.mark.parametrize(
    ("columns", "current", "words"),
    [
        ({"retired": Fate.TRASHED.value}, False, "moved to Immich's trash, from which Undo brings it back"),
        ({"retired": Fate.TRASHED.value, "review": Review.REJECTED}, True, "Rejected: moved to Immich's trash"),
        ({"retired": Fate.GONE.value}, False, "You removed it in Immich"),
        (
            {"retired": Fate.KEPT.value, "written": {"kept_because": "it was edited in Immich"}},
            False,
            "kept in Immich: it was edited in Immich.",
        ),
        ({"immich_asset_id": None}, True, "as an edit of the original"),
        ({"immich_asset_id": None}, False, "it was an edit of the original"),
        ({"retired": Fate.TAGGED.value}, False, "it stays in the stack in Immich, marked"),
        ({"retired": Fate.MARKED.value}, False, "it stays in the stack in Immich, marked"),
        (
            {"state": WorkState.LEFT_ALONE, "publish": Publish.ORIGINAL_UPLOADED, "immich_asset_id": None},
            True,
            "the photo was left alone",
        ),
        (
            {"publish": Publish.BLOCKED, "blocked_reason": "The quota.", "retired": Fate.TRASHED.value},
            False,
            "Waits for you: The quota.",
        ),
        (
            {"publish": Publish.UPLOADED, "attempts": 2, "last_error": "It failed.", "due_at": now()},
            True,
            "Tried 2 times, and again at",
        ),
    ],
)
def test_words(columns: dict[str, Any], current: bool, words: str) -> None:
    photo, version = rows(**columns)
    assert words in publish_words(photo, version, current=current, mode="stack")


def test_words_of_an_upload_and_of_an_outage() -> None:
    photo, version = rows(publish=Publish.ORIGINAL_UPLOADED, immich_asset_id=None, due_at=now())
    upload = Upload("local", photo.sha256, "a.jpg", 1, sent=3 << 20, total=5 << 20)
    assert publish_words(photo, version, current=True, mode="stack", upload=upload) == (
        "Being sent to Immich: 3.0 MiB of 5.0 MiB."
    )
    said = publish_words(photo, version, current=True, mode="stack", outage="Immich is away.")
    assert said.endswith("Waits for Immich, and goes on by itself: Immich is away.")
    # What is done does not wait for anything.
    photo, version = rows(due_at=None)
    assert "away" not in publish_words(photo, version, current=True, mode="stack", outage="Immich is away.")


@pytest.mark.parametrize(
    ("badge", "word"),
    [("live_photo", "Live"), ("motion_photo", "Motion"), ("gain_map", "HDR"), ("panorama", "Panorama"), ("new", "New")],
)
async def test_badges_stand_on_the_card_and_on_the_photo(front: Front, badge: str, word: str) -> None:
    row = await front.shelf.put("left_alone", badge=badge, reason="a live photo")
    assert f">{word}</span>" in await front.page("/?show=left_alone")
    assert f">{word}</span>" in await front.page(f"/photos/{row.sha256}")
    assert (await front.json("GET", f"/api/photos/{row.sha256}"))["badge"] == badge


async def test_the_queue_says_what_is_on_its_way(front: Front) -> None:
    assert "On the way to Immich" not in await front.page("/queue")
    row = await front.shelf.put("approved")
    async with front.home.database.transaction() as session:
        version = await processed.get(session, "local", row.sha256, 1)
        version.due_at, version.publish = now(), Publish.ORIGINAL_UPLOADED
        session.add(version)
    text = html.unescape(await front.page("/queue"))
    assert "On the way to Immich" in text
    told = (await front.json("GET", "/api/queue"))["publishing"]
    assert told == {"uploads": [], "waiting": 1, "rate": 0, "waits_for": None}


async def test_originals_that_wait_are_counted_and_no_other_photo_is_read(front: Front) -> None:
    async with front.home.database.transaction() as session:
        connection = ConnectionRow(owner_id="local", url="http://immich:2283")
        session.add(connection)
        await session.flush()
        number = connection.id
    for seed, columns in enumerate(
        (
            {"original_publish_due_at": now()},
            {"original_publish_due_at": now(), "original_publish": Publish.BLOCKED},
            {"original_publish_due_at": None},
        )
    ):
        await front.shelf.put("left_alone", seed=seed, size=(24, 16), connection_id=number, **columns)
    plans: list[str] = []
    async with front.home.database.reading() as session:
        execution = await session.connection()
        asked: list[tuple[str, Any]] = []

        def note(_c: object, _u: object, statement: str, parameters: Any, *_more: object) -> None:
            asked.append((statement, parameters))

        event.listen(execution.sync_connection, "before_cursor_execute", note)
        way = await read_on_the_way(session, None, "local")
        event.remove(execution.sync_connection, "before_cursor_execute", note)
        for statement, parameters in asked:
            plan = await execution.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans += [row[3] for row in plan.all()]
    assert way.waiting == 1
    assert any("ix_photos_original_due" in step for step in plans), plans


async def test_a_hostile_name_and_reason_stay_text(front: Front) -> None:
    row = await front.shelf.put("approved", file_name="<img src=x onerror=alert(1)>.jpg")
    async with front.home.database.transaction() as session:
        version = await processed.get(session, "local", row.sha256, 1)
        version.retired, version.written = "kept", {"kept_because": "it is in the album <script>alert(1)</script>"}
        session.add(version)
    text = await front.page(f"/photos/{row.sha256}")
    assert "<script>alert(1)" not in text
    assert "onerror=alert(1)>" not in text
