"""What went wrong, told to whoever asked: JSON for programs, a page for people."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.client_exceptions import ClientConnectionError

from immich_sidecar.errors import (
    CommandError,
    ConflictError,
    DiskFullError,
    ImmichAwayError,
    ImmichError,
    ImmichGoneError,
    IntegrityError,
    InvalidParameterError,
    ModelAnswerError,
    ModelError,
    NotAPhotoError,
    NotFoundError,
    PhotoError,
    RecipeError,
    SidecarError,
    StaleVersionError,
)
from immich_sidecar.web.context import wants_json
from immich_sidecar.web.pages import render

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = logging.getLogger(__name__)

#: The first class that fits decides.
_STATUS: tuple[tuple[type[SidecarError], int], ...] = (
    (NotFoundError, 404),
    (StaleVersionError, 409),
    (ConflictError, 409),
    (InvalidParameterError, 422),
    (RecipeError, 422),
    (NotAPhotoError, 415),
    (PhotoError, 422),
    (DiskFullError, 507),
    (IntegrityError, 410),
    (ImmichGoneError, 410),
    (ImmichAwayError, 503),
    (ModelAnswerError, 502),
    (ModelError, 503),
    # What stands behind us did not do its part.
    (ImmichError, 502),
    # Everything else that a person asked for and that cannot be done as asked.
    (CommandError, 400),
)


def status_of_error(error: SidecarError) -> int:
    """The HTTP status of an error of ours."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_json(error: SidecarError | web.HTTPException) -> dict[str, object]:
    """An error as the API and the socket tell it: `error`, `status`, and `field` where one parameter is to blame."""
    if isinstance(error, web.HTTPException):
        return {"error": error.text or HTTPStatus(error.status).phrase, "status": error.status}
    body: dict[str, object] = {"error": str(error), "status": status_of_error(error)}
    if isinstance(error, InvalidParameterError):
        body["field"] = error.field
    return body


@web.middleware
async def failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors into answers; what nobody foresaw is logged and told without details."""
    try:
        return await handler(request)
    except SidecarError as error:
        body, extra = error_json(error), {}
        if body["status"] == 500:
            _log.exception("%s %s failed", request.method, request.path)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        body = error_json(error)
        extra = {
            name: error.headers[name] for name in ("Allow", "Retry-After", "WWW-Authenticate") if name in error.headers
        }
    except (ConnectionError, ClientConnectionError):
        raise
    except Exception:  # noqa: BLE001  the boundary of a request
        _log.exception("%s %s failed", request.method, request.path)
        body, extra = {"error": "Something went wrong here; the log has the details.", "status": 500}, {}
    status = int(str(body["status"]))
    if wants_json(request):
        return web.json_response(body, status=status, headers=extra)
    response = await render(
        request, "error.html", status=status, title=HTTPStatus(status).phrase, message=body["error"]
    )
    response.set_status(status)
    response.headers.update(extra)
    return response
