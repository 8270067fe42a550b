"""Photos whose version in Immich is replaced, and what came of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from immich_sidecar.errors import ImmichAwayError
from immich_sidecar.library.tables import VersionRow
from tests.immich_server import Asset
from tests.pipeline.house import developed
from tests.pipeline.world import World

#: A change of the recipe.
BRIGHTER = {"exposure": {"ev": 1.0}}
#: Of the calls to Immich that are interrupted: each in its turn, and, where time is short, every sixth.
EVERY = [pytest.param(1, marks=pytest.mark.crash), 6]


class Interruption:
    """Loses the answer to one call to Immich."""

    def __init__(self, world: World) -> None:
        self._api = world.connection.api
        self._left = 0

    @contextmanager
    def at(self, nth: int) -> Iterator[None]:
        """Lose the answer to the nth call from now on."""
        self._left = nth
        send = self._api._send

        async def interrupted(*arguments: Any, **named: Any) -> Any:
            answer = await send(*arguments, **named)
            self._left -= 1
            if self._left == 0:
                raise ImmichAwayError("killed")
            return answer

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(self._api, "_send", interrupted)
            yield

    @property
    def never_came(self) -> bool:
        """Whether there were fewer calls than that."""
        return self._left > 0


async def approved(world: World, seed: int = 1) -> str:
    """A photo whose first version is approved, in Immich and all done."""
    sha = await world.house.drop(developed(seed), f"{seed}.jpg")
    await world.house.settled()
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    await world.immich.settled()
    return sha


async def replace(world: World, sha: str, by: dict[str, Any] | None = None) -> None:
    """Change the recipe, and approve what comes of it."""
    photo = await world.house.photo(sha)
    await world.house.commands.change("local", sha, photo.version, by or BRIGHTER)
    await world.done()
    photo = await world.house.photo(sha)
    await world.house.commands.approve("local", sha, photo.version)
    await world.done()
    await settled(world)


async def settled(world: World) -> None:
    """Wait for what comes back to itself."""

    async def nothing_left() -> bool:
        return not [row for row in await world.house.rows(VersionRow) if row.due_at and row.publish != "blocked"]

    await world.house.until(nothing_left)


async def undo(world: World, sha: str, times: int = 1) -> None:
    for _ in range(times):
        await world.house.commands.undo("local", sha, (await world.house.photo(sha)).version)
    await world.done()
    await settled(world)


async def version(world: World, sha: str, n: int) -> VersionRow:
    (row,) = [row for row in await world.house.versions(sha) if row.n == n]
    return row


async def asset(world: World, sha: str, n: int) -> Asset:
    return world.asset((await version(world, sha, n)).immich_asset_id)


def trashed(world: World) -> set[str]:
    return {one.name for one in world.immich.assets.values() if one.deleted_at is not None}
