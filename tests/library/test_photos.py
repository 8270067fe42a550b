"""Lists, read by key; statuses and their counts."""

import itertools
import random

import pytest
from sqlalchemy import event, insert, text

from immich_sidecar.errors import CommandError, NotFoundError
from immich_sidecar.library import photos
from immich_sidecar.library.tables import PhotoRow, Review, WorkState
from tests.library.parts import NOON, Library, photo_row

IN_STATES = [
    (WorkState.STORED, Review.NONE, None),
    (WorkState.ADVISED, Review.NONE, None),
    (WorkState.KEPT, Review.PENDING, None),
    (WorkState.KEPT, Review.APPROVED, None),
    (WorkState.KEPT, Review.REJECTED, None),
    (WorkState.ADVISED, Review.PENDING, None),
    (WorkState.LEFT_ALONE, Review.NONE, None),
    (WorkState.CANCELLED, Review.PENDING, None),
    (WorkState.CANCELLED, Review.NONE, None),
    (WorkState.ADVISED, Review.PENDING, "render"),
    (WorkState.STORED, Review.NONE, "analyse"),
]


async def _fill(library: Library, number: int) -> None:
    """`number` photos of `local`, in every combination of states, and as many of anna's; some at one moment."""
    rng = random.Random(1)
    for owner in ("local", "anna"):
        rows = []
        for n in range(number):
            state, review, failed_at = rng.choice(IN_STATES)
            row = photo_row(n, owner=owner, state=state, review=review, failed_at=failed_at)
            # Many share a moment: a burst of files is taken within one.
            row.created_at = NOON.replace(minute=(n // 50) % 60, hour=(n // 3000) % 24)
            rows.append(row.model_dump())
        async with library.database.transaction() as session:
            await (await session.connection()).execute(insert(PhotoRow), rows)


async def _walk(library: Library, **filters: object) -> list[str]:
    """All pages, one after the other."""
    seen: list[str] = []
    cursor = None
    while True:
        async with library.database.reading() as session:
            page = await photos.page(session, "local", after=cursor, limit=97, **filters)
        seen += [row.sha256 for row in page.items]
        assert all(row.owner_id == "local" for row in page.items)
        if page.next is None:
            return seen
        assert len(page.items) == 97
        cursor = page.next


async def test_ten_thousand_photos_page_by_page(library: Library) -> None:
    await _fill(library, 10_000)
    everything = await _walk(library)
    async with library.database.reading() as session:
        connection = await session.connection()
        order = "SELECT sha256 FROM photos WHERE owner_id='local' ORDER BY created_at DESC, sha256 DESC"
        rows = (await connection.execute(text(order))).all()
        counts = await photos.counts(session, "local")
    assert everything == [row[0] for row in rows]
    assert counts["total"] == 10_000
    by_status = {}
    for status in photos.STATUSES:
        by_status[status] = await _walk(library, status=status)
        assert len(by_status[status]) == counts[status] > 0, status
        positions = {sha: place for place, sha in enumerate(everything)}
        assert [positions[sha] for sha in by_status[status]] == sorted(positions[sha] for sha in by_status[status])
    # Every photo has exactly one status.
    assert sorted(itertools.chain(*by_status.values())) == sorted(everything)


async def test_filters_agree_with_the_status_of_each_photo(library: Library) -> None:
    await _fill(library, 300)
    async with library.database.reading() as session:
        for status in photos.STATUSES:
            page = await photos.page(session, "local", status=status, limit=1000)
            words = {photos.status_of(row) for row in page.items}
            if status == "in_progress":
                assert words <= {"analysing", "advising", "rendering", "keeping"}
            else:
                assert words == {status}
        page = await photos.page(session, "local", review="pending", failed=False, state=["kept", "advised"])
        assert {(row.review, row.failed_at) for row in page.items} == {(Review.PENDING, None)}
        assert {row.state for row in page.items} == {WorkState.KEPT, WorkState.ADVISED}
        page = await photos.page(session, "local", failed=True)
        assert {row.failed_at for row in page.items} == {"render", "analyse"}


async def test_what_arrives_meanwhile_shifts_nothing(library: Library) -> None:
    await _fill(library, 200)
    async with library.database.reading() as session:
        first = await photos.page(session, "local", limit=100)
    async with library.database.transaction() as session:
        for n in range(1000, 1010):
            row = photo_row(n)
            row.created_at = NOON.replace(year=2030)
            session.add(row)
    async with library.database.reading() as session:
        second = await photos.page(session, "local", after=first.next, limit=100)
    assert len({row.sha256 for row in (*first.items, *second.items)}) == 200


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"failed": True},
        {"review": "pending"},
        {"state": "left_alone"},
        *({"status": status} for status in photos.STATUSES),
    ],
    ids=str,
)
async def test_every_page_is_one_walk_along_an_index(library: Library, filters: dict[str, object]) -> None:
    await _fill(library, 150)
    statements: list[tuple[str, object]] = []
    async with library.database.reading() as session:
        connection = await session.connection()

        def note(_c: object, _u: object, statement: str, parameters: object, *_more: object) -> None:
            if "FROM photos" in statement:
                statements.append((statement, parameters))

        event.listen(connection.sync_connection, "before_cursor_execute", note)
        page = await photos.page(session, "local", limit=5, **filters)
        await photos.page(session, "local", limit=5, after=page.next, **filters)
        await photos.counts(session, "local")
        event.remove(connection.sync_connection, "before_cursor_execute", note)
        assert len(statements) >= 3
        for statement, parameters in statements:
            plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            told = " | ".join(row[3] for row in plan.all())
            if filters in ({"failed": True}, {"status": "failed"}) and "count(" not in statement:
                assert "USING INDEX ix_photos_failed" in told, f"{statement}: {told}"
                continue
            if filters == {"status": "in_progress"} and "count(" not in statement:
                index = "ix_photos_review" if "photos.state NOT IN" in statement else "ix_photos_state"
                assert f"USING INDEX {index}" in told, f"{statement}: {told}"
            assert "SEARCH photos USING" in told, told
            assert "TEMP B-TREE FOR ORDER BY" not in told, f"{statement}: {told}"
            if "count(" in statement:
                assert "USING COVERING INDEX" in told


