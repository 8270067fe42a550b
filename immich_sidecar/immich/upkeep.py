"""What is seen to at every round of a connection, beside taking photos: tags of what waits, and albums."""

import logging

from immich_sidecar.errors import ImmichError, ImmichPermissionError
from immich_sidecar.immich import followed_albums
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.compatibility import FEATURES
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.immich.status_tags import StatusTags
from immich_sidecar.library.database import Database

log = logging.getLogger(__name__)


class Upkeep:
    """Keeps up what has to follow changes here or in Immich. Where nothing changed it asks Immich for next to nothing.

    Parameters
    ----------
    connection, publisher, database
        Whose Immich it is.
    """

    def __init__(self, connection: Connection, publisher: Publisher, database: Database) -> None:
        self._connection = connection
        self._publisher = publisher
        self._database = database
        self._problem: str | None = None

    @property
    def problems(self) -> tuple[str, ...]:
        """What was chosen and does not work, in sentences."""
        return () if self._problem is None else (self._problem,)

    async def see_to(self, choices: Choices) -> None:
        """See to it all; what Immich fails in stands in `problems`, and is tried again at the next round."""
        if not self._connection.may_publish:
            return
        await self._tag(choices)
        await self._follow(choices)

    async def _tag(self, choices: Choices) -> None:
        if not self._publisher.may(*FEATURES["review_tags"].permissions):
            wanted = choices.review_tag or choices.tags
            self._problem = "There are no tags: the API key may not give any." if wanted else None
            return
        tags = StatusTags(
            self._connection.api,
            self._publisher.tagging,
            self._database,
            owner_id=self._connection.owner_id,
            connection_id=self._connection.row_id,
        )
        try:
            await tags.bring_up_to_date(choices)
        except ImmichPermissionError as error:
            self._problem = f"There are no tags: {error}"
        except ImmichError as error:
            log.info("owner %s: tags are seen to later: %s", self._connection.owner_id, error)
        else:
            self._problem = None

    async def _follow(self, choices: Choices) -> None:
        # It is chosen unless somebody chose otherwise, so that a key without albums is no problem to be told of.
        if not choices.follow_albums or not self._publisher.may(*followed_albums.PERMISSIONS):
            await self._publisher.followed.rest()
            return
        try:
            await self._publisher.followed.look()
        except ImmichError as error:
            log.info("owner %s: albums are seen to later: %s", self._connection.owner_id, error)
