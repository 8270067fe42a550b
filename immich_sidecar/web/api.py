"""The JSON API: its table of routes."""

from functools import partial

from aiohttp import web

from immich_sidecar.library.owners import owners as all_owners
from immich_sidecar.library.photos import STATUSES
from immich_sidecar.library.tables import Review, WorkState
from immich_sidecar.web import api_photos, api_queue, api_upload, frames, health, media, status
from immich_sidecar.web.access import visitor_of
from immich_sidecar.web.api_finding import FINDING_ROUTES
from immich_sidecar.web.api_library import LIBRARY_ROUTES
from immich_sidecar.web.api_looks import LOOK_ROUTES
from immich_sidecar.web.api_models import MODEL_ROUTES
from immich_sidecar.web.context import BASE, context_of
from immich_sidecar.web.openapi_document import document
from immich_sidecar.web.routes import Answer, Body, Query, Route, enum

_PHOTO = {200: Answer("The photo as it stands now.", "Photo")}
_JPEG = {200: Answer("The picture.", None, ("image/jpeg",)), 304: Answer("Unchanged.", None, ())}
_FILE = {200: Answer("The file.", None, ("*/*",)), 206: Answer("A part of it.", None, ("*/*",))}
_VERSION = Query("version", "Number of the version; 0 is the original. Default: the current one.", {"type": "integer"})

_DIGEST = Query("digest", "First 12 digits of the version's SHA-256: what is shown may be kept for ever then.")

_COMMANDS = {
    "approve": "Approve the current version.",
    "reject": "Reject the current version; the original stays as it is.",
    "undo": "Take back the newest decision that is not taken back yet.",
    "retry": "Try again where the work or the publishing gave up.",
    "cancel": "Stop the work on the photo.",
    "reset": "Go back to what was suggested.",
    "develop": "Develop a photo that was left alone; every suggestion starts switched off.",
    "first": "Do this photo before the others.",
    "analyse": "Look at the photo again, with the models that there are now.",
    "renew": "Take what is offered after another look, as a new version.",
}


async def owners(request: web.Request) -> web.Response:
    """The owners whose photos the visitor may see."""
    visitor = visitor_of(request)
    async with context_of(request).database.reading() as session:
        rows = [row for row in await all_owners(session) if row.id in visitor.owner_ids]
    return web.json_response({"owners": [{"id": row.id, "name": row.name} for row in rows]})


async def openapi(request: web.Request) -> web.Response:
    """This API, described."""
    return web.json_response(document(ROUTES, server=request.config_dict[BASE] or "/"))


_get, _post = partial(Route, "GET"), partial(Route, "POST")

