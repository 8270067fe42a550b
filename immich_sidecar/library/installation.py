"""What tells this data directory from every other one."""

from uuid import uuid4

from immich_sidecar.library import switches
from immich_sidecar.library.database import Database
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import LOCAL_OWNER

_SWITCH = "installation"


async def installation_id(database: Database) -> str:
    """The id of this installation: made once, and the same for as long as the data directory lives."""
    async with database.reading() as session:
        known = await switches.get(session, LOCAL_OWNER, _SWITCH)
    if isinstance(known, str):
        return known
    async with database.transaction() as session:
        await ensure_owner(session, LOCAL_OWNER)
        known = await switches.get(session, LOCAL_OWNER, _SWITCH)
        if not isinstance(known, str):
            known = uuid4().hex
            await switches.put(session, LOCAL_OWNER, _SWITCH, known)
    return known
