"""Small pictures of photos that are in Immich and not here, through us: whose they are was checked before."""

from aiohttp import web

from immich_sidecar.errors import ImmichGoneError, ImmichPermissionError, NotFoundError
from immich_sidecar.immich.at_work import Connected

#: How long a browser keeps one.
_KEPT = "private, max-age=3600"
_TYPES = ("image/jpeg", "image/webp", "image/png")


async def sample_picture(request: web.Request, connected: Connected | None, asset_id: str) -> web.Response:
    """Immich's thumbnail of an asset.

    Raises
    ------
    NotFoundError
        If there is none: it is not made yet, the asset is gone, or the key may not look.
    ImmichError
        If Immich does not answer.
    """
    if connected is None:
        raise NotFoundError("Immich is not connected.")
    try:
        data, content_type = await connected.connection.api.thumbnail(asset_id, size="thumbnail")
    except (ImmichGoneError, ImmichPermissionError) as error:
        raise NotFoundError(str(error)) from error
    if content_type not in _TYPES:
        raise NotFoundError("Immich has no picture of it.")
    return web.Response(body=data, content_type=content_type, headers={"Cache-Control": _KEPT})
