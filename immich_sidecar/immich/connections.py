"""The connection of an owner to one Immich user: who it is, whether it works, and since when it watches."""

import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import (
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichPermissionError,
    ImmichRefusedError,
    ImmichServerError,
    ImmichVersionError,
)
from immich_sidecar.events import Event, EventType
from immich_sidecar.immich.api import Api, ImmichUser
from immich_sidecar.immich.compatibility import (
    INTAKE_PERMISSIONS,
    check_version,
    missing_permissions,
)
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import ConnectionRow

log = logging.getLogger(__name__)

#: Immich's `Date` has whole seconds; clocks that differ by less count as equal.
_CLOCKS_AGREE = timedelta(seconds=5)
#: Seconds after which a connection that works is checked again.
CHECK_EVERY_SECONDS = 3600.0


class ConnectionState(StrEnum):
    """How a connection stands; the value is what `ConnectionRow.state` holds."""

    #: Not asked yet.
    UNKNOWN = "unknown"
    #: Everything that is needed is allowed.
    OK = "ok"
    #: Immich does not answer, or is in maintenance mode.
    AWAY = "away"
    #: The key is unknown or revoked.
    CREDENTIALS = "credentials"
    #: The key lacks permissions; what it may do is done.
    PERMISSION = "permission"
    #: A version that is not supported: photos are read, and nothing is written.
    VERSION = "version"
    #: Another user than before, or no Immich at all.
    REFUSED = "refused"
    #: Its user ended it.
    DISCONNECTED = "disconnected"


