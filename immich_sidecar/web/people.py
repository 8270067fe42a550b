"""The people: how many photos each owner has, for who administers Immich or runs the service. Numbers, no photos."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from sqlmodel import select

from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.owners import owners as all_owners
from immich_sidecar.library.tables import ConnectionRow
from immich_sidecar.web.access import visitor_of
from immich_sidecar.web.context import context_of
from immich_sidecar.web.pages import render


@dataclass(frozen=True)
class Person:
    """One owner, in numbers."""

    name: str
    #: How many photos there are of each status, and `total`.
    counts: Mapping[str, int]
    connection: ConnectionRow | None
    #: Whether the visitor may see this owner's photos.
    own: bool


async def page(request: web.Request) -> web.StreamResponse:
    """All owners with their numbers."""
    visitor = visitor_of(request)
    if not visitor.may_count:
        raise web.HTTPNotFound(text="There is no such page.")
    async with context_of(request).database.reading() as session:
        connections = {row.owner_id: row for row in (await session.exec(select(ConnectionRow))).all()}
        people = [
            Person(
                owner.name,
                await photo_rows.counts(session, owner.id),
                connections.get(owner.id),
                owner.id in visitor.owner_ids,
            )
            for owner in await all_owners(session)
        ]
    return await render(request, "people.html", people=people, page="people")
