"""Names of albums and tags in Immich, for choosing among them; asked for at most once a minute."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from immich_sidecar.errors import ImmichError, ImmichPermissionError
from immich_sidecar.immich.at_work import Connected

#: Seconds that an answer is used.
FRESH = 60.0


@dataclass(frozen=True)
class Names:
    """What there is to choose from."""

    #: Album names by id, by name.
    albums: Mapping[str, str] = field(default_factory=dict)
    #: Paths of tags.
    tags: tuple[str, ...] = ()
    #: Why something is missing, in sentences.
    problems: tuple[str, ...] = ()


class Catalogue:
    """The names of each owner."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Names]] = {}

    async def of(self, owner: str, connected: Connected | None) -> Names:
        """The names that the owner's connection knows; empty where there is none."""
        if connected is None:
            return Names(problems=("Immich is not connected: albums and tags cannot be chosen.",))
        at, names = self._known.get(owner, (0.0, Names()))
        if at and time.monotonic() - at < FRESH:
            return names
        names = await _ask(connected)
        # An answer with something missing is asked for again.
        self._known[owner] = (0.0 if names.problems else time.monotonic(), names)
        return names


CATALOGUE = web.AppKey("catalogue", Catalogue)


async def _ask(connected: Connected) -> Names:
    albums: dict[str, str] = {}
    tags: list[str] = []
    problems: list[str] = []
    try:
        found = await connected.connection.api.albums()
        albums = {album.id: album.album_name or album.id for album in found if album.id}
    except ImmichPermissionError:
        problems.append("The key may not read albums (album.read): rules cannot ask for them.")
    except ImmichError as error:
        problems.append(f"The albums are not known: {error}")
    try:
        tags = [tag.value for tag in await connected.connection.api.tags() if tag.value]
    except ImmichPermissionError:
        problems.append("The key may not read tags (tag.read): rules cannot ask for them.")
    except ImmichError as error:
        problems.append(f"The tags are not known: {error}")
    ordered = dict(sorted(albums.items(), key=lambda item: item[1].casefold()))
    return Names(ordered, tuple(sorted(tags, key=str.casefold)), tuple(problems))