@dataclass(frozen=True)
class ConnectionCheck:
    """What was found out about a connection."""

    url: str
    state: ConnectionState
    #: What is wrong and what can be done about it; None where nothing is.
    message: str | None = None
    #: Immich's version, e.g. `3.1.0`; None until known, like everything below.
    version: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_email: str | None = None
    #: Whether the user administers Immich.
    is_admin: bool = False
    permissions: tuple[str, ...] = ()
    #: Permissions that are needed and that the key lacks.
    missing_permissions: tuple[str, ...] = ()
    #: The moment on Immich's clock, to a second; None where it did not answer.
    server_time: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether everything works."""
        return self.state is ConnectionState.OK


@dataclass
class _Findings:
    """What a check has found so far."""

    answered: bool = False
    version: str | None = None
    #: Why nothing is written to this version; None where it is supported.
    unsupported: str | None = None
    user: ImmichUser | None = None
    permissions: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def state_of(error: ImmichError) -> ConnectionState | None:
    """The state that an error puts a connection into; None where it is about one call alone."""
    if isinstance(error, ImmichAwayError):
        return ConnectionState.AWAY
    if isinstance(error, ImmichCredentialsError):
        return ConnectionState.CREDENTIALS
    if isinstance(error, ImmichPermissionError):
        return ConnectionState.PERMISSION
    return None


class Connection:
    """One Immich user that belongs to an owner. Owns the HTTP connections; close it.

    Parameters
    ----------
    owner_id
        Whose photos the user's are.
    url
        Address of Immich without `/api`.
    key
        The user's API key.
    albums
        Whether the permissions for albums are needed too.
    from_settings
        Whether the key is the operator's, from `IMMICH_API_KEY`, or else one that a user gave or let us make.
    """

    def __init__(self, *, owner_id: str, url: str, key: str, albums: bool = False, from_settings: bool = True) -> None:
        self.owner_id = owner_id
        self.url = url
        self.albums = albums
        #: Whether a RAW file and the JPEG of its shot are one photo.
        self.pairs = True
        self.from_settings = from_settings
        self.api = Api(url, key)
        self._key = key
        #: The row's id; None until `prepare` or `refresh` was called.
        self.id: int | None = None
        self.user_id: str | None = None
        #: Whether this key was seen to belong to the stored user of an Immich that we write to; nothing is written
        #: before.
        self.verified = False
        #: Assets that came into Immich before this moment of its clock are not taken.
        self.watch_from: datetime | None = None
        self.state = ConnectionState.UNKNOWN
        self.last_check: ConnectionCheck | None = None
        #: What the key may do, as far as Immich ever said; a check that it did not answer changes nothing.
        self.permissions: tuple[str, ...] = ()
        self._started_at = datetime.now(UTC).replace(microsecond=0)
        self._checked_at: float | None = None

    async def close(self) -> None:
        """Close the HTTP connections."""
        await self.api.close()

    def headers(self) -> dict[str, str]:
        """What a call of Immich's socket shows; never to be logged."""
        return {"x-api-key": self._key}

    @property
    def row_id(self) -> int:
        """The row's id, for those who need one.

        Raises
        ------
        ImmichAwayError
            Where neither `prepare` nor `refresh` was called.
        """
        if self.id is None:
            raise ImmichAwayError(f"The connection to {self.url} was not checked yet; it is tried again")
        return self.id

    @property
    def may_take(self) -> bool:
        """Whether photos can be found and fetched now; also from a version that is not written to."""
        if self.state is ConnectionState.OK:
            return True
        granted = self.last_check.permissions if self.last_check else ()
        return (
            self.state in (ConnectionState.PERMISSION, ConnectionState.VERSION)
            and self.user_id is not None
            and ("all" in granted or set(INTAKE_PERMISSIONS) <= set(granted))
        )

    @property
    def may_publish(self) -> bool:
        """Whether it makes sense to try to write to Immich now; a permission may still be missing."""
        return self.state in (ConnectionState.OK, ConnectionState.PERMISSION) and self.verified

    async def check(self) -> ConnectionCheck:
        """Find out whether Immich is there, which version it is, who we are to it and what we may do.

        Asks Immich alone and changes nothing; never raises an `ImmichError`.
        """
        found = _Findings()
        state, message = ConnectionState.OK, None
        try:
            await self._find_out(found)
        except ImmichError as error:
            state, message = _judged(error), str(error)
        if found.missing and state in (ConnectionState.OK, ConnectionState.PERMISSION):
            state = ConnectionState.PERMISSION
            message = f"The API key lacks {', '.join(found.missing)}; add this to the key in Immich"
        if state is ConnectionState.CREDENTIALS and not self.from_settings:
            message = f"Immich at {self.url} does not accept the API key any more; connect Immich again"
        if found.unsupported is not None and state not in (ConnectionState.AWAY, ConnectionState.CREDENTIALS):
            # What such a version answers otherwise says little; that it is not supported says it all.
            state, message = ConnectionState.VERSION, found.unsupported
        user = found.user
        return ConnectionCheck(
            url=self.url,
            state=state,
            message=message,
            version=found.version,
            user_id=None if user is None else user.id,
            user_name=None if user is None else user.name,
            user_email=None if user is None else user.email,
            is_admin=user is not None and user.is_admin,
            permissions=found.permissions,
            missing_permissions=found.missing,
            server_time=self.api.server_now() if found.answered else None,
        )

    async def _find_out(self, found: _Findings) -> None:
        if not await self.api.ping():
            raise ImmichRefusedError(f"What answers at {self.url} is not Immich; check IMMICH_URL")
        found.answered = True
        version = await self.api.version()
        found.version = ".".join(str(number) for number in version)
        try:
            check_version(*version)
        except ImmichVersionError as error:
            found.unsupported = str(error)
        if await self.api.in_maintenance():
            raise ImmichAwayError(f"Immich at {self.url} is in maintenance mode; it is tried again")
        found.permissions = await self.api.permissions()
        found.missing = missing_permissions(found.permissions, albums=self.albums)
        found.user = await self.api.me()

    async def prepare(self, database: Database) -> None:
        """Make the owner's row where it is missing, without asking Immich.

        What is taken from a hot folder from now on belongs to the connection, also while Immich is away.
        """
        async with database.transaction() as session:
            await ensure_owner(session, self.owner_id)
            query = select(ConnectionRow).where(ConnectionRow.owner_id == self.owner_id)
            row = (await session.exec(query)).first() or ConnectionRow(owner_id=self.owner_id, url=self.url)
            session.add(row)
            await session.flush()
        self.id, self.permissions = row.id, tuple(row.permissions)

    async def make_sure(self, database: Database, events: EventLog | None = None) -> bool:
        """Refresh where something was wrong, or the last time is long ago: Immich may have been updated meanwhile.

        Returns whether it was asked.
        """
        since = None if self._checked_at is None else time.monotonic() - self._checked_at
        if self.state is ConnectionState.OK and since is not None and since < CHECK_EVERY_SECONDS:
            return False
        await self.refresh(database, events)
        return True

    def check_soon(self) -> None:
        """Let the next `make_sure` ask, whatever is known."""
        self._checked_at = None

    async def refresh(self, database: Database, events: EventLog | None = None) -> ConnectionCheck:
        """Check, and write what was found into the owner's row, which is made where it is missing.

        A key whose Immich user is another than the stored one is refused: the assets of two users would be mixed.
        """
        check = await self.check()
        if self.api.is_closed:
            # The row is that of the connection that took its place, or says that it was ended.
            self.state = check.state
            return check
        async with database.transaction() as session:
            await ensure_owner(session, self.owner_id)
            query = select(ConnectionRow).where(ConnectionRow.owner_id == self.owner_id)
            row = (await session.exec(query)).first() or ConnectionRow(owner_id=self.owner_id, url=self.url)
            check = _refused_for_another_user(check, row)
            check = await _refused_for_another_owner(session, check, self.owner_id)
            before = (row.state, row.last_error)
            self._watch(row, check)
            if check.user_id and check.state is not ConnectionState.REFUSED:
                row.url = self.url
                row.immich_user_id, row.immich_user_name = check.user_id, check.user_name
                row.immich_user_email, row.is_admin = check.user_email, check.is_admin
                row.permissions = list(check.permissions)
            row.version = check.version or row.version
            row.state, row.last_error = check.state.value, check.message
            session.add(row)
            await session.flush()
            if events is not None and before != (row.state, row.last_error):
                events.record(session, self._event(check.state, check.message))
        self.id, self.watch_from, self.permissions = row.id, row.watch_from, tuple(row.permissions)
        self.user_id = None if check.state is ConnectionState.REFUSED else row.immich_user_id
        if check.state in (ConnectionState.REFUSED, ConnectionState.VERSION):
            self.verified = False
        elif check.user_id is not None:
            self.verified = True
        self.state, self.last_check = check.state, check
        self._checked_at = time.monotonic()
        return check

    def _watch(self, row: ConnectionRow, check: ConnectionCheck) -> None:
        """Set since when the connection watches, on Immich's clock, and that it answered now."""
        if check.server_time is None:
            # It is away, maybe since ever: then from our start on, by our clock.
            row.watch_from = row.watch_from or self._started_at
            return
        if row.watch_from is None:
            row.watch_from = check.server_time.replace(microsecond=0)
        elif row.last_seen_at is None:
            # It was away when we started; now the difference of the clocks is known.
            offset = self.api.clock_offset or timedelta(0)
            if abs(offset) > _CLOCKS_AGREE:
                row.watch_from += offset
        row.last_seen_at = datetime.now(UTC)

    async def note(self, error: ImmichError, database: Database, events: EventLog | None = None) -> None:
        """Remember that a call failed, where that says something about the connection as a whole."""
        state = state_of(error)
        if state is None or self.id is None or self.api.is_closed:
            # Closed, it says nothing of the connection that took its place.
            return
        changed = state is not self.state
        self.state = state
        if not changed:
            return
        log.warning("connection of %s: %s", self.owner_id, error)
        async with database.transaction() as session:
            row = await session.get(ConnectionRow, self.id)
            if row is None:
                return
            row.state, row.last_error = state.value, str(error)
            session.add(row)
            if events is not None:
                events.record(session, self._event(state, str(error)))

    def _event(self, state: ConnectionState, message: str | None) -> Event:
        data = {"connection": state.value, "url": self.url, "error": message}
        return Event(EventType.CONNECTION_CHANGED, self.owner_id, data=data)


