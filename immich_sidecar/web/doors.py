"""Doors between Immich and our pages: links from there into a photo here, and from here to where it is there."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ConflictError, ImmichError, ImmichGoneError
from immich_sidecar.immich.status_tags import REVIEW
from immich_sidecar.library.tables import (
    AssetRow,
    CompanionRow,
    ConnectionRow,
    IntakeState,
    PhotoRow,
    UploadRow,
    VersionRow,
)
from immich_sidecar.web import proxies
from immich_sidecar.web.access import visitor_of
from immich_sidecar.web.context import BASE, connected_of, context_of, is_htmx, link, owner_of
from immich_sidecar.web.immich_links import photo_in_immich, tag_in_immich
from immich_sidecar.web.pages import render

#: Longest text that is looked through for an asset's id.
LONGEST = 2000

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
#: In an address of Immich the photo's id follows `/photos/`, whatever stands before; `/link` names it as `id`.
_IN_ADDRESS = re.compile(rf"(?:/photos/|[?&]id=)({_UUID})", re.IGNORECASE)
_ALONE = re.compile(_UUID, re.IGNORECASE)


#: Rows that name an asset of a photo: owner, photo, asset. Those with an index on the asset come first.
_NAMED_BY: tuple[tuple[Any, Any, Any], ...] = (
    (col(UploadRow.owner_id), col(UploadRow.original_hash), col(UploadRow.immich_processed_id)),
    (col(CompanionRow.owner_id), col(CompanionRow.photo), col(CompanionRow.immich_asset_id)),
    (col(VersionRow.owner_id), col(VersionRow.photo), col(VersionRow.immich_asset_id)),
    (col(PhotoRow.owner_id), col(PhotoRow.sha256), col(PhotoRow.immich_asset_id)),
)


@dataclass(frozen=True)
class Place:
    """Where something of Immich's is here."""

    owner_id: str
    #: The photo; None where it did not become one.
    sha256: str | None = None
    #: The row of the asset, where it did not.
    row: AssetRow | None = None


def asset_in(text: str) -> str | None:
    """The id of the asset that an address of Immich, or an id alone, is about; None where there is none."""
    shortened = text.strip()[:LONGEST]
    if match := _IN_ADDRESS.search(shortened):
        return match[1].lower()
    return shortened.lower() if _ALONE.fullmatch(shortened) else None


def bookmarklet(address: str) -> str:
    """A bookmark that opens the photo that is being viewed in Immich on our page at `address`.

    It reads the address of the page that it is used on, and nothing else.
    """
    opened = json.dumps(f"{address}/open?asset=")
    return (
        "javascript:(()=>{const m=location.pathname.match(/\\/photos\\/([0-9a-f-]{36})/i);"
        f"if(m)window.open({opened}+m[1],'_blank','noopener');"
        "else alert('Open a photo in Immich first, then use this bookmark.')})()"
    )


async def review(request: web.Request) -> web.StreamResponse:
    """What waits for its owner."""
    raise web.HTTPSeeOther(link(request, "/"))


async def show(request: web.Request) -> web.StreamResponse:
    """With `?asset=`, an id or an address of Immich: the photo's page, or why there is none. Without: the doors."""
    text = request.query.get("asset", "")
    if not text.strip():
        return await _doors(request)
    asset_id = asset_in(text)
    if asset_id is None:
        return await _doors(request, text=text, problem="That is no address of a photo in Immich.")
    place = await _find(request, asset_id)
    if place is not None and place.sha256 is not None:
        raise web.HTTPSeeOther(_photo_link(request, place))
    return await _not_here(request, asset_id, place)


