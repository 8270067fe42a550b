"""What is written to Immich of a photo, and when: its own mode, else its connection's, else that of the settings."""

from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.library.tables import ConnectionRow, PhotoRow
from immich_sidecar.settings import Mode


def as_mode(word: object, default: Mode) -> Mode:
    """A mode as a row has it; `default` where it has none, or one that a later release may know."""
    return Mode(word) if isinstance(word, str) and word in set(Mode) else default


async def mode_of(session: AsyncSession, photo: PhotoRow, default: Mode) -> Mode:
    """The mode of a photo: chosen by the rules for it, by its owner for the connection, or in the settings."""
    if photo.mode is None and photo.connection_id is not None:
        connection = await session.get(ConnectionRow, photo.connection_id)
        if connection is not None:
            return as_mode(connection.choices.get("mode"), default)
    return as_mode(photo.mode, default)
