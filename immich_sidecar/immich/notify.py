"""Telling users in Immich that photos wait for them, at most once a day.

Only an administrator may show others a notification, and only with a key that may do everything: any connection that
has such a key is used for all. Immich shows plain text, without a link.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func
from sqlmodel import col, select

from immich_sidecar.errors import ImmichError
from immich_sidecar.immich.at_work import Connected
from immich_sidecar.immich.moments import moment
from immich_sidecar.library import switches
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import PhotoRow, Review

log = logging.getLogger(__name__)

#: Seconds between two looks at what waits.
LOOK_SECONDS = 300.0
#: From one notification of a user to the next.
AT_MOST_EVERY = timedelta(days=1)
#: Nobody is told before something has waited for so long: who is at it needs no telling.
AFTER = timedelta(hours=1)
#: Name of the switch that remembers when a user was told last.
SWITCH = "notified_at"


class Notifier:
    """Tells the users of all connections.

    Parameters
    ----------
    database
        Knows what waits, and remembers who was told when.
    connections
        Gives the connections that there are.
    address
        Gives the address of our pages, for people.
    """

    def __init__(
        self, database: Database, connections: Callable[[], Sequence[Connected]], address: Callable[[], str]
    ) -> None:
        self._database = database
        self._connections = connections
        self._address = address

    async def tell(self, at: datetime | None = None) -> int:
        """Tell everybody who chose so, who was not told today, and for whom something waits; gives to how many.

        `at` is the moment that counts as now.
        """
        moment_now = at or datetime.now(UTC)
        told = 0
        for one in self._connections():
            if not one.choices.notify or one.connection.user_id is None:
                continue
            messenger = self._messenger(one)
            if messenger is None:
                continue
            waiting = await self._waiting(one, moment_now)
            if waiting and await self._tell(one, messenger, waiting):
                await self._remember(one.owner_id, moment_now)
                told += 1
        return told

    def _messenger(self, one: Connected) -> Connected | None:
        """Whose key the notification is sent with: the user's own where it will do, else that of an administrator."""
        return next((other for other in (one, *self._connections()) if may_notify(other)), None)

    async def _waiting(self, one: Connected, at: datetime) -> int:
        """How many photos wait; 0 where nobody is to be told of them now."""
        async with self._database.reading() as session:
            last = moment(await switches.get(session, one.owner_id, SWITCH))
            if last is not None and timedelta(0) <= at - last < AT_MOST_EVERY:
                return 0
            mine = (
                col(PhotoRow.owner_id) == one.owner_id,
                col(PhotoRow.review) == Review.PENDING,
                col(PhotoRow.connection_id) == one.id,
            )
            has_waited = select(PhotoRow.sha256).where(*mine, col(PhotoRow.created_at) <= at - AFTER).limit(1)
            if (await session.exec(has_waited)).first() is None:
                return 0
            return (await session.exec(select(func.count()).select_from(PhotoRow).where(*mine))).one()

    async def _tell(self, one: Connected, messenger: Connected, waiting: int) -> bool:
        title = "1 photo waits for you" if waiting == 1 else f"{waiting} photos wait for you"
        try:
            await messenger.connection.api.notify(
                one.connection.user_id or "", title=title, description=f"Look at them at {self._address()}"
            )
        except ImmichError as error:
            log.info("owner %s is not told of what waits: %s", one.owner_id, error)
            return False
        return True

    async def _remember(self, owner_id: str, at: datetime) -> None:
        async with self._database.transaction() as session:
            await switches.put(session, owner_id, SWITCH, at.isoformat())


def may_notify(one: Connected) -> bool:
    """Whether this connection's key may show notifications to users."""
    check = one.connection.last_check
    return check is not None and check.is_admin and "all" in check.permissions and one.connection.may_publish
