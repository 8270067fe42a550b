"""Uploading from a browser without scripts: a form, and what became of each file."""

from dataclasses import dataclass

from aiohttp import BodyPartReader, web

from immich_sidecar.errors import SidecarError
from immich_sidecar.web.api_upload import take
from immich_sidecar.web.context import context_of, owner_of
from immich_sidecar.web.failures import error_json
from immich_sidecar.web.pages import render


@dataclass(frozen=True)
class Uploaded:
    """What became of one file."""

    name: str
    #: The photo it is; None where it was refused.
    sha256: str | None = None
    #: Whether the owner did not have it yet.
    new: bool = False
    #: Why it was refused.
    problem: str | None = None


async def show(request: web.Request) -> web.StreamResponse:
    """The form."""
    return await render(request, "upload.html", uploaded=(), page="inbox")


async def upload(request: web.Request) -> web.StreamResponse:
    """Take the files of the form, one after the other; one that is refused stops no other."""
    context, owner = context_of(request), (await owner_of(request)).id
    if request.content_type != "multipart/form-data":
        raise web.HTTPBadRequest(text="Files come as a form, multipart/form-data.")
    uploaded = []
    parts = await request.multipart()
    while (part := await parts.next()) is not None:
        if not isinstance(part, BodyPartReader) or not part.filename:
            await part.release()
            continue
        name = part.filename
        try:
            taken = await take(context, owner, name, part)
        except (SidecarError, web.HTTPException) as error:
            await part.release()
            uploaded.append(Uploaded(name, problem=str(error_json(error)["error"])))
        else:
            uploaded.append(Uploaded(name, taken.sha256, taken.new))
    return await render(request, "upload.html", uploaded=uploaded, page="inbox")