ROUTES: tuple[Route, ...] = (
    _get(
        "/api/photos",
        "listPhotos",
        api_photos.list_photos,
        "Photos, newest first.",
        {200: Answer("One page.", "PhotoPage")},
        query=(
            Query("status", "Only those of one word of the pages.", {"type": "string", "enum": list(STATUSES)}),
            Query("review", "Only those that stand so with their owner.", enum(Review)),
            Query("state", "Only those whose work has come so far.", enum(WorkState)),
            Query("failed", "Only those that failed, or only those that did not.", {"type": "boolean"}),
            Query("after", "Cursor: `next` of the page before."),
            Query("limit", "How many.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 60}),
        ),
        failures=(400,),
    ),
    _post(
        "/api/photos",
        "uploadPhoto",
        api_upload.upload,
        "Take a photo.",
        {201: Answer("Taken.", "Taken"), 200: Answer("It was here already.", "Taken")},
        query=(Query("name", "File name, where the body is the file itself."),),
        body=Body(None, ("multipart/form-data", "application/octet-stream")),
        failures=(400, 413, 415, 422, 507),
    ),
    _post(
        "/api/photos/batch",
        "batch",
        api_photos.batch,
        "Run a command on each of many photos.",
        {200: Answer("What came of each.", "BatchResults")},
        body=Body("Batch"),
        failures=(400,),
    ),
    _get("/api/photos/{id}", "getPhoto", api_photos.one_photo, "One photo.", _PHOTO),
    *(
        _post(
            f"/api/photos/{{id}}/{action}",
            action,
            api_photos.command(action),
            summary,
            _PHOTO,
            body=Body("Command"),
            failures=(400, 409),
        )
        for action, summary in _COMMANDS.items()
    ),
    Route(
        "PUT",
        "/api/photos/{id}/recipe",
        "changeRecipe",
        api_photos.change_recipe,
        "Change the recipe; a new version is rendered.",
        _PHOTO,
        body=Body("Change"),
        failures=(400, 409, 422),
    ),
    _get(
        "/api/photos/{id}/crops",
        "listCrops",
        frames.offered,
        "Frames that suit what is in the photo.",
        {200: Answer("One for each shape; none where models have not looked at it.", "Crops")},
        failures=(409,),
    ),
    _get(
        "/api/photos/{id}/preview",
        "getPreview",
        media.preview,
        "A picture that fills a screen.",
        _JPEG | {204: Answer("The same client has asked for a newer one.", None, ())},
        query=(
            _VERSION,
            _DIGEST,
            Query("recipe", "Changes as for the recipe, in JSON: shows them without keeping them."),
            Query("preset", "A preset to try, without keeping it; the changes of `recipe` come on top."),
            Query("strength", "Of the preset's look, in percent.", {"type": "number", "minimum": 0, "maximum": 200}),
            Query("framed", "1: the original in the frame of the version.", {"type": "integer"}),
            Query("client", "A name of the asking page; of its requests only the newest is rendered."),
        ),
        failures=(400, 409, 410, 422, 503),
    ),
    _get(
        "/api/photos/{id}/thumbnail",
        "getThumbnail",
        media.thumbnail,
        "A small picture.",
        _JPEG,
        query=(_VERSION, _DIGEST),
        failures=(410, 422, 503),
    ),
    _get(
        "/api/photos/{id}/original",
        "getOriginal",
        media.original,
        "The original, byte for byte.",
        _FILE,
        failures=(410, 416),
    ),
    _get(
        "/api/photos/{id}/versions/{n}",
        "getVersion",
        media.version_file,
        "A version's file.",
        _FILE,
        query=(Query("show", "1: to look at rather than to save.", {"type": "integer"}), _DIGEST),
        failures=(416,),
    ),
    _get(
        "/api/queue", "getQueue", api_queue.queue, "What runs, waits and failed.", {200: Answer("The queue.", "Queue")}
    ),
    _post("/api/queue/pause", "pauseQueue", api_queue.pause, "Pause.", {200: Answer("The queue.", "Queue")}),
    _post("/api/queue/resume", "resumeQueue", api_queue.resume, "Go on.", {200: Answer("The queue.", "Queue")}),
    _post(
        "/api/queue/retry",
        "retryQueue",
        api_queue.retry,
        "Try all that failed again.",
        {200: Answer("How many.", "Retried")},
    ),
    _post(
        "/api/queue/analyse",
        "analyseLacking",
        api_queue.analyse,
        "Look again at all photos that lack an answer of a model that there is now.",
        {200: Answer("How many.", "Queued")},
    ),
    _get(
        "/api/status", "getStatus", status.status_json, "Immich, disk, folders.", {200: Answer("The status.", "Status")}
    ),
    *FINDING_ROUTES,
    *LIBRARY_ROUTES,
    *LOOK_ROUTES,
    *MODEL_ROUTES,
    _get("/api/owners", "getOwners", owners, "Owners you may see.", {200: Answer("Owners.", "Owners")}, owned=False),
    _get(
        "/api/openapi.json",
        "getOpenapi",
        openapi,
        "This document.",
        {200: Answer("The document.", None)},
        owned=False,
    ),
    _get(
        "/healthz",
        "healthz",
        health.healthz,
        "The process answers.",
        {200: Answer("It does.", "Health")},
        owned=False,
        open=True,
    ),
    _get(
        "/readyz",
        "readyz",
        health.readyz,
        "The database answers.",
        {200: Answer("It does.", "Health"), 503: Answer("It does not.", "Health")},
        owned=False,
        open=True,
    ),
)