async def take(request: web.Request) -> web.StreamResponse:
    """Develop a photo that was left where it is: its owner asks for it by name."""
    form = await request.post()
    asset_id = asset_in(str(form.get("asset", "")))
    if asset_id is None:
        raise web.HTTPBadRequest(text="asset: the id of a photo in Immich")
    connected = connected_of(request, (await owner_of(request)).id)
    if connected is None or not connected.connection.may_take:
        raise ConflictError("Immich is not connected, or does not answer: the photo cannot be fetched now.")
    try:
        row = await connected.ask_for(asset_id)
    except ImmichGoneError:
        return await _not_here(request, asset_id, None, gone=True)
    except ImmichError as error:
        return await _not_here(request, asset_id, await _find(request, asset_id), problem=str(error))
    place = Place(row.owner_id, row.sha256, row)
    if row.sha256 is not None:
        raise web.HTTPSeeOther(_photo_link(request, place))
    return await _not_here(request, asset_id, place)


async def waiting(request: web.Request) -> web.StreamResponse:
    """Whether a photo that was asked for is there; htmx asks until it is."""
    asset_id = asset_in(request.query.get("asset", ""))
    place = await _find(request, asset_id) if asset_id else None
    if place is not None and place.sha256 is not None:
        target = _photo_link(request, place)
        if is_htmx(request):
            return web.Response(headers={"HX-Redirect": target})
        raise web.HTTPSeeOther(target)
    return await _not_here(request, asset_id or "", place)


async def find_place(session: AsyncSession, owner_ids: Iterable[str], asset_id: str) -> Place | None:
    """Where an asset is here, among what these owners have; None where nothing is known of it."""
    owners = sorted(owner_ids)
    connections = select(ConnectionRow.id).where(col(ConnectionRow.owner_id).in_(owners))
    query = select(AssetRow).where(col(AssetRow.connection_id).in_(connections), AssetRow.asset_id == asset_id)
    row = (await session.exec(query)).first()
    if row is not None and row.sha256 is not None:
        return Place(row.owner_id, row.sha256, row)
    for owner, photo, asset in _NAMED_BY:
        found = (await session.exec(select(owner, photo).where(owner.in_(owners), asset == asset_id))).first()
        if found is not None:
            return Place(*found)
    return None if row is None else Place(row.owner_id, None, row)


async def _find(request: web.Request, asset_id: str) -> Place | None:
    async with context_of(request).database.reading() as session:
        return await find_place(session, visitor_of(request).owner_ids, asset_id)


def _photo_link(request: web.Request, place: Place) -> str:
    other = None if place.owner_id == visitor_of(request).owner_id else place.owner_id
    return link(request, f"/photos/{place.sha256}", owner=other)


async def _doors(request: web.Request, *, text: str = "", problem: str | None = None) -> web.Response:
    context, owner = context_of(request), (await owner_of(request)).id
    connected, immich = connected_of(request, owner), context.settings.immich_link()
    origin = proxies.origin(request) or ""
    response = await render(
        request,
        "doors.html",
        text=text,
        problem=problem,
        bookmarklet=bookmarklet(f"{origin}{request.config_dict[BASE]}"),
        review_tag=REVIEW,
        review_link=tag_in_immich(immich, REVIEW)
        if immich and connected is not None and connected.choices.review_tag
        else None,
        page="doors",
    )
    if problem is not None:
        response.set_status(422)
    return response


async def _not_here(
    request: web.Request, asset_id: str, place: Place | None, *, gone: bool = False, problem: str | None = None
) -> web.Response:
    row = place.row if place is not None else None
    owner = (await owner_of(request)).id
    immich = context_of(request).settings.immich_link()
    connected = connected_of(request, owner)
    is_coming = row is not None and row.state is IntakeState.SEEN and not problem
    return await render(
        request,
        "partials/not_here.html" if is_htmx(request) else "not_here.html",
        asset_id=asset_id,
        row=row,
        is_coming=is_coming,
        is_gone=gone,
        problem=problem,
        may_ask=connected is not None and not is_coming and not gone and (place is None or place.owner_id == owner),
        shown_there=photo_in_immich(immich, asset_id) if immich and asset_id else None,
        page="doors",
    )
