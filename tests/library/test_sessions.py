"""Sign-ins as rows: found by their token, ended one by one or together, and never found after their time."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from immich_sidecar.library import sessions
from immich_sidecar.library.database import Database
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import SessionRow, now


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(tmp_path / "sidecar.db")
    await opened.open()
    async with opened.transaction() as session:
        for owner in ("local", "ada", "bob"):
            await ensure_owner(session, owner)
    yield opened
    await opened.close()


async def issued(database: Database, owner: str = "ada", **more: object) -> str:
    async with database.transaction() as session:
        kind = sessions.PASSWORD if owner == "local" else sessions.IMMICH
        user = None if owner == "local" else owner
        return await sessions.issue(session, owner, kind, immich_user_id=user, **more)  # type: ignore[arg-type]


async def found(database: Database, token: str) -> SessionRow | None:
    async with database.reading() as session:
        return await sessions.find(session, token)


async def test_a_token_is_random_and_only_its_hash_is_kept(database: Database) -> None:
    tokens = [await issued(database, browser="Firefox" * 100) for _ in range(3)]
    assert len(set(tokens)) == 3
    assert all(len(token) >= 43 for token in tokens), "32 bytes"
    async with database.reading() as session:
        rows = (await session.exec(select(SessionRow))).all()
    assert {row.id for row in rows} == {sessions.id_of(token) for token in tokens}
    assert not [row for row in rows for token in tokens if token in str(row.model_dump())]
    assert all(len(row.browser) == sessions.LONGEST_BROWSER for row in rows)
    row = await found(database, tokens[0])
    assert row is not None
    assert row.owner_id == "ada"
    for junk in ("", "x", tokens[0][:-1], f"{tokens[0]} ", sessions.id_of(tokens[0]), "\ud800"):
        assert await found(database, junk) is None


async def test_a_session_ends_by_time(database: Database) -> None:
    short, long = await issued(database, lasts=timedelta(seconds=-1)), await issued(database)
    assert await found(database, short) is None
    async with database.transaction() as session:
        assert await sessions.prune(session) == 1
        await sessions.limit(session, sessions.id_of(long), timedelta(hours=1))
    row = await found(database, long)
    assert row is not None
    assert timedelta(minutes=59) < row.expires_at - now() <= timedelta(hours=1)


async def test_one_or_all_are_ended_and_nobody_elses(database: Database) -> None:
    one, two, three = [await issued(database) for _ in range(3)]
    bobs, operators = await issued(database, "bob"), await issued(database, "local")
    async with database.transaction() as session:
        await sessions.revoke(session, sessions.id_of(one))
        await sessions.revoke(session, "nobody's")
    assert await found(database, one) is None
    async with database.transaction() as session:
        assert {row.id for row in await sessions.of_user(session, "ada")} == {
            sessions.id_of(token) for token in (two, three)
        }
        await sessions.revoke_user(session, "ada", but=sessions.id_of(three))
    assert await found(database, two) is None
    assert await found(database, three)
    async with database.transaction() as session:
        await sessions.revoke_all(session, "ada")
        await sessions.revoke_all(session, kind=sessions.IMMICH)
    assert await found(database, three) is None
    assert await found(database, bobs)
    assert await found(database, operators), "it is of another kind"
    async with database.transaction() as session:
        await sessions.revoke_all(session, kind=sessions.PASSWORD)
    assert await found(database, operators) is None
    assert await found(database, bobs)


async def test_the_last_use_is_noted(database: Database) -> None:
    token = await issued(database)
    async with database.transaction() as session:
        row = await session.get(SessionRow, sessions.id_of(token))
        assert row is not None
        row.seen_at = now() - timedelta(days=2)
        session.add(row)
    async with database.transaction() as session:
        await sessions.used(session, sessions.id_of(token))
        await sessions.used(session, "gone")
    row = await found(database, token)
    assert row is not None
    assert now() - row.seen_at < timedelta(minutes=1)