async def test_wrong_cursors_and_filters_are_refused(library: Library) -> None:
    async with library.database.reading() as session:
        for after in ("x", "AAAA", "ä", "", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5.x"):
            with pytest.raises(CommandError):
                await photos.page(session, "local", after=after)
        for filters in ({"status": "nonsense"}, {"review": "maybe"}, {"state": "limbo"}):
            with pytest.raises(CommandError):
                await photos.page(session, "local", **filters)


async def test_a_photo_is_found_within_its_owner_only(library: Library) -> None:
    async with library.database.transaction() as session:
        session.add(photo_row(7))
    row = photo_row(7)
    async with library.database.reading() as session:
        assert (await photos.get(session, "local", row.sha256)).file_name == "7.jpg"
        assert (await photos.find_by_sha1(session, "local", row.sha1)) is not None
        assert (await photos.find_by_sha1(session, "anna", row.sha1)) is None
        with pytest.raises(NotFoundError):
            await photos.get(session, "anna", row.sha256)
        assert (await photos.page(session, "anna")).items == []
        assert (await photos.counts(session, "anna"))["total"] == 0


async def test_next_and_previous_go_through_what_is_pending(library: Library) -> None:
    async with library.database.transaction() as session:
        for n in range(6):
            review = Review.APPROVED if n == 3 else Review.PENDING
            session.add(photo_row(n, state=WorkState.KEPT, review=review))
        session.add(photo_row(99, owner="anna", state=WorkState.KEPT, review=Review.PENDING))

    def name(row: object) -> str | None:
        return None if row is None else row.file_name[:-4]  # type: ignore[attr-defined]  # a PhotoRow

    async with library.database.reading() as session:
        order = [name(await photos.next_pending(session, "local"))]
        for _ in range(5):
            order.append(name(await photos.next_pending(session, "local", photo_row(int(order[-1] or 0)).sha256)))
        assert order == ["5", "4", "2", "1", "0", "5"]
        assert name(await photos.previous_pending(session, "local", photo_row(2).sha256)) == "4"
        assert name(await photos.previous_pending(session, "local", photo_row(5).sha256)) is None
        assert name(await photos.next_pending(session, "local", photo_row(3).sha256)) == "2"
        assert await photos.next_pending(session, "anna", photo_row(99).sha256) is None


async def test_cursors_keep_microseconds(library: Library) -> None:
    rng = random.Random(3)
    async with library.database.transaction() as session:
        for n in range(50):
            row = photo_row(n)
            row.created_at = NOON.replace(microsecond=rng.randrange(1_000_000))
            session.add(row)
    seen, cursor = [], None
    while len(seen) < 50:
        async with library.database.reading() as session:
            page = await photos.page(session, "local", after=cursor, limit=1)
        seen += [row.sha256 for row in page.items]
        cursor = page.next
    assert len(set(seen)) == 50
    assert cursor is None
