"""Sign-ins of browsers: one row each, so that each can be ended by itself.

The browser holds a random token; the row holds only its SHA-256, so who reads the database cannot sign in with it.
"""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.library.tables import LOCAL_OWNER, SessionRow, now

#: Kinds of sessions: of who knows the service's own password, and of users of Immich.
PASSWORD, IMMICH = "password", "immich"
#: How long a sign-in lasts.
LASTS = timedelta(days=30)
#: How long that of an Immich user lasts who has not agreed to a connection: there is no key to ask Immich with.
LASTS_UNCONNECTED = timedelta(hours=1)
#: A use is noted when the last one noted is older than this: a page asks for a hundred pictures.
NOTED_EVERY = timedelta(minutes=5)
#: Letters of what a browser calls itself that are kept.
LONGEST_BROWSER = 120

_TOKEN_BYTES = 32


def id_of(token: str) -> str:
    """The id of the row of a token: its SHA-256, hexadecimal."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


async def issue(
    session: AsyncSession,
    owner_id: str,
    kind: str,
    *,
    immich_user_id: str | None = None,
    user_name: str | None = None,
    is_admin: bool = False,
    browser: str = "",
    lasts: timedelta = LASTS,
) -> str:
    """Begin a session and give its token, which is kept nowhere here."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(
        SessionRow(
            id=id_of(token),
            owner_id=owner_id,
            kind=kind,
            immich_user_id=immich_user_id,
            user_name=user_name,
            is_admin=is_admin,
            browser=browser[:LONGEST_BROWSER],
            expires_at=now() + lasts,
        )
    )
    await session.flush()
    return token


async def find(session: AsyncSession, token: str) -> SessionRow | None:
    """The session of a token; None where there is none, or it has expired."""
    return await get(session, id_of(token))


async def get(session: AsyncSession, session_id: str) -> SessionRow | None:
    """The session of an id, unless it has expired."""
    row = await session.get(SessionRow, session_id)
    return row if row is not None and row.expires_at > now() else None


async def used(session: AsyncSession, session_id: str) -> None:
    """Note that a session is used now."""
    row = await session.get(SessionRow, session_id)
    if row is not None:
        row.seen_at = now()
        session.add(row)
        await session.flush()


async def limit(session: AsyncSession, session_id: str, lasts: timedelta) -> None:
    """Let a session last so long from now on."""
    row = await session.get(SessionRow, session_id)
    if row is not None:
        row.expires_at = now() + lasts
        session.add(row)
        await session.flush()


async def of_user(session: AsyncSession, immich_user_id: str) -> Sequence[SessionRow]:
    """The sessions of an Immich user, the last used first."""
    return await _listed(session, col(SessionRow.immich_user_id) == immich_user_id)


async def of_password(session: AsyncSession) -> Sequence[SessionRow]:
    """The sessions of those who know the password, the last used first."""
    return await _listed(session, col(SessionRow.kind) == PASSWORD)


async def _listed(session: AsyncSession, condition: object) -> Sequence[SessionRow]:
    query = (
        select(SessionRow)
        .where(condition, col(SessionRow.expires_at) > now())  # type: ignore[arg-type]  # a condition on a column
        .order_by(col(SessionRow.seen_at).desc())
    )
    return (await session.exec(query)).all()


async def revoke(session: AsyncSession, session_id: str) -> None:
    """End a session; one that has ended is fine."""
    await session.exec(delete(SessionRow).where(col(SessionRow.id) == session_id))


async def revoke_user(session: AsyncSession, immich_user_id: str, *, but: str | None = None) -> None:
    """End all sessions of an Immich user, except the one named `but`."""
    await session.exec(
        delete(SessionRow).where(col(SessionRow.immich_user_id) == immich_user_id, col(SessionRow.id) != (but or ""))
    )


async def revoke_all(
    session: AsyncSession, owner_id: str = LOCAL_OWNER, *, kind: str | None = None, but: str | None = None
) -> None:
    """End all sessions of an owner, or those of one kind, except the one named `but`."""
    query = delete(SessionRow).where(col(SessionRow.owner_id) == owner_id, col(SessionRow.id) != (but or ""))
    if kind is not None:
        query = query.where(col(SessionRow.kind) == kind)
    await session.exec(query)


async def prune(session: AsyncSession) -> int:
    """Remove what has expired; gives how many."""
    result = await session.exec(delete(SessionRow).where(col(SessionRow.expires_at) <= now()))
    return result.rowcount
