"""One file as two assets, the first of an external library: the photo stays with the first while that is there."""

from __future__ import annotations

import pytest

from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.library.tables import IntakeState
from tests.immich.stage import Library, picture
from tests.immich_server import Asset, ImmichServer, User


async def of_external(immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, content: bytes) -> Asset:
    """An original in an external library that is a photo here."""
    asset = immich.add_external(immich.add_library(ada, "/photos"), content, "old.jpg")
    await taker.ask_for(asset.id)
    await taker.tick()
    (photo,) = await library.photos()
    assert photo.immich_asset_id == asset.id
    return asset


@pytest.mark.parametrize("how", ["noticed", "asked for"])
async def test_a_second_asset_of_the_same_bytes_leaves_the_first_its_photo(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, *, how: str
) -> None:
    first = await of_external(immich, ada, library, taker, picture(1))
    second = immich.add_asset(ada, picture(1), "uploaded.jpg")
    if how == "asked for":
        await taker.ask_for(second.id)
    await taker.tick()
    (photo,) = await library.photos()
    assert photo.immich_asset_id == first.id
    row = await library.asset("uploaded.jpg")
    assert (row.state, row.sha256) == (IntakeState.FETCHED, photo.sha256)


@pytest.mark.parametrize("how", ["deleted", "trashed"])
async def test_where_the_first_is_gone_the_second_takes_its_place(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, *, how: str
) -> None:
    first = await of_external(immich, ada, library, taker, picture(1))
    if how == "deleted":
        immich.delete(first)
    else:
        immich.trash(first)
    second = immich.add_asset(ada, picture(1), "uploaded.jpg")
    await taker.tick()
    (photo,) = await library.photos()
    assert photo.immich_asset_id == second.id