def _judged(error: ImmichError) -> ConnectionState:
    if isinstance(error, ImmichServerError):
        return ConnectionState.AWAY
    return state_of(error) or ConnectionState.REFUSED


async def _refused_for_another_owner(session: AsyncSession, check: ConnectionCheck, owner_id: str) -> ConnectionCheck:
    """One Immich user is one owner here: two connections would develop each photo twice."""
    if check.user_id is None or check.state is ConnectionState.REFUSED:
        return check
    query = select(ConnectionRow).where(
        ConnectionRow.immich_user_id == check.user_id, ConnectionRow.owner_id != owner_id
    )
    other = (await session.exec(query)).first()
    if other is None:
        return check
    return replace(
        check,
        state=ConnectionState.REFUSED,
        message=f"The Immich user {check.user_name} is connected already, as the owner {other.owner_id}; use a key of "
        "another user, or none",
    )


def _refused_for_another_user(check: ConnectionCheck, row: ConnectionRow) -> ConnectionCheck:
    if check.user_id is None or row.immich_user_id in (None, check.user_id):
        return check
    return replace(
        check,
        state=ConnectionState.REFUSED,
        message=f"The API key belongs to the Immich user {check.user_name} ({check.user_id}), but the photos of "
        f"{row.owner_id} came from {row.immich_user_name} ({row.immich_user_id}); use a key of that user, or "
        "another data directory",
    )
